"""One partner organization for several orders: chosen once, each order still reviewed and confirmed by itself."""

from __future__ import annotations

import pytest

from provisioning import actions
from provisioning.models import Event
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

SAM, PAT = "sam@partner.example.net", "pat@other.example.net"
PAGE = "/same-partner/"


def answered(order: Order) -> Wizard:
    """Return the wizard of an order whose partner organization was chosen in its own steps."""
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    return wizard


def test_a_partner_chosen_in_one_order_is_taken_for_others_which_are_confirmed_by_themselves() -> None:
    partner = an_organization("Partner Networks", administrators=[SAM], partner=True, domains=["partner.example.net"])
    first, second, third, mapped = (an_order(contact=SAM, customer=f"Customer {name}") for name in "ABCD")
    client = signed_in(SAM)
    assert PAGE in client.get("/orders/").text
    assert f"Open order {first.number}" in client.get(PAGE).text  # nothing to take over yet
    answered(first)
    answered(mapped)

    page = client.get(PAGE)
    assert [source.name for source in page.context["sources"]] == ["Partner Networks"]
    assert page.context["targets"] == [second, third]
    empty = client.post(PAGE, {"source": "", "orders": []}).text
    assert "Select the partner organization" in empty
    assert "Select the orders that it counts for" in empty

    sent = client.post(PAGE, {"source": first.number, "orders": [second.number, mapped.number]}, follow=True)
    assert "1 order has its partner organization now." in sent.text
    assert f"These orders had an answer already, which stays: {mapped.number}." in sent.text
    assert second.events.filter(kind=Event.Kind.SEARCHED, by=links.user_for(SAM)).count() == 1
    assert not third.events.filter(kind=Event.Kind.SEARCHED).exists()
    second.refresh_from_db()
    assert (second.state, second.partner) == (Order.State.PLACED, None)

    wizard = Wizard(client, second)
    wizard.open()
    assert wizard.at == "customer-details"
    wizard.fill("customer-details")
    wizard.make("customer", "Customer B")
    wizard.fill("review")
    second.refresh_from_db()
    assert (second.state, second.partner) == (Order.State.MAPPED, partner)
    # The third waits as before.
    assert client.get(PAGE).context["targets"] == [third]


def test_orders_of_others_are_a_404_and_nothing_is_written() -> None:
    an_organization("Partner Networks", administrators=[SAM], partner=True, domains=["partner.example.net"])
    first, second = an_order(contact=SAM), an_order(contact=SAM)
    foreign = an_order(contact=PAT)
    handed = an_order(contact=SAM)
    actions.hand_over(order=handed, by=links.user_for(SAM), email=PAT)
    answered(first)
    events = Event.objects.count()
    client = signed_in(SAM)
    for source, orders in [
        (first.number, [second.number, foreign.number]),
        (first.number, [second.number, handed.number]),
        (first.number, [second.number, "no-such-order"]),
        (first.number, [second.number, "no\0order"]),
    ]:
        assert client.post(PAGE, {"source": source, "orders": orders}).status_code == 404
    # An order without a chosen organization is no source.
    assert client.post(PAGE, {"source": second.number, "orders": [first.number]}).status_code == 200
    assert signed_in(PAT).post(PAGE, {"source": first.number, "orders": [foreign.number]}).status_code == 200
    assert Event.objects.count() == events
    assert Wizard(client, second).open() is not None
    assert client.get(PAGE).context["targets"] == [second]


def test_an_organization_that_an_order_can_t_choose_is_not_taken_for_it() -> None:
    an_organization("Partner Networks", administrators=[SAM], partner=True, domains=["partner.example.net"])
    stranger = an_organization("Adventure Works", partner=True, domains=["adventure.example"])
    first, second = an_order(contact=SAM), an_order(contact=SAM)
    wizard = Wizard(signed_in(SAM), first)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.search("partner", "adventure.example")
    wizard.fill("partner", organization=str(stranger.public_id))
    assert wizard.at == "customer-details"
    client = signed_in(SAM)
    sent = client.post(PAGE, {"source": first.number, "orders": [second.number]}, follow=True)
    assert f"Open them: {second.number}." in sent.text
    own = an_own_order(contact=SAM)
    assert own not in client.get(PAGE).context["targets"]
    assert second in client.get(PAGE).context["targets"]
