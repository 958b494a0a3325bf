"""Many at once, on real connections: one mapping, one set of sites, and nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from orgs.models import Organization
from provisioning.models import Event, Mail, Part, User
from subscriptions.models import Order, Site, SiteName, Subscription
from subscriptions.packs.site_reservations import reserve_site_names
from subscriptions.rules.validation import SiteNameTaken
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 50


def at_once(act: Callable[[int], Any], count: int = AT_ONCE) -> list[Any]:
    """Run ``act`` in as many threads, each with its own connection, all starting together; return the results."""
    barrier = Barrier(count)

    def run(index: int) -> Any:
        try:
            barrier.wait(timeout=300)
            return act(index)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def poster(client: Client, url: str, fields: dict[str, Any]) -> Callable[[int], int]:
    """Return an act that posts these fields with the client's session."""
    cookies = client.cookies

    def post(_index: int) -> int:
        browser = Client()
        browser.cookies = cookies
        return browser.post(url, fields).status_code

    return post


def ready_to_map() -> tuple[Wizard, dict[str, Any]]:
    """An own order whose new organization only waits for the confirmation."""
    order = an_own_order(meetings=10)
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="US")
    wizard.fill("customer-check")
    assert wizard.at == "review"
    return wizard, form_fields(wizard.html)


def test_fifty_confirms_of_the_organizations_make_one_mapping() -> None:
    wizard, fields = ready_to_map()
    assert set(at_once(poster(wizard.client, wizard.url("review"), fields))) == {302}
    order = Order.objects.get()
    assert order.state == Order.State.MAPPED
    assert Organization.objects.get() == order.customer
    assert Event.objects.filter(kind=Event.Kind.MAPPED).count() == 1


def test_fifty_confirms_of_the_set_up_make_one_set_of_sites() -> None:
    wizard, fields = ready_to_map()
    wizard.client.post(wizard.url("review"), fields)
    setup = Wizard(wizard.client, wizard.order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    assert setup.at == "review"
    assert set(at_once(poster(setup.client, setup.url("review"), form_fields(setup.html)))) == {302}
    assert Order.objects.get().state == Order.State.SET_UP
    assert Subscription.objects.count() == Site.objects.count() == 1
    assert Mail.objects.filter(event="set_up_confirmation").count() == 1
    organization = Organization.objects.get()
    assert organization.active_subscription_count == 1


def at_the_first_site(number: int) -> tuple[Wizard, dict[str, Any]]:
    """An order of a company of its own that wants a site: its wizard, and the fields of the page without a name."""
    contact = f"kim@company{number}.example.org"
    customer = an_organization(f"Company {number}", administrators=[contact])
    setup = Wizard(signed_in(contact), a_mapped_order(contact=contact, customer=customer, meetings=10), "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    zone = {"meetings-time_zone": "Europe/Paris", "meetings-early_release": "no"}
    return setup, form_fields(setup.html) | zone


def test_orders_that_want_the_same_names_the_other_way_round_or_swap_theirs_never_lock_up() -> None:
    orders = [at_the_first_site(number)[0].order for number in range(8)]
    wanted = [f"name-{number}" for number in "abcdef"]

    def reserve(at: int) -> str:
        try:
            reserve_site_names(order=orders[at], names=wanted[:: 1 if at % 2 else -1])
        except SiteNameTaken:
            return "taken"
        return "reserved"

    assert sorted(at_once(reserve, 8)) == ["reserved", *["taken"] * 7]
    SiteName.objects.all().delete()
    for at, order in enumerate(orders):
        reserve_site_names(order=order, names=[f"own-{at}x"])

    def swap(at: int) -> str:
        for _round in range(5):
            with suppress(SiteNameTaken):
                reserve_site_names(order=orders[at], names=[f"own-{(at + 1) % 8}x", f"more-{at}"])
        return (SiteName.objects.filter(order=orders[at]).exists() and "fine") or "nothing"

    assert set(at_once(swap, 8)) == {"fine"}
    assert SiteName.objects.count() == len(set(SiteName.objects.values_list("name", flat=True)))


def test_handing_over_to_many_at_once_leaves_one_contact() -> None:
    order = an_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    fields = form_fields(wizard.html) | {"intent-audience": "other"}
    cookies = wizard.client.cookies

    def hand_over(index: int) -> int:
        browser = Client()
        browser.cookies = cookies
        return browser.post(
            wizard.url("intent"), fields | {"intent-email": f"person{index}@partner.example.net"}
        ).status_code

    assert set(at_once(hand_over, 10)) == {302}
    current = Part.objects.get(order=order, ended_at=None)
    assert Order.objects.get().contact_email == current.user.email
    assert Event.objects.filter(kind=Event.Kind.HANDED_OVER).count() == 1
    assert User.objects.filter(email__startswith="person").count() == 1


def test_database_refuses_a_second_current_contact() -> None:
    order = an_order()
    other = User.objects.create_user("other@partner.example.net")
    with pytest.raises(Exception, match="order_part_current_once"), connection.cursor():
        Part.objects.create(order=order, user=other, role=Part.Role.CONTACT)
