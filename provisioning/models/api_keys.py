"""Keys of the HTTP API, and the answers that are kept for requests with an Idempotency-Key."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# What a key may do, each with what that is.
SCOPES = {
    "orders:read": _("read orders, their history and their provisioning"),
    "orders:write": _("place, correct, extend and cancel orders"),
    "directory:read": _("read organizations"),
    "directory:write": _("write organizations"),
    "match:read": _("ask the finder which organization is meant"),
    "provisioning:write": _("report how provisioning requests are going"),
    "documents:read": _("read order summaries and their PDF"),
    "events:read": _("read what happened"),
    "webhooks:write": _("change webhook endpoints"),
}


class ApiKey(models.Model):
    """A key of one of the vendor's systems. Its text is shown once; only its hash is stored."""

    name = models.CharField(_("name"), max_length=80, unique=True)  # the history names it
    hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    networks = models.JSONField(_("networks"), default=list, blank=True)  # in CIDR notation; empty: any
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.name


class ApiAnswer(models.Model):
    """The answer to a POST with an Idempotency-Key, written in the transaction of its effect.

    ``status`` is 0 only inside that transaction, while the request runs.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="answers")
    name = models.CharField(max_length=255)  # the Idempotency-Key
    request_hash = models.CharField(max_length=64)  # SHA-256 of method, address and body
    created_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="api_answer_by_age")]
        constraints = [models.UniqueConstraint(fields=["key", "name"], name="api_answer_once_per_key")]

    def __str__(self) -> str:
        return f"{self.key}: {self.name}"
