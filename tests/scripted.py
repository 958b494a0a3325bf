"""A driver that does what a test says: a fourth one beside those of the product, chosen by its dotted path.

``PROVISIONING_MEETINGS=tests.scripted.Scripted``. Each call takes the next outcome of its service's script; where the
script is over, everything is done.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from provisioning.fulfillment.outcomes import Done, Job, Outcome, Rejected
from provisioning.models import User
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import signed_in

PATH = "tests.scripted.Scripted"

SCRIPT: defaultdict[str, deque[Outcome]] = defaultdict(deque)
CALLS: list[tuple[str, Job]] = []


class Scripted:
    """The system outside of one service. ``CALLS`` has what it was asked."""

    name = "scripted"

    def __init__(self, service: str) -> None:
        self.service = service

    def check(self, job: Job) -> Rejected | None:
        """Nothing is known beforehand."""
        return None

    def start(self, job: Job) -> Outcome:
        """Answer with what the script says next."""
        return self._next("start", job)

    def poll(self, job: Job) -> Outcome:
        """Answer with what the script says next."""
        return self._next("poll", job)

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """It is deleted."""
        CALLS.append(("undo", job))
        return Done()

    def problems(self) -> list[str]:
        """Nothing can be configured wrongly."""
        return []

    def _next(self, call: str, job: Job) -> Outcome:
        CALLS.append((call, job))
        return SCRIPT[self.service].popleft() if SCRIPT[self.service] else Done()


@pytest.fixture
def outside(settings: Settings) -> Iterator[None]:
    """Have both services set up by a scripted driver."""
    settings.PROVISIONING = {"meetings": PATH, "calling": PATH}
    forget()
    yield
    forget()


def forget() -> None:
    """Forget what was scripted and called."""
    SCRIPT.clear()
    CALLS.clear()


def script(service: str, *outcomes: Outcome) -> None:
    """Say what the system outside answers next for a service."""
    SCRIPT[service].extend(outcomes)


def an_operator(email: str = "desk@vendor.example") -> User:
    """Return somebody of the order desk."""
    user, _created = User.objects.get_or_create(email=email, defaults={"is_staff": True, "is_superuser": True})
    return user


def confirmed(
    order: Order, who: str = "kim@contoso.example.org", *, site: str = "contoso", more: tuple[str, ...] = ()
) -> Wizard:
    """Answer every step of an order and confirm; ``more`` are names of additional sites."""
    wizard = Wizard(signed_in(who), order, "set_up")
    services = {line.service for line in order.lines.all()}
    wizard.open()
    wizard.fill("subscription", choice="now")
    if "meetings" in services:
        first = {"site_name": site, "time_zone": "Europe/Berlin", "early_release": "no"}
        wizard.fill("meetings", **first, additional_urls=bool(more))
        if more:
            for _more in more[1:]:
                wizard.fill("additional", add="1")
            rows: dict[str, Any] = {f"{at}__name": name for at, name in enumerate(more)}
            wizard.fill("additional", **rows, **{f"{at}__early_release": "no" for at in range(len(more))})
            wizard.fill("licenses", split="1")
            wizard.fill("licenses")
    if "calling" in services:
        wizard.fill_headquarters()
    assert wizard.at == "review", wizard.at
    wizard.fill("review")
    return wizard
