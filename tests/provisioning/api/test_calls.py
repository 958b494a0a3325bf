"""What holds for every call of the API: keys, networks, limits, versions, idempotency, hostile bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from threading import Barrier, Thread
from threading import Event as Signal
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponseBase
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.api import idempotency
from provisioning.api.entry import deprecation_headers
from provisioning.api.errors import PROBLEMS
from provisioning.api.routers import openapi_document
from provisioning.history import verification
from provisioning.models import SCOPES, ApiAnswer, ApiKey, Event, Mail
from subscriptions.models import Order
from tests.factories import an_order, signed_in
from tests.provisioning.api.client import Api, a_key, an_order_body

EXAMPLES = {"number": "T-1", "request_id": "0190b8a0-0000-7000-8000-000000000000"}


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Every operation: its method, a path with a value for each parameter, and its scopes."""
    for path, methods in openapi_document()["paths"].items():
        for method, operation in methods.items():
            filled = path.removeprefix("/api/v1")
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    value = EXAMPLES.get(parameter["name"], "0190b8a0-0000-7000-8000-000000000000")
                    filled = filled.replace(f"{{{parameter['name']}}}", value)
            yield method.upper(), filled, operation["x-scopes"]


@pytest.mark.django_db
def test_every_operation_needs_a_valid_key_with_its_scope_from_its_network() -> None:
    every, here = list(operations()), {"REMOTE_ADDR": "192.0.2.7"}
    keys = {"revoked": a_key("revoked"), "expired": a_key("expired", days=1)}
    actions.revoke_key(name="revoked")
    ApiKey.objects.filter(name="expired").update(expires_at=timezone.now())
    elsewhere = a_key("elsewhere", networks=["10.0.0.0/8", "2001:db8::/32"])
    assert len(every) > 10
    for method, path, scopes in every:
        assert scopes, path
        assert set(scopes) <= set(SCOPES)
        for key in ("", "spk_x", *keys.values()):
            api = Api(key, **here)
            api.call(method, path, {})
            assert (api.problem, api.answer.status_code) == ("not-authenticated", 401), (method, path)
            assert api.answer["WWW-Authenticate"].startswith("Bearer")
        api = Api(elsewhere, **here)
        api.call(method, path, {})
        assert (api.problem, api.answer.status_code) == ("network-not-allowed", 403), (method, path)
        for inside in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"):
            api = Api(elsewhere, REMOTE_ADDR=inside)
            api.call(method, path, {})
            assert api.answer.status_code not in {401, 403}, (method, path, inside)
        for which, wanted in (("wrong", set(SCOPES) - set(scopes)), ("right", {scopes[0]})):
            name = f"{which}: {method} {path}"[:80]
            api = Api(a_key(name, wanted), **here)
            api.call(method, path, {})
            assert (api.problem == "scope-missing") == (which == "wrong"), (method, path)
            assert api.answer.status_code not in ({401} if which == "wrong" else {401, 403}), (method, path)
            assert api.answer.status_code < 500


@pytest.mark.django_db
def test_cookies_open_nothing_of_the_api_and_keys_nothing_of_the_site() -> None:
    order = an_order()
    desk = signed_in("desk@example.com")
    call_command("add_operator", "desk@example.com", stdout=StringIO())
    assert desk.get("/api/v1/orders").status_code == 401
    assert desk.post("/api/v1/orders", an_order_body(), content_type="application/json").status_code == 401
    bearer = {"Authorization": f"Bearer {a_key()}"}
    for address in ("/orders/", f"/orders/{order.number}/", f"/orders/{order.number}/summary.pdf", "/admin/"):
        assert Client().get(address, headers=bearer).status_code == 302


@pytest.mark.django_db
def test_a_key_has_its_limit_of_calls_in_a_minute(settings: Settings) -> None:
    settings.API_CALLS_A_MINUTE = 3
    api, other = Api(a_key()), Api(a_key("erp"))
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        for left in ("2", "1", "0"):
            answer = api.get("/orders")
            assert answer.status_code == 200
            assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"]) == ("3", left)
            assert answer["RateLimit-Reset"] == "60"
        refused = api.post("/orders", an_order_body())
        assert api.problem == "too-many-requests"
        assert (refused["RateLimit-Remaining"], refused["Retry-After"]) == ("0", "60")
        assert not Order.objects.exists()
        assert other.get("/orders").status_code == 200
    with time_machine.travel(datetime(2030, 1, 1, 0, 1, tzinfo=UTC), tick=False):
        assert api.post("/orders", an_order_body()).status_code == 201


@pytest.mark.django_db
def test_every_answer_to_a_valid_key_has_its_rate_limit(settings: Settings) -> None:
    settings.API_CALLS_A_MINUTE = 50
    api, body = Api(a_key(scopes=["orders:read", "orders:write"])), an_order_body()
    etag = api.post("/orders", body, idempotency_key="a")["ETag"]
    large = json.dumps(body | {"sold_to": "x" * 3_000_000}).encode()
    calls: list[tuple[int, str, str, Any, dict[str, str]]] = [
        (200, "POST", "/orders", body, {}),
        (201, "POST", "/orders", body, {"idempotency_key": "a"}),
        (304, "GET", "/orders/CRM-1", None, {"if_none_match": etag}),
        (400, "POST", "/orders", b"{", {}),
        (400, "GET", "/orders", None, {"api_version": "2020-01-01"}),
        (400, "POST", "/orders", body, {"idempotency_key": ""}),
        (403, "GET", "/directory/organizations", None, {}),
        (404, "GET", "/orders/CRM-2", None, {}),
        (404, "GET", "/nothing", None, {}),
        (405, "DELETE", "/orders/CRM-1", None, {}),
        (409, "POST", "/orders", body | {"sold_to": "Fabrikam"}, {}),
        (412, "PATCH", "/orders/CRM-1", {"sold_to": "Fabrikam"}, {"if_match": '"x"'}),
        (413, "POST", "/orders", large, {}),
        (422, "GET", "/orders?color=red", None, {}),
    ]
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        for made, (status, method, path, sent, headers) in enumerate(calls, start=1):
            answer = api.call(method, path, sent, **headers)
            assert (answer.status_code, answer["RateLimit-Limit"]) == (status, "50"), (method, path)
            assert (answer["RateLimit-Remaining"], answer["RateLimit-Reset"]) == (str(50 - made), "60"), (method, path)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE provisioning_event RENAME TO gone")
        answer = api.post("/orders/CRM-1/cancel")
        assert (answer.status_code, answer["RateLimit-Remaining"]) == (500, str(49 - len(calls)))
    for key in ("", "spk_x", a_key("elsewhere", networks=["10.0.0.0/8"])):
        answer = Api(key, REMOTE_ADDR="192.0.2.7").post("/orders", large)
        assert answer.status_code in {401, 403}
        assert "RateLimit-Limit" not in answer


@pytest.mark.django_db
def test_the_same_idempotency_key_has_one_effect_and_one_answer() -> None:
    api, other = Api(a_key()), Api(a_key("erp"))
    body = an_order_body(None)
    first = api.post("/orders", body, idempotency_key="a")
    second = api.post("/orders", body, idempotency_key="a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert [second[name] for name in ("Location", "ETag", "Content-Type")] == [
        first[name] for name in ("Location", "ETag", "Content-Type")
    ]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert Order.objects.count() == 1
    api.post("/orders", body | {"sold_to": "Somebody else"}, idempotency_key="a")
    assert (api.problem, api.answer.status_code) == ("idempotency-key-used", 409)
    api.post("/orders/T-1/cancel", body, idempotency_key="a")
    assert api.problem == "idempotency-key-used"
    assert other.post("/orders", body, idempotency_key="a").status_code == 201
    assert Order.objects.count() == 2
    # What was refused had no effect: the corrected request may have the same key.
    assert api.post("/orders", body | {"sold_to": ""}, idempotency_key="b").status_code == 422
    assert api.post("/orders", body, idempotency_key="b").status_code == 201
    for wrong in ("", " ", "x" * 256, "é"):
        api.post("/orders", body, idempotency_key=wrong)
        assert api.problem == "idempotency-key-not-valid", wrong
    with time_machine.travel(timezone.now() + timedelta(hours=47)):
        assert actions.forget_old_answers() == 0
        assert api.post("/orders", body, idempotency_key="a").content == first.content
    with time_machine.travel(timezone.now() + timedelta(hours=49)):
        assert api.post("/orders", body, idempotency_key="a").content != first.content
        assert actions.forget_old_answers() == 2
        assert ApiAnswer.objects.count() == 1


class Killed(BaseException):
    """The process ends."""


def dies_before_it_answers(get_response: Any) -> Any:
    """A middleware: the answer to a POST is lost once, after everything was committed."""
    died: list[bool] = []

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = get_response(request)
        if request.headers.get("X-Die") and not died:
            died.append(True)
            raise Killed
        return response

    return middleware


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_a_killed_process_lost_is_given_again(settings: Settings) -> None:
    api, body = Api(a_key()), an_order_body(None)
    settings.MIDDLEWARE = ["tests.provisioning.api.test_calls.dies_before_it_answers", *settings.MIDDLEWARE]
    with pytest.raises(Killed):
        api.post("/orders", body, idempotency_key="a", x_die="1")
    order = Order.objects.get()
    answer = api.post("/orders", body, idempotency_key="a")
    assert (answer.status_code, answer["Idempotency-Replayed"]) == (201, "true")
    assert api.json["number"] == order.number
    assert (Order.objects.count(), Mail.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_still_running_is_not_begun_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE", "50ms")
    api = Api(a_key())
    running, done = Signal(), Signal()

    def run() -> None:
        with transaction.atomic():
            ApiAnswer.objects.create(
                key=ApiKey.objects.get(), name="a", request_hash="x" * 64, created_at=timezone.now()
            )
            running.set()
            done.wait(30)
            transaction.set_rollback(True)
        connection.close()

    other = Thread(target=run)
    other.start()
    running.wait(30)
    answer = api.post("/orders", an_order_body(), idempotency_key="a")
    assert (api.problem, answer.status_code, answer["Retry-After"]) == ("still-running", 409, "1")
    assert not Order.objects.exists()
    done.set()
    other.join()
    assert api.post("/orders", an_order_body(), idempotency_key="a").status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{"idempotency_key": "a"}, {}], ids=["by key", "by number"])
def test_fifty_equal_posts_at_once_make_one_order(headers: dict[str, str]) -> None:
    key, body, together = a_key(), an_order_body(None if headers else "CRM-1"), Barrier(50)

    def place(_number: int) -> tuple[int, bytes]:
        try:
            together.wait(60)
            answer = Api(key).post("/orders", body, **headers)
            return answer.status_code, answer.content
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(place, range(50)))
    order = Order.objects.get()
    assert Mail.objects.count() == 1
    assert len({content for _status, content in answers}) == 1
    assert json.loads(answers[0][1])["number"] == order.number
    statuses = sorted(status for status, _content in answers)
    assert statuses == ([201] * 50 if headers else [200] * 49 + [201])
    assert not verification.check(order).problem


BODY = json.dumps(an_order_body()).encode()
HOSTILE: list[tuple[str, bytes, str]] = [
    ("a NUL", BODY.replace(b"Contoso", b"Con\\u0000toso"), "not-json"),
    ("half a character", BODY.replace(b"Contoso", b"Con\\ud800toso"), "not-json"),
    ("a huge integer", BODY.replace(b"250", b"9" * 4000), "not-valid"),
    ("an integer too long for Python", BODY.replace(b"250", b"9" * 5000), "not-json"),
    ("a fraction", BODY.replace(b"250", b"2.5"), "not-valid"),
    ("a truth value", BODY.replace(b"250", b"true"), "not-valid"),
    ("an unknown field", BODY.replace(b'"sold_to"', b'"color": 1, "sold_to"'), "not-valid"),
    ("an unknown field inside", BODY.replace(b'"service"', b'"color": 1, "service"'), "not-valid"),
    ("a name twice", BODY.replace(b'"sold_to"', b'"number": "x", "sold_to"'), "not-json"),
    ("deep", b"[" * 50_000, "not-json"),
    ("two megabytes", BODY.replace(b"Contoso", b"x" * 2_000_000), "too-large"),
    ("three megabytes", BODY.replace(b"Contoso", b"x" * 3_000_000), "too-large"),
    ("a list", b"[]", "not-json"),
    ("nothing", b"", "not-valid"),
    ("not UTF-8", BODY.replace(b"Contoso", b"\xff"), "not-json"),
    ("a number with a line break", BODY.replace(b"CRM-1", b"CRM\\n1"), "not-valid"),
    ("a year without zone", BODY.replace(b'"number"', b'"set_up_by": "0001-01-01T00:00:00", "number"'), "not-valid"),
    ("a year far away", BODY.replace(b'"number"', b'"set_up_by": "9999-12-31T23:59:59-23:59", "number"'), "not-valid"),
]


class Unread(BytesIO):
    """A body that nobody may read."""

    def read(self, size: int | None = -1) -> bytes:
        """Fail."""
        raise AssertionError("It was read.")


@pytest.mark.django_db
def test_bodies_are_read_from_keys_only() -> None:
    stranger = Api("spk_guessed", **{"wsgi.input": Unread()})
    for path in ("/orders", "/orders/batches", "/directory/batches"):
        stranger.post(path, b"x" * 9_000_000 if "batches" in path else BODY)
        assert (stranger.problem, stranger.answer.status_code) == ("not-authenticated", 401), path
    unclear = Api(a_key(), CONTENT_LENGTH="0" * 5000)
    unclear.post("/orders", BODY)
    assert unclear.problem == "too-large"


@pytest.mark.django_db
def test_hostile_requests_are_refused_with_a_problem() -> None:
    api = Api(a_key())
    for name, body, code in HOSTILE:
        api.post("/orders", body)
        assert (api.problem, api.answer.status_code) == (code, PROBLEMS[code][0]), name
        assert api.post("/orders", body, idempotency_key=name.replace(" ", "-")).status_code < 500
    for path in ("/orders/%00", "/orders/a%00b", "/orders/%ff", "/orders/" + "x" * 300, "/orders/-", "/orders/a/b"):
        assert api.get(path).status_code == 404, path
    for query, parameter in {
        "limit=99999999999999999999": "limit",
        "limit=0": "limit",
        "q=%00": "q",
        "contact=a%00b": "contact",
        "cursor=%00": "cursor",
        "cursor=AAAA": "cursor",
        "placed_from=yesterday": "placed_from",
        "placed_from=0001-01-01T00:00:00%2B23:59": "placed_from",
        "state=done": "state",
        "color=red": "color",
    }.items():
        api.get(f"/orders?{query}")
        assert (api.problem, list(api.faults)) == ("not-valid", [parameter]), query
    api.post("/orders", an_order_body(color="red"))
    assert api.faults == {"/color": "There is no such field."}
    api.post("/orders", b" " * 65_537)
    assert api.json["detail"] == "The body is too long: it may have up to 65536 bytes."
    assert not Order.objects.exists()


@pytest.mark.django_db
def test_version_of_the_client_is_known_or_refused() -> None:
    api = Api(a_key())
    assert api.get("/orders")["Api-Version"] == "2026-11-27"
    assert api.get("/orders", api_version="2026-11-27").status_code == 200
    api.get("/orders", api_version="2020-01-01")
    assert (api.problem, api.answer.status_code) == ("version-unknown", 400)
    found = deprecation_headers({"x-deprecated-since": "2027-01-01", "x-sunset": "2027-07-01"})
    assert found == {"Deprecation": "@1798761600", "Sunset": "Thu, 01 Jul 2027 00:00:00 GMT"}


@pytest.mark.django_db
def test_a_problem_is_said_in_the_language_that_was_asked_for() -> None:
    api = Api(a_key())
    api.post("/orders", an_order_body(sold_to=""), accept_language="de")
    assert api.faults["/sold_to"].startswith("Geben Sie den Namen des Unternehmens")


@pytest.mark.django_db
def test_commands_make_and_revoke_keys() -> None:
    out = StringIO()
    options = ("--scopes", "orders:read,orders:write", "--days", "30", "--networks", "10.0.0.0/8, 127.0.0.0/8")
    call_command("make_api_key", "crm", *options, stdout=out)
    text = out.getvalue().splitlines()[-1]
    key = ApiKey.objects.get()
    assert (key.scopes, key.networks) == (["orders:read", "orders:write"], ["10.0.0.0/8", "127.0.0.0/8"])
    assert key.expires_at is not None
    assert text not in str(ApiKey.objects.values().get())
    api = Api(text)
    assert api.post("/orders", an_order_body()).status_code == 201
    event = Event.objects.get(kind="placed")
    assert (event.by, event.facts["key"]) == (None, "crm")
    key.refresh_from_db()
    assert key.last_used_at is not None
    call_command("revoke_api_key", "crm", stdout=out)
    assert api.get("/orders").status_code == 401
    for command, *wrong in (
        ("revoke_api_key", "crm"),
        ("make_api_key", "crm", "--scopes", "orders:read"),
        ("make_api_key", "x", "--scopes", "orders:all"),
        ("make_api_key", "x", "--scopes", "orders:read", "--networks", "10.0.0.1/8"),
        ("make_api_key", "x", "--scopes", "orders:read", "--days", "0"),
    ):
        with pytest.raises(CommandError):
            call_command(command, *wrong, stdout=StringIO())
