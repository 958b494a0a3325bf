"""Whether the time of an answer tells what the page doesn't: medians of what is there, kept back, and not there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
from pytest_django import Settings

from orgs.models import Organization
from tests.driver import Wizard
from tests.factories import an_order, an_organization, signed_in

pytestmark = pytest.mark.django_db

EVE, ROUNDS = "eve@attacker.example", 40


def a_wizard() -> Wizard:
    """A stranger's wizard at the customer's details, in a directory of some size."""
    for number in range(300):
        an_organization(f"Filler {number} Company", domains=[f"filler{number}.example"])
    an_organization("Bigcorp Holding", domains=["bigcorp.example"], administrators=["boss@bigcorp.example"])
    an_organization("Claimless Works", members=[f"u{number}@claimless.example" for number in range(20)])
    wizard = Wizard(signed_in(EVE), an_order(contact=EVE, customer="", customer_email=""))
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Eve Networks")
    wizard.fill("customer-details", company_name="Something Else", administrator_email=EVE)
    return wizard


def medians(acts: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of each, taken in turns, so that what else the machine does falls on all alike."""
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _round in range(ROUNDS):
        for name, act in acts.items():
            begun = time.perf_counter()
            act()
            taken[name].append((time.perf_counter() - begun) * 1000)
    return {name: statistics.median(values[3:]) for name, values in taken.items()}


@pytest.mark.parametrize("every", [0, 50])
def test_time_of_an_answer_does_not_tell_what_the_page_keeps_back(every: int, settings: Settings) -> None:
    wizard = a_wizard()
    assert Organization.objects.count() > 300
    settings.RESPONSE_PADDING_MS = every
    url = wizard.url("customer")

    def search(domain: str) -> Callable[[], object]:
        return lambda: wizard.client.post(url, {"search": "1", "domain": domain})

    def shown(domain: str) -> Callable[[], object]:
        return lambda: wizard.client.get(f"{url}?domain={domain}")

    def named(name: str) -> Callable[[], object]:
        def act() -> None:
            wizard.open("customer-details")
            wizard.fill("customer-details", company_name=name, administrator_email=EVE)

        return act

    domains = {"masked": "bigcorp.example", "unverified": "claimless.example", "not there": "nowhere.example"}
    for what, make in (("search", search), ("page", shown)):
        measured = medians({name: make(domain) for name, domain in domains.items()})
        _tell(f"{what} by domain, every {every} ms", measured)
    _tell(
        f"name, three requests, every {every} ms",
        medians({"kept back": named("Bigcorp Holding"), "not there": named("Fooname Holding")}),
    )


def _tell(what: str, measured: dict[str, float]) -> None:
    print(f"\n{what}: " + ", ".join(f"{name} {value:.1f} ms" for name, value in measured.items()))
