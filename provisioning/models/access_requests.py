"""Requests for administrator rights, and the help of the order desk with them."""

from __future__ import annotations

import enum

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orgs.models import Organization
from provisioning.models.accounts import User
from subscriptions.models import Order


class AccessRequest(models.Model):
    """A person asks an organization's full administrators for rights that an order needs; one of them decides.

    An order that waits for one is held. ``ended_at``: it is no longer asked, and nobody decided (the person chose
    differently, handed the order over, or asked anew after it had expired).
    """

    class Right(models.TextChoices):
        FULL = "full", _("Full administrator")
        PROVISIONING = "provisioning", _("Provisioning administrator for this order")

        @property
        def allows(self) -> str:
            """Return what a person with this right can do, for those who decide."""
            if self is AccessRequest.Right.FULL:
                return gettext("Manage the whole organization: its people, administrators, subscriptions and services.")
            return gettext("Set up the services of this order for the organization, and nothing else of it.")

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        DECLINED = "declined", _("Declined")

    class State(enum.StrEnum):
        """The state of a request. EXPIRED follows from the time alone."""

        OPEN = "open"
        EXPIRED = "expired"
        APPROVED = "approved"
        DECLINED = "declined"
        ENDED = "ended"
        LAPSED = "lapsed"  # approved, and the right has ended by its date
        TAKEN_BACK = "taken_back"  # approved, and the right was taken back

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="access_requests", verbose_name=_("order"))
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organization")
    )
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("asked by"))
    right = models.CharField(_("right"), max_length=12, choices=Right.choices, default=Right.FULL)
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    asked_at = models.DateTimeField(_("asked"), default=timezone.now)
    expires_at = models.DateTimeField()
    decision = models.CharField(max_length=8, choices=Decision.choices, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The organization's name as it was shown to the requester; "" where it was masked.
    shown_name = models.CharField(max_length=200, blank=True)
    # The right that an approval gave: until when (null: until it is taken back), and who took it back, when and why.
    right_ends_at = models.DateTimeField(null=True, blank=True)
    taken_back_at = models.DateTimeField(null=True, blank=True)
    taken_back_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    taken_back_reason = models.TextField(blank=True)

    class Meta:
        verbose_name = _("request for rights")
        verbose_name_plural = _("requests for rights")
        constraints = [
            models.UniqueConstraint(
                fields=["order", "organization"],
                condition=models.Q(decision="", ended_at=None),
                name="access_request_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(decision="", decided_at=None, decided_by=None)
                | models.Q(decision__in=["approved", "declined"], decided_at__isnull=False, decided_by__isnull=False),
                name="access_request_decided_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(decision="declined") | ~models.Q(reason=""),
                name="access_request_declined_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by=None) | ~models.Q(decided_by=models.F("requester")),
                name="access_request_decided_by_somebody_else",
            ),
            models.CheckConstraint(
                condition=models.Q(decision="") | models.Q(ended_at=None), name="access_request_decided_or_ended"
            ),
            models.CheckConstraint(
                condition=models.Q(decision="approved") | models.Q(right_ends_at=None, taken_back_at=None),
                name="access_request_right_only_if_approved",
            ),
            models.CheckConstraint(
                condition=models.Q(taken_back_at=None, taken_back_by=None, taken_back_reason="")
                | (
                    models.Q(taken_back_at__isnull=False, taken_back_by__isnull=False) & ~models.Q(taken_back_reason="")
                ),
                name="access_request_taken_back_says_who_and_why",
            ),
            models.CheckConstraint(
                condition=models.Q(taken_back_by=None) | ~models.Q(taken_back_by=models.F("requester")),
                name="access_request_taken_back_by_somebody_else",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.requester}"

    @property
    def state(self) -> State:
        """Return the state of this request."""
        if self.taken_back_at is not None:
            return self.State.TAKEN_BACK
        if self.right_ends_at is not None and self.right_ends_at <= timezone.now():
            return self.State.LAPSED
        if self.decision:
            return self.State(self.decision)
        if self.ended_at is not None:
            return self.State.ENDED
        return self.State.OPEN if self.expires_at > timezone.now() else self.State.EXPIRED

    @property
    def may_be_asked_again(self) -> bool:
        """Say whether the requester has no right by this request, or none any more, and can ask again."""
        return self.state in {self.State.DECLINED, self.State.EXPIRED, self.State.LAPSED, self.State.TAKEN_BACK}

    @property
    def right_stands(self) -> bool:
        """Say whether the right that was given lasts. One for an order ends with the order's set-up."""
        over = self.right == self.Right.PROVISIONING and self.order.state == Order.State.SET_UP
        return self.state is self.State.APPROVED and not over

    @property
    def case(self) -> DeskCase | None:
        """Return the order desk's case of this request, or None."""
        return getattr(self, "desk_case", None)

    @property
    def by_desk(self) -> bool:
        """Say whether the order desk gave the right, because no administrator could be reached."""
        return self.case is not None and self.case.confirmed_at is not None

    @property
    def after_set_up(self) -> bool:
        """Say whether it was asked when the order was set up: no order waits for it."""
        return self.order.set_up_at is not None and self.asked_at >= self.order.set_up_at


class DeskCase(models.Model):
    """The order desk's help with a request that no administrator answers: provisioning.actions.desk_access_cases.

    It was asked for (``asked_at``), or an operator began it; another one confirms it after the waiting time.
    """

    class State(enum.StrEnum):
        """The state of a case, which follows from its times and from the request."""

        ASKED = "asked"  # nobody at the desk has begun
        WAITING = "waiting"  # administrators can object
        READY = "ready"  # another operator can give the right
        GIVEN = "given"
        OVER = "over"  # an administrator decided, or it is no longer asked

    request = models.OneToOneField(AccessRequest, on_delete=models.PROTECT, related_name="desk_case")
    asked_at = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    begun_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    evidence = models.TextField(blank=True)
    waits_until = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(begun_at=None, begun_by=None, evidence="", waits_until=None)
                | models.Q(begun_at__isnull=False, begun_by__isnull=False, waits_until__gt=models.F("begun_at"))
                & ~models.Q(evidence=""),
                name="desk_case_begun_says_who_why_and_until_when",
            ),
            models.CheckConstraint(
                condition=models.Q(confirmed_at=None, confirmed_by=None)
                | models.Q(
                    confirmed_by__isnull=False,
                    waits_until__isnull=False,
                    confirmed_at__gte=models.F("waits_until"),
                ),
                name="desk_case_confirmed_after_the_waiting_time",
            ),
            models.CheckConstraint(
                condition=models.Q(confirmed_by=None) | ~models.Q(confirmed_by=models.F("begun_by")),
                name="desk_case_is_of_two_people",
            ),
        ]

    def __str__(self) -> str:
        return str(self.request)

    @property
    def state(self) -> State:
        """Return the state of this case."""
        if self.confirmed_at is not None:
            return self.State.GIVEN
        if self.begun_at is None or self.waits_until is None:
            over = self.request.ended_at is not None or self.request.decision == AccessRequest.Decision.APPROVED
            return self.State.OVER if over else self.State.ASKED
        if self.request.state is not AccessRequest.State.OPEN:
            return self.State.OVER
        return self.State.WAITING if self.waits_until > timezone.now() else self.State.READY

    @property
    def runs(self) -> bool:
        """Say whether the desk has begun, so that every full administrator can decide the request."""
        return self.state in {self.State.WAITING, self.State.READY}
