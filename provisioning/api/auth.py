"""Who calls: the API key of a request. No cookie is read, so nothing here is open to forged requests."""

from __future__ import annotations

import contextlib
import ipaddress
from datetime import timedelta
from typing import Final

from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from provisioning.actions.api_keys import hash_of
from provisioning.api.errors import Problem
from provisioning.models import ApiKey

# How often the moment of the last use is written, at most.
_NOTED_EVERY: Final = timedelta(minutes=1)


class KeyedRequest(HttpRequest):
    """A request whose key was looked up by ``provisioning.api.entry``; ``auth`` is set where it may do the call."""

    api_key: ApiKey | None
    auth: ApiKey


class Key(HttpBearer):
    """``Authorization: Bearer …`` with a key that has one of the scopes."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self.scopes = scopes

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """Return the key, or None where it isn't valid. Raises Problem where it has none of the scopes."""
        key: ApiKey | None = getattr(request, "api_key", None)
        if key is not None and not set(self.scopes) & set(key.scopes):
            raise Problem("scope-missing")
        return key


def find_key(request: HttpRequest) -> ApiKey | None:
    """Return the valid key that a request brings, or None, and note its use.

    :raises Problem: it may not be used from there.
    """
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    now = timezone.now()
    valid = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    key = valid.filter(hash=hash_of(token)).first()
    if key is None:
        return None
    if key.networks and not _is_inside(request, key.networks):
        raise Problem("network-not-allowed")
    if key.last_used_at is None or key.last_used_at < now - _NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def _is_inside(request: HttpRequest, networks: list[str]) -> bool:
    with contextlib.suppress(PermissionDenied, ValueError):  # a server that doesn't say where from
        address = ipaddress.ip_address(get_adapter().get_client_ip(request))
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ipaddress.ip_network(network) for network in networks)
    return False
