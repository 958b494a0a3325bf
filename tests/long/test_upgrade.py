"""An upgrade of the database that a former version of the product filled: `migrate` to now, and all of it goes on.

``data/rows_before_provisioning_requests.sql`` was written by that version: orders in each state, documents, history.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from provisioning.history import verification
from provisioning.models import AccessRequest, HistoryHead
from subscriptions.models import Location, Order, ProvisioningRequest, SiteName
from tests.driver import Wizard
from tests.factories import signed_in

ROWS = Path(__file__).parent / "data" / "rows_before_provisioning_requests.sql"
FORMER_STATE = (("orgs", "0006"), ("subscriptions", "0008"), ("provisioning", "0009"))
KIM, LEE, SAM = "kim@contoso.example.org", "lee@fabrikam.example.com", "sam@partner.example.net"

# The last event of each order as the former version noted it: the state, the number of events, the start of the hash.
ORDERS = {
    "U-1": ("set_up", "6:6d63cc75e717cbb7"),
    "U-2": ("set_up", "4:76979018947abc0d"),
    "U-3": ("set_up", "4:2998ccf9fdec060a"),
    "U-4": ("mapped", "3:2e15f2b1d2a40f4d"),
    "U-5": ("placed", "3:d445f461f60a209e"),
    "U-6": ("held", "5:45d20c6d5e19c6d7"),
    "U-7": ("cancelled", "3:556b2cc64658db73"),
    "U-8": ("mapped", "4:c7a397fbd2d5acae"),
}
CODES = {"U-1": "ZKV6-S8DM-JZQX", "U-2": "BDB4-2SMK-9KZH", "U-3": "THPV-K7B0-3S2B"}


@pytest.fixture
def upgraded(transactional_db: None) -> Iterator[None]:
    """A database of its own: migrated to the former state, filled with the former version's rows, migrated to now."""
    own, name = connection.settings_dict["NAME"], f"{connection.settings_dict['NAME']}_upgrade"
    with connection._nodb_cursor() as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        for app, migration in FORMER_STATE:
            call_command("migrate", app, migration, verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN;\n" + ROWS.read_text() + "COMMIT")
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own
        with connection._nodb_cursor() as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.django_db(transaction=True)
def test_what_was_set_up_stays_set_up_and_the_other_orders_go_on(upgraded: None) -> None:
    orders = {order.number: order for order in Order.objects.all()}
    assert {number: order.state for number, order in orders.items()} == {
        number: state for number, (state, _head) in ORDERS.items()
    }
    # Every line of an order that was set up has the request that it follows from, and no other order has one.
    assert sorted(ProvisioningRequest.objects.values_list("order__number", "line__service", "driver", "state")) == [
        ("U-1", "calling", "local", "succeeded"),
        ("U-1", "meetings", "local", "succeeded"),
        ("U-2", "calling", "local", "succeeded"),
        ("U-3", "meetings", "local", "succeeded"),
    ]
    # Names that are unique now: look-alikes of two organizations stay, a location's second use gets a number.
    assert sorted(SiteName.objects.values_list("name", "order__number")) == [
        ("c0ntoso-emea", "U-3"),
        ("contoso-emea", "U-1"),
    ]
    assert list(Location.objects.order_by("pk").values_list("name", flat=True)) == ["Headquarters", "headquarters 2"]

    for number, (_state, head) in ORDERS.items():
        assert str(HistoryHead.objects.get(order=orders[number])).startswith(head)
        checked = verification.check(orders[number], expect=str(HistoryHead.objects.get(order=orders[number])))
        assert not checked.problem, checked

    pages = {number: Client().get(f"/verify/{code}/").text for number, code in CODES.items()}
    assert "genuine and current" in pages["U-1"]
    assert "genuine, but no longer current" in pages["U-2"]  # its location's name has a number
    assert "genuine and current" in pages["U-3"]

    for number, email, shown in (("U-1", SAM, "contoso-emea"), ("U-2", KIM, "headquarters 2"), ("U-3", LEE, "c0ntoso")):
        browser = signed_in(email)
        page = browser.get(f"/orders/{number}/summary/", follow=True)
        assert page.status_code == 200
        assert shown in page.text
        assert browser.get(f"/orders/{number}/summary.pdf").content.startswith(b"%PDF-")

    # The answers of an order that was half-way through are there, and it is set up by confirming them.
    wizard = Wizard(signed_in(KIM), orders["U-4"], "set_up")
    assert "contoso-next" in wizard.open()
    assert wizard.at == "review"
    wizard.fill("review")
    orders["U-4"].refresh_from_db()
    assert orders["U-4"].state == Order.State.SET_UP
    draft = Wizard(signed_in(SAM), orders["U-5"])
    draft.open()
    assert draft.at == "partner"

    # The administrators decide about the request that waits.
    request = AccessRequest.objects.get(order=orders["U-6"])
    assert request.decision == ""
    page = signed_in(KIM).get("/orders/U-6/", follow=True)
    assert "new@contoso.example.org" in page.text
