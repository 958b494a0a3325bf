"""Which driver sets a service up: by setting, checked at the start, asked before the review, extended by one file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.core import checks
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from provisioning.fulfillment import dry_run, loop, transitions
from provisioning.fulfillment.drivers import osb
from provisioning.fulfillment.outcomes import Job, Rejected
from provisioning.people import links
from subscriptions.models import DriverHealth, Order, ProvisioningRequest
from subscriptions.packs.meetings import PACK
from tests.driver import Wizard
from tests.factories import a_mapped_order, signed_in
from tests.scripted_broker import Reply, ScriptedBroker, catalog
from tests.subscriptions.test_packs import a_webcast_order, walk
from tests.webcast.driver import Studio

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"
type Broker = Callable[..., ScriptedBroker]


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    """Starts a scripted broker for Meetings."""
    started: list[ScriptedBroker] = []

    def start(**script: list[Reply]) -> ScriptedBroker:
        started.append(ScriptedBroker(**script))
        settings.PROVISIONING = {"meetings": started[-1].setting}
        settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
        return started[-1]

    yield start
    for each in started:
        each.close()


def said(*, deploy: bool = False) -> list[tuple[str | None, str]]:
    found = checks.run_checks(tags=["provisioning"], include_deployment_checks=deploy)
    return [(message.id, message.msg) for message in found]


MISTAKES = [
    ("meetngs", "local", "E020", "PROVISIONING_MEETNGS names no service that is sold."),
    ("meetings", "", "E021", "PROVISIONING_MEETINGS must be local, callback or osb+https://"),
    ("meetings", "https://broker.example.com", "E021", "must be local, callback or osb+https://"),
    ("meetings", "osb+ftp://a:b@broker.example.com", "E021", "must be like osb+https://user:password@"),
    ("meetings", "osb+https://", "E021", "must be like osb+https://user:password@"),
    ("meetings", "osb+https://a:b@[::1", "E021", "must be like osb+https://user:password@"),
    ("meetings", "osb+https://a:b@broker.example.com:99999", "E021", "must be like osb+https://user:password@"),
    ("meetings", "osb+https://broker.example.com", "E021", "must name the user and the password"),
    ("meetings", "osb+https://user@broker.example.com", "E021", "must name the user and the password"),
    ("meetings", "osb+https://a:b@broker.example.com?x=1", "E021", "must not have a query"),
    ("meetings", "nowhere.Driver", "E021", "names no driver"),
    ("meetings", "tests.webcast.pack.Webcast", "E021", "names no driver"),
    ("meetings", "callback", "E022", "is callback, so WEBHOOK_URL and WEBHOOK_SECRETS must be set."),
]


@pytest.mark.parametrize(("service", "value", "code", "sentence"), MISTAKES)
def test_each_mistake_gets_a_sentence(service: str, value: str, code: str, sentence: str, settings: Settings) -> None:
    settings.PROVISIONING = {service: value}
    [(found, words)] = said(deploy=True)
    assert found == f"provisioning.{code}"
    assert sentence in words
    assert "password@broker.example.com" in words or ":b@" not in words, "a password is never shown"


def test_check_is_silent_where_all_is_well(settings: Settings, broker: Broker) -> None:
    there = broker(CATALOG=[catalog(schema=PACK.schema)])
    settings.PROVISIONING |= {"calling": "local", "webcast": "tests.webcast.driver.Studio"}
    assert said(deploy=True) == []
    there.asked.clear()
    assert said() == []
    assert there.asked == [], "only check --deploy asks the broker"


BROKERS: list[tuple[str, Reply, str]] = [
    ("away", Reply(503), "The broker of meetings can't be used: The broker answered 503."),
    ("password", Reply(401), "The broker refuses the user or the password."),
    ("another service", catalog("calling"), "has no service named meetings"),
    ("no plan", Reply(200, {"services": [{"name": "meetings", "id": "m", "plans": []}]}), "has no plan"),
    ("no schema", catalog(schema={"type": 5}), "has a JSON schema that is none."),
    ("requires more", catalog(schema={"required": ["sites", "region"]}), "requires /region, which is not sent."),
    (
        "requires more of a site",
        catalog(schema={"properties": {"sites": {"items": {"required": ["name", "owner"]}}}}),
        "requires /sites/0/owner, which is not sent.",
    ),
    (
        "forbids",
        catalog(
            schema={
                "properties": {
                    "sites": {
                        "items": {
                            "additionalProperties": False,
                            "properties": {key: {} for key in ("name", "url", "time_zone", "licenses")},
                        }
                    }
                }
            }
        ),
        "forbids /sites/0/early_release, which is sent.",
    ),
]


@pytest.mark.parametrize(("name", "reply", "sentence"), BROKERS, ids=[row[0] for row in BROKERS])
def test_broker_is_compared_with_what_is_sent(name: str, reply: Reply, sentence: str, broker: Broker) -> None:
    broker(CATALOG=[reply])
    [(found, words)] = said(deploy=True)
    assert found == "provisioning.W020"
    assert sentence in words


def review(order: Order, name: str = "contoso-main") -> Wizard:
    """Answer everything, up to the review."""
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name=name, time_zone="Europe/Berlin", early_release="no")
    assert wizard.at == "review"
    return wizard


NO_LONG_NAMES: dict[str, Any] = {"properties": {"sites": {"items": {"properties": {"name": {"maxLength": 9}}}}}}


def test_review_shows_what_the_driver_would_refuse_and_leads_to_the_step(broker: Broker) -> None:
    there = broker(CATALOG=[catalog(schema=NO_LONG_NAMES)])
    wizard = review(a_mapped_order(meetings=250))
    assert "This would not be accepted as it is" in wizard.html
    assert "Enter at most 9 characters." in wizard.html
    assert f'href="{wizard.url("meetings")}"' in wizard.html
    assert there.of("PUT") == []
    wizard.open("meetings")
    wizard.fill("meetings", site_name="contoso")
    assert wizard.at == "review"
    assert "This would not be accepted as it is" not in wizard.html


AWAY = [Reply(503), Reply(401), Reply(act="hang"), Reply(act="drip")]


@pytest.mark.parametrize("reply", AWAY, ids=["503", "401", "hang", "drip"])
def test_review_of_a_broker_that_is_away_shows_nothing_and_writes_nothing(reply: Reply, broker: Broker) -> None:
    broker(CATALOG=[reply])
    wizard = review(a_mapped_order(meetings=250))
    with CaptureQueriesContext(connection) as queries:
        wizard.open("review")
    writes = [query["sql"] for query in queries if query["sql"].lstrip().split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert [sql for sql in writes if "session" not in sql] == []
    assert "This would not be accepted as it is" not in wizard.html


class Stuck(Studio):
    """A driver whose dry run hangs until the test ends."""

    released = threading.Event()

    def check(self, job: Job) -> Rejected | None:
        """Hang."""
        self.released.wait(60)
        return Rejected("", "Too late.")


def test_review_does_not_wait_for_a_driver_that_hangs(settings: Settings) -> None:
    settings.PROVISIONING = {"webcast": "tests.provisioning.fulfillment.test_drivers.Stuck"}
    Stuck.released.clear()
    wizard = walk(a_webcast_order())
    assert not Stuck.released.is_set(), "the page came although the driver still hangs"
    assert wizard.at == "review"
    assert "Too late." not in wizard.html
    Stuck.released.set()
    assert osb.DRY_RUN.whole < dry_run.SECONDS < 1


def test_broker_is_not_asked_while_its_breaker_is_open(broker: Broker) -> None:
    there = broker(CATALOG=[catalog(schema=NO_LONG_NAMES)])
    DriverHealth.objects.create(service="meetings", open_until=transitions.database_now() + timedelta(minutes=1))
    wizard = review(a_mapped_order(meetings=250))
    assert there.asked == []
    assert "This would not be accepted as it is" not in wizard.html


def test_fourth_driver_is_one_file(settings: Settings) -> None:
    settings.PROVISIONING = {"webcast": "tests.webcast.driver.Studio"}
    Studio.booked.clear()
    order = a_webcast_order()
    wizard = walk(order, "Studio")
    assert "Studio is the name of the studio." in wizard.html
    assert f'href="{wizard.url("channel")}"' in wizard.html
    wizard.open("channel")
    wizard.fill("channel", name="Contoso Live")
    wizard.fill("review")
    request = ProvisioningRequest.objects.get(order=order)
    assert (request.driver, request.state, Studio.booked) == ("studio", "waiting", {})
    loop.run_next()
    request.refresh_from_db()
    assert (request.state, request.description) == ("in_progress", "The studio is being booked.")
    ProvisioningRequest.objects.update(next_try_at=transitions.database_now())
    loop.run_next()
    order.refresh_from_db()
    request.refresh_from_db()
    assert (order.state, request.external) == ("set_up", {"studio": "7"})
    assert Studio.booked == {str(request.instance_id): "Contoso Live"}


def test_fourth_driver_gives_back_what_is_cancelled(settings: Settings) -> None:
    settings.PROVISIONING = {"webcast": "tests.webcast.driver.Studio"}
    Studio.booked.clear()
    order = a_webcast_order()
    walk(order).fill("review")
    loop.run_next()
    assert len(Studio.booked) == 1
    transitions.take_requests_back(order=order, by=links.user_for(KIM))
    loop.run_next()
    assert Studio.booked == {}
