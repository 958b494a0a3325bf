"""Emails to send, reminders that were sent, and the names of emails."""

from __future__ import annotations

from typing import ClassVar

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from provisioning.models.parts import Link
from subscriptions.models import Order


class Reminder(models.Model):
    """A reminder of an order's set-up-by date that was sent: so many days before it, or (0) after it has passed.

    An extended order has another date, and so new reminders.
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
    next_try_at = models.DateTimeField(_("next try at"), default=timezone.now)
    # Who sends it has it until then, by the database's clock; ``fence`` tells whose claim is the last.
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    problem = models.TextField(_("problem"), blank=True)
    bounced_at = models.DateTimeField(_("came back at"), null=True, blank=True)  # a server took it, and another didn't

    class Meta:
        verbose_name = _("email")
        verbose_name_plural = _("emails")
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(sent_at=None), name="mail_due"),
            models.Index(fields=["order"], condition=models.Q(bounced_at__isnull=False), name="mail_that_came_back"),
        ]

    def __str__(self) -> str:
        return f"{self.event} → {self.to}"

    @property
    def event_words(self) -> str:
        """Return what the email is called."""
        return str(EMAIL_NAMES.get(self.event, self.event))

    @property
    def failed(self) -> bool:
        """Say whether the email came back or was given up, so that its address can't be reached."""
        return self.bounced_at is not None or (self.sent_at is None and self.tries >= self.MAX_TRIES)


# The name of each email in an order's history and at the order desk.
EMAIL_NAMES: dict[str, str | Promise] = {
    "order_placed": _("Provisioning information required"),
    "order_handed_over": _("Order handed over to you"),
    "order_taken_back": _("Order taken back"),
    "order_cancelled": _("Order cancelled"),
    "setup_delegated": _("Set up your services"),
    "setup_taken_over": _("Set-up taken over"),
    "setup_handed_back": _("Set-up handed back"),
    "question_asked": _("Question about the set-up"),
    "question_answered": _("Question answered"),
    "set_up_confirmation": _("Services set up"),
    "set_up_refused": _("Something to change before the set-up"),
    "set_up_late": _("Set-up takes longer"),
    "set_up_failed": _("Set-up failed"),
    "access_requested": _("Request for rights"),
    "access_approved": _("Request approved"),
    "access_declined": _("Request declined"),
    "access_decided": _("Request decided by somebody else"),
    "right_taken_back": _("Right taken back"),
    "desk_asked": _("Order desk asked for help"),
    "desk_began": _("Order desk looks into it"),
    "desk_gave": _("Right given by the order desk"),
    "desk_gave_to_you": _("Right given by the order desk"),
    "link_again": _("Your link to the order"),
    "setup_reminder": _("Reminder of the set-up-by date"),
    "order_closed": _("Order closed"),
    "order_closed_unfinished": _("Order closed before it was set up"),
    "order_extended": _("More time for the order"),
}
