"""People at browsers: each in a browser of their own, none of whose pages may break the content security policy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage
from pytest_django.live_server_helper import LiveServer

from provisioning import links
from tests import chromium
from tests.browser.person import Person

# Playwright's event loop runs in the thread of the tests, where Django would refuse the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own Chromium; its sandbox can't be had as root."""
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {**browser_type_launch_args, "executable_path": chromium.find(), "args": arguments}


@pytest.fixture
def person(browser: Browser, live_server: LiveServer) -> Iterator[Callable[..., Person]]:
    """Make a person with a browser: `person(email)`, signed in already unless `already_in=False`."""
    contexts = []
    violations: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            violations.append(message.text)

    def make(email: str, *, already_in: bool = True, **options: Any) -> Person:
        context = browser.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        context.on("console", listen)
        if already_in:
            client = Client()
            client.force_login(links.user_for(email))
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        return Person(email, context.new_page())

    yield make
    for context in contexts:
        context.close()
    assert not violations
