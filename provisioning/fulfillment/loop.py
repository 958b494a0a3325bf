"""The loop that brings provisioning requests further, in workers on any number of machines.

Each round claims one row by a lease, calls its driver outside of any transaction, and writes the outcome down if the
claim still holds. A killed worker's lease runs out, and another worker repeats the call: drivers are idempotent by the
instance's id. A row of ``DriverHealth`` for each service is the circuit breaker, and serializes claims so that no more
than ``PROVISIONING_CALLS_AT_ONCE`` calls are made at the same time. Every time is the database's.

Locks: a claim waits for the service's ``DriverHealth`` and then for nothing (``skip_locked``); everything else locks
the order, then its requests, then what is abandoned. So no two transactions ever wait for each other.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from provisioning.fulfillment import transitions
from provisioning.fulfillment.drivers import driver_of
from provisioning.fulfillment.outcomes import Failed, Outcome, Unreachable
from subscriptions.models import AbandonedInstance, DriverHealth, ProvisioningRequest

log = logging.getLogger(__name__)

State = ProvisioningRequest.State
Row = ProvisioningRequest | AbandonedInstance

# After so many failures in a row the breaker opens: for 5 seconds first, up to 5 minutes.
FAILURES: Final = 5
FIRST_OPEN: Final = timedelta(seconds=5)
LONGEST_OPEN: Final = timedelta(minutes=5)

_FREE: Final = Q(lease_until=None) | Q(lease_until__lte=Now())
_NO_TIME: Final = timedelta(0)


def run_next() -> bool:
    """Bring one row further; False where nothing is due that may be done now."""
    row = claim()
    if row is None:
        return False
    request = row if isinstance(row, ProvisioningRequest) else row.request
    outcome, called = _call(row, request)
    if called:
        _note_health(request.line.service, outcome)
    if isinstance(row, ProvisioningRequest):
        transitions.record(row, outcome)
    else:
        transitions.record_deletion(row, outcome)
    return True


def claim() -> Row | None:
    """Claim the row that has been due longest, of a service that may be called; None where there is none."""
    for service in _services():
        with transaction.atomic():
            health = _locked_health(service)
            if health.open_until and health.open_until > transitions.database_now():
                continue
            allowed = 1 if health.failures >= FAILURES else settings.PROVISIONING_CALLS_AT_ONCE  # one: the probe
            if _running(service) >= allowed:
                continue
            row: Row | None = _lease(due_deletions().filter(request__line__service=service)) or _lease(
                due_requests().filter(line__service=service)
            )
        if row is not None:
            return row
    return None


def due_requests(within: timedelta = _NO_TIME) -> QuerySet[ProvisioningRequest]:
    """Return the requests that may be called for now or soon, the longest due first.

    A request waits while an instance of its line is being deleted, but not for good where that can't be done.
    """
    deleting = AbandonedInstance.objects.filter(
        request__line=OuterRef("line"), deleted_at=None, abandoned_at__gt=Now() - transitions.KEEP_TRYING
    )
    return (
        ProvisioningRequest.objects.filter(_FREE, next_try_at__lte=Now() + within)
        .exclude(Q(state=State.WAITING) & Exists(deleting))
        .order_by("next_try_at", "pk")
    )


def due_deletions(within: timedelta = _NO_TIME) -> QuerySet[AbandonedInstance]:
    """Return the abandoned instances that may be called for now or soon, the longest due first."""
    return AbandonedInstance.objects.filter(_FREE, next_try_at__lte=Now() + within).order_by("next_try_at", "pk")


def how_many_are_due(limit: int, within: timedelta = _NO_TIME) -> int:
    """Return how many rows may be called for now or soon, counted up to ``limit``."""
    return min(limit, sum(rows[:limit].count() for rows in _callable(within)))


def seconds_to_next(within: timedelta) -> float | None:
    """Return in how many seconds the next row comes due that isn't due yet; None where none does ``within`` so long."""
    times = [
        rows.filter(next_try_at__gt=Now()).order_by().aggregate(at=Min("next_try_at")) for rows in _callable(within)
    ]
    first = min((time["at"] for time in times if time["at"]), default=None)
    return max(0.0, (first - transitions.database_now()).total_seconds()) if first else None


def _callable(
    within: timedelta = _NO_TIME,
) -> tuple[QuerySet[ProvisioningRequest], QuerySet[AbandonedInstance]]:
    """Those of services whose breaker lets a call through."""
    open_breakers = DriverHealth.objects.filter(open_until__gt=Now())
    return (
        due_requests(within).exclude(Exists(open_breakers.filter(service=OuterRef("line__service")))),
        due_deletions(within).exclude(Exists(open_breakers.filter(service=OuterRef("request__line__service")))),
    )


def _services() -> list[str]:
    """The services with something that may be called now, the one that has waited longest first."""
    requests, deletions = _callable()
    waiting = requests.order_by().values_list("line__service").annotate(first=Min("next_try_at"))
    deleting = deletions.order_by().values_list("request__line__service").annotate(first=Min("next_try_at"))
    return list(dict.fromkeys(service for service, _at in waiting.union(deleting).order_by("first")))


def _locked_health(service: str) -> DriverHealth:
    rows = DriverHealth.objects.select_for_update().filter(service=service)
    if health := rows.first():
        return health
    DriverHealth.objects.bulk_create([DriverHealth(service=service)], ignore_conflicts=True)
    return rows.get()


def _running(service: str) -> int:
    """Count the calls that are being made, on all machines."""
    requests = ProvisioningRequest.objects.filter(lease_until__gt=Now(), line__service=service)
    deletions = AbandonedInstance.objects.filter(lease_until__gt=Now(), request__line__service=service)
    return requests.count() + deletions.count()


def _lease(due: QuerySet[Any]) -> Any:
    """Lease the first of these rows that nobody has locked, and return it as it is then; None where there is none."""
    found = due.select_for_update(skip_locked=True, of=("self",), no_key=True).values_list("pk", flat=True).first()
    if found is None:
        return None
    rows = due.model._default_manager.filter(pk=found)
    rows.update(fence=F("fence") + 1, lease_until=Now() + transitions.lease())
    if due.model is ProvisioningRequest:  # from here on something may exist outside
        rows.update(started_at=Coalesce("started_at", Now()))
        return rows.select_related("line", "order__customer").get()
    return rows.select_related("request__line", "request__order__customer").get()


def _call(row: Row, request: ProvisioningRequest) -> tuple[Outcome, bool]:
    """Call the driver; return its answer, and whether it was called. What it raises is its own fault, for the desk.

    :raises Error: our own database is away; the call is repeated when the lease is over.
    """
    try:
        driver = driver_of(request.line.service)
        if driver.name != request.driver:
            sentence = f"The request was made for the driver {request.driver}, and the setting names {driver.name}."
            return Unreachable(sentence, is_outage=False), False
        if isinstance(row, AbandonedInstance):
            return driver.undo(transitions.job_of(request, row), deleting=row.is_deleting), True
        job = transitions.job_of(row)
        return (driver.start(job) if row.state == State.WAITING else driver.poll(job)), True
    except Error:
        raise
    except Exception as problem:
        log.exception("The driver of %s failed for order %s.", request.line.service, request.order)
        return Failed("driver", f"{type(problem).__name__}: {problem}"[:500], abandon=True), True


def _note_health(service: str, outcome: Outcome) -> None:
    """Count outages in a row, and open the breaker at the fifth; any other answer closes it.

    Calls that began before it opened and fail later don't keep it open for longer.
    """
    is_outage = isinstance(outcome, Unreachable) and outcome.is_outage
    rows = DriverHealth.objects.filter(service=service)
    if not is_outage and not rows.exclude(failures=0).exists():
        return
    with transaction.atomic():
        health, now = _locked_health(service), transitions.database_now()
        if not isinstance(outcome, Unreachable) or not outcome.is_outage:
            health.failures, health.open_until, health.problem = 0, None, ""
        elif not health.open_until or health.open_until <= now:
            health.failures, health.problem = health.failures + 1, outcome.sentence
            if health.failures >= FAILURES:
                longest = min(LONGEST_OPEN, timedelta(seconds=settings.PROVISIONING_LONGEST_PAUSE_SECONDS))
                pause = min(FIRST_OPEN * 2 ** min(health.failures - FAILURES, 10), longest)
                health.open_until = now + pause
                _note_unreachable(service, outcome.sentence, now)
        health.save()


def _note_unreachable(service: str, sentence: str, now: datetime) -> None:
    """Note of every request of a service that is due, and isn't called while the breaker is open, that it waits.

    People and the order desk then read it of all of them, and the days for which they are tried begin.
    """
    rows = due_requests().filter(line__service=service, unreachable_since=None)
    waiting = rows.select_for_update(skip_locked=True, of=("self",), no_key=True).values_list("pk", flat=True)
    ProvisioningRequest.objects.filter(pk__in=list(waiting)).update(unreachable_since=now, problem=sentence)
