"""Real workers, killed at every point of sending on a real SMTP server: none is lost, at most one repeated a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from functools import partial
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import connection, models, transaction

from provisioning.history import verification
from provisioning.local.database import postgres
from provisioning.models import Event, Mail
from subscriptions.models import Order
from tests.factories import an_order
from tests.long.local_machine import ROOT, environ, eventually
from tests.long.test_local_demo import free_port

pytestmark = pytest.mark.django_db(transaction=True)


class Server:
    """An SMTP server that remembers what it took, and does something at a point of the conversation."""

    def __init__(self) -> None:
        self.taken: list[str] = []  # Message-IDs
        self.at: dict[str, Callable[[], None]] = {}
        self.lock = threading.Lock()

    def _reach(self, point: str) -> None:
        if act := self.at.pop(point, None):
            act()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self._reach("before anything is said")
        return responses

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        self._reach("before the server has it")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        with self.lock:
            self.taken.append(str(message_from_bytes(envelope.original_content or b"")["Message-ID"]))
        self._reach("when the server has it")
        return "250 OK"


@pytest.fixture
def server() -> Iterator[Server]:
    """A real SMTP server on a port of its own."""
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    server.port = controller.port  # type: ignore[attr-defined]
    yield server
    controller.stop()


class Workers:
    """Workers in processes of their own, on the tests' database and the tests' SMTP server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more."""
        url = os.environ.get("DATABASE_URL") or postgres.url(settings.STATE_DIR)
        place, query, options = url.partition("?")
        worker = subprocess.Popen(
            [sys.executable, "-m", "django", "procrastinate", "worker"],
            cwd=ROOT,
            env=environ(
                DATABASE_URL=f"{place.rpartition('/')[0]}/{connection.settings_dict['NAME']}{query}{options}",
                DJANGO_SETTINGS_MODULE="tests.settings",
                EMAIL_URL=f"smtp://127.0.0.1:{self.server.port}",  # type: ignore[attr-defined]
                SECRET_KEY=settings.SECRET_KEY,
                STATE_DIR=str(settings.STATE_DIR),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.running.append(worker)
        return worker

    def kill(self) -> None:
        """End all of them in the middle of whatever they do."""
        for worker in self.running:
            worker.send_signal(signal.SIGKILL)
        for worker in self.running:
            worker.wait()
        self.running.clear()


@pytest.fixture
def workers(server: Server) -> Iterator[Workers]:
    """Start with none; none stays."""
    workers = Workers(server)
    yield workers
    workers.kill()


def message_id(mail: Mail) -> str:
    """Return an email's Message-ID."""
    return f"<{mail.public_id}@{settings.DEFAULT_FROM_EMAIL.rstrip('>').rpartition('@')[2]}>"


def all_went_out() -> bool:
    """Whether nothing waits any more."""
    return not Mail.objects.filter(sent_at=None).exists()


def let_time_pass() -> None:
    """Make what waits due, and end the leases of killed workers (a new worker looks for such three times a minute)."""
    earlier = models.F("next_try_at") - timedelta(hours=1)
    Mail.objects.filter(sent_at=None).update(next_try_at=earlier, lease_until=None)


POINTS = ["before anything is said", "before the server has it", "when the server has it"]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point_of_sending_loses_nothing(server: Server, workers: Workers, point: str) -> None:
    killed = threading.Event()

    def kill() -> None:
        os.kill(workers.running[0].pid, signal.SIGKILL)
        killed.set()

    server.at[point] = kill
    orders = [an_order(contact=f"c{number}@partner.example") for number in range(3)]
    workers.start()
    assert killed.wait(60)
    workers.kill()
    let_time_pass()
    workers.start()
    eventually(all_went_out, "all emails are sent", 90)
    counts = Counter(server.taken)
    assert set(counts) == {message_id(mail) for mail in Mail.objects.all()}
    assert sorted(counts.values()) == [1, 1, 2 if point == POINTS[2] else 1]
    # The history tells of each email once, also of the one that went out twice.
    for order in orders:
        assert order.events.filter(kind=Event.Kind.MAIL_SENT).count() == 1
        assert verification.check(order).problem == ""


def test_a_worker_killed_after_the_answer_and_before_it_was_noted_repeats_that_one(
    server: Server, workers: Workers
) -> None:
    order = an_order()
    mail = Mail.objects.get()
    with transaction.atomic():
        # The history can't be written while somebody else has the order: the worker waits there, the email is out.
        Order.objects.select_for_update().get(pk=order.pk)
        workers.start()
        eventually(_somebody_waits_for_a_lock, "the worker has sent it and waits to note it")
        assert server.taken == [message_id(mail)]
        workers.kill()
    eventually(lambda: not _somebody_waits_for_a_lock(), "the database has noticed")
    mail.refresh_from_db()
    assert (mail.sent_at, mail.tries) == (None, 0)
    let_time_pass()
    workers.start()
    eventually(all_went_out, "it is sent again", 90)
    assert server.taken == [message_id(mail)] * 2


def _somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # inside a transaction it would be asked once only
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def _moment_has_come(enough: threading.Event) -> bool:
    return enough.is_set() or all_went_out()


def test_many_kills_at_any_moment_lose_nothing_and_repeat_at_most_one_each(server: Server, workers: Workers) -> None:
    chance = random.Random(4)
    for number in range(40):
        an_order(contact=f"c{number}@partner.example")
    kills = 6
    for _kill in range(kills):
        enough = threading.Event()
        more, before = chance.randint(1, 6), len(server.taken)
        point = chance.choice(POINTS)

        def reach(enough: threading.Event = enough, goal: int = before + more, point: str = point) -> None:
            if len(server.taken) >= goal:
                workers.running[0].send_signal(signal.SIGKILL)
                enough.set()
            else:
                server.at[point] = lambda: reach(enough, goal, point)

        server.at = {point: reach}
        workers.start()
        eventually(partial(_moment_has_come, enough), "the moment to kill", 90)
        server.at = {}
        workers.kill()
        let_time_pass()
    workers.start()
    eventually(all_went_out, "all emails are sent", 90)
    counts = Counter(server.taken)
    assert set(counts) == {message_id(mail) for mail in Mail.objects.all()}
    assert len(counts) == 40
    assert sum(counts.values()) - 40 <= kills
