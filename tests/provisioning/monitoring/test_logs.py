"""Logs and error reports: every line says what it is about, and none has an address, a code, a token or a key."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from pytest_django import Settings
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from provisioning.models import SignInCode
from provisioning.monitoring import error_reports, logs
from provisioning.monitoring.scrubbing import ScrubbingFormatter, scrub
from provisioning.people import links, sign_in
from tests.factories import a_mapped_order, signed_in
from tests.mailbox import newest, newest_code

SECRET = "planted.person@contoso.example.org"


class Planted(Exception):
    """An error whose text has what must not be told."""


@pytest.fixture
def lines(settings: Settings) -> Iterator[dict[str, io.StringIO]]:
    """Everything that is logged at any level, in both formats."""
    settings.LOG_REQUESTS = True
    made = {"json": logs.JsonFormatter(), "line": ScrubbingFormatter("{levelname} {name} {message}", style="{")}
    streams = {name: io.StringIO() for name in made}
    handlers = []
    for name, formatter in made.items():
        handler = logging.StreamHandler(streams[name])
        handler.setFormatter(formatter)
        handlers.append(handler)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    yield streams
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the JSON lines."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(text: str) -> None:
    """Raise an error with a text."""
    raise Planted(text)


@pytest.mark.django_db
def test_planted_secrets_of_a_journey_are_in_no_line(
    client: Client, lines: dict[str, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = a_mapped_order(contact=SECRET)
    link = links.issue(part=order.parts.get())
    address = links.url_for(link)
    token = address.rstrip("/").rpartition("/")[2]
    path = address.partition("//")[2].partition("/")[2]
    client.raise_request_exception = False
    client.get(f"/{path}")
    client.post(f"/{path}")
    code = newest_code(SECRET)
    client.post("/sign-in/code/", {"code": code})
    session = client.session.session_key
    client.get(f"/l/{token}x/")  # not found: Django logs the path
    client.get("/verify/BCDF-GHJK-BCDF/")
    key = "spk_plantedplantedplantedplanted"
    client.get("/api/v1/orders", HTTP_AUTHORIZATION=f"Bearer {key}")
    # A mail server's refusal names the address; so does an error of ours.
    monkeypatch.setattr(EmailMultiAlternatives, "message", lambda *_args, **_more: fail(f"{SECRET} {code} {token}"))
    sign_in.ask_for_code("planted.other@contoso.example.org")
    SignInCode.objects.update(user=order.parts.get().user)
    with pytest.raises(StopIteration):  # nothing arrived
        newest("planted.other@contoso.example.org")
    logging.getLogger("provisioning").error("Failed for %s with %s and %s", SECRET, code, key)
    try:
        fail(f"to {SECRET}, link {address}, session {session}")
    except Planted:
        logging.getLogger("provisioning").exception("It failed")
    for name, stream in lines.items():
        text = stream.getvalue()
        assert len(text.splitlines()) > 8, name
        for secret in (SECRET, "planted.", code, code.replace("-", ""), token, key, str(session)):
            assert secret not in text, (name, secret)


@pytest.mark.django_db
def test_each_request_has_its_id_order_person_and_duration(lines: dict[str, io.StringIO]) -> None:
    order = a_mapped_order(contact=SECRET)
    client = signed_in(SECRET)
    lines["json"].truncate(0)
    answer = client.get(f"/orders/{order.number}/history/", HTTP_X_REQUEST_ID="abc-123.DEF")
    assert answer["X-Request-ID"] == "abc-123.DEF"
    [line] = [each for each in parsed(lines["json"]) if each["logger"] == "provisioning.requests"]
    assert line["request_id"] == "abc-123.DEF"
    assert line["order"] == order.number
    assert line["person"] == order.parts.get().user_id
    assert (line["method"], line["route"], line["status"]) == ("GET", "orders/<number:number>/history/", 200)
    assert line["milliseconds"] > 0
    assert line["level"] == "info"
    for bad in ("a" * 65, "a b", "x\n{}", ""):
        given = client.get("/sign-in/", HTTP_X_REQUEST_ID=bad)["X-Request-ID"]
        assert logs.well_formed(given)
        assert given != bad


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Order T-000001 of 12 licenses was placed", True),
        ("Webhook 0190f3a2-7b1c-7d3e-9f00-0123456789ab was not accepted (try 2): Answered 503.", True),
        ("provisioning.0019_emails_are_leased is not applied", True),
        ("to kim@contoso.example", False),
        ("to müller+x@straße.example.", False),
        ("smtp://user:word@mail.example.com:25", False),
        ("code BCDF-GHJK", False),
        ("?code=12345&a=b", False),
        ("Authorization: Bearer abc.def", False),
    ],
)
def test_what_is_removed_from_a_line_and_what_stays(text: str, kept: bool) -> None:
    assert (scrub(text) == text) is kept, scrub(text)


@pytest.mark.parametrize("run", ["a", "1", "a-", "csrf", "a@", "a.", "token "])
def test_a_long_text_that_anybody_can_have_logged_is_read_once(run: str) -> None:
    # In time that grows with the square of the length, this takes hours.
    for text in (f"Not Found: /{run * 200_000}", f"a@{run * 200_000}", f"a@{'.' * 200_000}{run}"):
        assert scrub(text)


class Kept(Transport):
    """Keeps reports instead of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep a report."""
        self.texts.append(envelope.serialize().decode())


def test_error_reports_say_where_and_not_who_or_with_what(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    error_reports.start("https://key@sentry.example.com/1", transport=kept)
    try:
        client.raise_request_exception = False
        monkeypatch.setattr("provisioning.pages.links.EmailForm", lambda *_args: fail(f"of {SECRET}, BCDF-GHJK"))
        answer = client.post("/sign-in/?q=planted", {"email": SECRET}, HTTP_COOKIE="sessionid=planted")
        assert answer.status_code == 500
        sentry_sdk.flush()
    finally:
        sentry_sdk.init()
    [report] = [text for text in kept.texts if '"exception"' in text]
    assert "Planted" in report
    assert "start_sign_in" in report
    for secret in (SECRET, "planted.", "BCDF-GHJK", "sessionid", "q=planted", "203.0.113"):
        assert secret not in report
