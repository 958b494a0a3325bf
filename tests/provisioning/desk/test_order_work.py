"""What operators do with orders all day: filters that they name, notes, holds, many orders at once, the list as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from provisioning import actions
from provisioning.models import AccessRequest, Event, Mail, Part, SavedFilter, User
from provisioning.people import links
from subscriptions.models import Order, ProvisioningRequest
from tests.driver import Wizard
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in
from tests.mailbox import code_in, deliver, link_in, newest

pytestmark = pytest.mark.django_db
ORDERS = "/admin/subscriptions/order/"
SAM = "sam@partner.example.net"


def operator(email: str = "olga@vendor.example") -> Client:
    User.objects.filter(pk=links.user_for(email).pk).update(is_staff=True, is_superuser=True)
    return signed_in(email)


def listed(desk: Client, **asked: Any) -> set[str]:
    """Return the numbers of the orders in the list."""
    page = desk.get(ORDERS, asked)
    assert page.status_code == 200
    return set(re.findall(r'field-number"><a[^>]*>([^<]+)</a>', page.text))


def act(desk: Client, what: str, orders: Sequence[Order], **entered: str) -> list[str]:
    """Show the page of an act, and send it; return the lines of the table of outcomes, or the messages."""
    url = f"{ORDERS}act/{what}/?" + "&".join(f"order={order.pk}" for order in orders)
    shown = desk.get(url).text
    found = re.search(r'name="shown_at" value="([^"]+)"', shown)
    assert found
    page = desk.post(url, {"shown_at": unescape(found[1]), **entered}, follow=True).text
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", page, re.DOTALL)
    rows = rows if len(orders) > 1 else re.findall(r'<li class="(?:success|error)">(.*?)</li>', page, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]+>", " ", row)).split()) for row in rows]


def test_each_filter_finds_its_orders_and_the_presets_count_them() -> None:
    desk = operator()
    placed, soon, closed, opened = (an_order(number=name) for name in ("PLACED", "SOON", "CLOSED", "OPENED"))
    long_ago = timezone.now() - timedelta(days=8)
    Order.objects.update(placed_at=long_ago, date_set_at=long_ago)
    Part.objects.update(since_at=long_ago)
    Order.objects.filter(pk=soon.pk).update(closes_at=timezone.now() + timedelta(days=2))
    Order.objects.filter(pk=closed.pk).update(closes_at=timezone.now() - timedelta(days=1))
    links.note_opened(order=opened, user=links.user_for(SAM))
    held = an_own_order(number="HELD", contact="pat@fabrikam.example.org", calling=3)
    fabrikam = an_organization("Fabrikam", administrators=["boss@fabrikam.example.org"])
    pat = links.user_for("pat@fabrikam.example.org")
    actions.ask_administrators(order=held, by=pat, organization=fabrikam.public_id)
    stopped = an_order(number="STOPPED")
    actions.put_on_hold(order=stopped, by=None, reason="Credit check")
    delegated = a_delegated_order(number="DELEGATED")
    mapped = a_mapped_order(number="MAPPED", contact="kim@northwind.example.org")
    failed = a_mapped_order(number="FAILED", contact="kim@adventure.example.org")
    Order.objects.filter(pk=failed.pk).update(state="setting_up")
    ProvisioningRequest.objects.create(
        order=failed, line=failed.lines.get(), driver="osb", parameters={}, state="failed", problem_code="x"
    )
    back = Mail.objects.filter(order=placed).latest("pk")
    Mail.objects.filter(pk=back.pk).update(sent_at=timezone.now(), bounced_at=timezone.now())
    actions.set_desk_owner(order=placed, by=None, owner="olga@vendor.example")

    everything = {each.number for each in (placed, soon, closed, opened, held, stopped, delegated, mapped, failed)}
    for asked, found in (
        ({}, everything),
        ({"date": "soon"}, {"SOON"}),
        ({"date": "closed"}, {"CLOSED"}),
        ({"state__exact": "held"}, {"HELD"}),
        ({"hold": "yes"}, {"STOPPED"}),
        ({"set_up": "failed"}, {"FAILED"}),
        ({"emails": "problem"}, {"PLACED"}),
        ({"unopened": "7"}, {"PLACED", "SOON"}),
        ({"service": "calling"}, {"HELD"}),
        ({"delegated": "yes"}, {"DELEGATED"}),
        ({"owner": "me"}, {"PLACED"}),
        ({"acts": "contact"}, {"PLACED", "SOON", "OPENED", "MAPPED"}),
        ({"acts": "customer"}, {"DELEGATED"}),
        ({"acts": "administrator"}, {"HELD"}),
        ({"acts": "desk"}, {"CLOSED", "STOPPED", "FAILED"}),
        ({"acts": "system"}, set()),
        ({"q": "lace"}, {"PLACED"}),
        ({"q": "PAT@fabrikam"}, {"HELD"}),
    ):
        assert listed(desk, **asked) == found, asked
    page = " ".join(re.sub("<[^>]+>", " ", desk.get(ORDERS).text).split())
    for preset in ("Closing soon 1", "Held for an administrator 1", "On hold 1", "Failed 1", "Bounced 1"):
        assert preset in page
    assert "Not opened for a week 2" in page


def test_a_filter_is_named_by_a_person_and_only_theirs() -> None:
    desk = operator()
    saved = desk.post(f"{ORDERS}filters/", {"name": "Fabrikam, late", "query": "q=Fabrikam&date=soon&p=2"})
    assert saved["Location"] == f"{ORDERS}?date=soon&q=Fabrikam"
    assert "My filters" in desk.get(ORDERS).text
    assert (
        '<a href="?date=soon&amp;q=Fabrikam" aria-current="true">Fabrikam, late</a>' in desk.get(saved["Location"]).text
    )
    for name, query, sentence in (
        (" ", "q=x", "Enter a name of up to 60 characters"),
        ("x", "p=3", "Filter or search the list first"),
    ):
        assert sentence in desk.post(f"{ORDERS}filters/", {"name": name, "query": query}, follow=True).text
    other = operator("omar@vendor.example")
    assert "Fabrikam, late" not in other.get(ORDERS).text
    row = SavedFilter.objects.get()
    other.post(f"{ORDERS}filters/{row.pk}/remove/")
    assert SavedFilter.objects.exists()
    assert desk.get(f"{ORDERS}filters/{row.pk}/remove/").status_code == 405
    desk.post(f"{ORDERS}filters/{row.pk}/remove/")
    assert not SavedFilter.objects.exists()


def test_a_hold_stops_everybody_loses_nothing_and_goes_on_with_the_time_that_was_left() -> None:
    desk, order = operator(), an_order(number="PO-1")
    wizard = Wizard(signed_in(SAM), order, "find")
    wizard.open()
    wizard.fill("intent", audience="customer")
    left = order.closes_at - timezone.now()
    assert act(desk, "hold", [order], reason="") == []  # the reason is missing: the page says so
    said = act(desk, "hold", [order], reason="Credit check", message="We wait for your purchase order.")
    assert said == ["PO-1: It is on hold."]
    page = wizard.client.get("/orders/PO-1/", follow=True)
    assert page.redirect_chain[-1][0] == "/orders/PO-1/on-hold/"
    assert "This order is on hold" in page.text
    assert "We wait for your purchase order." in page.text
    assert "Credit check" not in page.text
    assert "On hold" in wizard.client.get("/orders/").text
    answer = wizard.client.post(wizard.url("partner"), {"wizard-current_step": "partner"}, follow=True)
    assert "The order desk put the order on hold before you sent this. What you typed is kept." in answer.text
    assert act(desk, "resend", [order]) == ["PO-1: The order desk holds this order. Release it first."]
    assert "Reason of the hold: Credit check" in " ".join(desk.get(f"{ORDERS}{order.pk}/change/").text.split())

    with time_machine.travel(timezone.now() + timedelta(days=40)):  # longer than its set-up-by date
        actions.look_after_dates()
        order.refresh_from_db()
        assert not order.is_closed
        assert not order.events.filter(kind__in=[Event.Kind.CLOSED, Event.Kind.REMINDED]).exists()
        desk = operator()
        assert act(desk, "release", [order]) == ["PO-1: It goes on."]
        assert act(desk, "release", [order]) == ["PO-1: Nothing changes: it is so already."]
        order.refresh_from_db()
        assert abs((order.closes_at - timezone.now()) - left) < timedelta(minutes=1)
        message = newest(SAM)
        assert message.subject == "Order PO-1 is open again"
        page = signed_in(SAM).get("/orders/PO-1/", follow=True)
        assert "/organizations/" in page.redirect_chain[-1][0]
    order.refresh_from_db()
    assert order.draft.steps["find"]["intent"]["answer"]
    kinds = list(
        order.events.filter(kind__in=[Event.Kind.ON_HOLD, Event.Kind.HOLD_RELEASED]).values_list("who", "kind")
    )
    assert kinds == [("olga@vendor.example", "put_on_hold"), ("olga@vendor.example", "hold_released")]


def test_an_administrator_can_t_decide_while_the_order_is_on_hold_and_has_the_time_back_afterwards() -> None:
    boss, desk = "boss@contoso.example.org", operator()
    contoso = an_organization("Contoso", administrators=[boss])
    order = an_own_order()
    kim = links.user_for(order.contact_email)
    asked = actions.ask_administrators(order=order, by=kim, organization=contoso.public_id)
    until = asked.expires_at
    link = link_in(newest(boss))
    act(desk, "hold", [order], reason="Fraud check", message="Only for Kim")
    page = signed_in(boss).post(link, follow=True).text
    assert "there is nothing to decide now" in page
    assert "Only for Kim" not in page
    with time_machine.travel(timezone.now() + timedelta(days=20)):
        act(operator(), "release", [order])
        asked = AccessRequest.objects.get()
        assert abs(asked.expires_at - until - timedelta(days=20)) < timedelta(minutes=1)
        assert asked.state is AccessRequest.State.OPEN


def test_many_orders_at_once_say_what_happens_to_each_and_twice_is_once() -> None:
    desk = operator()
    placed, mapped = an_order(number="PO-1"), a_mapped_order(number="PO-2", contact="kim@contoso.example.org")
    gone = an_order(number="PO-3")
    actions.cancel_order(order=gone, by=None)
    deliver()
    url = f"{ORDERS}act/cancel/?order={placed.pk}&order={gone.pk}"
    before = {order.pk: order.state for order in Order.objects.all()}
    page = " ".join(desk.get(url).text.split())
    assert "sam@partner.example.net gets an email." in page
    assert "Nothing changes: it is so already." in page
    assert {order.pk: order.state for order in Order.objects.all()} == before

    both = [placed, mapped, gone]
    cancelled = "This order is cancelled; nothing about it can be changed."
    assert act(desk, "contact", both, contact_email="new@partner.example.net") == [
        "PO-1 Partner Networks The contact is changed.",
        "PO-2 Contoso Not possible: The organizations of this order are confirmed, so its contact and customer can no "
        "longer be changed.",
        f"PO-3 Partner Networks Not possible: {cancelled}",
    ]
    assert [message.to for message in deliver()] == [["new@partner.example.net"]]
    act(desk, "contact", both, contact_email="new@partner.example.net")
    assert deliver() == []

    url = f"{ORDERS}act/resend/?order={placed.pk}&order={mapped.pk}&order={gone.pk}"
    shown = {"shown_at": timezone.now().isoformat()}
    assert "was not done: the table says why" in desk.post(url, shown).text
    desk.post(url, shown)  # the same form once more
    assert sorted(message.to for message in deliver()) == [["kim@contoso.example.org"], ["new@partner.example.net"]]

    chosen = {"action": "cancel", "_selected_action": [placed.pk, mapped.pk]}
    led = desk.post(ORDERS, chosen)["Location"]
    assert led == f"{ORDERS}act/cancel/?order={mapped.pk}&order={placed.pk}"
    assert "All done." in desk.post(led).text
    assert set(Order.objects.values_list("state", flat=True)) == {"cancelled"}
    assert (
        "Choose at most 200 orders at once."
        in desk.post(ORDERS, {"action": "cancel", "_selected_action": range(1, 202)}, follow=True).text
        or Order.objects.count() < 200
    )


def test_notes_and_who_looks_after_an_order_stay_with_the_desk() -> None:
    desk, order = operator(), an_order(number="PO-1")
    operator("omar@vendor.example")
    assert act(desk, "note", [order], text="Called Sam.\nWill answer on Monday.") == ["PO-1: The note is added."]
    url, shown = f"{ORDERS}act/note/?order={order.pk}", {"shown_at": timezone.now().isoformat(), "text": "Twice"}
    desk.post(url, shown)
    desk.post(url, shown)
    assert order.events.filter(kind=Event.Kind.NOTED).count() == 2
    assert act(desk, "owner", [order], owner="omar@vendor.example") == ["PO-1: Saved."]
    assert act(desk, "owner", [order], owner=SAM) == []  # no operator: the form says so
    page = desk.get(f"{ORDERS}{order.pk}/change/").text
    assert "Called Sam.<br>Will answer on Monday." in page
    assert "looked after by omar@vendor.example" in " ".join(page.split())
    assert "olga@vendor.example changed who looks after the order: omar@vendor.example." in page
    history = signed_in(SAM).get("/orders/PO-1/history/").text
    for secret in ("Called Sam", "omar@vendor.example", "olga@vendor.example"):
        assert secret not in history


def test_the_list_as_csv_has_what_the_filter_shows_and_no_formula() -> None:
    desk = operator()
    an_order(number="PO-1", sold_to="=HYPERLINK(1)")
    an_order(number="PO-2", sold_to="Contoso")
    actions.cancel_order(order=an_order(number="PO-3"), by=None)
    answer = desk.get(f"{ORDERS}export.csv", {"state__exact": "placed"})
    assert answer.streaming
    rows = list(csv.DictReader(StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert [(row["Order number"], row["Sold to"], row["State"]) for row in rows] == [
        ("PO-2", "Contoso", "Placed"),
        ("PO-1", "'=HYPERLINK(1)", "Placed"),
    ]
    for table in ("provisioning/mail", "provisioning/webhook", "provisioning/accessrequest", "orgs/organization"):
        answer = desk.get(f"/admin/{table}/export.csv")
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert b"".join(answer)
    assert signed_in(SAM).get(f"{ORDERS}export.csv", follow=True).status_code == 403
    for what in ("cancel", "hold"):
        assert signed_in(SAM).post(f"{ORDERS}act/{what}/?order=1", follow=True).status_code == 403


def test_coming_by_a_link_and_a_code_is_noted_and_looking_at_the_link_is_not() -> None:
    order = an_order(number="PO-1")
    client = Client()
    link = link_in(newest(SAM))
    client.get(link)
    assert Order.objects.get().opened_at is None
    client.post(link)
    client.post("/sign-in/code/", {"code": code_in(newest(SAM))})
    order.refresh_from_db()
    assert order.opened_at is not None
    first = order.opened_at
    client.post(link)
    order.refresh_from_db()
    assert order.opened_at == first == Part.objects.get().opened_at


def test_lists_name_emails_in_words_and_write_every_moment_the_same_way() -> None:
    desk, order = operator(), an_order(number="PO-1")
    moment = re.compile(
        r"\d{1,2} (January|February|March|April|May|June|July|August|September|October|November|December)"
        r" \d{4}, \d\d:\d\d UTC"
    )
    for path in ("/admin/provisioning/mail/", f"{ORDERS}{order.pk}/change/"):
        page = desk.get(path).text
        assert "Provisioning information required" in page
        assert "order_placed" not in re.sub("<[^>]+>", "", page)
        assert moment.search(page), path
    asked = {"event": "order_placed"}
    assert "PO-1" in desk.get("/admin/provisioning/mail/", asked).text
    assert "PO-1" not in desk.get("/admin/provisioning/mail/", {"event": "order_cancelled"}).text
