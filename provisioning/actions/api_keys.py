"""Making and revoking keys of the HTTP API, and forgetting the answers that were kept for them."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from provisioning.models import SCOPES, ApiAnswer, ApiKey

MAX_NAME: Final = 80
MAX_DAYS: Final = 3650
MAX_NETWORKS: Final = 20
# So long the answer to a POST with an Idempotency-Key is kept.
KEEP_ANSWERS: Final = timedelta(hours=48)

NO_NAME: Final = _("Enter a name of up to 80 characters.")
NAME_TAKEN: Final = _("There is a key of this name already; choose another name.")
NO_SCOPES: Final = _("Choose what the key may do.")
WRONG_DAYS: Final = _("Enter 1 to 3650 days.")
WRONG_NETWORKS: Final = _("Enter up to 20 networks such as 10.0.0.0/8, with commas between them.")


class KeyRefused(ValueError):
    """A key can't be made like this; ``field`` is the argument, ``sentence`` says what to enter."""

    def __init__(self, field: str, sentence: str | Promise) -> None:
        super().__init__(field)
        self.field = field
        self.sentence = sentence


def hash_of(key: str) -> str:
    """Return what is stored of a key. It is 256 random bits, so a plain hash can't be searched."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def make_key(
    *, name: str, scopes: Iterable[str], days: int | None = None, networks: Iterable[str] = ()
) -> tuple[ApiKey, str]:
    """Make a key, and return it with the only copy of its text.

    :param days: how long it is valid; None: until it is revoked.
    :param networks: from which it may be used, in CIDR notation; none: from anywhere.
    :raises KeyRefused: a name that is empty, too long or taken; an unknown scope or none; other days; no network.
    """
    name, wanted = " ".join(name.split()), set(scopes)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise KeyRefused("name", NO_NAME)
    if not wanted or wanted - set(SCOPES):
        raise KeyRefused("scopes", NO_SCOPES)
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise KeyRefused("days", WRONG_DAYS)
    cleaned = clean_networks(networks)
    text = f"spk_{secrets.token_urlsafe(32)}"
    expires_at = timezone.now() + timedelta(days=days) if days else None
    key, created = ApiKey.objects.get_or_create(
        name=name,
        defaults={
            "hash": hash_of(text),
            "scopes": sorted(wanted),
            "networks": cleaned,
            "expires_at": expires_at,
        },
    )
    if not created:
        raise KeyRefused("name", NAME_TAKEN)
    return key, text


def clean_networks(networks: Iterable[str]) -> list[str]:
    """Return networks in CIDR notation, each once. Raises KeyRefused for what is none."""
    try:
        found = {str(ipaddress.ip_network(network.strip())): None for network in networks if network.strip()}
    except ValueError as error:
        raise KeyRefused("networks", WRONG_NETWORKS) from error
    if len(found) > MAX_NETWORKS:
        raise KeyRefused("networks", WRONG_NETWORKS)
    return list(found)


def revoke_key(*, name: str) -> bool:
    """End the key of this name, at once and for good; False where there is no valid one."""
    return bool(ApiKey.objects.filter(name=" ".join(name.split()), revoked_at=None).update(revoked_at=timezone.now()))


def forget_old_answers() -> int:
    """Delete the answers that were kept long enough; return how many."""
    count, _models = ApiAnswer.objects.filter(created_at__lte=timezone.now() - KEEP_ANSWERS).delete()
    return count
