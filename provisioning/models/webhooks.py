"""Webhooks to send, and the state of the receiver."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from subscriptions.models import Order


class Webhook(models.Model):
    """One message to the vendor's systems: what it says, in the bytes that are sent, and what became of it.

    Of an order's messages the next one goes out when the one before it was accepted, or skipped by the order desk.
    """

    OPEN = models.Q(accepted_at=None, skipped_at=None)

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="webhooks", verbose_name=_("order"))
    type = models.CharField(_("event"), max_length=40)  # a key of provisioning.integration.webhooks.TYPES
    body = models.TextField(_("message"))  # the JSON, to the byte: each try signs and sends the same
    public_id = models.UUIDField(_("id"), default=uuid.uuid7, unique=True, editable=False)  # webhook-id, on every try
    created_at = models.DateTimeField(_("asked for at"), default=timezone.now)
    next_try_at = models.DateTimeField(_("next try at"), default=timezone.now)
    # Who sends it has it until then, by the database's clock; ``fence`` tells whose claim is the last.
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
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
