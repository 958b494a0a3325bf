"""People at browsers: each in a browser of their own, watched, so that what no page may do fails the test.

tests/conftest.py says what happens where there is no Chromium.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, ConsoleMessage, Response, WebError, expect
from pytest_django.live_server_helper import LiveServer

from tests import chromium
from tests.browser.person import Person
from tests.factories import signed_in

# Playwright's event loop runs in the thread of the tests, where Django would refuse the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
os.environ.setdefault("DJANGO_LIVE_TEST_SERVER_ADDRESS", "127.0.0.1")
PATIENCE = 15_000  # milliseconds; a page takes a fraction of a second, a machine that does other things more

# A refused script, style or picture is an event, and not always a line in the console.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP violation: ${event.violatedDirective} by ${event.blockedURI} at ${event.sourceFile}`))
"""


def pytest_configure(config: pytest.Config) -> None:
    """Name our marker."""
    config.addinivalue_line("markers", "screenshots: writes pictures of every page; runs only when asked for")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take pictures only when asked: by `-k screenshots`, or by SCREENSHOTS=folder."""
    if "screenshots" in (config.option.keyword or "") or "SCREENSHOTS" in os.environ:
        return
    pictures = [item for item in items if item.get_closest_marker("screenshots")]
    config.hook.pytest_deselected(items=pictures)
    items[:] = [item for item in items if item not in pictures]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the machine's own Chromium; it asks nobody for anything, and can't make its sandbox as root."""
    arguments = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-sync",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    return {**browser_type_launch_args, "executable_path": chromium.find(), "args": arguments}


class Watch:
    """What the pages of one test did that no page may do."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.expected: set[int] = set()  # statuses besides the good ones that the test asks for on purpose

    def over(self, context: BrowserContext) -> None:
        """Listen to every page of a context."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A response that failed is in the console too, from the browser and from htmx; `_response` knows which may.
        if message.type in {"error", "warning"} and not message.text.startswith(
            ("Failed to load resource", "Response Status Error Code")
        ):
            self.problems.append(f"console: {message.text}")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"script: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch the test's pages; it fails if one broke the content security policy, a script or the server."""
    expect.set_options(timeout=PATIENCE)
    watch = Watch()
    yield watch
    assert not watch.problems


@pytest.fixture
def new_context(
    live_server: LiveServer, watch: Watch, new_context: Callable[..., BrowserContext]
) -> Callable[..., BrowserContext]:
    """Open a browser of its own (no cookies of another one), on our server, watched."""

    def open_context(**options: Any) -> BrowserContext:
        context = new_context(**{"base_url": live_server.url, "locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        return context

    return open_context


@pytest.fixture
def person(new_context: Callable[..., BrowserContext], live_server: LiveServer) -> Callable[..., Person]:
    """Open a browser for a person: `person(email)`, signed in already unless `already_in=False`."""

    def open_browser(email: str, *, already_in: bool = True, **options: Any) -> Person:
        context = new_context(**options)
        if already_in:
            sign_in(context, live_server, email)
        return Person(email, context.new_page())

    return open_browser


def sign_in(context: BrowserContext, server: LiveServer, email: str) -> None:
    """Give a browser the session of somebody who signed in. (Signing in by email has its own tests.)"""
    cookie = signed_in(email).cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": server.url}])
