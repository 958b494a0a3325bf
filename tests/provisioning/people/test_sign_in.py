"""Signing in with a one-time code: alike for known and unknown addresses, hard to guess, and never a closed door."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from provisioning.models import SignInCode, User
from provisioning.people import links, sign_in
from tests.mailbox import code_in, deliver, newest

ALICE = "alice@contoso.example"

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return links.user_for(ALICE)


def ask(client: Client, email: str = ALICE, **more: str) -> None:
    assert client.post("/sign-in/", {"email": email, **more}).status_code == 302


def enter(client: Client, code: str) -> bool:
    client.post("/sign-in/code/", {"code": code})
    return "_auth_user_id" in client.session


def test_the_code_signs_in_and_leads_to_the_orders(client: Client, alice: User) -> None:
    ask(client)
    answer = client.post("/sign-in/code/", {"code": code_in(newest(ALICE))})
    assert (answer.status_code, answer["Location"]) == (302, "/orders/")
    assert client.session["_auth_user_id"] == str(alice.pk)


@pytest.mark.parametrize(
    "typed", [str.lower, lambda code: code.replace("-", ""), lambda code: f"  {code.replace('-', ' ')} "]
)
def test_case_hyphens_and_spaces_of_a_code_do_not_matter(
    client: Client, alice: User, typed: Callable[[str], str]
) -> None:
    ask(client)
    assert enter(client, typed(code_in(newest(ALICE))))


def test_the_address_may_be_typed_in_any_case(client: Client, alice: User) -> None:
    ask(client, "  Alice@CONTOSO.example ")
    assert enter(client, code_in(newest(ALICE)))


def test_a_code_works_once(client: Client, alice: User) -> None:
    ask(client)
    code = code_in(newest(ALICE))
    assert enter(client, code)
    other = Client()
    ask(other)
    assert not enter(other, code)


def test_a_code_works_only_in_a_browser_that_asked(client: Client, alice: User) -> None:
    ask(client)
    code = code_in(newest(ALICE))
    stranger = Client()
    assert stranger.post("/sign-in/code/", {"code": code})["Location"].startswith("/sign-in/")
    assert "_auth_user_id" not in stranger.session


def test_a_code_for_one_address_does_not_open_another(client: Client, alice: User) -> None:
    links.user_for("mallory@contoso.example")
    ask(client)
    code = code_in(newest(ALICE))
    mallory = Client()
    ask(mallory, "mallory@contoso.example")
    assert not enter(mallory, code)


def test_a_code_ends_after_an_hour(client: Client, alice: User) -> None:
    ask(client)
    code = code_in(newest(ALICE))
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert not enter(client, code)
        answer = client.get("/sign-in/code/")
        assert answer["Location"].startswith("/sign-in/")


def test_browsers_that_ask_within_half_an_hour_get_one_mail_and_one_code(alice: User) -> None:
    clients = [Client() for _number in range(20)]
    for one in clients:
        ask(one)
    assert len(deliver()) == 1
    assert enter(clients[-1], code_in(newest(ALICE)))


def test_a_flood_of_requests_for_a_day_sends_few_mails_and_the_owner_still_gets_in(alice: User) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        for _turn in range(24 * 6):
            sign_in.ask_for_code(ALICE)
            deliver()
            clock.shift(timedelta(minutes=10))
        assert 3 < len(mail.outbox) <= 25
        owner = Client()
        ask(owner)
        deliver()
        assert enter(owner, code_in(newest(ALICE)))


def test_wrong_codes_are_told_apart_from_right_ones_in_a_sentence(client: Client, alice: User) -> None:
    ask(client)
    page = client.post("/sign-in/code/", {"code": "BCDF-BCDF"})
    assert page.status_code == 200
    assert "Enter the code from the newest email." in page.text
    assert "Enter the code from the email." in client.post("/sign-in/code/", {"code": ""}).text
    assert enter(client, code_in(newest(ALICE)))


def test_after_five_wrong_codes_a_browser_asks_again_and_gets_in(client: Client, alice: User) -> None:
    ask(client)
    for _try in range(4):
        client.post("/sign-in/code/", {"code": "BCDF-BCDF"})
    page = client.post("/sign-in/code/", {"code": "BCDF-BCDF"})
    assert "That code didn’t fit" in page.text
    assert not enter(client, code_in(newest(ALICE)))
    ask(client)
    assert enter(client, code_in(newest(ALICE)))


def test_guessing_ends_a_code_but_not_the_address(alice: User) -> None:
    victim = Client()
    ask(victim)
    code = code_in(newest(ALICE))
    for _wrong in range(sign_in.MAX_WRONG):
        assert not sign_in.use_code(ALICE, "BCDF-BCDF")
    assert not enter(victim, code)
    ask(victim)
    assert enter(victim, code_in(newest(ALICE)))


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "x" * 300 + "@contoso.example", "a\x00b@contoso.example", "@"])
def test_something_else_than_an_address_gets_a_sentence(client: Client, email: str) -> None:
    page = client.post("/sign-in/", {"email": email})
    assert page.status_code == 200
    assert "error" in page.text.lower() or "problem" in page.text.lower()
    assert not SignInCode.objects.exists()


def test_known_and_unknown_addresses_get_the_same_answers(alice: User) -> None:
    pages: list[list[str]] = []
    with time_machine.travel(timezone.now(), tick=False):
        for email in (ALICE, "other@contoso.example"):
            client = Client()
            seen: list[str] = []
            for answer in (
                client.post("/sign-in/", {"email": email}),
                client.get("/sign-in/code/"),
                client.post("/sign-in/code/", {"action": "resend"}),
                client.get("/sign-in/code/"),
                *(client.post("/sign-in/code/", {"code": "BCDF-BCDF"}) for _try in range(5)),
            ):
                text = answer.text.replace(email, "EMAIL")
                text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)
                seen.append(f"{answer.status_code} {answer.get('Location')} {text}")
            pages.append(seen)
    assert pages[0] == pages[1]
    deliver()
    assert [message.to for message in mail.outbox] == [[ALICE]]


def test_asking_before_there_is_an_account_does_not_keep_its_owner_out(client: Client) -> None:
    for _time in range(sign_in.FLOOD + 1):
        ask(Client())
        SignInCode.objects.update(fresh_until=timezone.now())
    ask(Client())
    assert deliver() == []
    links.user_for(ALICE)
    ask(client)
    assert enter(client, code_in(newest(ALICE)))


def test_the_code_is_kept_nowhere(client: Client, alice: User) -> None:
    ask(client)
    code = code_in(newest(ALICE))
    bare = code.replace("-", "")
    kept = str(dict(client.session)) + str(list(SignInCode.objects.values()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT args::text FROM procrastinate_jobs")
        kept += str(cursor.fetchall())
    assert code not in kept
    assert bare not in kept


def test_the_page_says_when_the_mail_was_sent_and_offers_to_send_it_again(client: Client, alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        ask(client)
        code = code_in(newest(ALICE))
        mail.outbox.clear()
        clock.shift(timedelta(seconds=10))
        client.post("/sign-in/code/", {"action": "resend"})
        assert deliver() == []
        clock.shift(timedelta(minutes=2))
        client.post("/sign-in/code/", {"action": "resend"})
        assert [code_in(message) for message in deliver()] == [code]
        assert enter(client, code)


def test_next_leads_on_inside_this_site_only(alice: User) -> None:
    for wanted, expected in (("/orders/PO-1/summary/", "/orders/PO-1/summary/"), ("https://evil.example/", "/orders/")):
        client = Client()
        answer = client.post("/sign-in/", {"email": ALICE, "next": wanted})
        code = code_in(newest(ALICE))
        done = client.post(answer["Location"], {"code": code})
        assert done["Location"] == expected


def test_a_closed_account_gets_no_code(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)
    ask(client)
    assert deliver() == []


def test_signing_out_is_by_post(client: Client, alice: User) -> None:
    client.force_login(alice, backend=settings.AUTHENTICATION_BACKENDS[0])
    client.get("/sign-in/sign-out/")
    assert "_auth_user_id" in client.session
    client.post("/sign-in/sign-out/")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "path", ["signup/", "login/", "password/reset/", "email/", "reauthenticate/", "password/change/"]
)
def test_there_are_no_passwords_and_no_signing_up(client: Client, path: str) -> None:
    assert client.get(f"/sign-in/{path}").status_code == 404


def test_old_codes_are_forgotten(alice: User) -> None:
    sign_in.ask_for_code(ALICE)
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        sign_in.forget_old_codes()
    assert not SignInCode.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_browsers_at_the_same_moment_make_one_code() -> None:
    links.user_for(ALICE)

    def one() -> None:
        try:
            sign_in.ask_for_code(ALICE)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SignInCode.objects.count() == 1
    assert len(deliver()) == 1
