"""API keys: who calls, and what the key may do. No cookie is read, so nothing here is open to forged requests."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from provisioning.api.errors import Problem
from provisioning.models import ApiKey

# How often the moment of the last use is written, at most.
_NOTED_EVERY: Final = timedelta(minutes=1)


def hash_of(key: str) -> str:
    """Return what is stored of a key. It is 256 random bits, so a plain hash can't be searched."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def make_key(*, name: str, scopes: list[str], days: int | None = None) -> tuple[ApiKey, str]:
    """Make a key, and return it with the only copy of its text."""
    text = f"spk_{secrets.token_urlsafe(32)}"
    expires_at = timezone.now() + timedelta(days=days) if days else None
    return ApiKey.objects.create(name=name, hash=hash_of(text), scopes=sorted(scopes), expires_at=expires_at), text


class Key(HttpBearer):
    """``Authorization: Bearer …`` with a key that has a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """Return the key, or None where it isn't valid. Raises Problem where it hasn't the scope."""
        now = timezone.now()
        valid = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
        key = valid.filter(hash=hash_of(token)).first()
        if key is None:
            return None
        if key.last_used_at is None or key.last_used_at < now - _NOTED_EVERY:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        if self.scope not in key.scopes:
            raise Problem("scope-missing")
        return key
