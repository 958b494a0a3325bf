"""The worker goes on by itself when PostgreSQL restarts, is away, or is replaced by its standby, and loses nothing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from aiosmtpd.controller import Controller

from tests.long.database_server import DatabaseServer, a_folder
from tests.long.installation import Installation
from tests.long.local_machine import eventually
from tests.long.test_killed_workers import POINTS, Server
from tests.long.test_local_demo import free_port

SOON = 5.0  # seconds after the database is back, as promised

PLACE = """
from tests.factories import an_order
from provisioning.models import Mail
for number in range({count}):
    an_order(contact=f"c{{number}}@partner.example")
say([f"<{{mail.public_id}}@example.com>" for mail in Mail.objects.order_by("pk")])
"""


@pytest.fixture
def mail_server(installation: Installation) -> Iterator[Server]:
    """A real SMTP server that the installation sends to."""
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    installation.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{controller.port}"
    yield server
    controller.stop()


def works(database: DatabaseServer) -> None:
    """Wait, for as long as was promised, until a job that is queued now has been done."""
    queued = "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES (%s, 'default', '{\"timestamp\": 0}')"
    statement = queued.replace("%s", "'provisioning.tasks.sweep_webhooks'")
    ((number,),) = database.execute(f"{statement} RETURNING id")
    eventually(
        lambda: not database.execute(f"SELECT 1 FROM procrastinate_jobs WHERE id = {number}"), "a job is done", SOON
    )


def waits(installation: Installation, times: int = 1) -> None:
    """Wait until the worker has said that it waits for the database."""
    eventually(lambda: installation.log("worker").lower().count("the worker waits for it") >= times, "the worker waits")


def all_sent(database: DatabaseServer) -> bool:
    """Whether no email is left."""
    return database.execute("SELECT count(*) FROM provisioning_mail WHERE sent_at IS NULL") == [(0,)]


def due(database: DatabaseServer) -> None:
    """Make what waits old enough for the next sweep."""
    database.execute("UPDATE provisioning_mail SET created_at = created_at - interval '1 hour' WHERE sent_at IS NULL")


@pytest.mark.parametrize("point", POINTS)
def test_server_that_is_stopped_at_a_point_of_sending_loses_no_email(
    installation: Installation, database: DatabaseServer, mail_server: Server, point: str
) -> None:
    """It is stopped while a job runs, four times in a row; each time the worker goes on with the same process."""
    expected = installation.python(PLACE.format(count=6))
    fell = threading.Event()

    def fall() -> None:
        database.stop()
        fell.set()

    mail_server.at[point] = fall
    worker = installation.start_worker()
    for time_ in range(4):
        assert fell.wait(60)
        fell.clear()
        database.start()
        if time_ < 3:
            mail_server.at[point] = fall
        else:
            works(database)
    due(database)
    eventually(lambda: all_sent(database), "all emails are sent", 60)
    counts = Counter(mail_server.taken)
    assert set(counts) == set(expected)
    # What went out while the server fell was not noted: it is sent once more, with the same Message-ID.
    assert sum(counts.values()) - len(counts) <= 4
    assert worker.poll() is None
    assert "Traceback" not in installation.log("worker")
    assert installation.end("worker") == 0


def test_jobs_that_ran_when_the_server_fell_are_taken_again_at_once(
    installation: Installation, database: DatabaseServer, mail_server: Server
) -> None:
    """Without the sweep, which looks for what is twenty seconds old."""
    installation.python(PLACE.format(count=1))
    fell = threading.Event()
    mail_server.at[POINTS[1]] = lambda: (database.stop(), fell.set())  # type: ignore[func-returns-value, assignment]
    installation.start_worker()
    assert fell.wait(60)
    database.start()
    database.execute("UPDATE provisioning_mail SET created_at = now()")
    eventually(lambda: all_sent(database), "the email is sent", SOON + 1)


def test_worker_waits_for_a_server_that_is_away_for_long_and_for_one_that_is_not_there_yet(
    installation: Installation, database: DatabaseServer
) -> None:
    database.stop()
    worker = installation.start_worker()
    waits(installation)
    database.start()
    works(database)
    database.stop()
    waits(installation, 2)
    threading.Event().wait(12)
    database.start()
    works(database)
    told = installation.log("worker")
    assert told.count("The worker waits for it.") == 1  # before it began
    assert told.count("The database is away, the worker waits for it: ") == 1
    assert told.count("The database answers again after ") == 1
    assert worker.poll() is None


def test_worker_goes_on_with_the_standby_that_took_the_servers_place(
    installation: Installation, database: DatabaseServer
) -> None:
    """The standby first takes no writes."""
    with a_folder() as folder:
        standby = database.standby(folder)
        installation.start_worker()
        eventually(lambda: database.execute("SELECT 1 FROM procrastinate_workers"), "the worker is there")
        database.stop()
        standby.start()
        try:
            eventually(lambda: "it takes no writes" in installation.log("worker") or _look_again(standby), "it waits")
            standby.promote()
            works(standby)
        finally:
            standby.stop()


def _look_again(standby: DatabaseServer) -> bool:
    """The worker may have seen that the old one was away first, and says so once."""
    return standby.answers()


def test_worker_ends_in_order_and_quickly_also_while_the_server_is_away(
    installation: Installation, database: DatabaseServer
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        database.stop()
        installation.start_worker()
        waits(installation)
        assert installation.end("worker", number, within=5) == 0
        (installation.folder / "worker.log").unlink()
        database.start()
        installation.start_worker()
        works_when_started(database)
        database.stop()
        assert installation.end("worker", number, within=8) == 0
        (installation.folder / "worker.log").unlink()
        database.start()
        installation.start_worker()
        works_when_started(database)
        assert installation.end("worker", number, within=8) == 0
        (installation.folder / "worker.log").unlink()


def works_when_started(database: DatabaseServer) -> None:
    """Wait until the worker that was just started has begun."""
    newest = database.execute("SELECT coalesce(max(id), 0) FROM procrastinate_workers")
    eventually(
        lambda: database.execute("SELECT coalesce(max(id), 0) FROM procrastinate_workers") > newest, "the worker begins"
    )


def test_job_that_hangs_holds_up_neither_the_next_worker_nor_the_end(
    installation: Installation, database: DatabaseServer, mail_server: Server
) -> None:
    installation.python(PLACE.format(count=1))
    hangs, let_go = threading.Event(), threading.Event()
    mail_server.at[POINTS[1]] = lambda: (hangs.set(), let_go.wait(60))  # type: ignore[func-returns-value, assignment]
    installation.start_worker()
    assert hangs.wait(60)
    database.stop()
    waits(installation)
    database.start()
    works(database)
    assert installation.end("worker", within=15) == 0
    let_go.set()


def test_mistakes_end_the_worker_with_a_status_that_starts_it_again(
    installation: Installation, database: DatabaseServer
) -> None:
    good = installation.environment["DATABASE_URL"]
    server = good.removesuffix("/postgres")
    mistakes = {
        f"{server}/no_such_database": "There is no database no_such_database",
        good.replace("postgres@", "nobody@"): "refuses the user nobody",
    }
    for url, sentence in mistakes.items():
        installation.environment["DATABASE_URL"] = url
        assert installation.start_worker().wait(60) == 1
        assert sentence in installation.log("worker")
        assert "Traceback" not in installation.log("worker")
    database.execute("CREATE DATABASE without_tables")
    installation.environment["DATABASE_URL"] = f"{server}/without_tables"
    assert installation.start_worker().wait(60) == 1


def test_worker_waits_while_the_server_has_too_many_clients(
    installation: Installation, database: DatabaseServer
) -> None:
    with contextlib.ExitStack() as others:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(database.url))
        installation.start_worker()
        waits(installation)
        assert "has no connection left" in installation.log("worker")
    works(database)
