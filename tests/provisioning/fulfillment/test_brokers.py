"""The same tests against a broker written by others (openbrokerapi) and against the demo's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

import pytest
from pytest_django import Settings

from provisioning import actions
from provisioning.fulfillment import loop, transitions
from provisioning.fulfillment.drivers import driver_of
from provisioning.local.demo.broker import EVERY_ORDER, Broker, Store
from provisioning.people import links
from subscriptions import packs
from subscriptions.models import AbandonedInstance, Order, ProvisioningRequest
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from tests.counting_broker import CountingBroker
from tests.driver import Wizard
from tests.factories import a_mapped_order, signed_in
from tests.scripted_broker import work

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"


class Running(Protocol):
    """What both brokers can be asked."""

    @property
    def setting(self) -> str: ...
    def everything(self) -> list[str]: ...
    def switch(self, order: str, fault: str) -> None: ...
    def close(self) -> None: ...


class DemoBroker(Broker):
    """The demo's broker on a thread, as quick as a test wants it."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        schemas = {service: packs.of(service).schema for service in ("meetings", "calling")}
        super().__init__(socket.create_server(("127.0.0.1", port)), folder, "secret", schemas, seconds=0)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def everything(self) -> list[str]:
        return self.store.everything()

    def switch(self, order: str, fault: str) -> None:
        self.store.switch(order, fault)

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def demo(tmp_path: Path, settings: Settings) -> Iterator[DemoBroker]:
    found = DemoBroker(tmp_path)
    let(settings, found)
    yield found
    found.close()


@pytest.fixture(params=["openbrokerapi", "demo"])
def broker(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Running]:
    found: Running = CountingBroker() if request.param == "openbrokerapi" else DemoBroker(tmp_path)
    let(settings, found)
    yield found
    found.close()


def let(settings: Settings, broker: Running) -> None:
    settings.PROVISIONING = {"meetings": broker.setting, "calling": broker.setting}
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]


def confirm(order: Order, name: str = "contoso-main") -> ProvisioningRequest:
    plans = {"meetings": [SitePlan(name, "Europe/Berlin", True, 250)]}
    actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    return ProvisioningRequest.objects.get(order=order, superseded_at=None)


def state_of(order: Order) -> tuple[str, str]:
    order.refresh_from_db()
    return order.state, ProvisioningRequest.objects.get(order=order, superseded_at=None).state


def test_order_is_set_up(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    request = confirm(order)
    assert state_of(order) == ("setting_up", "waiting")
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")
    assert broker.everything() == [str(request.instance_id)]


def test_call_that_is_repeated_makes_nothing_twice(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    request = confirm(order)
    for _again in range(3):  # workers that are killed after the effect, before the note
        driver_of("meetings").start(transitions.job_of(request))
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")
    assert broker.everything() == [str(request.instance_id)]
    driver_of("meetings").start(transitions.job_of(request))
    assert broker.everything() == [str(request.instance_id)]


def test_failure_leaves_nothing_behind_and_a_retry_makes_one(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    broker.switch(order.number, "fails")
    request = confirm(order)
    work(calls=30)
    assert state_of(order) == ("setting_up", "failed")
    request.refresh_from_db()
    assert request.problem == "There is no capacity left in this region."
    assert broker.everything() == []
    broker.switch(order.number, "")
    transitions.retry(request=request, by=links.user_for("desk@northwind.example"))
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")
    assert len(broker.everything()) == 1


def test_refusal_is_mended_at_the_step(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    broker.switch(order.number, "refuses_name")
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso-main", time_zone="Europe/Berlin", early_release="no")
    wizard.fill("review")
    work(calls=30)
    assert state_of(order) == ("setting_up", "refused")
    assert broker.everything() == []
    wizard.open()
    assert wizard.at == "meetings"
    assert "The name contoso-main is taken" in wizard.html
    wizard.fill("meetings", site_name="contoso-other")
    wizard.fill("review")
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")
    assert len(broker.everything()) == 1


def test_broker_that_breaks_twice_is_asked_again(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    broker.switch(order.number, "fails_twice")
    confirm(order)
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")
    assert len(broker.everything()) == 1
    assert AbandonedInstance.objects.filter(deleted_at=None).count() == 0


def test_set_up_that_is_taken_back_is_deleted(broker: Running) -> None:
    order = a_mapped_order(meetings=250)
    confirm(order)
    loop.run_next()
    assert len(broker.everything()) == 1
    transitions.take_requests_back(order=order, by=links.user_for(KIM))
    work(calls=30)
    assert state_of(order) == ("mapped", "cancelled")
    assert broker.everything() == []


def test_broker_that_is_away_and_comes_back(broker: Running, settings: Settings, tmp_path: Path) -> None:
    order = a_mapped_order(meetings=250)
    broker.close()
    request = confirm(order)
    work(calls=3)
    assert state_of(order) == ("setting_up", "waiting")
    back = DemoBroker(tmp_path / "back")
    let(settings, back)
    work(calls=30)
    back.close()
    assert state_of(order) == ("set_up", "succeeded")
    assert back.everything() == [str(request.instance_id)]


def test_check_of_the_installation_finds_nothing_wrong(broker: Running) -> None:
    assert driver_of("meetings").problems() == []


def test_plan_without_asynchronous_operations(settings: Settings) -> None:
    there = CountingBroker()
    let(settings, there)
    order = a_mapped_order(meetings=250)
    there.switch(order.number, "sync")
    confirm(order)
    loop.run_next()
    there.close()
    assert state_of(order) == ("set_up", "succeeded")
    assert [each["value"] for each in there.backend.people] == [{"user_id": str(links.user_for(KIM).pk)}]


# The demo's own


def test_demo_broker_keeps_its_instances_over_a_restart(tmp_path: Path, settings: Settings) -> None:
    first = DemoBroker(tmp_path)
    let(settings, first)
    order = a_mapped_order(meetings=250)
    request = confirm(order)
    loop.run_next()
    port = first.server_address[1]
    first.close()
    second = DemoBroker(tmp_path, port)
    work(calls=30)
    second.close()
    assert state_of(order) == ("set_up", "succeeded")
    assert second.everything() == [str(request.instance_id)]
    assert Store(tmp_path).instances() == [str(request.instance_id)]


@pytest.mark.parametrize(
    ("fault", "step", "sentence"),
    [
        ("refuses_address", "address", "There is no building at Unter den Linden 1."),
        ("refuses_number", "address", "The number +493012345678 is not one of the ranges"),
    ],
)
def test_demo_broker_refuses_what_a_location_was_given(fault: str, step: str, sentence: str, demo: DemoBroker) -> None:
    order = a_mapped_order(calling=40)
    demo.switch(order.number, fault)
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("location", name="Headquarters", country="DE")
    where = {"street_address": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "emergency": "same"}
    said = {
        "language": "de",
        "announcement_language": "de",
        "time_zone": "Europe/Berlin",
        "main_number": "030 12345678",
    }
    wizard.fill("address", **where, **said)
    wizard.fill("review")
    work(calls=30)
    assert state_of(order) == ("setting_up", "refused")
    wizard.open()
    assert wizard.at == step
    assert sentence in wizard.html
    wizard.fill("address", street_address="Unter den Linden 2", main_number="030 12345679")
    wizard.fill("review")
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")


def test_demo_broker_that_is_switched_off_is_asked_until_it_is_on(demo: DemoBroker) -> None:
    demo.switch(EVERY_ORDER, "down")
    order = a_mapped_order(calling=40)
    plan = LocationPlan(
        name="Headquarters", country="DE", address={"city": "Berlin"}, time_zone="Europe/Berlin", language="de",
        announcement_language="de", main_number="",
    )  # fmt: skip
    actions.set_up(order=order, by=links.user_for(KIM), plans={"calling": plan})
    work(calls=4)
    assert state_of(order) == ("setting_up", "waiting")
    demo.switch(EVERY_ORDER, "")
    work(calls=30)
    assert state_of(order) == ("set_up", "succeeded")


def test_demo_broker_that_is_slow_says_how_far_it_is(demo: DemoBroker) -> None:
    order = a_mapped_order(meetings=250)
    demo.switch(order.number, "slow")
    request = confirm(order)
    work(calls=3)
    request.refresh_from_db()
    assert (request.state, request.description) == ("in_progress", "Step 1 of 4")


@pytest.mark.urls("tests.demo_urls")
def test_faults_are_switched_on_a_page_of_the_demo(demo: DemoBroker, settings: Settings, tmp_path: Path) -> None:
    settings.STATE_DIR = tmp_path
    order = a_mapped_order(meetings=250)
    kim = signed_in(KIM)
    assert "/outside-world/" in kim.get("/").content.decode()
    page = kim.get("/outside-world/").content.decode()
    assert order.number in page
    assert kim.post("/outside-world/", {"target": order.number, "fault": "fails"}).status_code == 302
    assert '<option value="fails" selected>' in kim.get("/outside-world/").content.decode()
    assert Store(tmp_path / "broker").faults() == {order.number: "fails"}
    for target, fault in ((order.number, "explodes"), ("T-none", "fails"), ("\0", "fails"), ("", "")):
        assert kim.post("/outside-world/", {"target": target, "fault": fault}).status_code == 400
    kim.post("/outside-world/", {"target": order.number, "fault": ""})
    assert Store(tmp_path / "broker").faults() == {}
