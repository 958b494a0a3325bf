"""Provisioning requests: what is asked of the system that sets a service up, and what became of it."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from subscriptions.models.orders import Order, OrderLine


class Leased(models.Model):
    """A row that workers take in turn: claimed by a lease, and written back only by whoever holds the last claim.

    ``fence`` grows with each claim and each change by a person. A worker that slept past its lease finds another
    number, and writes nothing.
    """

    next_try_at = models.DateTimeField(null=True, blank=True)  # null: there is nothing to do
    attempts = models.PositiveIntegerField(default=0)  # calls in a row that did not bring it further
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True


class ProvisioningRequest(Leased):
    """One line of an order being set up by its driver. Only the request that isn't superseded counts.

    ``instance_id`` is the id at the other side. It changes only when the instance before was abandoned; the old one
    is then deleted (AbandonedInstance) before the new one is asked for.
    """

    class State(models.TextChoices):
        """waiting → in_progress → succeeded; refused: the person can mend it; failed: the order desk has to."""

        WAITING = "waiting", _("Waiting")
        IN_PROGRESS = "in_progress", _("Being set up")
        SUCCEEDED = "succeeded", _("Set up")
        REFUSED = "refused", _("There is a problem")
        FAILED = "failed", _("There is a problem")
        CANCELLED = "cancelled", _("Cancelled")

    # A line with such a request, or with none, is to be answered (again) in the wizard.
    TO_ANSWER = frozenset({"refused", "cancelled"})

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="provisioning_requests")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="requests")
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    instance_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    driver = models.CharField(max_length=20)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    state_since = models.DateTimeField(db_default=Now())
    parameters = models.JSONField()  # what is asked for: the pack's JSON schema describes it
    requested_by = models.EmailField()
    requester = models.BigIntegerField(null=True, blank=True)  # their account's id: what the other side learns of them
    requested_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)  # the first call was made, or was about to be
    deadline_at = models.DateTimeField(null=True, blank=True)  # of the operation in progress
    unreachable_since = models.DateTimeField(null=True, blank=True)
    operation = models.TextField(blank=True)  # the other side's name for what it does
    external = models.JSONField(default=dict, blank=True)  # ids of the other side
    description = models.TextField(blank=True)  # the other side's words, for people
    problem_code = models.CharField(max_length=40, blank=True)
    problem_field = models.CharField(max_length=200, blank=True)  # a JSON pointer into ``parameters``, or ""
    problem = models.TextField(blank=True)  # the other side's sentence
    answer = models.TextField(blank=True)  # what was received last, for the order desk
    told_desk_at = models.DateTimeField(null=True, blank=True)  # the order desk was told that it failed
    told_late_at = models.DateTimeField(null=True, blank=True)  # people were told that it takes longer than promised
    marked_done_reason = models.TextField(blank=True)  # the order desk says that it is done, and why
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("provisioning request")
        verbose_name_plural = _("provisioning requests")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["line"], condition=models.Q(superseded_at=None), name="provisioning_request_current_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "in_progress"], next_try_at__isnull=False)
                | (~models.Q(state__in=["waiting", "in_progress"]) & models.Q(next_try_at=None)),
                name="provisioning_request_is_tried_while_open",
            ),
            models.CheckConstraint(
                condition=models.Q(superseded_at=None) | ~models.Q(state__in=["waiting", "in_progress"]),
                name="provisioning_request_superseded_is_over",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["refused", "failed"]) | ~models.Q(problem_code=""),
                name="provisioning_request_says_its_problem",
            ),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(next_try_at__isnull=False), name="request_due"),
            models.Index(fields=["state_since"], condition=models.Q(state="failed"), name="request_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.line} ({self.state})"

    @property
    def is_open(self) -> bool:
        """Return whether the other side still has to do something."""
        return self.state in {self.State.WAITING, self.State.IN_PROGRESS}


def was_begun(order: Order) -> bool:
    """Say whether anything of an order was set up, or may have been begun outside."""
    begun = models.Q(started_at__isnull=False) | models.Q(line__subscription__isnull=False)
    return order.provisioning_requests.filter(begun).exists()


class AbandonedInstance(Leased):
    """An instance at the other side that may exist and that nobody wants: it is deleted until that is confirmed."""

    request = models.ForeignKey(ProvisioningRequest, on_delete=models.PROTECT, related_name="abandoned")
    instance_id = models.UUIDField(unique=True)
    reason = models.CharField(max_length=40)
    # The account of who cancelled it, or else of who had asked for it; null: it follows from no person's action.
    requester = models.BigIntegerField(null=True, blank=True)
    external = models.JSONField(default=dict, blank=True)
    operation = models.TextField(blank=True)
    is_deleting = models.BooleanField(default=False)  # the other side said that it is at it
    answer = models.TextField(blank=True)
    abandoned_at = models.DateTimeField(db_default=Now())
    # The other side confirmed it. It is deleted once more later, should a call that was under way have made it again.
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(deleted_at__isnull=False) | models.Q(next_try_at__isnull=False),
                name="abandoned_instance_is_tried_until_deleted",
            ),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(next_try_at__isnull=False), name="abandoned_due"),
        ]

    def __str__(self) -> str:
        return f"{self.request}: {self.instance_id}"


class DriverHealth(models.Model):
    """The circuit breaker of one service's driver: after failures in a row, nothing but a probe is sent until then."""

    service = models.CharField(max_length=40, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    open_until = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.service
