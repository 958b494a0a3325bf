"""Keys of the HTTP API."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# What a key may do, each with what that is.
SCOPES = {"provisioning:write": _("report how provisioning requests are going")}


class ApiKey(models.Model):
    """A key of one of the vendor's systems. Its text is shown once; only its hash is stored."""

    name = models.CharField(_("name"), max_length=80, unique=True)  # the history names it
    hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.name
