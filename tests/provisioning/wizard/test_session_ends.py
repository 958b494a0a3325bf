"""Coming back: another device, and a page that is sent after its session has ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from provisioning import actions
from provisioning.models import Draft
from provisioning.people import links
from provisioning.wizard import pending_posts
from subscriptions.models import Order
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_order, signed_in
from tests.mailbox import newest_code

pytestmark = pytest.mark.django_db

SAM, KIM, EVE = "sam@partner.example", "kim@contoso.example", "eve@elsewhere.example"


def signs_in(client: Client, email: str, next_page: str = "") -> Any:
    """Sign in by code, as a person does."""
    there = client.post("/sign-in/", {"email": email, "next": next_page})
    return client.post(there["Location"], {"code": newest_code(email), "next": next_page}, follow=True)


def test_set_up_later_is_there_at_the_next_sign_in_on_another_device() -> None:
    laptop = Wizard(signed_in(KIM), a_mapped_order(contact=KIM, meetings=10), "set_up")
    laptop.open()
    laptop.fill("subscription", choice="now")
    laptop.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    laptop.open("subscription")
    assert "You chose to set this up later" in laptop.fill("subscription", choice="later")
    phone = Client()
    page = signs_in(phone, KIM)
    assert page.redirect_chain[-1][0] == "/orders/"
    assert laptop.order.number in page.text
    there = Wizard(phone, laptop.order, "set_up")
    there.open()
    there.fill("subscription", choice="now")
    assert 'value="contoso-one"' in there.open("meetings")


def sent_too_late(order: Order, flow: str, step: str, **fields: str) -> Wizard:
    """Fill a step's form in and send it when the session has ended; return the wizard, now at the sign-in page."""
    wizard = Wizard(signed_in(order.contact_email), order, flow)
    wizard.open(step)
    typed = form_fields(wizard.html) | {f"{step}-{name}": value for name, value in fields.items()}
    Session.objects.all().delete()
    wizard.page = wizard.client.post(wizard.url(step), typed, follow=True)
    assert "What you typed is kept" in wizard.html
    return wizard


def test_what_was_sent_after_the_session_had_ended_is_in_the_form_after_signing_in() -> None:
    order = an_order(contact=SAM)
    wizard = sent_too_late(order, "find", "intent", audience="other", email="alex@partner.exa")
    assert not Draft.objects.exists()
    page = signs_in(wizard.client, SAM, wizard.url("intent"))
    assert page.redirect_chain[-1][0] == wizard.url("intent")
    assert "What you typed is in the form below." in page.text
    fields = form_fields(page.text)
    assert (fields["intent-audience"], fields["intent-email"]) == (["other"], ["alex@partner.exa"])
    order.refresh_from_db()
    assert order.contact_email == SAM
    assert pending_posts.KEY not in wizard.client.session


def test_it_is_nobody_else_s() -> None:
    order = an_order(contact=SAM)
    links.user_for(EVE)
    wizard = sent_too_late(order, "find", "intent", audience="other", email="alex@partner.exa")
    page = signs_in(wizard.client, EVE, wizard.url("intent"))
    assert page.status_code == 404
    assert not Draft.objects.exists()
    assert pending_posts.KEY not in wizard.client.session


def test_it_undoes_nothing_that_was_answered_meanwhile() -> None:
    order = an_order(contact=SAM)
    wizard = sent_too_late(order, "find", "intent", audience="own")
    elsewhere = Wizard(signed_in(SAM), order)
    elsewhere.open()
    elsewhere.fill("intent", audience="customer")
    signs_in(wizard.client, SAM, wizard.url("intent"))
    assert Draft.objects.get().steps["find"]["intent"]["answer"]["audience"] == "customer"


def test_it_is_dropped_where_the_person_no_longer_has_the_order() -> None:
    order = an_order(contact=SAM)
    wizard = sent_too_late(order, "find", "intent", audience="own")
    actions.hand_over(order=order, by=links.user_for(SAM), email=KIM)
    page = signs_in(wizard.client, SAM, wizard.url("intent"))
    assert "You handed this order over" in page.text
    assert not Draft.objects.filter(typed__has_key=str(links.user_for(SAM).pk)).exists()


def test_a_stranger_can_not_fill_the_sessions() -> None:
    for number in ("NO-SUCH-1", an_order().number):
        client = Client()
        client.post(f"/orders/{number}/organizations/intent/", {f"intent-{n}": "x" * 4000 for n in range(300)})
        assert pending_posts.KEY not in client.session
