"""Messages for the vendor's systems, the endpoints that receive them, and what became of each delivery."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from subscriptions.models import Order


class WebhookMessage(models.Model):
    """One message: what an event of an order says to other systems. It is written whether or not anybody receives it.

    ``position`` is its place in the list of events (``GET /api/v1/events``). ``integration.webhooks.number`` gives it
    after the commit, so that no message with a lower position can appear later. A test message has no order and no
    position.
    """

    public_id = models.UUIDField(_("id"), default=uuid.uuid7, unique=True, editable=False)  # webhook-id, on every try
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, related_name="webhook_messages", verbose_name=_("order")
    )
    type = models.CharField(_("event"), max_length=40)  # one of provisioning.integration.webhooks.ALL_TYPES
    body = models.TextField(_("message"))  # the JSON, to the byte: each try signs and sends the same
    created_at = models.DateTimeField(_("asked for at"), default=timezone.now)
    position = models.BigIntegerField(null=True, unique=True, editable=False)

    class Meta:
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(position=None, order__isnull=False),
                name="webhook_message_without_place",
            ),
            models.Index(fields=["order", "position"], name="webhook_message_of_order"),
            models.Index(fields=["created_at"], name="webhook_message_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} ({self.order})" if self.order_id else self.type


class WebhookEndpoint(models.Model):
    """A receiver of webhooks: an address, its secret, and the types of messages that it receives.

    The one with ``environment`` is that of ``WEBHOOK_URL``: its address and secrets come from the settings. Secrets of
    the others are stored encrypted (``provisioning.integration.sealing``).
    """

    public_id = models.UUIDField(_("id"), default=uuid.uuid7, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=80, blank=True)
    url = models.TextField(_("address"))
    types = models.JSONField(_("events"), default=list)  # such as "order.placed" and "order.*"; [] is every type
    environment = models.BooleanField(default=False, editable=False)
    secret = models.TextField(blank=True, editable=False)
    # After a rotation both secrets sign until then.
    previous_secret = models.TextField(blank=True, editable=False)
    previous_until = models.DateTimeField(_("earlier secret signs until"), null=True, blank=True, editable=False)
    enabled = models.BooleanField(_("on"), default=True)
    # It answered 410 Gone: messages wait until somebody turns it on. For WEBHOOK_URL ``url`` is the address that did.
    gone_at = models.DateTimeField(_("answered 410 at"), null=True, blank=True, editable=False)
    # When its last answer took long. At most one sender of a process waits for slow endpoints.
    slow_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("made at"), default=timezone.now, editable=False)
    made_by = models.CharField(_("made by"), max_length=254, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        constraints = [
            models.UniqueConstraint(
                fields=["environment"],
                condition=models.Q(environment=True),
                name="webhook_endpoint_of_environment_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.url


class Webhook(models.Model):
    """The delivery of one message to one endpoint.

    Of an order's messages an endpoint gets the next one when the one before it was accepted, or skipped by the order
    desk.
    """

    OPEN = models.Q(accepted_at=None, skipped_at=None)

    message = models.ForeignKey(
        WebhookMessage, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("message")
    )
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("webhook endpoint")
    )
    # The message's order, for the index that keeps the order of messages; None for a test message.
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, related_name="webhooks", verbose_name=_("order")
    )
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
    # The last try: when, the HTTP status (None: no answer), the beginning of the body, and how long it took.
    tried_at = models.DateTimeField(_("last try at"), null=True, blank=True)
    answer_status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    answer = models.TextField(_("answer"), blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        indexes = [
            models.Index(
                fields=["order", "endpoint", "message"],
                condition=models.Q(accepted_at=None, skipped_at=None),
                name="webhook_open",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "message"], name="webhook_once_per_endpoint"),
            models.CheckConstraint(
                condition=models.Q(given_up_at=None, skipped_at=None)
                | models.Q(accepted_at=None, skipped_at=None)
                | models.Q(accepted_at=None, given_up_at=None),
                name="webhook_ends_in_one_way",
            ),
        ]

    def __str__(self) -> str:
        return str(self.message)
