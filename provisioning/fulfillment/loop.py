"""The loop that brings provisioning requests further, in workers on any number of machines.

Each round claims one row by a lease, calls its driver outside of any transaction, and writes the outcome down if the
claim still holds. A killed worker's lease runs out, and another worker repeats the call: drivers are idempotent by the
instance's id. A row of ``DriverHealth`` for each service is the circuit breaker, and serializes claims so that no more
than ``PROVISIONING_CALLS_AT_ONCE`` calls are made at the same time.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from provisioning.fulfillment import transitions
from provisioning.fulfillment.drivers import driver_of
from provisioning.fulfillment.outcomes import Failed, Outcome, Unreachable
from subscriptions.models import AbandonedInstance, DriverHealth, ProvisioningRequest

log = logging.getLogger(__name__)

State = ProvisioningRequest.State
Row = ProvisioningRequest | AbandonedInstance

# Longer than any call takes (drivers.osb.LIMITS): who holds a lease for so long has died, or sleeps.
LEASE: Final = timedelta(seconds=45)
# After so many failures in a row the breaker opens: for 5 seconds first, up to 5 minutes.
FAILURES: Final = 5
FIRST_OPEN: Final = timedelta(seconds=5)
LONGEST_OPEN: Final = timedelta(minutes=5)


def run_next() -> bool:
    """Bring one row further; False where nothing is due that may be done now."""
    row = claim()
    if row is None:
        return False
    request = row if isinstance(row, ProvisioningRequest) else row.request
    service = request.line.service
    outcome = _call(row, request)
    _note_health(service, outcome)
    if isinstance(row, ProvisioningRequest):
        transitions.record(row, outcome)
    else:
        transitions.record_deletion(row, outcome)
    return True


def claim() -> Row | None:
    """Claim the row that has been due longest, of a service that may be called; None where there is none."""
    now = transitions.database_now()
    for service in _services(now):
        with transaction.atomic():
            DriverHealth.objects.get_or_create(service=service)
            health = DriverHealth.objects.select_for_update().get(service=service)
            now = transitions.database_now()
            if health.open_until and health.open_until > now:
                continue
            allowed = 1 if health.failures >= FAILURES else settings.PROVISIONING_CALLS_AT_ONCE  # one: the probe
            if _running(service, now) >= allowed:
                continue
            for rows in (due_deletions(now), due_requests(now)):
                row: Row | None = (
                    rows.filter(_of(rows, service)).select_for_update(skip_locked=True, of=("self",)).first()
                )
                if row is not None:
                    return _lease(row, now)
    return None


def due_requests(now: datetime) -> QuerySet[ProvisioningRequest]:
    """Return the requests that may be called for now; one waits while an instance of its line is being deleted."""
    deleting = AbandonedInstance.objects.filter(request__line=OuterRef("line"), deleted_at=None)
    return (
        ProvisioningRequest.objects.filter(next_try_at__lte=now)
        .filter(Q(lease_until=None) | Q(lease_until__lte=now))
        .exclude(Q(state=State.WAITING) & Exists(deleting))
        .select_related("line", "order__customer")
        .order_by("next_try_at", "pk")
    )


def due_deletions(now: datetime) -> QuerySet[AbandonedInstance]:
    """Return the abandoned instances that may be called for now."""
    return (
        AbandonedInstance.objects.filter(next_try_at__lte=now)
        .filter(Q(lease_until=None) | Q(lease_until__lte=now))
        .select_related("request__line", "request__order__customer")
        .order_by("next_try_at", "pk")
    )


def how_many_are_due(limit: int) -> int:
    """Return how many rows are due, counted up to ``limit``."""
    now = transitions.database_now()
    return min(limit, due_requests(now)[:limit].count() + due_deletions(now)[:limit].count())


def _services(now: datetime) -> list[str]:
    found = due_requests(now).order_by().values_list("line__service", flat=True).distinct()
    deletions = due_deletions(now).order_by().values_list("request__line__service", flat=True).distinct()
    return sorted({*found, *deletions})


def _of(rows: QuerySet[ProvisioningRequest] | QuerySet[AbandonedInstance], service: str) -> Q:
    return Q(line__service=service) if rows.model is ProvisioningRequest else Q(request__line__service=service)


def _running(service: str, now: datetime) -> int:
    requests = ProvisioningRequest.objects.filter(lease_until__gt=now, line__service=service).aggregate(n=Count("pk"))
    deletions = AbandonedInstance.objects.filter(lease_until__gt=now, request__line__service=service)
    return int(requests["n"]) + deletions.count()


def _lease(row: Row, now: datetime) -> Row:
    row.fence += 1
    row.lease_until = now + LEASE
    if isinstance(row, ProvisioningRequest) and row.started_at is None:
        row.started_at = now  # from here on something may exist outside
        row.save(update_fields=["fence", "lease_until", "started_at"])
    else:
        row.save(update_fields=["fence", "lease_until"])
    return row


def _call(row: Row, request: ProvisioningRequest) -> Outcome:
    """Call the driver. What a driver raises is its own fault, and is shown to the order desk."""
    try:
        driver = driver_of(request.line.service)
        if driver.name != request.driver:
            return Unreachable(
                f"The request was made for the driver {request.driver}, and the setting names {driver.name}.",
                is_outage=False,
            )
        if isinstance(row, AbandonedInstance):
            return driver.undo(transitions.job_of(request, row), deleting=row.is_deleting)
        job = transitions.job_of(row)
        return driver.start(job) if row.state == State.WAITING else driver.poll(job)
    except Exception as problem:
        log.exception("The driver of %s failed for order %s.", request.line.service, request.order)
        return Failed("driver", f"{type(problem).__name__}: {problem}"[:500], abandon=True)


def _note_health(service: str, outcome: Outcome) -> None:
    """Count outages in a row, and open the breaker at the fifth; any other answer closes it."""
    with transaction.atomic():
        rows = DriverHealth.objects.filter(service=service)
        if not (isinstance(outcome, Unreachable) and outcome.is_outage):
            rows.exclude(failures=0).update(failures=0, open_until=None, problem="")
            return
        rows.update(failures=F("failures") + 1, problem=outcome.sentence)
        health = rows.get()
        if health.failures >= FAILURES:
            pause = min(FIRST_OPEN * 2 ** min(health.failures - FAILURES, 10), LONGEST_OPEN)
            rows.update(open_until=transitions.database_now() + pause)
