"""Webhook endpoints over HTTP: make, change, rotate, try, look at deliveries, send again, remove."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook as Signer

from provisioning import actions
from provisioning.local.webhook_sink import Sink
from provisioning.models import ApiAnswer, WebhookEndpoint
from provisioning.worker import tasks
from tests.factories import an_order
from tests.provisioning.api.client import Api, a_system

pytestmark = pytest.mark.django_db

AT = "/webhook-endpoints"


@pytest.fixture
def crm() -> Api:
    """A system that keeps its own endpoints."""
    return a_system("webhooks:write")


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    """A receiver on this machine, without a secret yet."""
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    found = Sink(0, [])
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_endpoint_from_its_making_to_its_removal(crm: Api, sink: Sink) -> None:
    made = crm.ok("POST", AT, {"url": sink.url, "types": ["order.*"], "name": "CRM"}, status=201)
    sink.signers = [Signer(made.pop("secret"))]
    assert made | {"id": ""} == {
        "id": "", "url": sink.url, "name": "CRM", "types": ["order.*"], "environment": False, "enabled": True,
        "gone_at": None, "previous_secret_until": None, "waiting": 0, "created_at": made["created_at"],
    }  # fmt: skip
    one = f"{AT}/{made['id']}"
    assert crm.ok("GET", one) == made
    assert crm.ok("GET", AT)["data"] == [made]
    test = crm.ok("POST", f"{one}/test", status=202)
    assert (test["type"], test["state"], test["order"]) == ("webhook.test", "waiting", None)
    order = an_order()
    tasks.send_webhooks.func()
    assert [got.type for got in sink.got] == ["webhook.test", "order.placed"]
    deliveries = crm.ok("GET", f"{one}/deliveries")["data"]
    assert [(each["type"], each["state"], each["status"], each["order"]) for each in deliveries] == [
        ("order.placed", "accepted", 204, order.number),
        ("webhook.test", "accepted", 204, None),
    ]
    assert deliveries[0]["event_id"] == sink.got[1].id
    # A new secret: both sign for a while, and the receiver may know either.
    rotated = crm.ok("POST", f"{one}/rotate-secret", {"overlap_hours": 1})
    assert rotated["previous_secret_until"]
    actions.correct_order(order=order, sold_to="Initech")
    tasks.send_webhooks.func()
    sink.signers = [Signer(rotated["secret"])]
    actions.cancel_order(order=order, by=None)
    tasks.send_webhooks.func()
    assert [got.type for got in sink.got][2:] == ["order.corrected", "order.cancelled"]
    # Another filter; off and on.
    assert crm.ok("PATCH", one, {"types": ["order.cancelled"], "enabled": False})["enabled"] is False
    actions.cancel_order(order=an_order(), by=None)
    crm.ok("PATCH", one, {"enabled": True})
    tasks.send_webhooks.func()
    assert len(sink.got) == 4
    crm.call("DELETE", one)
    assert crm.refused("GET", one)[:2] == (404, "not-found")
    assert crm.ok("GET", AT)["data"] == []
    actions.cancel_order(order=an_order(), by=None)
    tasks.send_webhooks.func()
    assert len(sink.got) == 4


def test_messages_are_sent_again_by_id_range_and_type(crm: Api, sink: Sink) -> None:
    order = an_order()
    actions.cancel_order(order=order, by=None)
    made = crm.ok("POST", AT, {"url": sink.url}, status=201)
    sink.signers = [Signer(made["secret"])]
    again = f"{AT}/{made['id']}/redeliver"
    assert crm.ok("POST", again, {"after": 0}, status=202) == {"count": 2}  # from before there was the endpoint
    tasks.send_webhooks.func()
    assert [got.type for got in sink.got] == ["order.placed", "order.cancelled"]
    assert crm.ok("POST", again, {"event_id": sink.got[0].id}, status=202) == {"count": 1}
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert crm.ok("POST", again, {"since": since, "types": ["order.cancelled"]}, status=202) == {"count": 1}
    assert crm.ok("POST", again, {"since": since, "until": since}, status=202) == {"count": 0}
    tasks.send_webhooks.func()
    assert [(got.type, got.first) for got in sink.got[2:]] == [("order.placed", False), ("order.cancelled", False)]
    assert crm.refused("POST", again, {})[0] == 422
    unknown = {"event_id": "0190b8a0-0000-7000-8000-000000000000"}
    assert crm.refused("POST", again, unknown)[:2] == (404, "not-found")


def test_delivery_shows_what_the_receiver_answered(crm: Api, sink: Sink) -> None:
    made = crm.ok("POST", AT, {"url": sink.url}, status=201)
    an_order()  # the receiver doesn't know the secret
    tasks.send_webhooks.func()
    [waiting] = crm.ok("GET", f"{AT}/{made['id']}/deliveries?state=waiting")["data"]
    assert (waiting["tries"], waiting["status"], waiting["problem"]) == (1, 401, "Answered 401.")
    assert waiting["last_try_at"] < waiting["next_try_at"]
    sink.faults = ("gone",)
    crm.ok("PATCH", f"{AT}/{made['id']}", {"enabled": True})
    tasks.send_webhooks.func()
    assert crm.ok("GET", f"{AT}/{made['id']}")["gone_at"]
    sink.faults, sink.signers = ("",), [Signer(made["secret"])]
    on = crm.ok("PATCH", f"{AT}/{made['id']}", {"enabled": True})
    assert (on["gone_at"], on["waiting"]) == (None, 1)
    tasks.send_webhooks.func()
    assert len(sink.got) == 1


def test_the_environments_endpoint_is_seen_and_changed_nowhere_here(crm: Api, sink: Sink, settings: Settings) -> None:
    secret = "whsec_" + "A" * 43 + "="
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = sink.url, [secret]
    sink.signers = [Signer(secret)]
    an_order()
    [seen] = crm.ok("GET", AT)["data"]
    assert (seen["environment"], seen["url"], seen["waiting"]) == (True, sink.url, 1)
    one = f"{AT}/{seen['id']}"
    for method, path, body in (
        ("PATCH", one, {"name": "x"}), ("PATCH", one, {"enabled": False}), ("DELETE", one, None),
        ("POST", f"{one}/rotate-secret", {}),
    ):  # fmt: skip
        assert crm.refused(method, path, body)[:2] == (409, "endpoint-of-environment")
    crm.ok("POST", f"{one}/test", status=202)
    tasks.send_webhooks.func()
    assert sorted(got.type for got in sink.got) == ["order.placed", "webhook.test"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "/url"),
    ({"url": "http://crm.example.com/"}, "/url"),
    ({"url": "https://127.0.0.1/"}, "/url"),
    ({"url": "https://169.254.169.254/latest"}, "/url"),
    ({"url": "https://user:pass@crm.example.com/"}, "/url"),
    ({"url": "https://crm.example.com/", "types": ["order.drawn"]}, "/types"),
    ({"url": "https://crm.example.com/", "types": ["*.placed"]}, "/types"),
    ({"url": "https://crm.example.com/", "types": "order.*"}, "/types"),
    ({"url": "https://crm.example.com/", "name": "x" * 81}, "/name"),
    ({"url": "https://crm.example.com/", "secret": "mine"}, "/secret"),
]


@pytest.mark.parametrize(("body", "pointer"), WRONG, ids=[str(row[0])[:50] for row in WRONG])
def test_wrong_endpoint_is_refused_with_its_place(body: dict[str, Any], pointer: str, crm: Api) -> None:
    status, code, errors = crm.refused("POST", AT, body)
    assert (status, code, errors[0]["pointer"]) == (422, "not-valid", pointer)
    assert not WebhookEndpoint.objects.exists()


def test_secret_is_nowhere_in_clear_although_the_same_call_is_answered_with_it_again(crm: Api) -> None:
    url = {"url": "https://crm.example.com/webhooks"}
    first, again = (crm.ok("POST", AT, url, status=201, **{"Idempotency-Key": "endpoint-1"}) for _time in range(2))
    assert first == again
    secret = first["secret"].removeprefix("whsec_")
    stored = str([*WebhookEndpoint.objects.values(), *(bytes(row.body) for row in ApiAnswer.objects.all())])
    assert len(ApiAnswer.objects.all()) == 1
    assert secret not in stored


def test_endpoints_need_their_scope() -> None:
    other = a_system("events:read", "orders:write")
    assert other.refused("GET", AT)[:2] == (403, "scope-missing")
    assert other.refused("POST", AT, {"url": "https://crm.example.com/"})[:2] == (403, "scope-missing")
