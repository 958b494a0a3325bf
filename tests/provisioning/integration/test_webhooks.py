"""Telling the vendor's systems: what is told, signed and in order, whatever the receiver does."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import ssl
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.integration import deliveries, http_client
from provisioning.local.webhook_sink import FAULTS, Sink
from provisioning.models import User, Webhook, WebhookEndpoint
from provisioning.people import links
from provisioning.worker import tasks
from subscriptions.models import Order, Subscription
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from subscriptions.summary import build_summary
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

NEW, OLD = (f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))
KIM = "kim@contoso.example.org"
LOCAL = [ip_network("127.0.0.0/8")]
type Receiver = Callable[..., Sink]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """Starts a receiver on this machine, and sets the product to write to it."""
    started: list[Sink] = []

    def start(faults: Sequence[str] = ("",), *, secrets: Sequence[str] = (NEW,), **more: Any) -> Sink:
        sink = Sink(0, secrets, faults=faults, **more)
        started.append(sink)
        threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS, settings.OUTGOING_ALLOW_PRIVATE = sink.url, [NEW], LOCAL
        return sink

    yield start
    for sink in started:
        sink.shutdown()
        sink.server_close()


def set_up(order: Order) -> Order:
    return actions.set_up(
        order=order, by=links.user_for(KIM), plans={"meetings": [SitePlan("contoso-main", "Europe/Berlin", True, 250)]}
    )


def said(sink: Sink) -> list[str]:
    """The types that arrived, each when it came first."""
    return [got.type for got in sink.got if got.first]


def send_all(most: int = 500) -> None:
    """Send what is due as a worker does, and let time pass to the next try, until nothing is open."""
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for _turn in range(most):
            tasks.send_webhooks.func()
            waiting = Webhook.objects.filter(Webhook.OPEN, given_up_at=None)
            first = (
                waiting.order_by("order_id", "pk").distinct("order_id").values("next_try_at")
            )  # the others wait for it
            if not first:
                return
            clock.move_to(max(timezone.now(), min(row["next_try_at"] for row in first)) + timedelta(seconds=1))
    raise AssertionError("it never came to an end")


def test_an_order_s_way_is_told_in_order(receiver: Receiver) -> None:
    sink = receiver()
    order = set_up(a_mapped_order())
    send_all()
    assert said(sink) == ["order.placed", "order.mapped", "subscription.provisioned", "order.set_up"]
    assert {got.order for got in sink.got} == {order.number}
    assert sink.refused == []
    assert [got.body["data"]["order"]["state"] for got in sink.got] == ["placed", "mapped", "set_up", "set_up"]
    order.refresh_from_db()
    assert all(got.body["data"]["order"]["id"] == str(order.public_id) for got in sink.got)
    mapped = sink.got[1].body["data"]
    assert order.customer
    assert (mapped["customer"], mapped["partner"], mapped["new"]) == (str(order.customer.public_id), None, [])


def test_set_up_is_told_with_the_facts_of_the_summary_and_each_subscription(receiver: Receiver) -> None:
    sink = receiver()
    order = a_mapped_order(meetings=250, calling=40)
    actions.set_up(
        order=order,
        by=links.user_for(KIM),
        plans={
            "meetings": [SitePlan("contoso-main", "Europe/Berlin", True, 250)],
            "calling": LocationPlan("Headquarters", "DE", {"city": "Berlin", "street_address": "Weg 1"}),
        },
    )
    send_all()
    [summary] = [got.body["data"]["summary"] for got in sink.got if got.type == "order.set_up"]
    assert summary == json.loads(json.dumps(build_summary(order).as_dict()))
    told = [got.body["data"] for got in sink.got if got.type == "subscription.provisioned"]
    assert [(each["service"], each["licenses"]) for each in told] == [("meetings", 250), ("calling", 40)]
    for each, row in zip(told, Subscription.objects.order_by("pk"), strict=True):
        assert each["starts_at"] == row.starts_at.isoformat()
        assert each["organization"] == str(row.organization.public_id)


def test_what_is_told_on_the_way_names_no_person(receiver: Receiver) -> None:
    receiver()
    an_organization("Adventure", administrators=["boss@adventure.example"])
    order = an_own_order(contact="lee@adventure.example", sold_to="Adventure")
    actions.hand_over(order=order, by=links.user_for("lee@adventure.example"), email="kim@adventure.example")
    actions.take_order_back(order=order, by=links.user_for("lee@adventure.example"))
    actions.correct_order(order=order, contact_email="pat@adventure.example", sold_to="Adventure Inc")
    actions.cancel_order(order=order, by=None)
    delegated = a_delegated_order()
    actions.take_over(order=delegated, by=links.user_for(delegated.contact_email))
    actions.postpone(order=delegated, by=links.user_for(delegated.contact_email))
    bodies = list(Webhook.objects.order_by("pk").values_list("message__type", "message__body"))
    assert [kind for kind, _body in bodies] == [
        "order.placed", "order.handed_over", "order.taken_back", "order.corrected", "order.cancelled",
        "order.placed", "order.mapped", "order.delegated", "order.taken_over", "order.postponed",
    ]  # fmt: skip
    assert not [body for _kind, body in bodies if "@" in body]
    [corrected] = [json.loads(body)["data"] for kind, body in bodies if kind == "order.corrected"]
    assert corrected["changed"] == ["contact_email", "sold_to"]


def test_held_order_is_told_and_that_it_goes_on(receiver: Receiver) -> None:
    receiver()
    organization = an_organization("Adventure", administrators=["boss@adventure.example"])
    order = an_own_order(contact="lee@adventure.example", sold_to="Adventure")
    lee, boss = links.user_for("lee@adventure.example"), links.user_for("boss@adventure.example")
    asked = actions.ask_administrators(order=order, by=lee, organization=organization.public_id)
    actions.decide(request=asked, by=boss, approve=True)
    told = list(Webhook.objects.order_by("pk").values_list("message__type", flat=True))
    assert told[:2] == ["order.placed", "order.held"]
    held = json.loads(Webhook.objects.get(message__type="order.held").message.body)["data"]
    assert held["organization"] == str(organization.public_id)


def test_nothing_is_written_where_nobody_is_told() -> None:
    an_order()
    assert not Webhook.objects.exists()


def test_an_order_that_is_rolled_back_tells_nothing(receiver: Receiver) -> None:
    receiver()
    with transaction.atomic():
        an_order()
        transaction.set_rollback(True)
    assert not Webhook.objects.exists()


def test_receiver_that_knows_only_one_of_two_secrets_accepts(receiver: Receiver, settings: Settings) -> None:
    sinks = [receiver(secrets=[OLD]), receiver(secrets=[NEW])]
    settings.WEBHOOK_SECRETS = [NEW, OLD]  # during a change both sign
    for sink in sinks:
        settings.WEBHOOK_URL = sink.url
        an_order()
        send_all()
        assert said(sink) == ["order.placed"]
        assert sink.refused == []


def test_a_hostile_receiver_gets_every_event_in_order_with_one_id(receiver: Receiver) -> None:
    sink = receiver(FAULTS, seed=7, slow=0.05)
    orders = [set_up(order) for order in (a_mapped_order(contact=KIM) for _number in range(1))]
    orders += [an_order() for _number in range(8)]
    for order in orders[1:]:
        for name in ("Initech", "Umbrella", "Hooli"):
            actions.correct_order(order=order, sold_to=name)
        actions.cancel_order(order=order, by=None)
    send_all()
    wanted = defaultdict(list)
    for row in Webhook.objects.order_by("pk"):
        wanted[row.order.number if row.order else ""].append((row.message.type, str(row.message.public_id)))
    seen = defaultdict(list)
    for got in sink.got:
        if got.first:
            seen[got.order].append((got.type, got.id))
    assert seen == wanted
    assert not Webhook.objects.filter(Webhook.OPEN).exists()
    assert sink.refused == []  # nothing was unsigned, and no redirect was followed
    assert any(not got.first for got in sink.got)  # what it took, and didn't say so, came again


@pytest.mark.django_db(transaction=True)
def test_many_workers_keep_the_order_and_send_each_once(receiver: Receiver) -> None:
    sink = receiver()
    for _number in range(10):
        order = an_order()
        for name in ("Initech", "Umbrella", "Hooli"):
            actions.correct_order(order=order, sold_to=name)

    def work(_number: int) -> None:
        try:
            while deliveries.due().exists():
                deliveries.send_next()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    by_order = defaultdict(list)
    for got in sink.got:
        by_order[got.order].append(got.id)
    assert all(got.first for got in sink.got)
    for number, ids in by_order.items():
        rows = Webhook.objects.filter(order__number=number).order_by("pk").values_list("message__public_id", flat=True)
        assert ids == [str(public_id) for public_id in rows]
    assert len(sink.got) == 40


class Pausing(Sink):
    """A receiver that takes a message, and answers when it is told to."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.arrived, self.go_on = threading.Semaphore(0), threading.Event()

    def take(self, body: bytes, headers: dict[str, str], fault: str) -> bool:
        """Take it, and wait."""
        taken = super().take(body, headers, fault)
        self.arrived.release()
        assert self.go_on.wait(60)
        return taken


@pytest.fixture
def pausing(receiver: Receiver, settings: Settings) -> Iterator[Pausing]:
    """A receiver that makes whoever sends wait."""
    receiver()
    sink = Pausing(0, [NEW])
    threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.WEBHOOK_URL = sink.url
    yield sink
    sink.go_on.set()
    sink.shutdown()
    sink.server_close()


def send_aside(pool: ThreadPoolExecutor) -> Future[bool]:
    """Send one message in a thread with a connection of its own."""

    def send() -> bool:
        try:
            return deliveries.send_next()
        finally:
            connections.close_all()

    return pool.submit(send)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_receiver_answers(pausing: Pausing) -> None:
    order = an_order()
    actions.correct_order(order=order, sold_to="Initech")
    with ThreadPoolExecutor(1) as pool:
        sending = send_aside(pool)
        assert pausing.arrived.acquire(timeout=60)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
            )
            assert cursor.fetchone() == (0,)
        with transaction.atomic():
            assert Webhook.objects.select_for_update(nowait=True).count() == 2
        assert not deliveries.send_next()  # nobody else sends it, or the order's next one, meanwhile
        pausing.go_on.set()
        assert sending.result(60)
    assert Webhook.objects.get(message__type="order.placed").accepted_at


@pytest.mark.django_db(transaction=True)
def test_killed_worker_s_message_is_repeated_after_its_lease_and_who_comes_late_notes_nothing(pausing: Pausing) -> None:
    an_order()
    with ThreadPoolExecutor(2) as pool:
        late = send_aside(pool)
        assert pausing.arrived.acquire(timeout=60)
        assert not deliveries.due().exists()
        Webhook.objects.update(lease_until=Now() - timedelta(seconds=1))
        second = send_aside(pool)
        assert pausing.arrived.acquire(timeout=60)
        deliveries.skip(Webhook.objects.all())  # and a person decides otherwise, while both are at it
        pausing.go_on.set()
        assert late.result(60) is second.result(60) is True
    assert [got.first for got in pausing.got] == [True, False]
    row = Webhook.objects.get()
    assert (row.tries, row.accepted_at) == (0, None)
    assert row.skipped_at


def test_one_order_s_trouble_keeps_no_other_waiting(receiver: Receiver) -> None:
    sink = receiver()
    first, second = an_order(), an_order()
    actions.correct_order(order=first, sold_to="Initech")
    Webhook.objects.filter(order=first, message__type="order.placed").update(
        next_try_at=timezone.now() + timedelta(hours=1)
    )
    tasks.send_webhooks.func()
    assert [(got.order, got.type) for got in sink.got] == [(second.number, "order.placed")]


def test_three_days_of_tries_then_the_desk_sends_again_or_skips(receiver: Receiver, client: Client) -> None:
    sink = receiver(("error",))
    order = an_order()
    actions.cancel_order(order=order, by=None)
    begun = timezone.now()
    tries = []
    with time_machine.travel(begun, tick=False) as clock:
        for _turn in range(100):
            tasks.send_webhooks.func()
            row = Webhook.objects.get(message__type="order.placed")
            tries.append(timezone.now() - begun)
            if row.given_up_at:
                break
            clock.move_to(row.next_try_at)
    assert tries[-1] == timedelta(days=3)
    assert 15 <= len(tries) <= 30
    assert tries[1] < timedelta(seconds=6)
    assert max(later - earlier for earlier, later in itertools.pairwise(tries)) < timedelta(hours=7)
    assert row.problem == "Answered 500."
    later = Webhook.objects.get(message__type="order.cancelled")
    assert (later.tries, later.given_up_at) == (0, None)
    tasks.send_webhooks.func()
    assert sink.got == []  # the later one waits for the earlier

    User.objects.create_superuser("desk@vendor.example")
    desk = signed_in("desk@vendor.example")
    assert "Given up" in desk.get(f"/admin/subscriptions/order/{order.pk}/change/").text
    listed = desk.get("/admin/provisioning/webhook/?became=given_up").text
    assert "Answered 500." in listed
    sink.faults = ("",)
    desk.post("/admin/provisioning/webhook/", {"action": "skip", "_selected_action": [row.pk]})
    tasks.send_webhooks.func()
    assert said(sink) == ["order.cancelled"]
    desk.post("/admin/provisioning/webhook/", {"action": "send_again", "_selected_action": [row.pk, later.pk]})
    tasks.send_webhooks.func()
    assert [(got.type, got.first) for got in sink.got[1:]] == [("order.placed", True), ("order.cancelled", False)]
    # The rows can be read, and not typed into.
    assert '<input type="text" name="type"' not in desk.get(f"/admin/provisioning/webhook/{row.pk}/change/").text


def test_receiver_that_is_gone_is_left_alone_until_the_desk_turns_it_on(receiver: Receiver) -> None:
    sink = receiver(("gone",))
    an_order()
    tasks.send_webhooks.func()
    assert WebhookEndpoint.objects.get(gone_at__isnull=False).url == sink.url
    sink.faults = ("",)
    with time_machine.travel(timezone.now() + timedelta(days=10)):
        tasks.send_webhooks.func()
        assert sink.got == []
        User.objects.create_superuser("desk@vendor.example")
        desk = signed_in("desk@vendor.example")
        page = desk.get("/admin/provisioning/webhookendpoint/")
        assert sink.url in page.text
        chosen = {"action": "turn_on", "_selected_action": [WebhookEndpoint.objects.get().pk]}
        desk.post("/admin/provisioning/webhookendpoint/", chosen)
        tasks.send_webhooks.func()
    assert said(sink) == ["order.placed"]


def test_receiver_says_when_it_wants_to_be_asked_again(receiver: Receiver) -> None:
    receiver(("busy",))
    an_order()
    tasks.send_webhooks.func()
    row = Webhook.objects.get()
    assert row.problem == "Answered 429."
    assert timedelta(seconds=4) < row.next_try_at - timezone.now() < timedelta(seconds=6)


def test_a_message_whose_worker_was_killed_is_found_by_the_sweeper(receiver: Receiver) -> None:
    sink = receiver()
    an_order()
    tasks.sweep_webhooks.func(timestamp=0)
    tasks.send_webhooks.func()
    assert said(sink) == ["order.placed"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
     "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
     "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
     "64:ff9b::10.0.0.1", "::10.0.0.1", "2002:7f00:1::1", "2002:a00:1::1", "2001:0:a00:1::"],
)  # fmt: skip
def test_address_that_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert not http_client.may_be_reached(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d822"])
def test_public_address_may_be_reached(address: str) -> None:
    assert http_client.may_be_reached(ip_address(address))


@pytest.mark.parametrize(
    "url", ["http://localhost:{}/", "http://127.0.0.1:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://127.1:{}/",
            "http://2130706433:{}/", "http://0x7f000001:{}/", "http://0:{}/"],
)  # fmt: skip
def test_this_machine_is_not_written_to_unless_it_was_allowed(url: str, receiver: Receiver) -> None:
    sink = receiver()
    with pytest.raises(http_client.NoAnswer, match="not an address of the public internet"):
        http_client.request("POST", url.format(sink.server_address[1]), b"{}", {})
    assert sink.refused == []


def test_what_is_allowed_is_written_to_also_as_an_address_mapped_into_ipv6(receiver: Receiver) -> None:
    port = receiver().server_address[1]
    assert http_client.request("POST", f"http://127.0.0.1:{port}/", b"{}", {}, allow=LOCAL).status == 404
    assert http_client.request("POST", f"http://[::ffff:127.0.0.1]:{port}/", b"{}", {}, allow=LOCAL).status == 404


def test_nothing_goes_over_the_internet_without_tls() -> None:
    with pytest.raises(http_client.NoAnswer, match="https"):
        http_client.request("POST", "http://93.184.215.14/", b"{}", {})


def test_redirect_is_not_followed(receiver: Receiver) -> None:
    sink = receiver(("redirect",))
    assert http_client.request("POST", sink.url, b"{}", {}, allow=LOCAL).status == 307
    assert sink.refused == []


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_receiver_that_takes_its_time_is_left(receiver: Receiver, fault: str) -> None:
    receiver((fault,), slow=60)
    an_order()
    begun = time.monotonic()
    deliveries.send_next(limits=http_client.Limits(connect=1, read=0.5, whole=0.8))
    assert time.monotonic() - begun < 30
    row = Webhook.objects.get()
    assert row.accepted_at is None
    assert row.problem


def test_certificate_has_to_name_the_host(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("localhost", "elsewhere.example"):
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        sink = receiver()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        sink.socket = context.wrap_socket(sink.socket, server_side=True)
        url = f"https://localhost:{sink.server_address[1]}/elsewhere"
        with pytest.raises(http_client.NoAnswer, match="certificate"):
            http_client.request("POST", url, b"{}", {}, allow=LOCAL)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        if name == "localhost":
            assert http_client.request("POST", url, b"{}", {}, allow=LOCAL).status == 404
        else:
            with pytest.raises(http_client.NoAnswer, match="localhost"):
                http_client.request("POST", url, b"{}", {}, allow=LOCAL)
        monkeypatch.delenv("SSL_CERT_FILE")


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"WEBHOOK_URL": "ftp://x"}, "WEBHOOK_URL"), ({"WEBHOOK_URL": "https://x.example"}, "WEBHOOK_SECRETS"),
     ({"WEBHOOK_SECRETS": "whsec_short"}, "24 to 64"), ({"WEBHOOK_ALLOW_PRIVATE": "inside"}, "10.2.0.0/16")],
)  # fmt: skip
def test_settings_that_can_not_work_are_refused_at_the_start(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning import settings as module

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=said):
        importlib.reload(module)
    for name in variables:
        monkeypatch.delenv(name)
    importlib.reload(module)
    assert django_settings.configured
