"""A link is a pointer: opening it changes nothing, and each of its states has a page that says what to do."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.utils import timezone

from provisioning import actions
from provisioning.models import Event, Link, Mail, Part, SignInCode, User
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.rules.validation import Line
from tests.mailbox import code_in, deliver, link_in, newest

pytestmark = pytest.mark.django_db

CONTACT = "carol@partner.example"


def place(number: str = "PO-7", contact: str = CONTACT) -> Order:
    order, _created = actions.place_order(
        number=number,
        sold_to="Initech Resale",
        contact_email=contact,
        customer_name="Contoso Bakery",
        customer_email="admin@contoso.example",
        lines=[Line("meetings", 25), Line("calling", 10)],
    )
    return order


def contact_part(order: Order) -> Part:
    return order.parts.get(role=Part.Role.CONTACT, ended_at=None)


def snapshot() -> dict[str, int]:
    """How many rows there are in every table of the product and of the sessions."""
    models: list[type[Model]] = [User, Part, Link, Event, Mail, SignInCode, Session, Order]
    rows = {model.__name__: model._default_manager.count() for model in models}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs")
        rows["jobs"] = cursor.fetchone()[0]
    return rows


def test_getting_and_heading_a_link_fifty_times_changes_nothing(client: Client) -> None:
    place()
    url = link_in(newest(CONTACT))
    before = snapshot()
    for _time in range(25):
        assert client.get(url).status_code == 200
        assert Client().head(url).status_code == 200
    assert snapshot() == before
    assert settings.SESSION_COOKIE_NAME not in client.cookies


def test_the_page_of_a_link_tells_no_fact_but_the_number(client: Client) -> None:
    place()
    page = client.get(link_in(newest(CONTACT))).text
    assert "PO-7" in page
    shown = page.split("<main", 1)[1].split("</main>", 1)[0]
    shown = re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", shown)  # random, so it may hold anything
    for secret in ("Initech", "Contoso", "admin@contoso", "carol", "25", "Meetings"):
        assert secret not in shown
    assert "c•••@partner.example" in page
    assert "Send me a code" in page


def test_a_script_that_submits_the_form_fifty_times_fills_no_mailbox_and_locks_nobody_out() -> None:
    order = place()
    url = link_in(newest(CONTACT))
    mail.outbox.clear()
    for _time in range(50):
        assert Client().post(url).status_code == 302
    assert len(deliver()) == 1
    person = Client()
    assert person.post(url).status_code == 302
    assert len(deliver()) == 0  # it was sent a moment ago, and that one works
    page = person.get("/sign-in/code/")
    assert "c•••@partner.example" in page.text
    answer = person.post("/sign-in/code/", {"code": code_in(newest(CONTACT))})
    assert (answer.status_code, answer["Location"]) == (302, f"/orders/{order.number}/")
    assert person.session["_auth_user_id"] == str(User.objects.get(email=CONTACT).pk)


def test_the_session_never_holds_the_token(client: Client) -> None:
    place()
    url = link_in(newest(CONTACT))
    client.post(url)
    token = url.strip("/").split("/")[1]
    assert token not in str(dict(client.session))
    assert client.session["opened_order"] == "PO-7"
    assert not Link.objects.filter(token_hash=token).exists()


def test_somebody_signed_in_goes_on_without_a_code(client: Client) -> None:
    order = place()
    client.force_login(User.objects.get(email=CONTACT), backend=settings.AUTHENTICATION_BACKENDS[0])
    url = link_in(newest(CONTACT))
    mail.outbox.clear()
    assert "You are signed in" in client.get(url).text
    assert client.post(url)["Location"] == f"/orders/{order.number}/"
    assert deliver() == []


def test_somebody_else_is_told_and_signed_out_before_the_code(client: Client) -> None:
    place()
    other = links.user_for("dave@other.example")
    client.force_login(other, backend=settings.AUTHENTICATION_BACKENDS[0])
    url = link_in(newest(CONTACT))
    page = client.get(url).text
    assert "You are signed in as dave@other.example" in page
    assert "Sign out and send me a code" in page
    client.post(url)
    assert "_auth_user_id" not in client.session
    assert newest(CONTACT).subject.startswith("Your sign-in code")


@override_settings(SET_UP_DAYS=90)
def test_an_expired_link_offers_a_new_one_which_works(client: Client) -> None:
    order = place()
    old = link_in(newest(CONTACT))
    with time_machine.travel(timezone.now() + timedelta(days=settings.LINK_DAYS, minutes=1), tick=False):
        page = client.get(old)
        assert page.status_code == 200
        assert "This link has expired" in page.text
        before = snapshot()
        client.get(old)
        assert snapshot() == before
        assert "We sent the newest link to c•••@partner.example" in client.post(old).text
        new = link_in(newest(CONTACT))
        assert new != old
        assert "Send me a code" in client.get(new).text
        assert "There is a newer email" in client.get(old).text
    assert Link.objects.filter(order=order, replaced_at=None).count() == 1


def test_a_replaced_link_sends_the_newest_one_again_but_not_fifty_times(client: Client) -> None:
    order = place()
    old = link_in(newest(CONTACT))
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        actions.resend_link(order=order, by=None)
        current = link_in(newest(CONTACT))
        assert current != old
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        mail.outbox.clear()
        for _time in range(50):
            assert "We sent the newest link" in client.post(old).text
        assert [link_in(message) for message in deliver()] == [current]
        assert contact_part(order).links.filter(replaced_at=None).count() == 1


def test_an_order_that_was_cancelled_says_so_and_sends_nothing(client: Client) -> None:
    order = place()
    url = link_in(newest(CONTACT))
    actions.cancel_order(order=order, by=None)
    deliver()
    for answer in (client.get(url), client.post(url)):
        assert answer.status_code == 200
        assert "Order PO-7 was cancelled" in answer.text
    assert deliver() == []


def test_a_corrected_contact_ends_the_first_one_s_link(client: Client) -> None:
    order = place()
    url = link_in(newest(CONTACT))
    actions.correct_order(order=order, contact_email="erin@partner.example")
    assert "Somebody else completes order PO-7 now" in client.get(url).text
    assert "Send me a code" in client.get(link_in(newest("erin@partner.example"))).text


@pytest.mark.parametrize("token", ["x", "a" * 5000, "%00", "%ed%a0%80", "مرحبا", "..%2f..", "' or 1=1 --"])
def test_an_unknown_link_has_a_page_with_a_way_on(client: Client, token: str) -> None:
    for answer in (client.get(f"/l/{token}/"), client.post(f"/l/{token}/")):
        assert answer.status_code == 404
        if token != "..%2f..":
            assert "We don’t know this link" in answer.text
            assert settings.HELP_CONTACT in answer.text


def test_a_link_survives_a_change_of_the_secret_key(client: Client) -> None:
    place()
    url = link_in(newest(CONTACT))
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert client.get(url).status_code == 200
        assert links.url_for(Link.objects.get()).endswith(url)


def test_one_part_has_one_current_link() -> None:
    order = place()
    part = contact_part(order)
    for _time in range(3):
        links.issue(part=part)
    assert part.links.filter(replaced_at=None).count() == 1
    assert part.links.count() == 4
