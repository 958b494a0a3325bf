"""Provisioning while everything is killed: exactly one instance for each line that succeeded, and nothing lost.

The kill matrix: six transitions × five points × five faults. For each fault the processes are started once; for each
point six orders are brought there, one for each transition, and held from outside: the broker holds its answer, or a
connection of this test holds a row that the transaction needs. Then the fault comes, everything is let go, what was
not acknowledged is asked for again as a person would, and after at most 60 seconds everything agrees.

Random faults: ``KILLS=10000 pytest tests/long/test_provisioning_under_fire.py -k random``. Asked for by path.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection, connections
from django.db.utils import Error
from django.test import Client
from pytest_django import Settings

from provisioning import actions
from provisioning.history import verification
from provisioning.local.database import postgres
from provisioning.models import HistoryHead, User
from provisioning.people import links
from subscriptions.models import AbandonedInstance, Order, ProvisioningRequest, Subscription
from subscriptions.packs.meetings import SitePlan
from tests.broker import control
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_organization, signed_in
from tests.long.local_machine import ROOT, environ, eventually
from tests.long.test_local_demo import free_port

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="stops the database server"),
]

State = ProvisioningRequest.State
TRANSITIONS = ("confirm", "at-once", "refused", "fails", "take-back", "cancel")
POINTS = ("before the transaction", "in it", "after commit before the call", "after the effect before the note",
          "during polling")  # fmt: skip
FAULTS = ("worker killed", "web killed", "database stopped", "processes asleep", "broker killed")
LEASE = float(os.environ.get("LEASE", "6"))  # longer on a slow machine, so that held calls aren't taken over at once
SECONDS = 60


class World:
    """The processes of one installation, and the broker; each can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "broker.jsonl"
        self.ports = {"broker": free_port(), "web": free_port()}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.asleep: list[subprocess.Popen[bytes]] = []
        self.server = postgres.begin(settings.STATE_DIR)
        self.server.wait()
        self.log = (folder / "log").open("ab")

    def start(self, *names: str) -> None:
        """Start processes, and wait until the web and the broker answer."""
        for name in names:
            self.running[name] = subprocess.Popen(
                [sys.executable, *self._command(name)],
                cwd=ROOT, env=self._environment(), stdout=self.log, stderr=self.log, start_new_session=True,
            )  # fmt: skip
        for name in names:
            if name in self.ports:
                eventually(functools.partial(_answers, self.ports[name]), f"{name} answers")

    def _command(self, name: str) -> list[str]:
        if name == "broker":
            port = str(self.ports["broker"])
            return ["-m", "tests.broker", "--port", port, "--file", str(self.file), "--seconds", "0.3"]
        if name == "web":
            return ["-m", "gunicorn", "provisioning.wsgi", "--bind", f"127.0.0.1:{self.ports['web']}",
                    "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]  # fmt: skip
        return ["-m", "django", "procrastinate", "worker"]

    def _environment(self) -> dict[str, str]:
        url = postgres.url(settings.STATE_DIR)
        return environ(
            DATABASE_URL=f"{url.rpartition('/')[0]}/{connection.settings_dict['NAME']}",
            DJANGO_SETTINGS_MODULE="tests.fire_settings",
            PYTHONPATH=str(ROOT),
            STATE_DIR=str(settings.STATE_DIR),
            SECRET_KEY=settings.SECRET_KEY,
            BROKER=f"osb+http://user:password@127.0.0.1:{self.ports['broker']}",
            OUTGOING_ALLOW_PRIVATE="127.0.0.0/8",
            PROVISIONING_LEASE_SECONDS=str(LEASE),
            PROVISIONING_POLL_SECONDS="0.5",
            PROVISIONING_CALLS_AT_ONCE="32",
            PROVISIONING_LONGEST_PAUSE_SECONDS="2",
            EMAIL_URL="dummymail://",
            LOG_LEVEL="ERROR",
        )

    def hold(self, *points: str) -> None:
        """Let the broker hold calls at these points, and everything else go on."""
        control(self.ports["broker"], list(points))

    def held(self) -> set[str]:
        """The instances whose call the broker holds."""
        return {instance for _point, instance in control(self.ports["broker"])["held"]}

    def kill(self, name: str) -> None:
        """End a process and all of its children, whatever they do."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def strike(self, fault: str) -> None:
        """Let a fault happen."""
        if fault == "worker killed":
            for name in ("worker 1", "worker 2"):
                self.kill(name)
        elif fault == "web killed":
            self.kill("web")
        elif fault == "broker killed":
            self.kill("broker")
        elif fault == "database stopped":
            pid = self.server.cluster.postmaster()[0]
            os.kill(pid, signal.SIGQUIT)
            eventually(lambda: not self.server.cluster.running(), "the database has ended")
        else:
            for name in ("worker 1", "worker 2", "web"):
                process = self.running.pop(name)
                os.killpg(process.pid, signal.SIGSTOP)
                self.asleep.append(process)

    def mend(self) -> None:
        """Bring back what a supervisor of processes would: whatever doesn't run. Who sleeps wakes after its lease."""
        if not self.server.cluster.running():
            connections.close_all()
            self.server.revive()
            self.server.wait()
        if self.asleep:
            self.ports["web"] = free_port()  # the other one is still the sleeper's
        self.supervise()
        if self.asleep:
            time.sleep(LEASE)  # this is the fault: they sleep for longer than their leases
            for process in self.asleep:
                os.killpg(process.pid, signal.SIGCONT)

    def supervise(self) -> None:
        """Start what doesn't run; a worker ends when its database does."""
        ended = [name for name, process in self.running.items() if process.poll() is not None]
        for name in ended:
            del self.running[name]
        self.start(*[name for name in ("broker", "web", "worker 1", "worker 2") if name not in self.running])

    def end_sleepers(self) -> None:
        """End those that slept, after they had their say."""
        for process in self.asleep:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.asleep.clear()

    def stop(self) -> None:
        """End everything."""
        for process in [*self.running.values(), *self.asleep]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not self.server.cluster.running():
            self.server.revive()
        self.server.wait()
        connections.close_all()
        self.server.release()
        self.log.close()
        print(Path(self.log.name).read_text()[-5000:])  # shown where the test failed


@pytest.fixture
def world(tmp_path: Path, settings: Settings) -> Iterator[World]:
    """Everything runs. What this test's own connection commits is on the disk, too."""
    connection.settings_dict["OPTIONS"] = {
        name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "options"
    }
    connection.close()
    world = World(tmp_path)
    try:
        settings.PROVISIONING = {"meetings": f"osb+http://user:password@127.0.0.1:{world.ports['broker']}"}
        settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
        world.start("broker", "web", "worker 1", "worker 2")
        yield world
    finally:
        world.stop()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        asked.request("GET", "/control")
        asked.getresponse().read()
        return True
    return False


class Person:
    """Whoever does one transition of one order through the web, and does it again until it is acknowledged."""

    def __init__(self, world: World, client: Client, path: str, fields: dict[str, Any]) -> None:
        self.world, self.path = world, path
        token = "a" * 32
        cookies = {name: morsel.value for name, morsel in client.cookies.items()} | {"csrftoken": token}
        self.cookies = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.fields = fields | {"csrfmiddlewaretoken": token}
        self.acknowledged = False
        self.thread: threading.Thread | None = None

    def post(self) -> None:
        """Post it once; whatever goes wrong is no acknowledgement."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            asked = http.client.HTTPConnection("127.0.0.1", self.world.ports["web"], timeout=30)
            asked.request(
                "POST", self.path, urlencode(self.fields, doseq=True),
                {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self.cookies},
            )  # fmt: skip
            answer = asked.getresponse()
            answer.read()
            self.acknowledged = answer.status == 302 and "problem" not in answer.headers["Location"]

    def begin(self) -> None:
        """Post it and go on meanwhile."""
        self.thread = threading.Thread(target=self.post, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Post it again until it is acknowledged."""
        if self.thread:
            self.thread.join(60)
        eventually(self._is_done, f"{self.path} is acknowledged")

    def _is_done(self) -> bool:
        if not self.acknowledged:
            self.post()
        return self.acknowledged


class Case:
    """One order, and the transition that is interrupted."""

    number = 0

    def __init__(self, world: World, transition: str) -> None:
        Case.number += 1
        self.world, self.transition = world, transition
        contact = f"kim@company{Case.number}.example.org"
        customer = an_organization(f"Company {Case.number}", administrators=[contact])
        self.order = a_mapped_order(contact=contact, customer=customer, meetings=10)
        self.by = links.user_for(contact)
        kind = {"confirm": "company", "take-back": "slow", "cancel": "slow"}.get(transition, transition)
        self.name = f"{kind}-{Case.number}x"
        client = signed_in(contact)
        self.person: Person | None = None
        if transition == "confirm":
            wizard = Wizard(client, self.order, "set_up")
            wizard.open()
            wizard.fill("subscription", choice="now")
            wizard.fill("meetings", site_name=self.name, time_zone="Europe/Paris", early_release="no")
            assert wizard.at == "review"
            self.person = Person(world, client, wizard.url("review"), form_fields(wizard.html))
        elif transition == "take-back":
            self.person = Person(world, client, f"/orders/{self.order.number}/progress/stop/", {})
        elif transition == "cancel":
            path = f"/admin/subscriptions/order/{self.order.pk}/cancel/"
            self.person = Person(world, signed_in("desk@vendor.example.com"), path, {})

    @property
    def request(self) -> ProvisioningRequest:
        """The request of its line."""
        return ProvisioningRequest.objects.get(order=self.order)

    def confirm(self) -> None:
        """Confirm it, as the web does."""
        if self.transition == "confirm":
            assert self.person
            self.person.end()
            self.person.acknowledged = False
        else:
            plans = {"meetings": [SitePlan(self.name, "Europe/Berlin", True, 10)]}
            actions.set_up(order=self.order, by=self.by, plans=plans)

    def is_over(self) -> bool:
        """Whether nothing is to be done any more."""
        requests = list(ProvisioningRequest.objects.filter(order=self.order))
        left = AbandonedInstance.objects.filter(request__order=self.order, deleted_at=None)
        return bool(requests) and not any(each.is_open for each in requests) and not left.exists()

    def check(self) -> None:
        """It ended as it should, and what was acknowledged is so."""
        self.order.refresh_from_db()
        wanted: tuple[str, str] = {
            "confirm": (State.SUCCEEDED.value, Order.State.SET_UP.value),
            "at-once": (State.SUCCEEDED.value, Order.State.SET_UP.value),
            "refused": (State.REFUSED.value, Order.State.SETTING_UP.value),
            "fails": (State.FAILED.value, Order.State.SETTING_UP.value),
            "take-back": (State.CANCELLED.value, Order.State.MAPPED.value),
            "cancel": (State.CANCELLED.value, Order.State.CANCELLED.value),
        }[self.transition]
        assert (self.request.state, self.order.state) == wanted, self.transition
        assert verification.check(self.order).problem == ""


def check_all(world: World, cases: list[Case]) -> None:
    """Everything is over within a minute, and the broker, the orders and the histories agree."""
    until = time.monotonic() + SECONDS
    for case in cases:
        what = f"{case.transition} is over: order {case.order.pk}"

        def is_over(case: Case = case) -> bool:
            world.supervise()
            return bool(_asked(case.is_over))

        eventually(is_over, what, until - time.monotonic())
    for case in cases:
        case.check()
    succeeded = ProvisioningRequest.objects.filter(state=State.SUCCEEDED, superseded_at=None)
    wanted = {str(request.instance_id) for request in succeeded}
    eventually(lambda: set(control(world.ports["broker"])["instances"]) == wanted, "the broker agrees", SECONDS)
    assert Subscription.objects.count() == len(wanted)


def _asked(question: Callable[[], bool]) -> bool:
    """Ask the database; while it is away the answer is no."""
    try:
        return question()
    except Error:
        connections.close_all()
        return False


def bring(world: World, cases: list[Case], point: str, stack: contextlib.ExitStack) -> None:
    """Bring the cases to a point, and hold them there until the stack is closed."""
    by_web = [case for case in cases if case.person]
    for case in cases:
        if case.transition in {"take-back", "cancel"}:
            case.confirm()
    eventually(
        lambda: all(c.request.state == State.IN_PROGRESS for c in cases if c.transition in {"take-back", "cancel"}),
        "what is to be taken back is in progress",
    )
    others = [case for case in cases if case.transition not in {"take-back", "cancel"}]
    if point in {"before the transaction", "in it"}:
        for case in others:
            if case.transition != "confirm":
                world.hold("PUT after at-once-", "PUT after refused-", "GET after fails-")
                case.confirm()
        worked = [case for case in others if case.transition != "confirm"]
        eventually(lambda: {str(c.request.instance_id) for c in worked} <= world.held(), "the calls are held")
        locks = connection.copy()
        stack.callback(_close, locks)
        table = Order._meta.db_table if point == "before the transaction" else HistoryHead._meta.db_table
        column = "id" if point == "before the transaction" else "order_id"
        locks.set_autocommit(False)
        with locks.cursor() as cursor:
            cursor.execute(
                f"SELECT FROM {table} WHERE {column} = ANY(%s) FOR UPDATE", [[case.order.pk for case in cases]]
            )
        for case in by_web:
            assert case.person
            case.person.begin()
        world.hold()
        eventually(lambda: _waiting_for_locks() >= len(cases) - 1, "everybody waits for a lock", 20)
        return
    if point == "during polling":
        world.hold("GET before company-", "GET before fails-", "GET before slow-")
    elif point == "after commit before the call":
        world.hold("PUT before", "DELETE before slow-")
    else:
        world.hold("PUT after", "DELETE after slow-")
    for case in by_web:
        if case.transition != "confirm":
            assert case.person
            case.person.end()
    for case in others:
        case.confirm()
    polled = {"confirm", "fails"} if point == "during polling" else set(TRANSITIONS)
    wanted = {str(case.request.instance_id) for case in cases if case.transition in polled}
    seen: set[str] = set()

    def all_held() -> bool:
        seen.update(world.held())
        return wanted <= seen

    eventually(all_held, "the calls are held", 30)


def _close(locks: Any) -> None:
    with contextlib.suppress(Error):
        locks.close()


def _waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("fault", FAULTS)
def test_kill_matrix(world: World, fault: str) -> None:
    User.objects.create_superuser("desk@vendor.example.com")
    everything: list[Case] = []
    for point in POINTS:
        began = time.monotonic()
        cases = [Case(world, transition) for transition in TRANSITIONS]
        everything += cases
        with contextlib.ExitStack() as stack:
            bring(world, cases, point, stack)
            held = time.monotonic()
            world.strike(fault)
        if fault != "broker killed":
            world.hold()
        world.mend()
        mended = time.monotonic()
        for case in cases:
            if case.person and not case.person.acknowledged:
                case.person.end()
        check_all(world, everything)
        world.end_sleepers()
        took = [
            f"{later - earlier:.1f}" for earlier, later in ((began, held), (held, mended), (mended, time.monotonic()))
        ]
        print(f"{fault}, {point}: {len(cases)} orders; brought, struck, over in {', '.join(took)} s")


def test_random_faults(world: World) -> None:
    """``KILLS``: how many faults; ``SEED``: which."""
    User.objects.create_superuser("desk@vendor.example.com")
    kills, chance = int(os.environ.get("KILLS", "10")), random.Random(int(os.environ.get("SEED", "1")))
    everything: list[Case] = []
    for kill in range(1, kills + 1):
        transitions = chance.choices(TRANSITIONS, k=4)
        cases = [Case(world, transition) for transition in transitions]
        everything += cases
        for case in cases:
            if case.transition == "confirm":
                assert case.person
                case.person.begin()
            else:
                case.confirm()
            if case.transition in {"take-back", "cancel"} and chance.random() < 0.5:
                assert case.person
                case.person.begin()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [chance.random()])
        world.strike(chance.choice(FAULTS))
        world.mend()
        for case in cases:
            if case.person:
                case.person.end()
        if kill % 5 == 0 or kill == kills:
            check_all(world, everything)
        world.end_sleepers()
    check_all(world, everything)
    print(f"{kills} faults, {len(everything)} orders")
