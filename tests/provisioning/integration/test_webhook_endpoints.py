"""Several receivers of webhooks: each with its own secret, filter and order; the list of events."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from ipaddress import ip_network

import pytest
import time_machine
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook as Signer

from provisioning import actions
from provisioning.integration import deliveries, endpoints, webhooks
from provisioning.local.webhook_sink import Sink
from provisioning.models import User, Webhook, WebhookEndpoint, WebhookMessage
from provisioning.worker import tasks
from tests.factories import an_order, signed_in
from tests.long.local_machine import eventually

pytestmark = pytest.mark.django_db

type Receive = Callable[..., tuple[Sink, WebhookEndpoint]]


@pytest.fixture
def receive(settings: Settings) -> Iterator[Receive]:
    """Starts a receiver, and makes an endpoint for it whose secret it knows."""
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    started: list[Sink] = []

    def start(types: tuple[str, ...] = (), sink: type[Sink] = Sink) -> tuple[Sink, WebhookEndpoint]:
        found = sink(0, [])
        started.append(found)
        threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        endpoint, secret = endpoints.make(url=found.url, types=types, known_types=webhooks.ALL_TYPES)
        found.signers = [Signer(secret)]
        return found, endpoint

    yield start
    for each in started:
        each.shutdown()
        each.server_close()


def types_of(sink: Sink) -> list[str]:
    return [got.type for got in sink.got]


def test_each_endpoint_gets_what_its_filter_lets_through_signed_with_its_own_secret(receive: Receive) -> None:
    crm, _crm = receive()
    erp, _erp = receive(("order.cancelled", "subscription.*"))
    order = an_order()
    actions.correct_order(order=order, sold_to="Initech")
    actions.cancel_order(order=order, by=None)
    tasks.send_webhooks.func()
    assert types_of(crm) == ["order.placed", "order.corrected", "order.cancelled"]
    assert types_of(erp) == ["order.cancelled"]
    assert crm.got[-1].id == erp.got[-1].id  # one message, delivered twice
    assert crm.refused == erp.refused == []
    accepted = Webhook.objects.order_by("pk").first()
    assert accepted
    assert (accepted.answer_status, accepted.tries, accepted.problem) == (204, 1, "")
    assert accepted.tried_at


def test_endpoint_that_is_down_holds_neither_the_others_nor_another_order(receive: Receive) -> None:
    up, _up = receive()
    down, dead = receive()
    down.faults = ("error",)
    first, second = an_order(), an_order()
    actions.cancel_order(order=first, by=None)
    tasks.send_webhooks.func()
    assert sorted(types_of(up)) == ["order.cancelled", "order.placed", "order.placed"]
    failed = Webhook.objects.filter(endpoint=dead, answer_status=500)
    assert {row.message.order for row in failed} == {first, second}
    assert all(row.message.type == "order.placed" for row in failed)  # the later one waits for the first of its order
    down.faults = ("",)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        tasks.send_webhooks.func()
    assert [got.type for got in down.got if got.order == first.number] == ["order.placed", "order.cancelled"]


class Waiting(Sink):
    """A receiver that answers when it is told to."""

    go_on = threading.Event()

    def take(self, body: bytes, headers: dict[str, str], fault: str) -> bool:
        """Wait, then take it."""
        assert self.go_on.wait(60)
        return super().take(body, headers, fault)


@pytest.mark.django_db(transaction=True)
def test_slow_endpoint_never_has_all_senders_of_a_process(receive: Receive) -> None:
    Waiting.go_on.clear()
    slow, endpoint = receive(sink=Waiting)
    quick, _quick = receive()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(slow_at=timezone.now())
    for _number in range(4):
        an_order()

    def work() -> None:
        try:
            tasks.send_webhooks.func()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(work), pool.submit(work)
        try:
            eventually(lambda: len(quick.got) == 4, "the quick one has all, although a sender waits for the slow one")
            assert slow.got == []
        finally:
            Waiting.go_on.set()
        one.result(60)
        other.result(60)
    assert len({got.order for got in slow.got}) == 4


@pytest.fixture
def desk() -> Client:
    """An operator's browser."""
    User.objects.create_superuser("desk@vendor.example")
    return signed_in("desk@vendor.example")


LIST, ADD = "/admin/provisioning/webhookendpoint/", "/admin/provisioning/webhookendpoint/add/"


def act(desk: Client, action: str, *chosen: WebhookEndpoint) -> str:
    posted = {"action": action, "_selected_action": [each.pk for each in chosen]}
    return str(desk.post(LIST, posted, follow=True).text)


def secret_on(page: str) -> str:
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", unescape(page))
    assert found
    return found[0]


def test_desk_makes_an_endpoint_tries_it_changes_its_secret_and_removes_it(
    desk: Client, receive: Receive, settings: Settings
) -> None:
    sink, other = receive()
    endpoints.remove(other)
    page = desk.post(ADD, {"url": sink.url, "name": "CRM", "types": ["order.placed"]})
    assert "no-store" in page["Cache-Control"]
    first = secret_on(page.text)
    endpoint = WebhookEndpoint.objects.get(name="CRM")
    stored = str(WebhookEndpoint.objects.filter(pk=endpoint.pk).values().get())
    assert first not in stored
    assert first not in desk.get(f"{LIST}{endpoint.pk}/change/").text + desk.get(LIST).text
    sink.signers = [Signer(first)]
    assert "sent in a moment" in act(desk, "send_test", endpoint)
    tasks.send_webhooks.func()
    assert types_of(sink) == ["webhook.test"]
    second = secret_on(act(desk, "rotate", endpoint))
    assert second != first
    an_order()
    tasks.send_webhooks.func()  # the receiver knows only the earlier secret
    sink.signers = [Signer(second)]
    an_order()
    tasks.send_webhooks.func()
    assert types_of(sink) == ["webhook.test", "order.placed", "order.placed"]
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        sink.signers = [Signer(first)]
        an_order()
        tasks.send_webhooks.func()
        assert sink.refused == ["not signed with a secret of ours"]
        endpoints.look_after_secrets()
    endpoint.refresh_from_db()
    assert endpoint.previous_secret == ""
    act(desk, "turn_off", endpoint)
    an_order()
    assert Webhook.objects.filter(endpoint=endpoint).count() == 4
    act(desk, "remove", endpoint)
    assert sink.url not in desk.get(LIST).text
    assert not Webhook.objects.filter(Webhook.OPEN).exists()
    assert "CRM" in desk.get("/admin/provisioning/webhook/").text  # what it got can still be seen
    settings.WEBHOOK_URL = sink.url
    of_environment = endpoints.of_environment()
    assert "change it there" in act(desk, "remove", of_environment)
    seen = desk.get(f"{LIST}{of_environment.pk}/change/")  # can be looked at, not changed
    assert (seen.status_code, 'name="url"' in seen.text) == (200, False)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://crm.example.com/", "http://crm.example.com/", "https://user:secret@crm.example.com/",
     "https://crm.example.com/#x", "https:///path", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]/",
     "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest", "https://localhost/", "https://db/",
     "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://crm.example.com:99999/",
     "https://crm.example.com/a b", "https://crm.example.com/" + "x" * 2000],
)  # fmt: skip
def test_address_that_nothing_is_sent_to_is_refused_beside_its_field(url: str, desk: Client) -> None:
    page = desk.post(ADD, {"url": url, "name": "kept", "types": []})
    assert "errorlist" in page.text
    assert 'value="kept"' in page.text
    assert not WebhookEndpoint.objects.exists()


def test_secret_stays_readable_while_the_secret_key_is_changed(receive: Receive, settings: Settings) -> None:
    sink, endpoint = receive()
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key of the installation " * 3, [old]
    an_order()
    tasks.send_webhooks.func()
    tasks.recount_use.func(timestamp=0)  # every night: encrypted under the new key from now on
    settings.SECRET_KEY_FALLBACKS = []
    an_order()
    tasks.send_webhooks.func()
    assert types_of(sink) == ["order.placed"] * 2
    settings.SECRET_KEY = "another key, without the one before " * 3
    an_order()
    tasks.send_webhooks.func()
    assert len(sink.got) == 2
    assert "rotate the secret" in Webhook.objects.get(Webhook.OPEN).problem
    endpoints.rotate(endpoint)


def test_range_is_sent_again_in_order_also_what_the_endpoint_never_got(receive: Receive) -> None:
    orders = [an_order(), an_order()]
    for order in orders:
        actions.cancel_order(order=order, by=None)
    sink, endpoint = receive(("order.*",))
    assert deliveries.send_range_again(endpoint, webhooks.events()) == 4
    tasks.send_webhooks.func()
    for order in orders:
        assert [got.type for got in sink.got if got.order == order.number] == ["order.placed", "order.cancelled"]
    assert deliveries.send_range_again(endpoint, webhooks.events(types=["order.cancelled"])) == 2
    tasks.send_webhooks.func()
    assert [got.type for got in sink.got if not got.first] == ["order.cancelled"] * 2


@pytest.mark.django_db(transaction=True)
def test_reader_of_events_misses_none_that_was_committed_later() -> None:
    early, late = an_order(), an_order()
    seen = list(webhooks.events())
    assert [each.order for each in seen] == [early, late]
    started, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            actions.cancel_order(order=early, by=None)  # gets the lower id
            started.set()
            assert finish.wait(60)
        connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow)
        assert started.wait(60)
        actions.cancel_order(order=late, by=None)
        [second] = webhooks.events(after=seen[-1].position or 0)
        assert second.order == late
        finish.set()
        waiting.result(60)
    [third] = webhooks.events(after=second.public_id)
    assert third.order == early
    assert third.pk < second.pk
    assert WebhookMessage.objects.filter(position=None).count() == 0
