"""How often each page asks the database. More than the number here needs a reason; an N+1 fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning import actions
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from tests.driver import Wizard, form_fields
from tests.factories import (
    a_delegated_order,
    a_mapped_order,
    an_order,
    an_organization,
    an_own_order,
    signed_in,
)

pytestmark = pytest.mark.django_db

SAM, KIM = "sam@partner.example", "kim@contoso.example"


def asked(act: Callable[[], Any]) -> int:
    """Return how many statements this takes (savepoints aren't counted)."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return sum("SAVEPOINT" not in query["sql"] for query in queries.captured_queries)


# Session and person, and one for the order with its part, lines, draft and organizations: three of each step; the rest
# is what the step itself looks up: what was counted, one statement for the candidates and one each for their facts,
# domains and other names.
FIND = {
    "intent": 3, "partner": 5, "partner-new": 3, "partner-check": 5, "customer-details": 3, "customer": 5,
    "customer-new": 3, "customer-check": 5, "review": 3,
}  # fmt: skip
SET_UP = {"subscription": 3, "meetings": 3, "additional": 3, "licenses": 3, "location": 3, "address": 3, "review": 6}


def a_finder() -> Wizard:
    """Both organizations are new, everything is answered, and there are organizations to choose from."""
    for number in range(10):
        domain = f"c{number}.contoso.example"
        an_organization(f"Contoso {number}", domains=[domain], administrators=[f"a@{domain}"])
    wizard = Wizard(signed_in(SAM), an_order(contact=SAM, customer_email="it@contoso.example"))
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Partner Networks")
    wizard.fill("customer-details")
    wizard.make("customer", "Contoso")
    assert wizard.at == "review"
    return wizard


def a_set_up() -> Wizard:
    """Three sites and a location, everything answered."""
    wizard = Wizard(signed_in(KIM), a_mapped_order(contact=KIM, meetings=10, calling=5), "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "site-two", "0__early_release": "no", "add": "1"})
    wizard.fill("additional", **{"1__name": "site-three", "1__early_release": "no"})
    wizard.fill("licenses", **{"site_site-one": "6", "site_site-two": "3", "site_site-three": "1"})
    wizard.fill_headquarters()
    assert wizard.at == "review"
    return wizard


@pytest.mark.parametrize(("make", "expected"), [(a_finder, FIND), (a_set_up, SET_UP)], ids=["find", "set-up"])
def test_showing_a_step_asks_a_few_times(make: Callable[[], Wizard], expected: dict[str, int]) -> None:
    wizard = make()
    seen = {step: asked(lambda step=step: wizard.client.get(wizard.url(step))) for step in expected}  # type: ignore[misc]
    assert not {step: count for step, count in seen.items() if count > expected[step]}


@pytest.mark.parametrize(("make", "expected"), [(a_finder, FIND), (a_set_up, SET_UP)], ids=["find", "set-up"])
def test_answering_a_step_asks_little_more_than_showing_it(
    make: Callable[[], Wizard], expected: dict[str, int]
) -> None:
    wizard = make()
    seen = {}
    for step in list(expected)[:-1]:
        fields = form_fields(wizard.open(step))
        seen[step] = asked(lambda: wizard.client.post(wizard.url(step), fields))  # noqa: B023
    assert not {step: count for step, count in seen.items() if count > expected[step] + 5}


def test_confirming_asks_a_number_of_times_that_does_not_grow_with_the_sites() -> None:
    finder = a_finder()
    counts = [asked(lambda: finder.client.post(finder.url("review"), form_fields(finder.html)))]
    setup = a_set_up()
    counts.append(asked(lambda: setup.client.post(setup.url("review"), form_fields(setup.html))))
    assert {order.state for order in Order.objects.all()} == {Order.State.MAPPED, Order.State.SET_UP}
    assert counts[0] <= 30
    # A request, an event and what follows from it for each service; and five for each of the three messages, which are
    # written whether or not a system is told of them.
    assert counts[1] <= 76


@pytest.mark.parametrize("orders", [1, 30])
def test_my_orders_asks_as_often_for_thirty_orders_as_for_one(orders: int) -> None:
    organization = an_organization("Contoso", administrators=[KIM])
    boss = an_organization("Adventure", administrators=["boss@adventure.example"], members=[KIM])
    for number in range(orders):
        kinds: list[Callable[[], object]] = [
            lambda: an_own_order(contact=KIM),
            lambda: a_mapped_order(contact=KIM, customer=organization),
            lambda: actions.ask_administrators(
                order=an_own_order(contact=KIM), by=links.user_for(KIM), organization=boss.public_id
            ),
            lambda: actions.hand_over(order=an_own_order(contact=KIM), by=links.user_for(KIM), email=SAM),
            lambda: actions.cancel_order(order=an_own_order(contact=KIM), by=None),
        ]
        kinds[number % len(kinds)]()
    client = signed_in(KIM)
    # One of them: does the person administer an organization in which a request gave a right?
    assert (
        asked(lambda: client.get("/orders/")) <= 9
    )  # one: whose mailbox can’t be reached; two: how far each service is


@pytest.mark.parametrize("requests", [1, 10])
def test_my_orders_asks_as_often_for_ten_requests_to_decide_as_for_one(requests: int) -> None:
    boss = an_organization("Adventure", administrators=["boss@adventure.example"], members=[KIM])
    for _number in range(requests):
        order = an_own_order(contact=KIM)
        actions.ask_administrators(order=order, by=links.user_for(KIM), organization=boss.public_id)
    client = signed_in("boss@adventure.example")
    assert asked(lambda: client.get("/orders/")) <= 9  # as above


def test_pages_of_an_order_ask_a_few_times() -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    sites = [
        SitePlan(name=f"site-{number:03d}", time_zone="Europe/Paris", early_release=False, licenses=2)
        for number in range(50)
    ]
    actions.set_up(order=order, by=links.user_for(KIM), plans={"meetings": sites})
    client = signed_in(KIM)
    assert asked(lambda: client.get(f"/orders/{order.number}/summary/")) <= 7
    delegated = a_delegated_order(contact=SAM)
    partner = signed_in(SAM)
    # Three of them say what was sent last, whether it came back, and when it may be sent again; one counts questions.
    assert asked(lambda: partner.get(f"/orders/{delegated.number}/delegated/")) <= 10
