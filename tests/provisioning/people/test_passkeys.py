"""Passkeys: added after a sign-in, used for the next one and as an operator's second factor, useless to others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from provisioning.people import links
from tests.authenticator import Passkey
from tests.mailbox import code_in, newest

pytestmark = pytest.mark.django_db

KIM, OLGA = "kim@contoso.example", "olga@vendor.example"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FIELD = "second_factor_credential"


def by_code(email: str) -> Client:
    links.user_for(email)
    client = Client()
    client.post("/sign-in/", {"email": email})
    client.post("/sign-in/code/", {"code": code_in(newest(email))})
    return client


def options(client: Client, purpose: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(client.post(f"/sign-in/passkey/options/{purpose}/").content)
    return found


def added(client: Client, key: Passkey) -> bool:
    client.post("/account/passkey/", {FIELD: key.make(options(client, "add")), "name": "Laptop"})
    return "Laptop" in client.get("/account/").text


def is_in(client: Client) -> bool:
    return client.get("/orders/").status_code == 200


def test_a_passkey_signs_in_as_long_as_the_mailbox_is_proved_now_and_then() -> None:
    key = Passkey()
    with time_machine.travel(NOON, tick=False) as clock:
        client = by_code(KIM)
        assert added(client, key)
        new = Client()
        answer = key.use(options(new, "sign-in"))
        assert new.post("/sign-in/passkey/", {FIELD: answer, "next": "/account/"})["Location"] == "/account/"
        assert is_in(new)
        again = Client()
        again.post("/sign-in/passkey/", {FIELD: answer})  # another browser has another challenge
        assert not is_in(again)
        clock.shift(timedelta(days=91))
        late = Client()
        page = late.post("/sign-in/passkey/", {FIELD: key.use(options(late, "sign-in"))}, follow=True)
        assert "can’t sign you in" in page.text
        by_code(KIM)
        late.post("/sign-in/passkey/", {FIELD: key.use(options(late, "sign-in"))})
        assert is_in(late)


def test_a_passkey_and_a_wrong_code_do_not_prove_the_mailbox() -> None:
    key = Passkey()
    with time_machine.travel(NOON, tick=False) as clock:
        assert added(by_code(KIM), key)
        clock.shift(timedelta(days=80))
        browser = Client()
        browser.post("/sign-in/", {"email": KIM})  # the mail goes to a mailbox that Kim has lost
        browser.post("/sign-in/passkey/", {FIELD: key.use(options(browser, "sign-in"))})
        assert is_in(browser)
        browser.post("/sign-in/code/", {"code": "BBBB-BBBB"})
        clock.shift(timedelta(days=20))
        late = Client()
        late.post("/sign-in/passkey/", {FIELD: key.use(options(late, "sign-in"))})
        assert not is_in(late)


@pytest.mark.parametrize("bad", ["", "{}", "[]", "null", '{"id": 1}', '{"response": {"userHandle": "MQ"}}', "[" * 9000])
def test_what_is_no_passkey_is_answered_by_a_sentence(bad: str) -> None:
    client = Client()
    options(client, "sign-in")
    assert "can’t sign you in" in client.post("/sign-in/passkey/", {FIELD: bad}, follow=True).text
    person = by_code(KIM)
    options(person, "add")
    assert "was not added" in person.post("/account/passkey/", {FIELD: bad}, follow=True).text
    assert not Authenticator.objects.exists()


def test_a_passkey_of_another_site_person_or_kind_is_refused() -> None:
    client = by_code(KIM)
    assert not added(client, Passkey("https://evil.example"))
    assert not added(client, Passkey(verifies=False))
    odd = client.post("/account/passkey/", {FIELD: Passkey().make(options(client, "add")), "name": "a\0b"}, follow=True)
    assert "was not added" in odd.text
    key = Passkey()
    assert added(client, key)
    stolen = Passkey()
    stolen.id, stolen.handle, stolen.host = key.id, key.handle, key.host
    browser = Client()
    browser.post("/sign-in/passkey/", {FIELD: stolen.use(options(browser, "sign-in"))})
    assert not is_in(browser)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2)):
        page = client.post("/account/passkey/", {FIELD: "{}"}, follow=True)
        assert "Sign out and in again first" in page.text
        assert client.post("/sign-in/passkey/options/add/").status_code == 404


def test_a_passkey_is_an_operators_second_factor(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = True
    orders, key = "/admin/subscriptions/order/", Passkey()
    with time_machine.travel(NOON, tick=False) as clock:
        call_command("add_operator", OLGA, verbosity=0)
        client = by_code(OLGA)
        assert client.get(orders).status_code == 302
        assert added(client, key)
        assert client.get(orders).status_code == 200
        clock.shift(timedelta(hours=13))
        assert client.get(orders).status_code == 302
        give = {FIELD: key.use(options(client, "prove")), "next": orders}
        assert client.post("/account/second-factor/", give)["Location"] == orders
        assert client.get(orders).status_code == 200
        browser = Client()  # a passkey that verified the person is both factors
        browser.post("/sign-in/passkey/", {FIELD: key.use(options(browser, "sign-in"))})
        assert browser.get(orders).status_code == 200
