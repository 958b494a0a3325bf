"""How many lines a minute go through a broker, by how many workers, beside a bare loop over the same broker.

The broker sets up in 100 ms, at most sixteen at once; the workers are the product's own command, each a process.
``LINES`` and ``WORKERS`` (``1,4``) may be set. Asked for by path.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from orgs.models import Organization
from provisioning import actions
from provisioning.local.database import postgres
from provisioning.people import links
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.packs.meetings import SitePlan
from tests.broker import control
from tests.factories import a_mapped_order, an_organization
from tests.long.local_machine import ROOT, environ, eventually
from tests.long.test_local_demo import free_port

pytestmark = pytest.mark.django_db(transaction=True)

LINES = int(os.environ.get("LINES", "1000"))
WORKERS = [int(each) for each in os.environ.get("WORKERS", "1,2,4").split(",")]
SECONDS, CAPACITY = 0.1, 16
KIM = "kim@contoso.example.org"


@pytest.fixture
def broker(settings: Settings) -> Iterator[int]:
    """A broker in a process of its own; its port."""
    port = free_port()
    settings.PROVISIONING = {"meetings": f"osb+http://user:password@127.0.0.1:{port}"}
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    command = ["-m", "tests.broker", "--port", str(port), "--seconds", str(SECONDS), "--capacity", str(CAPACITY)]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    eventually(lambda: _answers(port), "the broker answers")
    yield port
    process.kill()
    process.wait()


def _answers(port: int) -> bool:
    try:
        control(port)
    except OSError:
        return False
    return True


def bare(port: int) -> float:
    """Set up as many in a loop that does nothing else, sixteen at once; return the seconds."""

    def put(number: int) -> None:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = {"parameters": {"sites": [{"name": f"at-once-bare-{number}"}]}}
        asked.request("PUT", f"/v2/service_instances/{uuid.uuid4()}", json.dumps(body))
        assert asked.getresponse().status == 201

    begun = time.monotonic()
    with ThreadPoolExecutor(CAPACITY) as pool:
        list(pool.map(put, range(LINES)))
    return time.monotonic() - begun


def confirm(customer: Organization, start: int) -> None:
    """Make orders whose lines wait; due a minute ago, but nobody was woken."""
    by = links.user_for(KIM)
    for number in range(start, start + LINES):
        order = a_mapped_order(contact=KIM, customer=customer, meetings=1)
        plans = {"meetings": [SitePlan(f"at-once-{number}x", "Europe/Berlin", True, 1)]}
        actions.set_up(order=order, by=by, plans=plans)


def start_worker(port: int) -> subprocess.Popen[bytes]:
    """Start a worker on the tests' database."""
    url = os.environ.get("DATABASE_URL") or postgres.url(django_settings.STATE_DIR)
    place, query, options = url.partition("?")
    environment = environ(
        DATABASE_URL=f"{place.rpartition('/')[0]}/{connection.settings_dict['NAME']}{query}{options}",
        DJANGO_SETTINGS_MODULE="provisioning.settings",
        PYTHONPATH=str(ROOT),
        STATE_DIR=str(django_settings.STATE_DIR),
        SECRET_KEY=django_settings.SECRET_KEY,
        PROVISIONING_MEETINGS=f"osb+http://user:password@127.0.0.1:{port}",
        PROVISIONING_CALLS_AT_ONCE=str(CAPACITY),
        OUTGOING_ALLOW_PRIVATE="127.0.0.0/8",
        EMAIL_URL="dummymail://",
        LOG_LEVEL="ERROR",
    )
    command = [sys.executable, "-m", "django", "procrastinate", "worker"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def percentiles(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """The median and the 95th percentile of what a line took from its claim on, in milliseconds."""
    took = sorted((row["state_since"] - row["started_at"]).total_seconds() * 1000 for row in rows)
    return statistics.median(took), took[int(len(took) * 0.95)]


def measure(broker: int, customer: Organization, count: int) -> None:
    """Let so many workers set up LINES lines that wait already, and print what it took."""
    before = ProvisioningRequest.objects.count()
    confirm(customer, before)
    with connection.cursor() as cursor:  # only provisioning is measured here, not emails and PDFs
        cursor.execute("DELETE FROM procrastinate_jobs WHERE task_name <> 'provisioning.tasks.provision'")
    open_ones = ProvisioningRequest.objects.exclude(state="succeeded")
    workers = [start_worker(broker) for _worker in range(count)]
    eventually(lambda: ProvisioningRequest.objects.count() - open_ones.count() > before, "it has begun", 120)
    begun, left = timezone.now(), open_ones.count()
    eventually(lambda: not open_ones.exists(), "all are set up", 600)
    took = (timezone.now() - begun).total_seconds()
    for worker in workers:
        worker.kill()
        worker.wait()
    rows: list[Any] = list(ProvisioningRequest.objects.order_by("-pk").values("state_since", "started_at")[:LINES])
    median, slow = percentiles(rows)
    print(
        f"{count} workers: {left} lines in {took:.1f} s, {left / took:.0f} a second;"
        f" a line took {median:.0f} ms (95 %: {slow:.0f} ms), the broker {SECONDS * 1000:.0f} ms"
    )


def test_lines_through_a_broker(broker: int) -> None:
    customer = an_organization("Contoso", administrators=[KIM])
    alone = bare(broker)
    print(f"\nbare loop: {LINES} in {alone:.1f} s, {LINES / alone:.0f} a second")
    for count in WORKERS:
        measure(broker, customer, count)
    assert Order.objects.filter(state="set_up").count() == LINES * len(WORKERS)
    assert len(control(broker)["instances"]) == LINES * (len(WORKERS) + 1)


def test_one_line_at_a_time(broker: int) -> None:
    """The latency of a line whose worker is idle: from the confirmation's commit to its success."""
    customer = an_organization("Contoso", administrators=[KIM])
    by = links.user_for(KIM)
    worker = start_worker(broker)
    took: dict[str, list[float]] = {"at-once": [], "later": []}
    try:
        for number in range(40):
            kind = "at-once" if number % 2 else "later"
            order = a_mapped_order(contact=KIM, customer=customer, meetings=1)
            plans = {"meetings": [SitePlan(f"{kind}-{number}x", "Europe/Berlin", True, 1)]}
            actions.set_up(order=order, by=by, plans=plans)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM procrastinate_jobs WHERE task_name NOT LIKE '%provision%'")
            done = ProvisioningRequest.objects.filter(order=order, state="succeeded")
            eventually(done.exists, "it is set up", 60)
            row = done.get()
            took[kind].append((row.state_since - row.requested_at).total_seconds() * 1000)
    finally:
        worker.kill()
        worker.wait()
    for kind, each in took.items():
        print(f"\n{kind}: {statistics.median(each[3:]):.0f} ms (the broker's own: {SECONDS * 1000:.0f} ms)")
