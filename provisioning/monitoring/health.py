"""The state of an installation, one line a part: /readyz, `manage.py status` and the metrics show the same.

All hosts see the same lines but for static files and disk, which are this host's own: everything else comes from the
database, by its clock.
"""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.mail import mailers
from django.core.mail.backends.smtp import EmailBackend
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from provisioning.deployment import readiness

# Seconds after which a worker that has not reported counts as gone; each one reports every 10 seconds.
WORKER_SILENT: Final = 60
# Seconds that something may be due before it counts as late. Sweeps look every 20 seconds at the latest.
LATE: Final = 180
# Less free space than this on a disk that this host writes to is told.
FREE_BYTES: Final = 200 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """The state of one part. ``needed``: without it this host can't answer requests, and /readyz answers 503."""

    name: str
    ok: bool
    says: str
    needed: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {'ok' if self.ok else 'not ok'} ({self.says})"


def report(*, connect: bool = False) -> list[Line]:
    """Return every line. With ``connect`` the mail server is connected to, which may take 20 seconds."""
    lines = needed_lines()
    away = not lines[0].ok
    for name, look in (_WORK | ({"mail": _mail_server} if connect else {})).items():
        if away and look is not _mail_server:
            lines.append(Line(name, False, "unknown while the database is away"))
            continue
        try:
            lines.append(look())
        except DatabaseError as problem:
            lines.append(Line(name, False, str(problem).partition("\n")[0]))
    return [*lines, _disk()]


def needed_lines() -> list[Line]:
    """Return the lines of what this host needs to answer requests: database, migrations, static files."""
    begin = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        took = (time.perf_counter() - begin) * 1000
        database = Line("database", True, f"answered in {took:.0f} ms", needed=True)
        migrations = _migrations()
    except Exception as problem:
        told = readiness.explain(problem)
        if told is None and not isinstance(problem, DatabaseError):
            raise
        says = str(told or problem).partition("\n")[0]
        database = Line("database", False, says, needed=True)
        migrations = Line("migrations", False, "unknown while the database is away", needed=True)
    try:
        readiness.static_files_are_there()
        static = Line("static files", True, "collected", needed=True)
    except readiness.NotReady as problem:
        static = Line("static files", False, str(problem), needed=True)
    return [database, migrations, static]


def _migrations() -> Line:
    applied = set(MigrationRecorder(connection).applied_migrations())
    missing = sorted(_known_migrations() - applied)
    if missing:
        says = f"{'.'.join(missing[0])} is not applied: run {readiness.MIGRATE}"
        return Line("migrations", False, says, needed=True)
    return Line("migrations", True, "all applied", needed=True)


@functools.cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this code; a squashed one counts as those that it replaces."""
    disk = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    return frozenset(key for key, each in disk.items() if not each.replaces)


def _one(sql: str, *values: str | float) -> Any:
    """Return the first row of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchone()


def worker_report_age() -> float | None:
    """Return the seconds since a worker last reported; None where none ever has."""
    [age] = _one("SELECT extract(epoch FROM now() - max(last_heartbeat)) FROM procrastinate_workers")
    return None if age is None else max(0.0, float(age))


def _worker() -> Line:
    age, count = _one(
        """SELECT extract(epoch FROM now() - max(last_heartbeat)),
                  count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %s))
           FROM procrastinate_workers""",
        WORKER_SILENT,
    )
    if age is None:
        return Line("worker", False, "no worker has ever reported: start manage.py serve or procrastinate worker")
    running = f"{count} {'worker' if count == 1 else 'workers'}, the last report {max(0, age):.0f} s ago"
    return Line("worker", count > 0, running)


# The age in seconds of what has been due longest, the number of what waits, and of what was given up.
LAGS: Final = {
    "outbox": """
        SELECT extract(epoch FROM now() - min(at) FILTER (WHERE at <= now())), count(*), 0 FROM (
            SELECT next_try_at AS at FROM provisioning_mail WHERE sent_at IS NULL AND tries < 30
            UNION ALL
            SELECT next_try_at FROM provisioning_signincode WHERE sent_at IS NULL AND used_at IS NULL AND tries < 30
                AND user_id IS NOT NULL AND expires_at > now()
        ) AS waiting""",
    "webhooks": """
        SELECT extract(epoch FROM now() - min(next_try_at) FILTER (WHERE given_up_at IS NULL AND next_try_at <= now()
                AND NOT EXISTS (SELECT FROM provisioning_webhook AS earlier WHERE earlier.order_id = hook.order_id
                    AND earlier.endpoint_id = hook.endpoint_id AND earlier.message_id < hook.message_id
                    AND earlier.accepted_at IS NULL AND earlier.skipped_at IS NULL))),
            count(*) FILTER (WHERE given_up_at IS NULL), count(*) FILTER (WHERE given_up_at IS NOT NULL)
        FROM provisioning_webhook AS hook JOIN provisioning_webhookendpoint AS receiver ON receiver.id = endpoint_id
        WHERE accepted_at IS NULL AND skipped_at IS NULL AND receiver.enabled AND receiver.gone_at IS NULL""",
    "provisioning": """
        SELECT extract(epoch FROM now() - min(next_try_at) FILTER (WHERE next_try_at <= now())),
            count(*) FILTER (WHERE state <> 'failed'), count(*) FILTER (WHERE state = 'failed')
        FROM subscriptions_provisioningrequest WHERE superseded_at IS NULL
            AND (next_try_at IS NOT NULL OR state = 'failed')""",
}


def lag(name: str) -> tuple[float, int, int]:
    """Return for a queue of LAGS: seconds for which something has been due, how many wait, how many were given up."""
    age, waiting, given_up = _one(LAGS[name])
    return max(0.0, float(age or 0)), int(waiting), int(given_up)


def _lag_line(name: str) -> Callable[[], Line]:
    def look() -> Line:
        age, waiting, given_up = lag(name)
        says = f"{waiting} waiting, the longest due for {age:.0f} s"
        if given_up:
            says += f"; {given_up} given up, see the order desk"
        return Line(name, age <= LATE, says)

    return look


def _mail() -> Line:
    """Say what became of the emails of the last hour. Nothing is connected to."""
    failed, sent = _one(
        """SELECT count(*) FILTER (WHERE sent_at IS NULL AND tries > 0),
                  count(*) FILTER (WHERE sent_at > now() - interval '1 hour')
           FROM provisioning_mail WHERE sent_at IS NULL OR sent_at > now() - interval '1 hour'"""
    )
    says = f"{sent} sent in the last hour, {failed} tried and not sent"
    return Line("mail", not (failed and not sent), says)


def mail_server_problem() -> str:
    """Open a session with the mail server and close it; return what is wrong, or "". Nothing is sent."""
    session = mailers["default"]
    if not isinstance(session, EmailBackend):
        return ""
    try:
        session.open()
        session.close()
    except OSError as problem:
        return f"The mail server of EMAIL_URL can't be used ({type(problem).__name__}: {problem})."[:500]
    return ""


def _mail_server() -> Line:
    problem = mail_server_problem()
    return Line("mail", not problem, problem or "the mail server of EMAIL_URL answers")


def _disk() -> Line:
    free = []
    for folder in {Path(settings.STATE_DIR), Path(settings.STATIC_ROOT)}:
        while not folder.exists():
            folder = folder.parent
        free.append((shutil.disk_usage(folder).free, folder))
    least, folder = min(free)
    return Line("disk", least >= FREE_BYTES, f"{least // 1024**2} MB free at {folder}")


_WORK: Final[dict[str, Callable[[], Line]]] = {
    "worker": _worker,
    **{name: _lag_line(name) for name in LAGS},
    "mail": _mail,
}
