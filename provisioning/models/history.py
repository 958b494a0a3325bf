"""Events of an order, chained by hashes."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from provisioning.models.accounts import User
from subscriptions.models import Order


class Scheme(models.IntegerChoices):
    """What the hash of an event is over."""

    PLAIN = 1  # its content, with the addresses; written before the release that has COMMITTED
    COMMITTED = 2  # its content with a token instead of each address (history.commitments)
    VOUCHED = 3  # was PLAIN; an address was erased, and a later event has the hash of the content without it


class Event(models.Model):
    """One event of an order. Rows are only added (``history.record``), which the database enforces.

    The only change that the database accepts is an address that becomes its token, which leaves the hash as it is.

    A trigger gives each row its position in the order's history, the address of who did it, the hash of the row
    before and its own (migration ``a_history_that_is_chained``); another refuses to change, delete or empty them.
    ``history.event_sentences`` has its sentences, ``history.verification`` checks the hashes.
    """

    class Kind(models.TextChoices):
        """The kinds of events. A new one needs a sentence in ``event_sentences.SENTENCES``, and no migration."""

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
        SETTING_UP = "setting_up", _("Set-up confirmed")
        REQUESTED = "subscription_requested", _("Service asked for")
        PROVISIONED = "subscription_provisioned", _("Service set up")
        PROVISIONING_REFUSED = "subscription_refused", _("Service refused")
        PROVISIONING_FAILED = "subscription_failed", _("Service not set up")
        RETRIED = "subscription_retried", _("Service asked for again")
        SET_UP_TAKEN_BACK = "set_up_taken_back", _("Set-up taken back")
        LATE = "set_up_late", _("Set-up takes longer")
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
        REPLIED = "mail_replied", _("Email answered")
        PERSON_ERASED = "person_erased", _("A person's data erased")
        ON_HOLD = "put_on_hold", _("Put on hold by the order desk")
        HOLD_RELEASED = "hold_released", _("Hold released by the order desk")
        NOTED = "noted", _("Note of the order desk")
        OWNER = "desk_owner", _("Looked after by")
        MERGED = "organization_merged", _("Organizations merged")

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
    scheme = models.PositiveSmallIntegerField(db_default=Scheme.PLAIN, editable=False)

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


class PersonKey(models.Model):
    """The key of the token that stands for an address in the hashes of a chain. Deleting it erases the person there.

    ``chain`` is the primary key of an order, or 0 for the operators' log. Written by the triggers that chain events.
    """

    OPERATORS: ClassVar[int] = 0

    chain = models.BigIntegerField()
    address = models.TextField()  # ASCII letters in lower case
    key = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain", "address"], name="person_key_once_in_a_chain")]
        indexes = [models.Index(fields=["address"], name="person_key_address")]

    def __str__(self) -> str:
        return f"{self.chain}: {self.address}"
