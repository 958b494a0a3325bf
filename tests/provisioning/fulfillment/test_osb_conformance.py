"""What a platform has to do with each answer of an Open Service Broker, version 2.17: one row an answer.

A scripted broker answers over real HTTP; the rows of the database and the requests that follow are what is asserted.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest
from django.db.models import F
from pytest_django import Settings

from provisioning import actions
from provisioning.fulfillment import loop, transitions
from provisioning.fulfillment.drivers import osb
from provisioning.integration.http_client import Limits
from provisioning.people import links
from subscriptions.models import AbandonedInstance, Order, ProvisioningRequest, Subscription
from subscriptions.packs.meetings import SitePlan
from tests.factories import a_mapped_order, an_organization
from tests.scripted_broker import PASSWORD, USER, Reply, ScriptedBroker, catalog, work

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"
NOT_JSON, A_LIST, EMPTY = b"<html>502</html>", b"[1]", b""
HUGE = b'{"description": "' + b"x" * 1_100_000 + b'"}'
WHOLE = osb.QUICK.whole + osb.LIMITS.whole + osb.QUICK.whole
type Broker = Callable[..., ScriptedBroker]


@pytest.fixture
def broker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Starts a scripted broker for Meetings, with limits that a test can wait for."""
    started: list[ScriptedBroker] = []

    def start(**script: list[Reply]) -> ScriptedBroker:
        found = ScriptedBroker(**script)
        started.append(found)
        settings.PROVISIONING = {"meetings": found.setting}
        settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
        return found

    for name in ("LIMITS", "QUICK"):
        monkeypatch.setattr(osb, name, Limits(connect=1, read=0.3, whole=0.6))
    yield start
    for each in started:
        each.close()


def confirm(order: Order | None = None, site: str = "contoso-main") -> ProvisioningRequest:
    """Confirm the set-up of an order with 250 licenses of Meetings."""
    order = order or a_mapped_order(meetings=250)
    plans = {"meetings": [SitePlan(site, "Europe/Berlin", True, 250)]}
    actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    return ProvisioningRequest.objects.get(order=order)


@dataclass(frozen=True)
class Row:
    """What the broker answers, and what has to follow: the requests, the state, and what is kept."""

    name: str
    calls: str
    put: Reply | None = None
    poll: Reply | None = None
    delete: Reply | None = None
    state: str = "succeeded"
    code: str = ""
    field: str = ""
    says: str = ""
    after: int = 0  # seconds that it waits at least, after the answer
    deleted: bool | None = None  # of the abandoned instance, where there is one


FIELD = {"error": "NameTaken", "description": "This name is taken.", "field": "/sites/0/name"}
WORDS = {"description": "Sites can't be made in this region."}
SAME, ANEW, ONCE = "PUT 1, PUT 1", "PUT 1, DELETE 1, PUT 2", "PUT 1"
BUSY = {"Retry-After": "120"}
# Further ahead than any run of the tests takes; no pause is longer than an hour (transitions.LONGEST_POLL).
LATER = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=5), usegmt=True)}


def error(code: str, words: str = "") -> dict[str, str]:
    return {"error": code} | ({"description": words} if words else {})


MALFORMED = {
    "not JSON": NOT_JSON,
    "a list": A_LIST,
    "empty": EMPTY,
    "huge": HUGE,
    "not UTF-8": b'{"operation": "\xff"}',
    "operation is a number": {"operation": 5},
    "operation is too long": {"operation": "x" * 10_001},
    "operation has a NUL": {"operation": "a\0b"},
    "operation has half a character": b'{"operation": "\\ud800"}',
    "dashboard is a number": {"dashboard_url": 5},
    "a huge number": b'{"operation": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 100_000,
}

PROVISION = [
    Row("201", ONCE, Reply(201)),
    Row("201 with a dashboard", ONCE, Reply(201, {"dashboard_url": "https://broker.example/7"})),
    Row("201 with null", ONCE, Reply(201, {"dashboard_url": None, "operation": None})),
    Row("201 with unknown fields", ONCE, Reply(201, {"x": 1, "metadata": {"labels": {}}})),
    Row("200", ONCE, Reply(200)),
    *(Row(f"200, {name}", SAME, Reply(200, body)) for name, body in MALFORMED.items()),
    *(Row(f"201, {name}", ANEW, Reply(201, body), deleted=True) for name, body in MALFORMED.items()),
    *(Row(f"202, {name}", ANEW, Reply(202, body), deleted=True) for name, body in MALFORMED.items()),
    *(Row(str(status), ANEW, Reply(status), deleted=True) for status in (203, 204, 206, 299)),
    *(
        Row(str(status), ONCE, Reply(status, headers={"Location": "/v2/catalog"}), state="failed", code="rejected")
        for status in (301, 302, 307)
    ),
    Row(
        "400 about a field",
        ONCE,
        Reply(400, FIELD),
        None,
        None,
        "refused",
        "refused",
        "/sites/0/name",
        FIELD["description"],
    ),
    Row("400 with words", ONCE, Reply(400, WORDS), None, None, "refused", "refused", "", WORDS["description"]),
    Row("400 without words", ONCE, Reply(400), None, None, "failed", "rejected", "", "The broker answered 400."),
    Row("400, not JSON", ONCE, Reply(400, NOT_JSON), None, None, "failed", "rejected"),
    Row("400, field is no pointer", ONCE, Reply(400, FIELD | {"field": 7}), None, None, "refused", "refused", ""),
    Row(
        "400, words with a NUL",
        ONCE,
        Reply(400, {"description": "a\0b\n c"}),
        None,
        None,
        "refused",
        "refused",
        "",
        "a b c",
    ),
    Row("401", SAME, Reply(401)),
    Row("403", SAME, Reply(403)),
    *(
        Row(str(status), ONCE, Reply(status, WORDS), state="failed", code="rejected", says=WORDS["description"])
        for status in (402, 404, 405, 410, 413, 415, 499)
    ),
    Row("408", SAME, Reply(408)),
    Row("429", SAME, Reply(429, headers=BUSY), after=120),
    Row("429 with a date", SAME, Reply(429, headers=LATER), after=3600),
    Row("429, Retry-After is nonsense", SAME, Reply(429, headers={"Retry-After": "soon"})),
    Row("409", ONCE, Reply(409), state="failed", code="conflict"),
    Row("409 about a field", ONCE, Reply(409, FIELD), None, None, "refused", "conflict", "/sites/0/name"),
    Row("412", ONCE, Reply(412, {"description": "Use 2.16."}), state="failed", code="version", says="Use 2.16."),
    Row("422 AsyncRequired", ONCE, Reply(422, error("AsyncRequired")), state="failed", code="rejected"),
    Row("422 RequiresApp", ONCE, Reply(422, error("RequiresApp", "app_guid")), state="failed", code="rejected"),
    Row("422 ConcurrencyError", SAME, Reply(422, error("ConcurrencyError"))),
    Row("422 ConcurrencyError, later", SAME, Reply(422, error("ConcurrencyError"), BUSY), after=120),
    Row("422 MaintenanceInfoConflict", SAME, Reply(422, error("MaintenanceInfoConflict"))),
    Row("422 about a field", ONCE, Reply(422, FIELD), None, None, "refused", "refused", "/sites/0/name"),
    Row("422 with words", ONCE, Reply(422, WORDS), None, None, "refused", "refused", "", WORDS["description"]),
    Row("422 without words", ONCE, Reply(422, NOT_JSON), None, None, "failed", "rejected"),
    *(Row(str(status), ANEW, Reply(status), deleted=True) for status in (500, 501, 502, 504, 599)),
    Row("503, later", ANEW, Reply(503, headers=BUSY), deleted=True, after=120),
    Row("500 about a field", ANEW, Reply(500, FIELD), deleted=True),
    Row("no answer", ANEW, Reply(act="hang"), deleted=True),
    Row("hung up", ANEW, Reply(act="reset"), deleted=True),
    Row("stopped in the body", ANEW, Reply(201, act="stall"), deleted=True),
    Row("a body that never ends", ANEW, Reply(201, act="drip"), deleted=True),
]


@pytest.mark.parametrize("row", PROVISION, ids=lambda row: row.name)
def test_answer_to_provision(row: Row, broker: Broker) -> None:
    assert row.put
    there = broker(PUT=[row.put, Reply(201)])
    request = confirm()
    assert loop.run_next()
    request.refresh_from_db()
    if row.after:
        assert request.next_try_at
        wait = (request.next_try_at - transitions.database_now()).total_seconds()
        assert row.after - 5 < wait <= row.after + 190
    work(calls=6)
    assert ", ".join(there.calls) == row.calls
    request.refresh_from_db()
    assert (request.state, request.problem_code, request.problem_field) == (row.state, row.code, row.field)
    assert row.says in request.problem
    assert Subscription.objects.filter(line=request.line).exists() == (row.state == "succeeded")
    request.order.refresh_from_db()
    assert request.order.state == ("set_up" if row.state == "succeeded" else "setting_up")
    assert [each.deleted_at is not None for each in AbandonedInstance.objects.all()] == (
        [] if row.deleted is None else [row.deleted]
    )
    if row.state in {"refused", "failed"}:
        assert request.answer.startswith(str(row.put.status))


AGAIN, STOP = "PUT 1, POLL 1, POLL 1", "PUT 1, POLL 1"
DROP = "PUT 1, POLL 1, DELETE 1"
POLL = [
    Row("succeeded", STOP, poll=Reply(200, {"state": "succeeded"})),
    Row("in progress", AGAIN, poll=Reply(200, {"state": "in progress"})),
    Row("in progress, later", AGAIN, poll=Reply(200, {"state": "in progress"}, BUSY), after=120),
    Row(
        "failed",
        DROP,
        None,
        Reply(200, {"state": "failed", **WORDS}),
        None,
        "failed",
        "failed",
        "",
        WORDS["description"],
        deleted=True,
    ),
    Row("failed without words", DROP, None, Reply(200, {"state": "failed"}), None, "failed", "failed", deleted=True),
    Row(
        "failed about a field",
        DROP,
        None,
        Reply(200, {"state": "failed", **FIELD}),
        None,
        "refused",
        "refused",
        "/sites/0/name",
        deleted=True,
    ),
    Row("another state", AGAIN, poll=Reply(200, {"state": "almost"})),
    Row("state is a number", AGAIN, poll=Reply(200, {"state": 1})),
    Row("state is a list", AGAIN, poll=Reply(200, {"state": ["succeeded"]})),
    Row("no state", AGAIN, poll=Reply(200)),
    Row("not JSON", AGAIN, poll=Reply(200, NOT_JSON)),
    Row("a list", AGAIN, poll=Reply(200, A_LIST)),
    Row("huge", AGAIN, poll=Reply(200, HUGE)),
    *(
        Row(f"{status}", AGAIN, poll=Reply(status, {"state": "succeeded"}))
        for status in (201, 202, 203, 206, 301, 400, 401, 403, 408, 409, 410, 418, 422, 429, 500, 502, 503, 504)
    ),
    Row("204", AGAIN, poll=Reply(204)),
    Row("429, later", AGAIN, poll=Reply(429, headers=BUSY), after=120),
    Row("404", STOP, poll=Reply(404), state="failed", code="forgotten"),
    Row("no answer", AGAIN, poll=Reply(act="hang")),
    Row("hung up", AGAIN, poll=Reply(act="reset")),
    Row("stopped in the body", AGAIN, poll=Reply(act="stall")),
]


@pytest.mark.parametrize("row", POLL, ids=lambda row: row.name)
def test_answer_to_last_operation(row: Row, broker: Broker) -> None:
    assert row.poll
    there = broker(PUT=[Reply(202, {"operation": "task 1"})], POLL=[row.poll, Reply(200, {"state": "succeeded"})])
    request = confirm()
    work(calls=2)
    request.refresh_from_db()
    if row.after:
        assert request.next_try_at
        assert (request.next_try_at - transitions.database_now()).total_seconds() > row.after - 5
    work(calls=6)
    assert ", ".join(there.calls) == row.calls
    request.refresh_from_db()
    assert (request.state, request.problem_code, request.problem_field) == (row.state, row.code, row.field)
    assert row.says in request.problem
    assert Subscription.objects.filter(line=request.line).exists() == (row.state == "succeeded")
    assert [each.deleted_at is not None for each in AbandonedInstance.objects.all()] == (
        [] if row.deleted is None else [row.deleted]
    )


GONE, TWICE = "DELETE 1", "DELETE 1, DELETE 1"
DEPROVISION = [
    Row("200", GONE, delete=Reply(200)),
    Row("410", GONE, delete=Reply(410)),
    Row("410, not JSON", GONE, delete=Reply(410, NOT_JSON)),
    Row("200, not JSON", TWICE, delete=Reply(200, NOT_JSON)),
    Row("200, a list", TWICE, delete=Reply(200, A_LIST)),
    Row("202, not JSON", TWICE, delete=Reply(202, NOT_JSON)),
    Row("202, operation is a number", TWICE, delete=Reply(202, {"operation": 5})),
    Row("422 ConcurrencyError", TWICE, delete=Reply(422, error("ConcurrencyError"), BUSY), after=120),
    Row("429, later", TWICE, delete=Reply(429, headers=BUSY), after=120),
    *(
        Row(str(status), TWICE, delete=Reply(status))
        for status in (201, 203, 204, 301, 400, 401, 403, 404, 408, 409, 412, 422, 500, 502, 503)
    ),
    Row("no answer", TWICE, delete=Reply(act="hang")),
    Row("hung up", TWICE, delete=Reply(act="reset")),
    Row("202, succeeded", "DELETE 1, POLL 1", None, Reply(200, {"state": "succeeded"}), Reply(202, {"operation": "d"})),
    Row("202, 410", "DELETE 1, POLL 1", None, Reply(410), Reply(202)),
    Row("202, 404", "DELETE 1, POLL 1", None, Reply(404), Reply(202)),
    Row("202, in progress", "DELETE 1, POLL 1, POLL 1", None, Reply(200, {"state": "in progress"}), Reply(202)),
    Row("202, 500", "DELETE 1, POLL 1, POLL 1", None, Reply(500), Reply(202)),
    Row("202, not JSON", "DELETE 1, POLL 1, POLL 1", None, Reply(200, NOT_JSON), Reply(202)),
    Row("202, failed", "DELETE 1, POLL 1, DELETE 1", None, Reply(200, {"state": "failed"}), Reply(202)),
]


@pytest.mark.parametrize("row", DEPROVISION, ids=lambda row: row.name)
def test_answer_to_deprovision(row: Row, broker: Broker) -> None:
    assert row.delete
    there = broker(
        PUT=[Reply(202)],
        DELETE=[row.delete, Reply(200)],
        POLL=[row.poll or Reply(410), Reply(410)],
    )
    request = confirm()
    work(calls=1)
    transitions.take_requests_back(order=request.order, by=links.user_for(KIM))
    work(calls=1)
    instance = AbandonedInstance.objects.get()
    assert (instance.deleted_at is None) == (row.calls != GONE), "it is remembered until it is gone"
    if row.after:
        assert instance.next_try_at
        assert (instance.next_try_at - transitions.database_now()).total_seconds() > row.after - 5
    work(calls=6)
    assert ", ".join(there.calls[1:]) == row.calls
    instance.refresh_from_db()
    assert instance.deleted_at
    request.refresh_from_db()
    request.order.refresh_from_db()
    assert (request.state, request.order.state) == ("cancelled", "mapped")
    for asked in there.of("DELETE"):
        assert asked.query == {"service_id": "meetings-id", "plan_id": "standard-id", "accepts_incomplete": "true"}


CATALOG = [
    *((str(status), Reply(status), "waiting") for status in (201, 204, 301, 400, 401, 404, 429, 500, 503)),
    ("not JSON", Reply(200, NOT_JSON), "waiting"),
    ("no list", Reply(200, {"services": None}), "waiting"),
    ("huge", Reply(200, HUGE), "waiting"),
    ("no answer", Reply(act="hang"), "waiting"),
    ("412", Reply(412), "failed"),
    ("another service", catalog("calling"), "failed"),
    ("names are case-sensitive", catalog("Meetings"), "failed"),
    ("no plans", Reply(200, {"services": [{"name": "meetings", "id": "m", "plans": None}]}), "failed"),
    ("a plan without an id", Reply(200, {"services": [{"name": "meetings", "id": "m", "plans": [{}]}]}), "failed"),
]


@pytest.mark.parametrize(("name", "reply", "state"), CATALOG, ids=[row[0] for row in CATALOG])
def test_nothing_is_made_while_the_catalog_can_not_be_read(name: str, reply: Reply, state: str, broker: Broker) -> None:
    there = broker(CATALOG=[reply, catalog()])
    request = confirm()
    work(calls=1)
    request.refresh_from_db()
    assert (request.state, there.calls) == (state, [])
    assert not AbandonedInstance.objects.exists(), "nothing was asked for, so nothing has to be deleted"
    work(calls=6)
    assert there.calls == (["PUT 1"] if state == "waiting" else [])


def test_request_is_what_the_specification_says(broker: Broker) -> None:
    there = broker(PUT=[Reply(202, {"operation": "a/b c&d=é%"})])
    request = confirm()
    work(calls=6)
    put = there.of("PUT")[0]
    assert put.query == {"accepts_incomplete": "true"}
    order = request.order
    customer = order.customer
    assert customer
    assert put.instance == str(request.instance_id)
    assert put.body == {
        "service_id": "meetings-id",
        "plan_id": "standard-id",
        "organization_guid": str(customer.public_id),
        "space_guid": str(customer.public_id),
        "context": {
            "platform": "subscription-provisioning",
            "organization_guid": str(customer.public_id),
            "organization_name": "Contoso",
            "order": order.number,
            "line": 1,
            "product": "Meetings",
            "licenses": 250,
            "term_months": 12,
        },
        "parameters": {
            "sites": [
                {
                    "name": "contoso-main",
                    "url": "https://contoso-main.meet.example.com",
                    "time_zone": "Europe/Berlin",
                    "early_release": True,
                    "licenses": 250,
                }
            ]
        },
    }
    for asked in there.asked:
        assert asked.headers["x-broker-api-version"] == "2.17"
        assert asked.headers["authorization"] == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    identities = [asked.headers["x-broker-api-request-identity"] for asked in there.asked]
    assert len(set(identities)) == len(identities) == 3
    poll = there.of("POLL")[0]
    assert poll.query == {"service_id": "meetings-id", "plan_id": "standard-id", "operation": "a/b c&d=é%"}
    assert f"operation={quote('a/b c&d=é%', safe='')}" in poll.raw_query
    assert there.of("CATALOG")[0].headers.get("x-broker-api-originating-identity") is None


def test_calls_name_the_person_whose_action_they_follow_from(broker: Broker) -> None:
    there = broker(PUT=[Reply(202)], POLL=[Reply(200, {"state": "in progress"})])
    request = confirm()
    work(calls=2)
    for asked in (*there.of("PUT"), *there.of("POLL")):
        platform, value = asked.headers["x-broker-api-originating-identity"].split(" ")
        assert platform == there.of("PUT")[0].body["context"]["platform"]
        assert json.loads(base64.b64decode(value)) == {"user_id": str(links.user_for(KIM).pk)}
    assert "contoso" not in json.dumps([asked.headers for asked in there.asked])
    assert request.requester == links.user_for(KIM).pk


def test_cancellation_names_who_cancelled_or_else_who_had_confirmed(broker: Broker) -> None:
    there = broker(PUT=[Reply(202)], POLL=[Reply(200, {"state": "in progress"})])
    desk, contoso = links.user_for("desk@vendor.example"), an_organization("Contoso", administrators=[KIM])
    for by, named in ((desk, desk), (None, links.user_for(KIM))):
        order = a_mapped_order(customer=contoso, meetings=250)
        confirm(order, f"contoso-{named.pk}")
        work(calls=1)
        actions.cancel_order(order=order, by=by)
        work(calls=1)
        _platform, value = there.of("DELETE")[-1].headers["x-broker-api-originating-identity"].split(" ")
        assert json.loads(base64.b64decode(value)) == {"user_id": str(named.pk)}


def test_orphan_mitigation_names_no_person(broker: Broker) -> None:
    there = broker(PUT=[Reply(500), Reply(201)])
    confirm()
    work(calls=6)
    assert "x-broker-api-originating-identity" not in there.of("DELETE")[0].headers


def test_connection_that_is_refused_has_made_nothing(broker: Broker, settings: Settings) -> None:
    there = broker()
    there.close()
    confirm()
    work(calls=2)
    assert not AbandonedInstance.objects.exists()
    waiting = ProvisioningRequest.objects.get()
    assert (waiting.state, waiting.attempts) == ("waiting", 2)
    assert "refused" in waiting.problem
    back = broker()
    work(calls=6)
    assert back.calls == ["PUT 1"]
    assert back.of("PUT")[0].instance == str(waiting.instance_id)


def test_conflict_after_a_lost_answer_asks_how_the_instance_is(broker: Broker) -> None:
    """The worker died between the broker's answer and its note; this broker answers 409 to the repeated call."""
    there = broker(PUT=[Reply(409)], POLL=[Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"})])
    request = confirm()
    assert loop.claim()
    ProvisioningRequest.objects.update(lease_until=transitions.database_now() - timedelta(seconds=1))
    work(calls=6)
    assert there.calls == ["PUT 1", "POLL 1", "POLL 1"]
    request.refresh_from_db()
    assert request.state == "succeeded"
    assert request.external == {"service_id": "meetings-id", "plan_id": "standard-id"}


@pytest.mark.parametrize(
    "poll", [Reply(404), Reply(500), Reply(200, {"state": "failed"})], ids=["404", "500", "failed"]
)
def test_conflict_stays_one_where_the_instance_is_no_success(poll: Reply, broker: Broker) -> None:
    broker(PUT=[Reply(409)], POLL=[poll])
    request = confirm()
    loop.claim()
    ProvisioningRequest.objects.update(lease_until=transitions.database_now() - timedelta(seconds=1))
    work(calls=6)
    request.refresh_from_db()
    assert (request.state, request.problem_code) == ("failed", "conflict")


@pytest.mark.parametrize(
    ("theirs", "hours"), [(600, 1 / 6), (None, 24), (10**15, 24), ("60", 24), (-5, 24), (True, 24)]
)
def test_maximum_polling_duration(theirs: Any, hours: float, broker: Broker) -> None:
    there = broker(
        CATALOG=[catalog(**({"maximum_polling_duration": theirs} if theirs is not None else {}))],
        PUT=[Reply(202)],
        POLL=[Reply(200, {"state": "in progress"})],
    )
    request = confirm()
    work(calls=2)
    request.refresh_from_db()
    assert request.deadline_at
    left = request.deadline_at - transitions.database_now()
    assert timedelta(0) < timedelta(hours=hours) - left < timedelta(seconds=20)
    ProvisioningRequest.objects.update(deadline_at=F("deadline_at") - timedelta(hours=hours))
    work(calls=6)
    request.refresh_from_db()
    assert (request.state, request.problem_code) == ("failed", "too_late")
    assert there.calls[-1] == "DELETE 1", "the instance may yet be made, so it is deleted"


def test_operation_that_succeeds_at_its_deadline_counts(broker: Broker) -> None:
    broker(PUT=[Reply(202)], POLL=[Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"})])
    request = confirm()
    work(calls=2)
    ProvisioningRequest.objects.update(deadline_at=transitions.database_now())
    work(calls=6)
    request.refresh_from_db()
    assert request.state == "succeeded"


def test_maintenance_info_is_sent_and_read_anew_after_a_conflict(broker: Broker) -> None:
    there = broker(
        CATALOG=[catalog(maintenance_info={"version": "1.0.0"}), catalog(maintenance_info={"version": "2.0.0"})],
        PUT=[Reply(422, error("MaintenanceInfoConflict")), Reply(201)],
    )
    confirm()
    work(calls=6)
    assert [asked.body["maintenance_info"] for asked in there.of("PUT")] == [{"version": "1.0.0"}, {"version": "2.0.0"}]
    assert len({asked.instance for asked in there.of("PUT")}) == 1


def test_catalog_is_not_asked_for_with_every_line(broker: Broker) -> None:
    there = broker()
    confirm()
    work(calls=6)
    other = a_mapped_order(meetings=250, contact="ida@fabrikam.example.org")
    plans = {"meetings": [SitePlan("fabrikam-main", "Europe/Berlin", True, 250)]}
    actions.set_up(order=other, by=links.user_for("ida@fabrikam.example.org"), plans=plans)
    work(calls=6)
    assert (len(there.of("CATALOG")), len(there.of("PUT"))) == (1, 2)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["Meetings"], "Meetings"),
        (["gold"], "gold"),
        (["gold", "Meetings", "meetings"], "Meetings"),
        (["gold", "meetings"], "meetings"),
        (["gold", "silver"], None),
    ],
)
def test_plan_is_the_one_named_like_the_product_or_the_only_one(
    names: list[str], chosen: str | None, broker: Broker
) -> None:
    plans = [{"id": f"id of {name}", "name": name} for name in names]
    there = broker(CATALOG=[Reply(200, {"services": [{"id": "m", "name": "meetings", "plans": plans}]})])
    request = confirm()
    work(calls=6)
    request.refresh_from_db()
    assert [asked.body["plan_id"] for asked in there.of("PUT")] == ([f"id of {chosen}"] if chosen else [])
    assert request.problem_code == ("" if chosen else "no_plan")


SCHEMAS: list[tuple[str, Any, str | None]] = [
    ("none", None, None),
    ("a pattern", {"properties": {"sites": {"items": {"properties": {"name": {"maxLength": 5}}}}}}, "/sites/0/name"),
    ("no draft that there is", {"$schema": "urn:none", "required": ["x"]}, ""),
    ("no schema", {"type": "nothing"}, None),
    ("not an object", ["x"], None),
    ("draft 2020-12", {"$schema": "https://json-schema.org/draft/2020-12/schema", "required": ["x"]}, ""),
]


@pytest.mark.parametrize(("name", "schema", "field"), SCHEMAS, ids=[row[0] for row in SCHEMAS])
def test_schema_of_the_plan_is_asked_first(name: str, schema: Any, field: str | None, broker: Broker) -> None:
    there = broker(CATALOG=[catalog(schema=schema)])
    request = confirm()
    work(calls=6)
    request.refresh_from_db()
    assert (request.state, request.problem_field) == (("succeeded", "") if field is None else ("refused", field))
    assert len(there.of("PUT")) == (1 if field is None else 0)


def test_schema_with_an_outside_reference_fetches_nothing(broker: Broker) -> None:
    there = broker()
    other = broker(CATALOG=[catalog(schema={"$ref": f"http://127.0.0.1:{there.server_address[1]}/v2/catalog"})])
    request = confirm()
    work(calls=6)
    request.refresh_from_db()
    assert (request.state, there.asked, len(other.of("PUT"))) == ("succeeded", [], 1)


def test_late_success_of_an_abandoned_instance_changes_nothing(broker: Broker) -> None:
    """The broker changes its mind: it reported a failure, and then a success, which nobody asks for any more."""
    there = broker(PUT=[Reply(202)], POLL=[Reply(200, {"state": "failed"}), Reply(200, {"state": "succeeded"})])
    request = confirm()
    work(calls=6)
    request.refresh_from_db()
    assert (request.state, there.calls) == ("failed", ["PUT 1", "POLL 1", "DELETE 1"])


def test_claim_lasts_longer_than_its_calls() -> None:
    """Catalog, provisioning and last operation together: else another worker repeats what still runs."""
    assert timedelta(seconds=WHOLE) < transitions.lease()


def test_slow_broker_holds_nothing_up_beyond_the_limits(broker: Broker) -> None:
    broker(PUT=[Reply(201, act="drip")])
    confirm()
    begun = time.monotonic()
    work(calls=1)
    assert time.monotonic() - begun < 5
