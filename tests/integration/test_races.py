"""Many at once, on real connections: one mapping, one set of sites, and nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from orgs.models import Organization
from provisioning.models import Event, Mail, Part, User
from subscriptions.models import Order, Site, Subscription
from tests.driver import Wizard, form_fields
from tests.factories import an_order, an_own_order, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 50


def at_once(act: Callable[[int], Any], count: int = AT_ONCE) -> list[Any]:
    """Run ``act`` in as many threads, each with its own connection, all starting together; return the results."""
    barrier = Barrier(count)

    def run(index: int) -> Any:
        try:
            barrier.wait(timeout=60)
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


def test_one_of_many_orders_that_want_a_site_name_gets_it_and_the_others_keep_their_answers() -> None:
    setups = []
    for number in range(8):
        order = an_own_order(contact=f"kim@company{number}.example.org", sold_to=f"Company {number}", meetings=10)
        wizard = Wizard(signed_in(order.contact_email), order)
        wizard.open()
        wizard.fill("intent", audience="own")
        wizard.fill("customer")
        wizard.fill("customer-new", name=f"Company {number}", vertical="retail", country="US")
        wizard.fill("customer-check")
        wizard.fill("review")
        setup = Wizard(wizard.client, order, "set_up")
        setup.open()
        setup.fill("subscription", choice="now")
        setup.fill("meetings", site_name="everybodys-site", time_zone="Europe/Paris", early_release="no")
        assert setup.at == "review"
        setups.append((setup, form_fields(setup.html)))
    at_once(lambda index: setups[index][0].client.post(setups[index][0].url("review"), setups[index][1]).status_code, 8)
    assert Site.objects.get().name == "everybodys-site"
    assert Order.objects.filter(state=Order.State.SET_UP).count() == 1
    for setup, _fields in setups:
        setup.order.refresh_from_db()
        if setup.order.state == Order.State.MAPPED:
            page = setup.open("meetings", "?problem")
            assert 'value="everybodys-site"' in page
            assert "is taken" in page
            assert "Europe/Paris" in page


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
