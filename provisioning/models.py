"""What the wizard keeps: people, their parts in an order, links, drafts, events, outgoing mail and webhooks."""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import uuid_utils.compat as uuid
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orgs.models import Organization
from subscriptions.models import Order


class UserManager(BaseUserManager["User"]):
    """Makes accounts by email address; nobody but an operator ever has a password."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make an account for this address (kept in lower case)."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make an operator of the order desk."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """An account: an address whose mailbox somebody proves with a code. Made when a link is issued."""

    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(_("order desk"), default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email


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
            """What somebody who has this right can do, for those who decide."""
            if self is AccessRequest.Right.FULL:
                return gettext("Manage the whole organization: its people, administrators, subscriptions and services.")
            return gettext("Set up the services of this order for the organization, and nothing else of it.")

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        DECLINED = "declined", _("Declined")

    class State(enum.StrEnum):
        """What a request is now; EXPIRED is a matter of time only."""

        OPEN = "open"
        EXPIRED = "expired"
        APPROVED = "approved"
        DECLINED = "declined"
        ENDED = "ended"
        LAPSED = "lapsed"  # approved, and what was given has ended by its date
        TAKEN_BACK = "taken_back"  # approved, and what was given was taken back

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
    # The organization's name as the person saw it when they asked: theirs to read; "" where it has none for them.
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
        """What this request is now."""
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
        """Say whether it got the person no right, or none any more."""
        return self.state in {self.State.DECLINED, self.State.EXPIRED, self.State.LAPSED, self.State.TAKEN_BACK}

    @property
    def right_stands(self) -> bool:
        """Say whether the right that was given is there: one for an order ends with the order's set-up."""
        over = self.right == self.Right.PROVISIONING and self.order.state == Order.State.SET_UP
        return self.state is self.State.APPROVED and not over

    @property
    def case(self) -> DeskCase | None:
        """The order desk's help with it, if any was asked for or begun."""
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
    """The order desk's help with a request that no administrator answers: provisioning.actions.desk_help.

    It was asked for (``asked_at``), or an operator began it; another one confirms it after the waiting time.
    """

    class State(enum.StrEnum):
        """What a case is now; it follows from its times and from the request."""

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
        """What this case is now."""
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


class Part(models.Model):
    """The part a person has, or had, in an order. Only provisioning.access reads roles."""

    class Role(models.TextChoices):
        CONTACT = "contact", _("Provisioning contact")
        DELEGATE = "delegate", _("Customer administrator")
        APPROVER = "approver", _("Asked to decide on a request")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="parts")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="parts")
    role = models.CharField(max_length=10, choices=Role.choices)
    since_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    # Who handed the order to this person; may take it back until it is mapped.
    given_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="given")
    # The request whose right a contact maps and sets up by: when that right is over, so is the set-up by this person.
    rests_on = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="carries")
    # What an approver was asked to decide: a part for each request, and several approvers for each.
    access_request = models.ForeignKey(
        AccessRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="approvers"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order", "role"],
                condition=models.Q(ended_at=None, role__in=["contact", "delegate"]),
                name="order_part_current_once",
            ),
            models.UniqueConstraint(fields=["access_request", "user"], name="access_request_approver_once"),
            models.CheckConstraint(
                condition=models.Q(role="approver", access_request__isnull=False)
                | (~models.Q(role="approver") & models.Q(access_request=None)),
                name="part_of_approver_has_a_request",
            ),
        ]
        indexes = [models.Index(fields=["user", "order"], name="part_of_user")]

    def __str__(self) -> str:
        return f"{self.order}: {self.user} ({self.role})"


class Link(models.Model):
    """A pointer to an order, mailed to one address. Never a credential: the code that follows it is."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="links")
    part = models.ForeignKey(Part, on_delete=models.PROTECT, related_name="links")
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["part"], condition=models.Q(replaced_at=None), name="link_current_once_per_part"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.public_id}"


class Draft(models.Model):
    """The answers of an order's wizard, so that they outlive the browser.

    ``steps`` maps a step's name to ``{"data": {field: [values]}, "revision": n, "by": email, "at": iso time}``;
    ``typed`` maps a step's name to posted fields that have not become an answer (going back, adding a row).
    """

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="draft")
    steps = models.JSONField(default=dict)
    typed = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.order)


class Question(models.Model):
    """What the partner or the customer's administrator asks the other about a field of the set-up."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="questions")
    step = models.CharField(max_length=60)
    field = models.CharField(max_length=60, blank=True)  # "" for the whole step
    about = models.CharField(max_length=300)  # the field in words, as the person who asked saw it
    text = models.TextField()
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    answer = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(closed_at=None, closed_by=None, answer="")
                | models.Q(closed_at__isnull=False, closed_by__isnull=False),
                name="question_closed_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=models.Q(answer="") | ~models.Q(closed_by=models.F("asked_by")),
                name="question_answered_by_the_other",
            ),
            models.CheckConstraint(condition=~models.Q(text=""), name="question_has_a_text"),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.about}"


class Event(models.Model):
    """One thing that happened to an order. Rows are only ever added (``history.record``); the database sees to it.

    A trigger gives each row its position in the order's history, the address of who did it, the hash of the row
    before and its own (migration ``a_history_that_is_chained``); another refuses to change, delete or empty them.
    ``story`` says in words what happened, ``chain`` checks the hashes.
    """

    class Kind(models.TextChoices):
        """What can happen. A new one needs its sentence in ``story.SENTENCES``, and no migration."""

        PLACED = "placed", _("Order placed")
        CORRECTED = "corrected", _("Order corrected")
        LINK_SENT = "link_sent", _("Link sent")
        SEARCHED = "searched", _("Organizations searched for")
        HANDED_OVER = "handed_over", _("Handed over")
        TAKEN_BACK = "taken_back", _("Taken back")
        HELD = "held", _("Held for an administrator")
        ASKED = "asked", _("Administrators asked")
        APPROVED = "approved", _("Request approved")
        DECLINED = "declined", _("Request declined")
        RELEASED = "released", _("No longer held")
        MAPPED = "mapped", _("Organizations confirmed")
        DELEGATED = "delegated", _("Set-up given to the customer")
        TAKEN_OVER = "taken_over", _("Set-up taken over")
        POSTPONED = "postponed", _("Set up later")
        SET_UP = "set_up", _("Set up")
        CANCELLED = "cancelled", _("Cancelled")
        MAIL_SENT = "mail_sent", _("Email sent")
        MAIL_REFUSED = "mail_refused", _("Email refused")
        REMINDED = "reminded", _("Reminder sent")
        CLOSED = "closed", _("Closed: the set-up-by date has passed")
        EXTENDED = "extended", _("More time given")
        MAIL_BOUNCED = "mail_bounced", _("Email came back")
        ASKED_AGAIN = "asked_again", _("Administrators asked again")
        RIGHT_TAKEN = "right_taken", _("Right taken back")
        DESK_ASKED = "desk_asked", _("Order desk asked for help")
        DESK_BEGUN = "desk_begun", _("Order desk looks into it")
        DESK_GAVE = "desk_gave", _("Right given by the order desk")
        HANDED_BACK = "handed_back", _("Set-up handed back to the customer")
        QUESTION = "question", _("Question about the set-up")
        ANSWERED = "answered", _("Question answered")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=40)  # a Kind
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    facts = models.JSONField(default=dict, blank=True)
    # The database's own: read after the row was added, whatever stood there before.
    position = models.PositiveIntegerField(db_default=0, editable=False)
    who = models.CharField(max_length=254, db_default="", editable=False)
    previous = models.CharField(max_length=64, db_default="", editable=False)
    hash = models.CharField(max_length=64, db_default="", editable=False)

    class Meta:
        ordering = ["order_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="event_position_once_per_order"),
            models.CheckConstraint(
                condition=models.Q(position__gte=1, previous__regex="^[0-9a-f]{64}$", hash__regex="^[0-9a-f]{64}$"),
                name="event_is_chained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.kind}"


class HistoryHead(models.Model):
    """How many events an order's history has, and the hash of its last: what tells that its end was cut off.

    Written by the trigger that chains the events, and by nothing else.
    """

    order = models.OneToOneField(Order, on_delete=models.PROTECT, primary_key=True, related_name="history_head")
    events = models.PositiveIntegerField()
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        """As it is written down elsewhere: 7:3fb2…"""
        return f"{self.events}:{self.hash}"


class Reminder(models.Model):
    """One thing that was said of an order's set-up-by date, once: so many days before it, or (0) that it has passed.

    An order that was extended has another date, and so reminders of its own.
    """

    CLOSED = 0

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="reminders")
    closes_at = models.DateTimeField()  # the date that it was about
    days = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(fields=["order", "closes_at", "days"], name="reminder_once_for_a_date"),
            models.CheckConstraint(condition=models.Q(days__in=[0, 1, 7, 14]), name="reminder_at_a_known_time"),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.days}"


class Mail(models.Model):
    """An email to be sent: what, to whom, and whether it went out. The text is made when it is sent."""

    # Tries after 0, 1, 3, 7, 15, 31, 63 minutes, then hourly: 30 tries are a little over a day.
    MAX_TRIES: ClassVar[int] = 30

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="mails", verbose_name=_("order"))
    event = models.CharField(_("event"), max_length=40)  # the name of the function in provisioning.emails
    to = models.EmailField(_("to"))
    facts = models.JSONField(default=dict, blank=True)
    link = models.ForeignKey(Link, on_delete=models.PROTECT, null=True, blank=True, related_name="mails")
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)  # its Message-ID, on every try
    created_at = models.DateTimeField(_("asked for at"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    problem = models.TextField(_("problem"), blank=True)
    bounced_at = models.DateTimeField(_("came back at"), null=True, blank=True)  # a server took it, and another didn't

    class Meta:
        verbose_name = _("email")
        verbose_name_plural = _("emails")
        indexes = [models.Index(fields=["created_at"], condition=models.Q(sent_at=None), name="mail_to_send")]

    def __str__(self) -> str:
        return f"{self.event} → {self.to}"

    @property
    def failed(self) -> bool:
        """Whether it came back, or was refused for good: its address can't be reached."""
        return self.bounced_at is not None or (self.sent_at is None and self.tries >= self.MAX_TRIES)


class Webhook(models.Model):
    """One message to the vendor's systems: what it says, in the bytes that are sent, and what became of it.

    Of an order's messages the next one goes out when the one before it was accepted, or skipped by the order desk.
    """

    OPEN = models.Q(accepted_at=None, skipped_at=None)

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="webhooks", verbose_name=_("order"))
    type = models.CharField(_("event"), max_length=40)  # a key of provisioning.webhooks.TYPES
    body = models.TextField(_("message"))  # the JSON, to the byte: each try signs and sends the same
    public_id = models.UUIDField(_("id"), default=uuid.uuid7, unique=True, editable=False)  # webhook-id, on every try
    created_at = models.DateTimeField(_("asked for at"), default=timezone.now)
    next_try_at = models.DateTimeField(_("next try at"), default=timezone.now)
    first_tried_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    given_up_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    skipped_at = models.DateTimeField(_("skipped at"), null=True, blank=True)
    problem = models.TextField(_("problem"), blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        indexes = [
            models.Index(
                fields=["order", "id"], condition=models.Q(accepted_at=None, skipped_at=None), name="webhook_open"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(given_up_at=None, skipped_at=None)
                | models.Q(accepted_at=None, skipped_at=None)
                | models.Q(accepted_at=None, given_up_at=None),
                name="webhook_ends_in_one_way",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} ({self.order})"


class WebhookReceiver(models.Model):
    """An address of the vendor's systems that wants no more messages (it answered 410), until the desk turns it on."""

    url = models.TextField(_("address"), unique=True)
    off_at = models.DateTimeField(_("turned off at"), default=timezone.now)

    class Meta:
        verbose_name = _("webhook address turned off")
        verbose_name_plural = _("webhook addresses turned off")

    def __str__(self) -> str:
        return self.url


class SignInCode(models.Model):
    """One code that an address was asked to prove itself with. Its letters are derived from the row, never kept.

    Also written for addresses that have no account, so that nobody can tell them apart; those get no mail.
    """

    email = models.EmailField()  # lower case, as typed or as the link's
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")  # worthless without it
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    made_at = models.DateTimeField(default=timezone.now)
    fresh_until = models.DateTimeField()  # asked again before this: the same code
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    wrong = models.PositiveIntegerField(default=0)
    # The mail that carries it: asked for, sent, and how often it was asked for.
    asked_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    mails = models.PositiveSmallIntegerField(default=1)
    tries = models.PositiveSmallIntegerField(default=0)
    problem = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["email", "made_at"], name="sign_in_code_of_address")]

    def __str__(self) -> str:
        return f"{self.email}: {self.public_id}"
