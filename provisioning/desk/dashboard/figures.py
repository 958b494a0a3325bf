"""The figures of the order desk's dashboard: one statement for each table, over the orders of a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from provisioning.desk.deadlines import of_date
from provisioning.desk.lists import order_filters
from subscriptions import packs
from subscriptions.models import DriverHealth, Order

# Days that can be chosen; 0: all orders.
PERIODS: Final = (7, 30, 90, 365, 0)
PERIOD: Final = 30

# An order that was mapped was opened, also where nobody noted it. Times in seconds.
_FUNNEL: Final = """
SELECT count(*), count(*) FILTER (WHERE opened), count(mapped_at), count(set_up_at),
       count(*) FILTER (WHERE state = 'cancelled'),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM opened_at - placed_at)),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM mapped_at - greatest(opened_at, placed_at))),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM set_up_at - mapped_at)),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM set_up_at - placed_at))
FROM (
    SELECT *, opened_at IS NOT NULL OR mapped_at IS NOT NULL AS opened
    FROM subscriptions_order WHERE placed_at >= %s
) known
"""
# Requests that count, by service and driver. The time to success is in seconds.
_HEALTH: Final = """
SELECT l.service, r.driver, count(*) FILTER (WHERE r.state IN ('waiting', 'in_progress')),
       count(*) FILTER (WHERE r.state IN ('waiting', 'in_progress') AND r.unreachable_since IS NOT NULL),
       count(*) FILTER (WHERE r.state = 'succeeded'), count(*) FILTER (WHERE r.state = 'refused'),
       count(*) FILTER (WHERE r.state = 'failed'),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN r.state = 'succeeded'
                                                        THEN extract(epoch FROM r.state_since - r.requested_at) END)
FROM subscriptions_provisioningrequest r JOIN subscriptions_orderline l ON l.id = r.line_id
WHERE r.superseded_at IS NULL AND r.requested_at >= %s
GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Stage:
    """One stage of the funnel: how many orders of the period reached it, and the median time from the stage before."""

    name: str
    count: int
    share: int  # per cent of the orders placed
    median: timedelta | None


@dataclass(frozen=True)
class Stuck:
    """A reason for which orders don't go on, how many have it now, and the filter that lists them."""

    reason: str
    count: int
    query: str


@dataclass(frozen=True)
class Health:
    """How one service is being set up by one driver: requests of the period by state; the median time to success."""

    service: str
    driver: str
    open: int
    unreachable: int
    succeeded: int
    refused: int
    failed: int
    median: timedelta | None
    is_paused: bool  # nothing is sent to the other side for a while, because it failed several times in a row


def since(days: int) -> datetime:
    """Return when a period of so many days began; long ago for 0, which is all."""
    now = timezone.now()
    return now - timedelta(days=days) if days else datetime(2000, 1, 1, tzinfo=now.tzinfo)


def funnel(days: int) -> tuple[list[Stage], int, timedelta | None]:
    """Return the stages, how many of the orders were cancelled, and the median time from placed to set up."""
    with connection.cursor() as cursor:
        cursor.execute(_FUNNEL, [since(days)])
        placed, opened, mapped, done, cancelled, *medians = cursor.fetchone()
    to_open, to_map, to_set_up, whole = (
        timedelta(seconds=float(each)) if each is not None else None for each in medians
    )
    rows = ((_("Placed"), placed, None), (_("Opened"), opened, to_open), (_("Mapped"), mapped, to_map))
    stages = [
        Stage(name, count, round(100 * count / placed) if placed else 0, median)
        for name, count, median in (*rows, (_("Set up"), done, to_set_up))
    ]
    return stages, cancelled, whole


def stuck() -> list[Stuck]:
    """Return why orders don't go on, as of now, the most frequent reason first."""
    orders = Order.objects.all()
    reasons: dict[str, tuple[str, Any]] = {
        "date=closed": (_("Closed before it was set up"), of_date(orders, "closed")),
        "unopened=7": (_("Not opened for a week"), orders.filter(order_filters.unopened(7))),
        "acts=administrator": (
            _("An administrator has to decide"),
            orders.filter(order_filters.must_act("administrator")),
        ),
        "hold=yes": (_("On hold"), orders.filter(order_filters.on_hold())),
        "set_up=failed": (_("The set-up failed, or is out of reach"), orders.filter(order_filters.failed())),
        "set_up=refused": (_("The customer has to change an answer"), orders.filter(order_filters.refused())),
        "emails=problem": (_("An email was not delivered"), orders.filter(order_filters.bounced())),
    }
    found = [Stuck(reason, rows.order_by().values("pk").count(), query) for query, (reason, rows) in reasons.items()]
    return sorted(found, key=lambda each: -each.count)


def health(days: int) -> list[Health]:
    """Return how each service is being set up."""
    paused = set(DriverHealth.objects.filter(open_until__gt=timezone.now()).values_list("service", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_HEALTH, [since(days)])
        rows = cursor.fetchall()
    return [
        Health(
            service=packs.label_of(service),
            driver=driver,
            open=waiting,
            unreachable=unreachable,
            succeeded=succeeded,
            refused=refused,
            failed=failed,
            median=timedelta(seconds=float(median)) if median is not None else None,
            is_paused=service in paused,
        )
        for service, driver, waiting, unreachable, succeeded, refused, failed, median in rows
    ]
