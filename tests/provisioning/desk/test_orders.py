"""The order desk: operators place, correct, resend and cancel; everybody else stays out."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.test import Client

from provisioning import actions
from provisioning.models import Event, Mail, User
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.rules.validation import Line
from tests.factories import line_rows
from tests.mailbox import code_in, deliver, newest

pytestmark = pytest.mark.django_db

ORDERS = "/admin/subscriptions/order/"
CONTACT = "carol@partner.example"


@pytest.fixture
def olga() -> User:
    call_command("add_operator", "olga@vendor.example", verbosity=0)
    return User.objects.get(email="olga@vendor.example")


@pytest.fixture
def desk(client: Client, olga: User) -> Client:
    client.force_login(olga, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def place(number: str = "PO-7") -> Order:
    order, _created = actions.place_order(
        number=number,
        sold_to="Initech Resale",
        contact_email=CONTACT,
        customer_name="Contoso Bakery",
        customer_email="admin@contoso.example",
        lines=[Line("meetings", 25), Line("calling", 10, 24)],
    )
    return order


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "number": "PO-7",
        "sold_to": "Initech Resale",
        "contact_email": CONTACT,
        "customer_name": "Contoso Bakery",
        "customer_email": "admin@contoso.example",
        **line_rows(
            {"service": "meetings", "licenses": 25},
            {"service": "calling", "licenses": 10},
            {"service": "", "licenses": ""},
        ),
        **changes,
    }


def typed_again(**changes: str) -> dict[str, Any]:
    """What the form of an order that is there has, with these changes."""
    lines = (
        {"number": 1, "service": "meetings", "product": "Meetings", "licenses": 25},
        {"number": 2, "service": "calling", "product": "Calling", "licenses": 10, "term_months": 24},
        {"service": "", "licenses": ""},
    )
    return typed(**line_rows(*lines, initial=2)) | changes


def test_the_desk_s_door_is_the_sign_in_with_a_code(client: Client, olga: User) -> None:
    answer = client.get(ORDERS, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/?next=")
    client.post("/sign-in/", {"email": olga.email, "next": ORDERS})
    done = client.post("/sign-in/code/", {"code": code_in(newest(olga.email)), "next": ORDERS})
    assert done["Location"] == ORDERS
    assert client.get(ORDERS).status_code == 200


def test_a_contact_is_not_let_in(client: Client) -> None:
    order = place()
    client.force_login(links.user_for(CONTACT), backend=settings.AUTHENTICATION_BACKENDS[0])
    for path in (ORDERS, f"{ORDERS}{order.pk}/change/", f"{ORDERS}{order.pk}/cancel/", "/admin/"):
        assert client.get(path, follow=True).status_code == 403
        assert client.post(path, follow=True).status_code == 403
    order.refresh_from_db()
    assert order.state == "placed"


def test_an_order_placed_at_the_desk_sends_the_welcome_email(desk: Client, olga: User) -> None:
    answer = desk.post(f"{ORDERS}add/", typed(number=""))
    assert answer.status_code == 302
    order = Order.objects.get()
    assert order.number.startswith("PO-")
    assert [(line.service, line.licenses, line.term_months) for line in order.lines.all()] == [
        ("meetings", 25, 12),
        ("calling", 10, 12),
    ]
    assert order.events.get(kind=Event.Kind.PLACED).by == olga
    assert newest(CONTACT).subject == f"Provisioning information required for order {order.number}"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sold_to": ""}, "This field is required"),
        ({"contact_email": "nobody"}, "email address"),
        ({"number": "a b"}, "Enter an order number of up to 40"),
        (line_rows({"service": "", "licenses": ""}), "Say what was ordered"),
        ({"lines-0-licenses": "0"}, "Enter a number of licenses between 1 and 1,000,000."),
        ({"lines-1-licenses": "99999999999"}, "Enter a number of licenses between 1 and 1,000,000."),
        ({"lines-1-service": "meetings", "lines-1-licenses": "999976"}, "at most 1,000,000 licenses together"),
        ({"lines-0-term_months": "121"}, "Enter a term of 1 to 120 months."),
        ({"lines-0-number": "7", "lines-1-number": "7"}, "Give each line a number of its own."),
        ({"lines-0-product": "x" * 81}, "Enter the name of the product in up to 80 characters."),
        ({"lines-0-service": "fax"}, "Select a valid choice"),
        ({"customer_name": "a\u202eb"}, "Enter the customer&#x27;s name"),
    ],
)
def test_what_an_order_can_t_be_is_said_at_the_field(desk: Client, changes: dict[str, str], sentence: str) -> None:
    answer = desk.post(f"{ORDERS}add/", typed(**changes))
    assert answer.status_code == 200
    assert sentence in answer.text
    assert not Order.objects.exists()


def test_a_number_that_is_taken_is_said(desk: Client) -> None:
    place()
    assert "already exists" in desk.post(f"{ORDERS}add/", typed()).text
    assert Order.objects.count() == 1


def test_a_correction_changes_what_was_typed_and_is_in_the_history(desk: Client, olga: User) -> None:
    order = place()
    url = f"{ORDERS}{order.pk}/change/"
    assert desk.post(url, typed_again(**{"lines-0-licenses": "30"})).status_code == 302
    assert {line.service: (line.licenses, line.term_months) for line in order.lines.all()} == {
        "meetings": (30, 12),
        "calling": (10, 24),
    }
    assert order.events.get(kind=Event.Kind.CORRECTED).by == olga
    page = desk.get(url).text
    assert "olga@vendor.example corrected the order: what was ordered from line 1: Meetings × 25 (12 months)" in page
    deliver()
    mail.outbox.clear()
    desk.post(url, typed_again(**{"lines-0-licenses": "30"}, contact_email="erin@partner.example"))
    assert [message.to for message in deliver()] == [["erin@partner.example"]]


def test_lines_are_added_and_removed_by_their_numbers(desk: Client) -> None:
    order = place()
    url = f"{ORDERS}{order.pk}/change/"
    changes = {"lines-1-DELETE": "on", "lines-2-service": "meetings", "lines-2-licenses": "5", "lines-2-number": "20"}
    assert desk.post(url, typed_again(**changes, **{"lines-2-product": "Meetings Plus"})).status_code == 302
    assert [(line.number, line.product, line.licenses) for line in order.lines.all()] == [
        (1, "Meetings", 25),
        (20, "Meetings Plus", 5),
    ]
    page = desk.get(url).text
    assert "what was ordered from line 2: Calling × 10 (24 months) to line 20: Meetings Plus × 5 (12 months)." in page
    assert 'value="Meetings Plus"' in page


def test_saving_without_a_change_writes_no_history(desk: Client) -> None:
    order = place()
    before = order.events.count()
    assert desk.post(f"{ORDERS}{order.pk}/change/", typed_again()).status_code == 302
    assert order.events.count() == before


def test_a_cancelled_order_can_t_be_written(desk: Client) -> None:
    order = place()
    actions.cancel_order(order=order, by=None)
    url = f"{ORDERS}{order.pk}/change/"
    page = desk.get(url).text
    assert "Cancel the order" not in page
    assert "Send the link again" not in page
    assert 'name="_save"' not in page
    desk.post(url, typed_again(**{"lines-0-licenses": "1"}, sold_to="Somebody else"))
    order.refresh_from_db()
    assert order.sold_to == "Initech Resale"
    assert order.lines.get(service="meetings").licenses == 25


def test_resend_and_cancel_ask_first_and_act_by_post(desk: Client) -> None:
    order = place()
    deliver()
    mail.outbox.clear()
    for name in ("resend", "cancel"):
        assert desk.get(f"{ORDERS}{order.pk}/{name}/").status_code == 200
    order.refresh_from_db()
    assert order.state == "placed"
    assert deliver() == []
    page = desk.post(f"{ORDERS}{order.pk}/resend/", follow=True).text
    assert "The link of order PO-7 is on its way." in page
    assert [message.to for message in deliver()] == [[CONTACT]]
    assert "Order PO-7 is cancelled." in desk.post(f"{ORDERS}{order.pk}/cancel/", follow=True).text
    order.refresh_from_db()
    assert order.state == "cancelled"
    assert [(message.to, message.subject) for message in deliver()] == [([CONTACT], "Order PO-7 was cancelled")]
    page = desk.post(f"{ORDERS}{order.pk}/resend/", follow=True).text
    assert "This order is cancelled; nothing about it can be changed." in page
    assert deliver() == []


def test_no_order_can_be_deleted(desk: Client) -> None:
    order = place()
    assert desk.post(f"{ORDERS}{order.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Order.objects.exists()


def test_the_list_is_searched_and_filtered_in_few_queries(desk: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        place(f"PO-{number}x")
    with django_assert_max_num_queries(9):
        page = desk.get(ORDERS).text
    assert "PO-19x" in page
    page = desk.get(ORDERS, {"q": "PO-3x"}).text
    assert "PO-3x" in page
    assert "PO-4x" not in page
    assert "PO-4x" not in desk.get(ORDERS, {"state": "cancelled"}).text
    assert "PO-4x" not in desk.get(ORDERS, {"emails": "problem"}).text


def test_an_email_with_a_problem_is_seen_and_tried_again(desk: Client) -> None:
    order = place()
    Mail.objects.update(problem="SMTPRecipientsRefused: 550", tries=30)
    assert "PO-7" in desk.get(ORDERS, {"emails": "problem"}).text
    assert "SMTPRecipientsRefused" in desk.get(f"{ORDERS}{order.pk}/change/").text
    url = "/admin/provisioning/mail/"
    assert deliver() == []
    row = Mail.objects.get()
    desk.post(url, {"action": "try_again", "_selected_action": [str(row.pk)]})
    assert [message.to for message in deliver()] == [[CONTACT]]


def test_emails_are_read_only(desk: Client) -> None:
    place()
    row = Mail.objects.get()
    assert desk.get("/admin/provisioning/mail/add/").status_code == 403
    desk.post(f"/admin/provisioning/mail/{row.pk}/change/", {"to": "x@y.example"})
    row.refresh_from_db()
    assert row.to == CONTACT


def test_only_orders_and_emails_are_on_the_desk(desk: Client) -> None:
    for path in ("auth/group/", "account/emailaddress/", "provisioning/user/", "procrastinate/procrastinatejob/"):
        assert desk.get(f"/admin/{path}").status_code == 404
