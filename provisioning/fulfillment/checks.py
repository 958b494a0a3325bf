"""What `manage.py check` says about PROVISIONING_*, and `check --deploy` about the brokers that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from provisioning.fulfillment.drivers import driver_of, parse
from subscriptions import packs


@checks.register("provisioning")
def settings_name_drivers(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Say one sentence for each mistake in PROVISIONING_*."""
    return list(_mistakes())


@checks.register("provisioning", deploy=True)
def drivers_can_be_used(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Ask each driver for what is wrong: an Open Service Broker's catalog, its plans and their schemas."""
    found: list[checks.CheckMessage] = []
    wrong = {str(message.obj) for message in _mistakes()}
    for service in settings.PROVISIONING:
        if service not in wrong:
            for sentence in driver_of(service).problems():
                found.append(checks.Warning(sentence, obj=_name(service), id="provisioning.W020"))
    return found


def _mistakes() -> Iterator[checks.CheckMessage]:
    sold = packs.installed()
    for service, value in sorted(settings.PROVISIONING.items()):
        name = _name(service)
        if service not in sold:
            known = ", ".join(_name(each) for each in sold)
            sentence = f"{name} names no service that is sold. There are {known}."
            yield checks.Error(sentence, obj=service, id="provisioning.E020")
            continue
        try:
            driver = parse(service, value)
        except ValueError as problem:
            yield checks.Error(str(problem), obj=service, id="provisioning.E021")
            continue
        if driver.name == "callback" and not settings.WEBHOOK_URL:
            sentence = f"{name} is callback, so WEBHOOK_URL and WEBHOOK_SECRETS must be set."
            yield checks.Error(sentence, obj=service, id="provisioning.E022")


def _name(service: str) -> str:
    return f"PROVISIONING_{service.upper()}"
