"""Provisioning requests when several things happen at the same moment: exactly one instance, and nothing lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.fulfillment import loop, transitions
from provisioning.fulfillment.outcomes import Done, Failed, Running
from provisioning.history import verification
from provisioning.models import Event
from provisioning.people import links
from subscriptions.models import AbandonedInstance, DriverHealth, Order, OrderLine, ProvisioningRequest, Subscription
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.validation import Refused
from tests.broker import Broker
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_organization, signed_in
from tests.provisioning.actions.test_concurrency import at_once, poster

pytestmark = pytest.mark.django_db(transaction=True)

State = ProvisioningRequest.State
KIM = "kim@contoso.example.org"


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    """A broker that sets both services up at once, and the product set to use it."""
    broker = Broker(seconds=0)
    broker.start()
    settings.PROVISIONING = {"meetings": broker.url, "calling": broker.url}
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    yield broker
    broker.release()
    broker.shutdown()
    broker.server_close()


def a_request(name: str = "contoso-main", *, calling: bool = False, number: int = 1) -> ProvisioningRequest:
    """A confirmed order that nothing was called for yet: the request of its first line."""
    contact = f"kim@contoso{number}.example.org"
    customer = an_organization(f"Contoso {number}", administrators=[contact])
    order = a_mapped_order(contact=contact, customer=customer, meetings=250, calling=40 if calling else 0)
    plans: dict[str, Any] = {"meetings": [SitePlan(name, "Europe/Berlin", True, 250)]}
    if calling:
        plans["calling"] = LocationPlan("Headquarters", "DE", {"city": "Berlin", "street_address": "Weg 1"})
    actions.set_up(order=order, by=links.user_for(contact), plans=plans)
    return ProvisioningRequest.objects.filter(order=order).select_related("order", "line").earliest("pk")


def run_all() -> None:
    """Do everything that is to be done, with no pauses in between."""
    for _round in range(200):
        AbandonedInstance.objects.exclude(next_try_at=None).update(
            next_try_at=timezone.now() - timedelta(hours=1), abandoned_at=timezone.now() - timedelta(hours=1)
        )
        ProvisioningRequest.objects.exclude(next_try_at=None).update(next_try_at=timezone.now() - timedelta(hours=1))
        DriverHealth.objects.update(open_until=None)
        if not loop.run_next():
            return
    raise AssertionError("it never came to an end")


def lease_is_over() -> None:
    """Let the time of every claim pass."""
    for rows in (ProvisioningRequest, AbandonedInstance):
        rows.objects.exclude(lease_until=None).update(lease_until=F("lease_until") - timedelta(hours=1))


class Aside:
    """Runs something in a thread with a connection of its own."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(8)

    def __call__(self, act: Callable[[], Any]) -> Future[Any]:
        def run() -> Any:
            try:
                return act()
            finally:
                connections.close_all()

        return self.pool.submit(run)


@pytest.fixture
def aside() -> Iterator[Aside]:
    """Threads of this test."""
    aside = Aside()
    yield aside
    aside.pool.shutdown()


def agrees(broker: Broker) -> None:
    """At the broker is one instance for each line that succeeded, and nothing else; every history is whole."""
    succeeded = ProvisioningRequest.objects.filter(state=State.SUCCEEDED, superseded_at=None)
    assert set(broker.instances) == {str(each.instance_id) for each in succeeded}
    assert Subscription.objects.filter(is_counted=True).count() == succeeded.count()
    for order in Order.objects.all():
        assert verification.check(order).problem == ""


def test_request_is_started_polled_and_the_order_is_set_up_once_all_lines_are(broker: Broker) -> None:
    request = a_request(calling=True)
    assert request.order.state == Order.State.SETTING_UP
    run_all()
    request.order.refresh_from_db()
    assert request.order.state == Order.State.SET_UP
    kinds = request.order.events.order_by("position").values_list("kind", flat=True)
    told = {Event.Kind.SETTING_UP, Event.Kind.REQUESTED, Event.Kind.PROVISIONED, Event.Kind.SET_UP}
    assert [kind for kind in kinds if kind in told] == [
        Event.Kind.SETTING_UP, Event.Kind.REQUESTED, Event.Kind.REQUESTED,
        Event.Kind.PROVISIONED, Event.Kind.PROVISIONED, Event.Kind.SET_UP,
    ]  # fmt: skip
    agrees(broker)


def test_no_transaction_is_open_and_nothing_locked_while_the_other_side_is_asked(broker: Broker, aside: Aside) -> None:
    request = a_request()
    broker.hold = {"PUT before"}
    running = aside(loop.run_next)
    broker.wait_for_held()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            " AND backend_type = 'client backend'"
        )
        assert cursor.fetchone() == (0,)
    with transaction.atomic():
        Order.objects.select_for_update(nowait=True).get(pk=request.order_id)
        ProvisioningRequest.objects.select_for_update(nowait=True).get(pk=request.pk)
        DriverHealth.objects.select_for_update(nowait=True).get(service="meetings")
    broker.release()
    assert running.result(60)


def test_fifty_confirms_ask_for_each_line_once(broker: Broker) -> None:
    order = a_mapped_order(contact=KIM, meetings=10)
    setup = Wizard(signed_in(KIM), order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    assert setup.at == "review"
    assert set(at_once(poster(setup.client, setup.url("review"), form_fields(setup.html)))) == {302}
    assert ProvisioningRequest.objects.count() == 1
    assert Event.objects.filter(kind__in=[Event.Kind.REQUESTED, Event.Kind.SETTING_UP]).count() == 2
    at_once(lambda _index: [loop.run_next() for _round in range(3)], 8)
    run_all()
    assert Counter(broker.calls)["PUT", str(ProvisioningRequest.objects.get().instance_id)] == 1
    agrees(broker)


def test_many_workers_call_for_each_request_once_and_never_more_at_once_than_allowed(
    broker: Broker, settings: Settings, aside: Aside
) -> None:
    settings.PROVISIONING_CALLS_AT_ONCE = 3
    requests = [a_request(f"at-once-{number}x", number=number) for number in range(12)]
    broker.hold = {"PUT before"}
    working = aside(lambda: at_once(work, 8))
    broker.wait_for_held(3)
    assert loop.claim() is None
    broker.release()
    working.result(60)
    assert Counter(broker.calls) == Counter(("PUT", str(request.instance_id)) for request in requests)
    assert broker.most_at_once == 3
    agrees(broker)


def work(_index: int) -> None:
    """Do what a worker does, until everything was called for."""
    while ProvisioningRequest.objects.filter(state=State.WAITING).exists():
        loop.run_next()


def test_worker_that_slept_past_its_lease_writes_nothing(broker: Broker, aside: Aside) -> None:
    request = a_request()
    broker.hold = {"PUT after"}
    sleeper = aside(loop.run_next)
    broker.wait_for_held()
    lease_is_over()
    second = aside(loop.run_next)  # the same instance: the broker finds it there
    broker.wait_for_held(2)
    broker.release()
    assert sleeper.result(60) is second.result(60) is True
    run_all()
    assert Counter(broker.calls)["PUT", str(request.instance_id)] == 2
    assert request.order.events.filter(kind=Event.Kind.PROVISIONED).count() == 1
    agrees(broker)


def test_late_claim_changes_nothing_whatever_it_brings(broker: Broker) -> None:
    request = a_request()
    late = loop.claim()
    assert isinstance(late, ProvisioningRequest)
    lease_is_over()
    run_all()
    for outcome in (Done(), Running(), Failed("failed", "No.", abandon=True)):
        assert transitions.record(late, outcome) is False
    request.refresh_from_db()
    assert request.state == State.SUCCEEDED
    assert not AbandonedInstance.objects.exists()
    agrees(broker)


@pytest.mark.parametrize("point", ["PUT before", "PUT after"])
def test_taken_back_while_its_start_is_called_leaves_nothing_behind(broker: Broker, aside: Aside, point: str) -> None:
    request = a_request()
    broker.hold = {point}
    running = aside(loop.run_next)
    broker.wait_for_held()
    actions.stop_set_up(order=request.order, by=links.user_for(request.requested_by))
    assert loop.claim() is None  # the deletion waits for the call that could still make it
    broker.release()
    running.result(60)
    run_all()
    request.refresh_from_db()
    request.order.refresh_from_db()
    assert (request.state, request.order.state) == (State.CANCELLED, Order.State.MAPPED)
    assert broker.instances == {}
    again = {"meetings": [SitePlan("contoso-main", "Europe/Berlin", True, 250)]}
    actions.set_up(order=request.order, by=links.user_for(request.requested_by), plans=again)
    run_all()
    agrees(broker)


def test_taken_back_and_the_worker_dies_with_the_answer_leaves_nothing_behind(broker: Broker) -> None:
    request = a_request()
    loop.claim()  # it dies here; its call arrives late
    actions.stop_set_up(order=request.order, by=links.user_for(request.requested_by))
    assert loop.claim() is None
    AbandonedInstance.objects.update(next_try_at=timezone.now())  # its lease is over
    assert loop.run_next()
    row = AbandonedInstance.objects.get()
    assert row.deleted_at is not None
    broker.answer("PUT", str(request.instance_id), {"parameters": request.parameters})
    AbandonedInstance.objects.update(
        abandoned_at=timezone.now() - timedelta(hours=1), next_try_at=timezone.now() - timedelta(seconds=1)
    )
    assert loop.run_next()
    row.refresh_from_db()
    assert row.next_try_at is None
    assert broker.instances == {}


def test_claim_and_taking_back_at_the_same_moment_never_overwrite_each_other(broker: Broker, aside: Aside) -> None:
    request = a_request()
    with transaction.atomic():
        ProvisioningRequest.objects.select_for_update().get(pk=request.pk)  # as a claim does, before it commits
        taking = aside(lambda: actions.stop_set_up(order=request.order, by=links.user_for(request.requested_by)))
        _until_somebody_waits_for_a_lock()
        ProvisioningRequest.objects.filter(pk=request.pk).update(
            fence=F("fence") + 1, started_at=timezone.now(), lease_until=timezone.now() + timedelta(seconds=60)
        )
        claimed = ProvisioningRequest.objects.get(pk=request.pk)
    taking.result(60)
    assert transitions.record(claimed, Done()) is False
    run_all()
    request.refresh_from_db()
    assert request.state == State.CANCELLED
    assert AbandonedInstance.objects.filter(deleted_at__isnull=False).count() == 1
    agrees(broker)


def _until_somebody_waits_for_a_lock() -> None:
    with connection.cursor() as cursor:
        for _try in range(10_000):
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits for a lock")


@pytest.mark.parametrize("first", ["cancel", "success"])
def test_cancel_against_success_at_the_same_moment(broker: Broker, aside: Aside, first: str) -> None:
    request = a_request(calling=True)
    run = {
        "cancel": lambda: actions.cancel_order(order=request.order, by=None),
        "success": loop.run_next,
    }
    loop.run_next()  # Meetings is in progress
    ProvisioningRequest.objects.filter(line__service="calling").update(next_try_at=timezone.now() + timedelta(hours=1))
    ProvisioningRequest.objects.filter(pk=request.pk).update(next_try_at=timezone.now())
    second = "success" if first == "cancel" else "cancel"
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=request.order_id)
        running = [aside(run[first])]
        _until_somebody_waits_for_a_lock()
        running.append(aside(run[second]))
        _until_two_wait()
    for each in running:
        each.result(60)
    run_all()
    request.order.refresh_from_db()
    assert request.order.state == Order.State.CANCELLED
    assert set(ProvisioningRequest.objects.values_list("state", flat=True)) == {State.CANCELLED}
    assert broker.instances == {}
    assert not Subscription.objects.filter(is_counted=True).exists()
    agrees(broker)


def _until_two_wait() -> None:
    with connection.cursor() as cursor:
        for _try in range(10_000):
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() == (2,):
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("two don't wait")


def test_order_cancelled_after_a_line_was_set_up_undoes_that_line_and_keeps_its_name(broker: Broker) -> None:
    request = a_request(calling=True)
    ProvisioningRequest.objects.filter(line__service="calling").update(next_try_at=timezone.now() + timedelta(days=1))
    while loop.run_next():
        ProvisioningRequest.objects.filter(pk=request.pk, next_try_at__isnull=False).update(next_try_at=timezone.now())
    assert Subscription.objects.filter(is_counted=True).count() == 1
    actions.cancel_order(order=request.order, by=None)
    run_all()
    assert broker.instances == {}
    assert not Subscription.objects.filter(is_counted=True).exists()
    agrees(broker)


def test_desk_retries_twice_at_once_and_waits_until_what_was_left_is_deleted(broker: Broker) -> None:
    request = a_request("fails-once")
    desk = links.user_for("desk@vendor.example.com")
    loop.run_next()
    ProvisioningRequest.objects.update(next_try_at=timezone.now())
    loop.run_next()
    request.refresh_from_db()
    assert (request.state, request.problem) == (State.FAILED, "No room.")

    def retry(_index: int) -> bool:
        try:
            transitions.retry(request=request, by=desk)
        except Refused:
            return False
        return True

    assert sorted(at_once(retry, 8)) == [False] * 7 + [True]
    again = ProvisioningRequest.objects.get(superseded_at=None)
    assert again.instance_id != request.instance_id
    broker.instances[str(request.instance_id)]["name"] = "fails-still"
    claimed = loop.claim()
    assert isinstance(claimed, AbandonedInstance)  # before the new one is asked for
    assert loop.claim() is None
    lease_is_over()
    loop.run_next()
    assert str(request.instance_id) not in broker.instances
    claimed = loop.claim()
    assert isinstance(claimed, ProvisioningRequest)
    assert claimed.pk == again.pk


def test_report_against_poll_counts_once(broker: Broker, aside: Aside) -> None:
    request = a_request()
    loop.run_next()
    ProvisioningRequest.objects.update(next_try_at=timezone.now())
    broker.hold = {"GET after"}
    polling = aside(loop.run_next)
    broker.wait_for_held()
    assert transitions.report(request=request, outcome=Done())
    assert transitions.report(request=request, outcome=Done())  # the same news twice
    assert not transitions.report(request=request, outcome=Failed("failed", "No."))  # it changes its mind
    broker.release()
    polling.result(60)
    request.refresh_from_db()
    assert request.state == State.SUCCEEDED
    assert request.order.events.filter(kind=Event.Kind.PROVISIONED).count() == 1
    agrees(broker)


def test_broker_that_forgets_an_instance_that_was_begun(broker: Broker) -> None:
    request = a_request()
    loop.run_next()
    broker.instances.clear()
    run_all()
    request.refresh_from_db()
    assert (request.state, request.problem_code) == (State.FAILED, "forgotten")
    transitions.retry(request=request, by=links.user_for("desk@vendor.example.com"))
    run_all()
    request.order.refresh_from_db()
    assert request.order.state == Order.State.SET_UP
    agrees(broker)


def test_broker_that_answers_after_its_deadline_makes_nothing_that_stays(
    broker: Broker, aside: Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.fulfillment.drivers import osb
    from provisioning.integration.http_client import Limits

    monkeypatch.setattr(osb, "LIMITS", Limits(connect=5, read=0.3, whole=1))
    request = a_request()
    broker.hold = {"PUT before"}
    loop.run_next()
    request.refresh_from_db()
    old = AbandonedInstance.objects.get()
    assert request.state == State.WAITING
    assert request.instance_id != old.instance_id
    AbandonedInstance.objects.update(next_try_at=timezone.now())
    loop.run_next()  # deleted before it is there
    broker.release()
    broker.answer("GET", str(old.instance_id), {})
    with broker.lock:
        assert broker.lock.wait_for(lambda: str(old.instance_id) in broker.instances or broker.held == [], 60)
    run_all()
    run_all()
    agrees(broker)


def test_clock_of_a_host_that_is_an_hour_off_does_not_matter(broker: Broker) -> None:
    for number, off in enumerate((timedelta(hours=1), timedelta(hours=-1))):
        with time_machine.travel(timezone.now() + off, tick=True):
            request = a_request(f"at-once-{number}x", number=number)
            while loop.run_next():  # due at once, whatever this host thinks
                pass
            request.order.refresh_from_db()
            assert request.order.state == Order.State.SET_UP
            begun = a_request(f"contoso-{number}x", number=number + 10)
            claimed = loop.claim()
            assert isinstance(claimed, ProvisioningRequest)
            assert loop.claim() is None  # nobody takes over from who is at it
            assert transitions.record(claimed, Running())
            begun.refresh_from_db()
        now = timezone.now()
        assert begun.next_try_at
        assert abs(begun.next_try_at - now) < timedelta(minutes=5)
        assert abs(Subscription.objects.get(line__order=request.order).starts_at - now) < timedelta(minutes=5)


def test_breaker_opens_after_five_outages_probes_with_one_call_and_closes(broker: Broker) -> None:
    for number in range(8):
        a_request(f"at-once-{number}x", number=number)
    broker.shutdown()
    broker.server_close()
    calls = 0
    while loop.run_next():
        calls += 1
    assert calls == loop.FAILURES
    health = DriverHealth.objects.get(service="meetings")
    assert health.open_until
    assert health.open_until > transitions.database_now()
    assert loop.how_many_are_due(10) == 0
    # Also what was not called by now says that nobody can be reached.
    assert not ProvisioningRequest.objects.filter(unreachable_since=None).exists()
    back = Broker(broker.server_address[1], seconds=0)
    back.start()
    try:
        DriverHealth.objects.update(open_until=timezone.now() - timedelta(seconds=1))
        assert loop.how_many_are_due(10) > 0
        probe = loop.claim()
        assert isinstance(probe, ProvisioningRequest)
        assert loop.claim() is None  # one call at a time until it answers
        lease_is_over()
        run_all()
        assert DriverHealth.objects.get(service="meetings").failures == 0
        agrees(back)
    finally:
        back.shutdown()
        back.server_close()


def test_request_that_nobody_is_called_for_does_not_close_the_breaker(broker: Broker, settings: Settings) -> None:
    a_request()
    DriverHealth.objects.create(service="meetings", failures=loop.FAILURES)
    settings.PROVISIONING = settings.PROVISIONING | {"meetings": "callback"}
    assert loop.run_next()
    assert DriverHealth.objects.get().failures == loop.FAILURES


def test_unreachable_for_three_days_fails_and_says_so(broker: Broker) -> None:
    request = a_request()
    broker.shutdown()
    broker.server_close()
    pauses = []
    for _try in range(12):
        assert loop.run_next()
        request.refresh_from_db()
        assert request.next_try_at
        pauses.append(request.next_try_at - transitions.database_now())
        ProvisioningRequest.objects.update(next_try_at=timezone.now())
        DriverHealth.objects.update(failures=0, open_until=None)
    assert timedelta(seconds=1) < pauses[0] < timedelta(seconds=3)
    assert timedelta(minutes=11) < pauses[-1] < timedelta(minutes=19)
    ProvisioningRequest.objects.update(unreachable_since=timezone.now() - timedelta(days=3))
    assert loop.run_next()
    request.refresh_from_db()
    assert (request.state, request.problem_code) == (State.FAILED, "unreachable")


def test_site_name_of_an_order_that_is_being_set_up_is_nobody_elses(broker: Broker) -> None:
    a_request("contoso-main")
    Order.objects.update(closes_at=F("closes_at"))
    with pytest.raises(Refused):
        a_request("contoso-main", number=2)


def test_database_keeps_the_state_of_an_order_in_line_with_its_requests(broker: Broker) -> None:
    request = a_request(calling=True)
    order, rows = Order.objects.filter(pk=request.order_id), ProvisioningRequest.objects.filter(pk=request.pk)
    for change in (
        lambda: order.update(state="set_up", set_up_at=timezone.now()),
        lambda: order.update(state="mapped"),
        lambda: order.update(state="cancelled", cancelled_at=timezone.now()),
        lambda: ProvisioningRequest.objects.update(state="cancelled", next_try_at=None),
        lambda: ProvisioningRequest.objects.update(state="succeeded", next_try_at=None),
    ):
        with pytest.raises(IntegrityError, match="does not follow from its lines"), transaction.atomic():
            change()  # type: ignore[no-untyped-call]
    run_all()
    for state in ("failed", "refused", "waiting", "in_progress"):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(state=state, problem_code="x")
    with pytest.raises(IntegrityError, match="does not follow"), transaction.atomic():
        rows.update(superseded_at=timezone.now())
    with pytest.raises(IntegrityError, match="does not follow"), transaction.atomic():
        OrderLine.objects.create(order=request.order, service="webcast", product="Webcast", licenses=1, number=9)
