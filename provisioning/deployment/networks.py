"""Which network address a request came from, and whether it is one of the operator's."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's network address; "" where it isn't known, as behind a Unix socket without BEHIND_PROXY.

    With BEHIND_PROXY it is the last one of X-Forwarded-For: the one that the proxy itself saw.
    """
    found = str(request.META.get("REMOTE_ADDR") or "")
    if settings.BEHIND_PROXY:
        found = str(request.META.get("HTTP_X_FORWARDED_FOR") or found).rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(found.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def network_of(address: str) -> str:
    """Return the network that counts as one visitor: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" in address:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return address


def is_monitoring(request: HttpRequest) -> bool:
    """Say whether a request comes from one of MONITORING_NETWORKS.

    A request that a proxy passed on, which BEHIND_PROXY doesn't tell of, doesn't count as one of this machine.
    """
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META
    address = client_address(request)
    if not address or (forwarded and not settings.BEHIND_PROXY):
        return False
    networks: list[Any] = settings.MONITORING_NETWORKS
    return any(ipaddress.ip_address(address) in network for network in networks)
