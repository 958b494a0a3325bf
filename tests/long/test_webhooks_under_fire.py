"""Webhooks while everything fails: a hostile receiver, and it and the workers are killed in turn, whatever they do.

Asked for by path. The workers are the product's own command, the receiver is ``webhook_sink --faults``, each a process.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.models import Webhook
from tests.factories import an_order

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
WORKERS, SECONDS = 3, 240
KILLS, TURNS = 9, 5  # so many, and a turn of the loop is a fifth of a second


def environment(port: int) -> dict[str, str]:
    """That of a process of the product, on the database of this test."""
    facts = connection.settings_dict
    port_of_server = f":{facts['PORT']}" if facts["PORT"] else ""
    host = f"/{facts['HOST']}" if str(facts["HOST"]).startswith("/") else f"{facts['HOST']}{port_of_server}"
    return os.environ | {
        "DATABASE_URL": f"postgres://{facts['USER']}:{facts['PASSWORD']}@{host}/{facts['NAME']}",
        "DJANGO_SETTINGS_MODULE": "provisioning.settings",
        "PYTHONPATH": str(ROOT),
        "WEBHOOK_URL": f"http://127.0.0.1:{port}/webhooks",
        "WEBHOOK_SECRETS": SECRET,
        "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        "LOG_LEVEL": "ERROR",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, *command: str, out: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command of the product, in a process group of its own."""
    with contextlib.ExitStack() as stack:
        to = stack.enter_context(out.open("ab")) if out else subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", "django", *command],
            cwd=ROOT, env=environment(port), stdout=to, start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def processes() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """What the test starts; all of it is ended with it."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    yield running
    for process in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_every_event_arrives_in_order_with_one_id_whatever_is_killed(
    processes: dict[str, subprocess.Popen[bytes]], settings: Settings, tmp_path: Path
) -> None:
    port, told = free_port(), tmp_path / "told.jsonl"
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = f"http://127.0.0.1:{port}/webhooks", [SECRET]
    sink = ("webhook_sink", "--port", str(port), "--faults", "--slow", "0.5", "--json", "--secret", SECRET)
    processes["sink"] = start(port, *sink, out=told)
    for number in range(WORKERS):
        processes[f"worker {number}"] = start(port, "procrastinate", "worker")
    victims = itertools.cycle(sorted(processes))
    kills = 0
    until = time.monotonic() + SECONDS
    for turn in itertools.count(1):
        assert time.monotonic() < until, f"{Webhook.objects.filter(Webhook.OPEN).count()} left"
        if kills < KILLS and turn % 2:
            order = an_order()
            for name in ("Initech", "Umbrella", "Hooli", "Globex"):
                actions.correct_order(order=order, sold_to=name)
            actions.cancel_order(order=order, by=None)
        if kills == KILLS and not Webhook.objects.filter(Webhook.OPEN).exists():
            break
        # Nobody waits here for the pauses between tries.
        Webhook.objects.filter(Webhook.OPEN, next_try_at__gt=timezone.now()).update(next_try_at=timezone.now())
        time.sleep(0.2)
        if turn % TURNS == 0 and kills < KILLS:
            kills += 1
            name = next(victims)
            os.killpg(processes[name].pid, signal.SIGKILL)
            processes[name].wait()
            again = sink if name == "sink" else ("procrastinate", "worker")
            processes[name] = start(port, *again, out=told if name == "sink" else None)

    wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    first: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in Webhook.objects.select_related("order", "message").order_by("pk"):
        wanted[row.order.number if row.order else ""].append((str(row.message.public_id), row.message.type))
    lines = [json.loads(line) for line in told.read_text().splitlines() if line.endswith("}")]
    for got in lines:
        if (got["id"], got["type"]) not in first[got["order"]]:
            first[got["order"]].append((got["id"], got["type"]))
    assert first == wanted
    print(f"{len(lines)} messages taken of {sum(map(len, wanted.values()))} events, {kills} processes killed")
