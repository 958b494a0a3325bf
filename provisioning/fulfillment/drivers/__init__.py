"""The drivers, and which one sets a service up: ``PROVISIONING_MEETINGS=osb+https://user:password@broker.example.com``.

A new driver is a module here with a class that follows ``outcomes.Driver``, and a line in ``parse``.
"""

from __future__ import annotations

from functools import cache
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from provisioning.fulfillment.drivers.callback import Callback
from provisioning.fulfillment.drivers.local import Local
from provisioning.fulfillment.drivers.osb import OpenServiceBroker
from provisioning.fulfillment.outcomes import Driver

__all__ = ["driver_of", "parse"]


def driver_of(service: str) -> Driver:
    """Return the driver that ``PROVISIONING_<SERVICE>`` names for a service; local where nothing is set."""
    return parse(service, settings.PROVISIONING.get(service, "local"))


@cache
def parse(service: str, value: str) -> Driver:
    """Return the driver that a setting names: local, callback, osb+https://…, or a class by its dotted path.

    Raises ValueError with a sentence for anything else.
    """
    name = f"PROVISIONING_{service.upper()}"
    if value == "local":
        return Local()
    if value == "callback":
        return Callback()
    if value.startswith("osb+"):
        try:
            parts = urlsplit(value.removeprefix("osb+"))
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:  # no address, or no port
            usable = False
        if not usable:
            raise ValueError(f"{name} must be like osb+https://user:password@broker.example.com.")
        if not parts.username or parts.password is None:
            raise ValueError(f"{name} must name the user and the password of the broker: osb+https://user:password@….")
        if parts.query or parts.fragment:
            raise ValueError(f"{name} must not have a query or a fragment.")
        host = parts.netloc.rpartition("@")[2]
        url = f"{parts.scheme}://{host}{parts.path}"
        return OpenServiceBroker(service, url, unquote(parts.username), unquote(parts.password))
    if value.count(".") >= 1 and "/" not in value:
        try:
            found: Driver = import_string(value)(service)
        except (ImportError, TypeError) as problem:
            raise ValueError(f"{name} names no driver: {problem}.") from problem
        missing = [each for each in ("name", "check", "start", "poll", "undo", "problems") if not hasattr(found, each)]
        if missing:
            raise ValueError(f"{name} names no driver: it has no {', '.join(missing)}.")
        return found
    raise ValueError(f"{name} must be local, callback or osb+https://user:password@broker.example.com.")
