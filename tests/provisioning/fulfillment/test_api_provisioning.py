"""The vendor's system is asked by a signed webhook, and reports through the API."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.api.errors import PROBLEMS
from provisioning.fulfillment import loop, transitions
from provisioning.fulfillment.drivers import driver_of
from provisioning.history import verification
from provisioning.history.event_sentences import DESK, sentences_for
from provisioning.integration import deliveries
from provisioning.local.webhook_sink import Sink
from provisioning.models import ApiKey, Event
from subscriptions.models import Order, ProvisioningRequest, Site, Subscription
from tests.driver import Wizard
from tests.factories import a_mapped_order, signed_in

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"
SECRET = f"whsec_{base64.b64encode(b'1' * 32).decode()}"


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    """The vendor's system: it receives webhooks, and Meetings is set up by it."""
    found = Sink(0, [SECRET])
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = found.url, [SECRET]
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    settings.PROVISIONING = {"meetings": "callback"}
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def key() -> str:
    """A key that may report."""
    return make_key("erp")


def make_key(name: str, *options: str) -> str:
    out = StringIO()
    call_command("make_api_key", name, "--scopes", "provisioning:write", *options, stdout=out)
    return out.getvalue().splitlines()[-1]


def confirm(site_name: str = "contoso-main") -> Wizard:
    """Confirm the set-up of an order of Meetings, as a person does."""
    wizard = Wizard(signed_in(KIM), a_mapped_order(meetings=250), "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name=site_name, time_zone="Europe/Berlin", early_release="no")
    wizard.fill("review")
    return wizard


def work() -> None:
    """Do what workers do, until nothing is due."""
    while loop.run_next() or deliveries.send_next():
        pass


def asked(sink: Sink) -> dict[str, Any]:
    """The data of the last message that asks for a service."""
    found: dict[str, Any] = [got for got in sink.got if got.type == "provisioning.requested"][-1].body["data"]
    return found


def put(address: str, key: str, body: Any, **more: Any) -> HttpResponse:
    """Report, without any cookie."""
    sent = body if isinstance(body, bytes | str) else json.dumps(body)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Client(enforce_csrf_checks=True).put(  # type: ignore[return-value]
        urlsplit(address).path, sent, content_type="application/json", headers=headers, **more
    )


TOO_LARGE = "The body is too long: it may have up to 65536 bytes."


def problem(response: HttpResponse) -> str:
    """The code of a problem, which has to be one as RFC 9457 says."""
    assert response["Content-Type"] == "application/problem+json"
    said = json.loads(response.content)
    code = str(said["type"]).rpartition("#")[2]
    sentence = TOO_LARGE if code == "too-large" else str(PROBLEMS[code][1])
    assert (said["status"], said["detail"]) == (response.status_code, sentence)
    return code


def test_vendor_is_asked_reports_and_the_order_is_set_up(sink: Sink, key: str) -> None:
    order = confirm().order
    work()
    said = asked(sink)
    request = ProvisioningRequest.objects.get()
    assert said["parameters"] == request.parameters
    assert (said["order"]["number"], said["service"], said["licenses"]) == (order.number, "meetings", 250)
    assert request.state == "in_progress"

    response = put(said["report_to"], key, {"state": "running", "description": "Step 2 of 5", "after": 600})
    assert response.status_code == 200
    assert json.loads(response.content)["state"] == "in_progress"
    request.refresh_from_db()
    assert request.description == "Step 2 of 5"
    assert request.deadline_at
    assert timedelta(minutes=9) < request.deadline_at - timezone.now() < timedelta(minutes=11)
    assert not Subscription.objects.exists()

    done = {"state": "succeeded", "ids": {"site": "4711"}}
    first, second = put(said["report_to"], key, done), put(said["report_to"], key, done)
    assert (first.status_code, second.status_code, first.content) == (200, 200, second.content)
    order.refresh_from_db()
    assert order.state == "set_up"
    assert Site.objects.get().name == "contoso-main"
    request.refresh_from_db()
    assert request.external == {"site": "4711"}
    events = Event.objects.filter(order=order)
    assert events.filter(kind=Event.Kind.PROVISIONED).count() == 1
    told = " ".join(line.sentence for line in sentences_for(events.select_related("by"), DESK))
    assert "Reported with the API key “erp”." in told
    assert "API key" not in signed_in(KIM).get(f"/orders/{order.number}/history/").content.decode()
    assert not verification.check(order).problem
    work()
    assert [got.type for got in sink.got][-2:] == ["subscription.provisioned", "order.set_up"]


def test_refusal_opens_the_step_with_the_sentence_at_the_field(sink: Sink, key: str) -> None:
    wizard = confirm()
    work()
    refused = {"state": "refused", "field": "/sites/0/name", "sentence": "This name is taken by somebody else."}
    assert put(asked(sink)["report_to"], key, refused).status_code == 200
    assert put(asked(sink)["report_to"], key, refused).status_code == 200
    wizard.open()
    assert wizard.at == "meetings"
    assert "This name is taken by somebody else." in wizard.html
    assert 'value="contoso-main"' in wizard.html
    wizard.fill("meetings", site_name="contoso-other")
    wizard.fill("review")
    work()
    again = asked(sink)
    assert again["parameters"]["sites"][0]["name"] == "contoso-other"
    assert put(again["report_to"], key, {"state": "succeeded"}).status_code == 200
    wizard.order.refresh_from_db()
    assert wizard.order.state == "set_up"


def test_failure_is_the_order_desks_and_the_later_report_is_refused(sink: Sink, key: str) -> None:
    confirm()
    work()
    address = asked(sink)["report_to"]
    assert put(address, key, {"state": "failed", "code": "no-capacity", "sentence": "No servers."}).status_code == 200
    request = ProvisioningRequest.objects.get()
    assert (request.state, request.problem_code, request.problem) == ("failed", "no-capacity", "No servers.")
    for late in ({"state": "succeeded"}, {"state": "running"}, {"state": "failed", "code": "x", "sentence": "y"}):
        assert problem(put(address, key, late)) == "over"
    assert put(address, key, {"state": "failed", "code": "no-capacity", "sentence": "No servers."}).status_code == 200
    assert not Subscription.objects.exists()


def test_no_word_until_the_deadline_is_a_failure(sink: Sink, key: str, settings: Settings) -> None:
    settings.PROVISIONING_CALLBACK_HOURS = 5
    confirm()
    work()
    request = ProvisioningRequest.objects.get()
    assert request.deadline_at
    assert timedelta(hours=4.9) < request.deadline_at - timezone.now() < timedelta(hours=5.1)
    ProvisioningRequest.objects.update(deadline_at=timezone.now(), next_try_at=timezone.now())
    work()
    request.refresh_from_db()
    assert (request.state, request.problem_code) == ("failed", "too_late")
    assert [got.type for got in sink.got].count("provisioning.cancelled") == 1
    assert problem(put(asked(sink)["report_to"], key, {"state": "succeeded"})) == "over"


def test_report_that_overtakes_the_note_counts(sink: Sink, key: str) -> None:
    """The webhook is out, and the vendor's system is faster than the worker that writes down that it was asked."""
    confirm()
    row = loop.claim()
    assert isinstance(row, ProvisioningRequest)
    outcome = driver_of("meetings").start(transitions.job_of(row))
    while deliveries.send_next():
        pass
    assert put(asked(sink)["report_to"], key, {"state": "succeeded"}).status_code == 200
    assert not transitions.record(row, outcome)
    row.refresh_from_db()
    assert (row.state, Order.objects.get().state) == ("succeeded", "set_up")
    work()
    assert "provisioning.cancelled" not in [got.type for got in sink.got]


GOOD = {"state": "running"}
BAD: list[tuple[str, Any, str]] = [
    ("an unknown field", {"state": "running", "color": "red"}, "not-valid"),
    ("a field of another state", {"state": "succeeded", "sentence": "x"}, "not-valid"),
    ("no state", {}, "not-valid"),
    ("an unknown state", {"state": "done"}, "not-valid"),
    ("state is a list", {"state": ["running"]}, "not-valid"),
    ("no sentence", {"state": "refused", "field": ""}, "not-valid"),
    ("an empty sentence", {"state": "refused", "field": "", "sentence": "  "}, "not-valid"),
    ("a long sentence", {"state": "failed", "code": "x", "sentence": "x" * 501}, "not-valid"),
    ("no pointer", {"state": "refused", "field": "sites", "sentence": "x"}, "not-valid"),
    ("after is a text", {"state": "running", "after": "5"}, "not-valid"),
    ("after is huge", {"state": "running", "after": 10**300}, "not-valid"),
    ("after is negative", {"state": "running", "after": -1}, "not-valid"),
    ("after is true", {"state": "running", "after": True}, "not-valid"),
    ("ids are nested", {"state": "succeeded", "ids": {"a": {"b": 1}}}, "not-valid"),
    ("too many ids", {"state": "succeeded", "ids": {str(n): "x" for n in range(21)}}, "not-valid"),
    ("a number too long for Python", b'{"state": "running", "after": ' + b"9" * 5000 + b"}", "not-json"),
    ("NaN", b'{"state": "running", "after": NaN}', "not-json"),
    ("not JSON", b"state=running", "not-json"),
    ("empty", b"", "not-valid"),
    ("a list", b"[]", "not-json"),
    ("deep", b"[" * 50_000, "not-json"),
    ("not UTF-8", b'{"state": "running", "description": "\xff"}', "not-json"),
    ("a NUL", b'{"state": "running", "description": "a\\u0000b"}', "not-json"),
    ("a NUL in a name", b'{"state": "succeeded", "ids": {"a\\u0000": "b"}}', "not-json"),
    ("half a character", b'{"state": "running", "description": "\\ud800"}', "not-json"),
    ("a name twice", b'{"state": "running", "state": "succeeded"}', "not-json"),
    ("too large", b'{"state": "running", "description": "' + b"x" * 66_000 + b'"}', "too-large"),
]


@pytest.mark.parametrize(("name", "body", "code"), BAD, ids=[row[0] for row in BAD])
def test_body_that_is_not_as_documented_is_refused(name: str, body: Any, code: str, sink: Sink, key: str) -> None:
    confirm()
    work()
    before = ProvisioningRequest.objects.values().get()
    assert problem(put(asked(sink)["report_to"], key, body)) == code
    assert ProvisioningRequest.objects.values().get() == before


def test_fault_is_named_by_its_place(sink: Sink, key: str) -> None:
    confirm()
    work()
    response = put(asked(sink)["report_to"], key, {"state": "succeeded", "ids": {"a/b": 5}})
    assert [error["pointer"] for error in json.loads(response.content)["errors"]] == ["/ids/a~1b"]


def test_only_a_valid_key_with_the_scope_may_report(sink: Sink, key: str) -> None:
    confirm()
    work()
    address = asked(sink)["report_to"]
    expired, revoked = make_key("old", "--days", "1"), make_key("gone")
    ApiKey.objects.filter(name="old").update(expires_at=timezone.now())
    call_command("make_api_key", "gone", "--revoke", stdout=StringIO())
    for wrong in ("", "x", key[:-1], expired, revoked, "é" * 40):
        response = put(address, wrong, GOOD)
        assert problem(response) == "not-authenticated"
        assert response["WWW-Authenticate"].startswith("Bearer")
    ApiKey.objects.filter(name="erp").update(scopes=["something:else"])
    assert problem(put(address, key, GOOD)) == "scope-missing"
    ApiKey.objects.filter(name="erp").update(scopes=["provisioning:write"])
    assert put(address, key, GOOD).status_code == 200
    used = ApiKey.objects.get(name="erp")
    assert used.last_used_at
    assert key not in json.dumps(ApiKey.objects.values_list("name", "hash")[0])


def test_session_opens_nothing_of_the_api_and_a_key_nothing_of_the_site(sink: Sink, key: str) -> None:
    confirm()
    work()
    path = urlsplit(asked(sink)["report_to"]).path
    kim = signed_in(KIM)
    assert problem(kim.put(path, json.dumps(GOOD), content_type="application/json")) == "not-authenticated"  # type: ignore[arg-type]
    bearer = {"Authorization": f"Bearer {key}"}
    for address in ("/orders/", f"/orders/{Order.objects.get().number}/", "/admin/", "/rights/"):
        response = Client().get(address, headers=bearer)
        assert response.status_code == 302
        assert "sign-in" in response["Location"] or "login" in response["Location"]


def test_addresses_and_methods_that_there_are_not(sink: Sink, key: str) -> None:
    confirm()
    work()
    address = urlsplit(asked(sink)["report_to"]).path
    unknown = "/api/v1/provisioning/0190b8a0-0000-7000-8000-000000000000"
    assert problem(put(unknown, key, GOOD)) == "not-found"
    assert problem(put("/api/v1/provisioning/none", key, GOOD)) == "not-found"
    for path in ("/api/v1/", "/api/v1/nothing", "/api/v2/provisioning", address + "/x"):
        assert problem(Client().get(path)) == "not-found"  # type: ignore[arg-type]
    response = Client().post(address, "{}", content_type="application/json")
    assert (problem(response), response["Allow"]) == ("method-not-allowed", "PUT")  # type: ignore[arg-type]


def test_request_of_another_driver_is_not_reported_here(sink: Sink, key: str) -> None:
    confirm()
    ProvisioningRequest.objects.update(driver="osb")
    request = ProvisioningRequest.objects.get()
    assert problem(put(f"/api/v1/provisioning/{request.public_id}", key, {"state": "succeeded"})) == "not-found"


def test_documentation_needs_no_script_and_names_every_problem() -> None:
    page = Client().get("/api/docs/")
    html = page.content.decode()
    assert "<script" not in html
    assert " style=" not in html
    assert "http" not in html.replace('xmlns="http', "")
    assert "default-src 'none'" in page["Content-Security-Policy"]
    for code in PROBLEMS:
        assert f'id="{code}"' in html
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/api/v1/provisioning/{request_id}"]["put"]
    assert operation["security"] == [{"Key": []}]
    for example in ("running", "succeeded", "refused", "failed"):
        assert f'"state": "{example}"'.replace('"', "&quot;") in html or f'"state": "{example}"' in html


def test_key_is_printed_once_alone_on_the_last_line() -> None:
    out = StringIO()
    call_command("make_api_key", "crm", "--scopes", "provisioning:write", stdout=out)
    text = out.getvalue().splitlines()[-1]
    assert text.startswith("spk_")
    assert " " not in text
    for wrong in (["crm", "--scopes", "provisioning:write"], ["x"], ["x", "--scopes", "all"], ["x", "--revoke"]):
        with pytest.raises(CommandError):
            call_command("make_api_key", *wrong, stdout=StringIO())
