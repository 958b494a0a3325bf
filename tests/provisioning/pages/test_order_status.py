"""Who waits for somebody: can have it sent again, learns that a mailbox can't be reached, and reads the history."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from provisioning import actions
from provisioning.models import Event, Link, Mail, User
from provisioning.people import links
from subscriptions.models import Order
from tests.factories import a_delegated_order, an_order, an_organization, an_own_order, signed_in
from tests.mailbox import deliver, link_in, newest

pytestmark = pytest.mark.django_db

SAM, ALEX, KIM, BOSS, CHIEF = (
    "sam@partner.example", "alex@partner.example", "kim@contoso.example", "boss@contoso.example",
    "chief@contoso.example",
)  # fmt: skip
LATER = timedelta(minutes=11)


def handed_over() -> Order:
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    return order


def delegated() -> Order:
    return a_delegated_order(contact=SAM, customer_email=KIM)


def held(administrators: list[str]) -> Order:
    organization = an_organization("Contoso", administrators=administrators)
    order = an_own_order(contact=SAM)
    actions.ask_administrators(order=order, by=links.user_for(SAM), organization=organization.public_id)
    return order


def again(order: Order, who: Client | None = None) -> str:
    """Press the button; return the page that follows."""
    return (who or signed_in(SAM)).post(f"/orders/{order.number}/send-again/", follow=True).text


@pytest.mark.parametrize(
    ("order", "to", "subject"),
    [(handed_over, ALEX, "Provisioning information required"), (delegated, KIM, "Set up your services")],
)
def test_the_link_is_sent_again_to_whom_one_waits_for(order: object, to: str, subject: str) -> None:
    assert callable(order)
    waits_for: Order = order()
    first = link_in(newest(to))
    with time_machine.travel(timezone.now() + LATER):
        page = signed_in(SAM).get(f"/orders/{waits_for.number}/", follow=True).text
        assert "Send the link again" in page
        assert "The link is on its way again." in again(waits_for)
        [message] = deliver()
        assert (message.to, link_in(message)) == ([to], first)
        assert message.subject.startswith(subject)
    with time_machine.travel(timezone.now() + timedelta(days=20)):
        Link.objects.update(expires_at=timezone.now())
        again(waits_for)
        assert link_in(newest(to)) != first
    assert Event.objects.filter(kind=Event.Kind.LINK_SENT, by__email=SAM, facts__to=to).count() == 2


def test_it_is_not_sent_again_at_once_nor_more_than_five_times_a_day() -> None:
    order = handed_over()
    deliver()
    page = signed_in(SAM).get(f"/orders/{order.number}/", follow=True).text
    assert "Send the link again" not in page
    assert "after ten minutes" in page
    assert "It was sent a short time ago. You can send it again on " in again(order)
    assert deliver() == []
    start = timezone.now()
    sent = 0
    with time_machine.travel(start, tick=False) as clock:
        for _time in range(40):
            clock.shift(LATER)
            again(order)
            sent += len(deliver())
        assert sent == 5
        clock.shift(timedelta(days=1))
        again(order)
        assert len(deliver()) == 1


def test_the_request_is_sent_again_and_says_the_same_whether_anybody_was_asked() -> None:
    pages = []
    for administrators in ([BOSS, CHIEF], []):
        order = held(administrators)
        deliver()
        mail.outbox.clear()
        with time_machine.travel(timezone.now() + LATER):
            waiting = signed_in(SAM).get(f"/orders/{order.number}/held/").text
            pages.append([waiting.replace(order.number, ""), again(order).replace(order.number, "")])
            assert sorted(message.to[0] for message in deliver()) == sorted(administrators)
            assert "Send the request again" not in again(order)
            assert deliver() == []
        history = signed_in(SAM).get(f"/orders/{order.number}/history/").text
        assert f"{SAM} (you) had the request sent to the administrators again." in history
        for secret in ("boss", "chief", "b•••", "c•••"):
            assert secret not in "".join([*pages[-1], history])
    assert "The administrators get the request again." in pages[0][1]
    for one, other in zip(*pages, strict=True):
        assert _bare(one) == _bare(other)


def _bare(page: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"|<time .*?</time>|nonce-\S+', "", page)


def test_an_administrator_who_is_none_any_more_gets_the_request_no_more() -> None:
    order = held([BOSS, CHIEF])
    deliver()
    order.access_requests.get().organization.members.filter(email=CHIEF).delete()
    mail.outbox.clear()
    with time_machine.travel(timezone.now() + LATER):
        again(order)
        assert [message.to for message in deliver()] == [[BOSS]]


def test_who_waits_for_nothing_sends_nothing() -> None:
    order = handed_over()
    deliver()
    with time_machine.travel(timezone.now() + LATER):
        for email in (ALEX, KIM):
            again(order, signed_in(email))
        assert signed_in(KIM).post(f"/orders/{order.number}/send-again/").status_code == 404
        assert signed_in(SAM).get(f"/orders/{order.number}/send-again/").status_code == 302
        assert deliver() == []


# What can't be delivered


@pytest.mark.parametrize("how", ["bounced", "refused"])
def test_who_handed_over_is_told_that_the_email_did_not_arrive_until_another_is_sent(how: str) -> None:
    order = handed_over()
    if how == "bounced":
        deliver()
        call_command("note_bounce", ALEX.upper(), said="550 No such user")
    else:
        Mail.objects.filter(to=ALEX).update(tries=Mail.MAX_TRIES, problem="550 No such user")
    page = signed_in(SAM).get(f"/orders/{order.number}/", follow=True).text
    assert "The email could not be delivered" in page
    assert "Take the order back and hand it over to the right address" in page
    assert "No such user" not in page
    orders = signed_in(SAM).get("/orders/").text
    assert "There is a problem" in orders
    assert "The email could not be delivered" in orders
    with time_machine.travel(timezone.now() + LATER):
        again(order)
        assert "could not be delivered" not in signed_in(SAM).get(f"/orders/{order.number}/", follow=True).text


def test_who_delegated_is_told_too_and_who_asked_never_learns_whether_anybody_was() -> None:
    order, waits = delegated(), held([BOSS])
    deliver()
    for email in (KIM, BOSS):
        call_command("note_bounce", email)
    assert "The email could not be delivered" in signed_in(SAM).get(f"/orders/{order.number}/", follow=True).text
    assert signed_in(SAM).get("/orders/").text.count("There is a problem") == 1
    page = signed_in(SAM).get(f"/orders/{waits.number}/", follow=True).text
    history = signed_in(SAM).get(f"/orders/{waits.number}/history/").text
    assert "could not be delivered" not in page + history
    assert "come back" not in page + history


def test_a_bounce_is_noted_once_and_for_emails_of_the_last_month_only(capsys: pytest.CaptureFixture[str]) -> None:
    order, _other = handed_over(), an_order(contact=KIM)
    deliver()
    call_command("note_bounce", ALEX, said="550")
    assert capsys.readouterr().out == f"Order {order.number}: noted.\n"
    event = order.events.get(kind=Event.Kind.MAIL_BOUNCED)
    assert (event.facts["to"], event.facts["problem"]) == (ALEX, "550")
    for address in (ALEX, "nobody@nowhere.example"):
        with pytest.raises(CommandError, match="No email went to this address within 30 days"):
            call_command("note_bounce", address)
    with time_machine.travel(timezone.now() + timedelta(days=31)), pytest.raises(CommandError):
        call_command("note_bounce", KIM)


def test_the_desk_sees_what_came_back_and_notes_it_there() -> None:
    order = handed_over()
    deliver()
    User.objects.create_superuser("desk@vendor.example")
    desk = signed_in("desk@vendor.example")
    row = Mail.objects.get(to=ALEX)
    desk.post("/admin/provisioning/mail/", {"action": "came_back", "_selected_action": [str(row.pk)]})
    assert order.number in desk.get("/admin/subscriptions/order/", {"emails": "problem"}).text
    page = desk.get(f"/admin/subscriptions/order/{order.pk}/change/").text
    assert "Came back" in page
    assert f"desk@vendor.example noted that emails to {ALEX} come back" in page
    actions.take_order_back(order=order, by=links.user_for(SAM))
    assert order.number not in desk.get("/admin/subscriptions/order/", {"emails": "problem"}).text


# The history, on its page and as a file


def test_the_history_is_a_page_that_each_page_of_the_order_leads_to() -> None:
    order = handed_over()
    deliver()
    sam = signed_in(SAM)
    assert f"/orders/{order.number}/history/" in sam.get(f"/orders/{order.number}/", follow=True).text
    page = sam.get(f"/orders/{order.number}/history/").text
    assert page.index("Order handed over to you") < page.index("The order was placed")
    assert f"{SAM} (you) handed the order over to {ALEX}." in page
    sam.post("/language/", {"language": "de", "next": "/"})
    assert f"{SAM} (Sie) hat die Bestellung an {ALEX} übergeben." in sam.get(f"/orders/{order.number}/history/").text


def test_an_export_has_the_same_sentences_with_their_hashes() -> None:
    order = handed_over()
    deliver()
    sam = signed_in(SAM)
    answer = sam.get(f"/orders/{order.number}/history.json")
    assert answer["Content-Disposition"] == f'attachment; filename="history-{order.number}.json"'
    told = json.loads(answer.text)
    rows = list(csv.DictReader(io.StringIO(sam.get(f"/orders/{order.number}/history.csv").text)))
    assert [row["hash"] for row in rows] == [event["hash"] for event in told["events"]]
    assert rows[2]["sentence"] == f"{SAM} (you) handed the order over to {ALEX}."
    assert set(told["events"][0]) == {"position", "at", "kind", "sentence", "hash"}
    call_command("verify_history", order.number, expect=told["head"], stdout=io.StringIO())


def test_the_desk_s_export_can_be_checked_without_the_product() -> None:
    order = handed_over()
    history = Event.objects.filter(order=order)
    User.objects.create_superuser("desk@vendor.example")
    desk = signed_in("desk@vendor.example")
    told = json.loads(desk.get(f"/admin/subscriptions/order/{order.pk}/history.json").text)
    assert [event["position"] for event in told["events"]] == list(range(1, history.count() + 1))
    for token, person in told["people"].items():
        assert token == "person-" + hashlib.sha256(f"{person['key']} {person['address']}".encode()).hexdigest()[:40]
    last = "0" * 64
    for event in told["events"]:
        text = event["text"]
        assert hashlib.sha256(text.encode()).hexdigest() == event["hash"]
        for token, person in told["people"].items():
            text = text.replace(token, person["address"])
        written = json.loads(text)
        assert (written["previous"], written["facts"], written["kind"]) == (last, event["facts"], event["kind"])
        last = event["hash"]
    assert told["head"] == f"{history.count()}:{last}"


def test_a_spreadsheet_takes_nothing_in_an_export_for_a_formula() -> None:
    order = an_own_order(contact=SAM)
    organization = an_organization("Contoso", administrators=[BOSS])
    asked = actions.ask_administrators(order=order, by=links.user_for(SAM), organization=organization.public_id)
    actions.decide(request=asked, by=links.user_for(BOSS), approve=False, reason="=HYPERLINK(1)")
    Event.objects.create(order=order, kind="=1+1")
    User.objects.create_superuser("desk@vendor.example")
    text = signed_in("desk@vendor.example").get(f"/admin/subscriptions/order/{order.pk}/history.csv").text
    for row in csv.reader(io.StringIO(text)):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
