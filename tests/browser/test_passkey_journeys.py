"""A passkey in a real browser, with its scripts and its virtual authenticator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from provisioning.people import links
from tests.browser.person import Person

pytestmark = pytest.mark.django_db(transaction=True)

KIM = "kim@contoso.example"


def test_a_person_adds_a_passkey_and_signs_in_with_it(
    new_context: Callable[..., BrowserContext], live_server: LiveServer
) -> None:
    links.user_for(KIM)
    base = live_server.url.replace("127.0.0.1", "localhost")  # a passkey needs a name, and localhost needs no TLS
    context = new_context(base_url=base)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    kim = Person(KIM, page)
    page.goto("/sign-in/")
    kim.enter("Your email address", KIM)
    kim.press("Send me a code")
    kim.enter_code()
    page.goto("/account/")
    kim.enter("Its name", "Laptop")
    kim.press("Add a passkey")
    kim.reads("The passkey is added", "Laptop")
    context.clear_cookies()
    page.goto("/sign-in/?next=/account/")
    kim.press("Sign in with a passkey")
    kim.sees("Your account")
    expect(page.get_by_text(KIM).first).to_be_attached()
