"""Endpoints that receive webhooks: making, changing and removing them, and the rotation of their secrets.

Several systems receive messages, each with its own address, secret and filter. ``WEBHOOK_URL`` is one of them
(``of_environment``); its address and secrets are settings, and cannot be changed here.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from provisioning.integration.http_client import may_be_reached
from provisioning.integration.sealing import Unreadable, reseal, seal, unseal
from provisioning.models import Webhook, WebhookEndpoint

# How long the earlier secret signs beside the new one after a rotation, unless the caller says otherwise.
OVERLAP: Final = timedelta(hours=24)
MOST_OVERLAP: Final = timedelta(days=30)
MOST_ENDPOINTS: Final = 50
_MOST_ADDRESS: Final = 2000


class EndpointRefused(ValueError):
    """A value of an endpoint that was refused; nothing was written. ``field`` names it, ``sentence`` says why."""

    def __init__(self, field: str, sentence: str | Promise) -> None:
        super().__init__(str(sentence))
        self.field = field
        self.sentence = sentence


def make(*, url: str, types: Sequence[str], known_types: Sequence[str], name: str = "", made_by: str = "") -> tuple[
    WebhookEndpoint, str
]:  # fmt: skip
    """Make an endpoint, and return it with the only readable copy of its secret (``whsec_…``).

    :param types: types of messages, or beginnings such as ``order.*``; none for every type.
    :raises EndpointRefused: the address or a type is refused, or there are too many endpoints.
    """
    if WebhookEndpoint.objects.filter(deleted_at=None, environment=False).count() >= MOST_ENDPOINTS:
        raise EndpointRefused("url", _("There are 50 webhook endpoints already; remove one first."))
    secret = _new_secret()
    endpoint = WebhookEndpoint.objects.create(
        url=_checked_url(url),
        types=check_types(types, known_types),
        name=_checked_name(name),
        secret=seal(secret),
        made_by=made_by[:254],
    )
    return endpoint, secret


def change(
    endpoint: WebhookEndpoint,
    *,
    known_types: Sequence[str],
    url: str | None = None,
    types: Sequence[str] | None = None,
    name: str | None = None,
) -> WebhookEndpoint:
    """Change what is not None. Raises EndpointRefused for a wrong value, and for the environment's endpoint."""
    _refuse_environment(endpoint)
    if url is not None:
        endpoint.url = _checked_url(url)
    if types is not None:
        endpoint.types = check_types(types, known_types)
    if name is not None:
        endpoint.name = _checked_name(name)
    endpoint.save(update_fields=["url", "types", "name"])
    return endpoint


def check_types(types: Sequence[str], known_types: Sequence[str]) -> list[str]:
    """Return a filter of types in its stored form; [] lets every type through.

    :raises EndpointRefused: a type, or a beginning such as ``order.*``, is of no message.
    """
    for each in types:
        beginning = each.removesuffix("*")
        known = each in ("*", *known_types) or (
            each.endswith(".*") and any(kind.startswith(beginning) for kind in known_types)
        )
        if not known:
            sentence = _("There is no event of the type “%(type)s”. There are %(types)s.")
            raise EndpointRefused("types", sentence % {"type": each[:80], "types": ", ".join(known_types)})
    return [] if "*" in types else sorted(set(types))


def turn_off(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Send nothing to an endpoint, and write no new deliveries for it, until it is turned on again."""
    _refuse_environment(endpoint)
    endpoint.enabled = False
    endpoint.save(update_fields=["enabled"])
    return endpoint


def rotate(endpoint: WebhookEndpoint, *, overlap: timedelta = OVERLAP) -> str:
    """Give an endpoint a new secret and return its only readable copy. The earlier one also signs during ``overlap``.

    :raises EndpointRefused: ``overlap`` is not between 0 and 30 days, or it is the environment's endpoint.
    """
    _refuse_environment(endpoint)
    if not timedelta() <= overlap <= MOST_OVERLAP:
        raise EndpointRefused("overlap_hours", _("Enter 0 to 720 hours."))
    secret = _new_secret()
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        row.previous_secret, row.secret = row.secret if overlap else "", seal(secret)
        row.previous_until = timezone.now() + overlap if overlap else None
        row.save(update_fields=["secret", "previous_secret", "previous_until"])
    endpoint.refresh_from_db()
    return secret


def remove(endpoint: WebhookEndpoint) -> None:
    """Send nothing to an endpoint any more. Its row stays for its deliveries, without its secrets."""
    _refuse_environment(endpoint)
    now = timezone.now()
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            deleted_at=now, enabled=False, secret="", previous_secret="", previous_until=None
        )
        # Who sends one of these finds another claim, and notes nothing.
        Webhook.objects.filter(Webhook.OPEN, endpoint=endpoint).update(
            skipped_at=now, given_up_at=None, lease_until=None
        )


def receivers_of(kind: str) -> list[WebhookEndpoint]:
    """Return the endpoints that get messages of this type."""
    found = list(WebhookEndpoint.objects.filter(deleted_at=None, enabled=True).order_by("pk"))
    own = [each for each in found if not each.environment and wants(each, kind)]
    if not settings.WEBHOOK_URL:
        return own
    return [next((each for each in found if each.environment), None) or of_environment(), *own]


def of_environment() -> WebhookEndpoint:
    """Return the endpoint that stands for ``WEBHOOK_URL``."""
    return WebhookEndpoint.objects.get_or_create(environment=True, defaults={"name": "WEBHOOK_URL"})[0]


def wants(endpoint: WebhookEndpoint, kind: str) -> bool:
    """Return whether an endpoint's filter lets messages of this type through."""
    return not endpoint.types or any(
        kind == each or (each.endswith("*") and kind.startswith(each[:-1])) for each in endpoint.types
    )


def address_of(endpoint: WebhookEndpoint) -> str:
    """Return where an endpoint's messages go; "" for the environment's where WEBHOOK_URL is not set."""
    return str(settings.WEBHOOK_URL) if endpoint.environment else endpoint.url


def is_gone(endpoint: WebhookEndpoint) -> bool:
    """Return whether the address answered 410, and nobody has turned the endpoint on since."""
    return endpoint.gone_at is not None and (not endpoint.environment or endpoint.url == settings.WEBHOOK_URL)


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """Return the secrets that sign, the newest first. Raises Unreadable where their key is gone."""
    if endpoint.environment:
        return list(settings.WEBHOOK_SECRETS)
    found = [unseal(endpoint.secret)]
    if endpoint.previous_secret and endpoint.previous_until and endpoint.previous_until > timezone.now():
        found.append(unseal(endpoint.previous_secret))
    return found


def look_after_secrets() -> None:
    """Forget earlier secrets whose time is over, and encrypt the others under the current ``SECRET_KEY``."""
    now = timezone.now()
    WebhookEndpoint.objects.filter(previous_until__lte=now).update(previous_secret="", previous_until=None)
    for endpoint in WebhookEndpoint.objects.filter(deleted_at=None, environment=False):
        with transaction.atomic():
            row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
            try:
                row.secret = reseal(row.secret)
                row.previous_secret = row.previous_secret and reseal(row.previous_secret)
            except Unreadable:
                continue  # sending says so
            row.save(update_fields=["secret", "previous_secret"])


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _refuse_environment(endpoint: WebhookEndpoint) -> None:
    if endpoint.environment:
        raise EndpointRefused("", _("This endpoint comes from the setting WEBHOOK_URL; change it there."))


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > 80 or not name.isprintable():
        raise EndpointRefused("name", _("Enter a name of up to 80 characters."))
    return name


def _checked_url(url: str) -> str:
    """Return an address that may be written to, as far as it says so itself: each try also checks what it leads to."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    shaped = bool(host) and parts.scheme in {"http", "https"} and port != 0 and url.isascii() and url.isprintable()
    if not shaped or " " in url or len(url) > _MOST_ADDRESS or parts.username is not None or parts.fragment:
        raise EndpointRefused(
            "url", _("Enter an address such as https://crm.example.com/webhooks, without a user and without “#”.")
        )
    if parts.scheme == "http" and not settings.OUTGOING_ALLOW_PRIVATE:
        raise EndpointRefused("url", _("Messages are sent with TLS only: the address must begin with https."))
    if _is_private(host):
        raise EndpointRefused(
            "url", _("%(host)s is not an address of the public internet, so nothing is sent there.") % {"host": host}
        )
    return url


def _is_private(host: str) -> bool:
    """Return whether a host name says itself that it is not public, and OUTGOING_ALLOW_PRIVATE does not allow it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names_here = host == "localhost" or "." not in host.rstrip(".") or host.endswith((".localhost", ".local"))
        # 127.1, 0x7f000001 and 2130706433 are addresses too; no public name ends in a number (RFC 3696, 2).
        last = host.rstrip(".").rpartition(".")[2]
        return (names_here or last.isdigit() or last.startswith("0x")) and not settings.OUTGOING_ALLOW_PRIVATE
    return not may_be_reached(address) and not any(address in network for network in settings.OUTGOING_ALLOW_PRIVATE)
