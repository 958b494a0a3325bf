"""What /metrics shows: counters of this host's processes, and gauges that are read from the database for each answer.

Processes of a host share counters and histograms through files (``provisioning.deployment.metrics_folder``).
The finder's and the PDF's are defined where they are measured: ``orgs.finder.matching``, ``orgs.rate_limits``,
``subscriptions.summary.pdf_cache``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from provisioning.deployment import networks
from provisioning.monitoring import health

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
REQUESTS: Final = Counter(
    "provisioning_http_requests", "Answered requests by route and status.", ["method", "route", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    "provisioning_http_request_seconds",
    "Seconds from a request to its answer.",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EMAILS: Final = Counter("provisioning_emails", "Tries to send an email: sent, failed, given_up.", ["kind", "outcome"])
POOL_WAIT: Final = Counter("provisioning_pool_wait_seconds", "Seconds that requests waited for a database connection.")
POOL_QUEUED: Final = Counter("provisioning_pool_queued", "Requests that waited for a database connection.")
POOL_ERRORS: Final = Counter("provisioning_pool_errors", "Requests that got no database connection.")

_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def may_read(request: HttpRequest) -> bool:
    """Say whether a request may read the metrics: from MONITORING_NETWORKS, or with METRICS_TOKEN."""
    scheme, _space, token = str(request.headers.get("Authorization", "")).partition(" ")
    with_token = bool(settings.METRICS_TOKEN) and scheme.lower() == "bearer"
    if with_token and constant_time_compare(token.strip().encode(), settings.METRICS_TOKEN.encode()):
        return True
    return networks.is_monitoring(request)


def render() -> bytes:
    """Return all metrics in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_BothRegistries())
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(FromDatabase())
    return generate_latest(registry)


def count_request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request, and what its process waited for connections since the last one."""
    REQUESTS.labels(method if method in _METHODS else "other", route, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    pool = getattr(connection, "pool", None)
    if pool is not None:
        stats = pool.pop_stats()
        POOL_WAIT.inc(stats.get("requests_wait_ms", 0) / 1000)
        POOL_QUEUED.inc(stats.get("requests_queued", 0))
        POOL_ERRORS.inc(stats.get("requests_errors", 0))


class FromDatabase(Collector):
    """Gauges of the whole installation: each host shows the same."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges. Where the database is away, only that is said."""
        part = GaugeMetricFamily("provisioning_part_ok", "1 where a part of the installation is ok.", labels=["part"])
        for line in health.report():
            part.add_metric([line.name.replace(" ", "_")], float(line.ok))
        yield part
        try:
            yield from _queues()
            yield from _provisioning()
        except DatabaseError:
            return


class _BothRegistries(CollectorRegistry):
    """This process's metrics and those of the database, where there is one process only."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        yield from FromDatabase().collect()


def _queues() -> Iterator[Metric]:
    age = GaugeMetricFamily("provisioning_queue_age_seconds", "Seconds for which a row has been due.", labels=["queue"])
    waiting = GaugeMetricFamily("provisioning_queue_waiting", "Rows that wait.", labels=["queue"])
    given_up = GaugeMetricFamily("provisioning_queue_given_up", "Rows for the order desk to mend.", labels=["queue"])
    for name in health.LAGS:
        seconds, count, ended = health.lag(name)
        age.add_metric([name], seconds)
        waiting.add_metric([name], count)
        given_up.add_metric([name], ended)
    worker = GaugeMetricFamily("provisioning_worker_report_age_seconds", "Seconds since a worker last reported.")
    report = health.worker_report_age()
    if report is not None:
        worker.add_metric([], report)
    yield from (age, waiting, given_up, worker)


def _provisioning() -> Iterator[Metric]:
    """Requests that are open or failed; those that succeeded are history, and too many to count for each answer."""
    gauge = GaugeMetricFamily(
        "provisioning_requests", "Provisioning requests that are open or failed.", labels=["state", "driver"]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, driver, count(*) FROM subscriptions_provisioningrequest WHERE superseded_at IS NULL"
            " AND (next_try_at IS NOT NULL OR state = 'failed') GROUP BY state, driver"
        )
        for state, driver, count in cursor.fetchall():
            gauge.add_metric([state, driver], count)
    yield gauge
