"""The number of connections of a process, and how the worker finds jobs behind a pooler in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from procrastinate.connector import Notify
from procrastinate.contrib.django.utils import connector_params
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.sync_psycopg_connector import wrap_exceptions

# Seconds between two queries for new jobs where PostgreSQL's notifications don't arrive.
POLL: Final = 0.5
# A worker's connections besides those of its jobs: two that fetch and finish jobs, one that listens for new ones.
WORKER_POOL: Final = 2
WORKER_EXTRA: Final = WORKER_POOL + 1
_LOOKS = 5


def is_transaction_pooler() -> bool:
    """Say whether each transaction may run in another server process (PgBouncer's pool_mode=transaction).

    DATABASE_POOLER decides where it is set. Otherwise two connections are opened and asked.
    """
    return settings.DATABASE_POOLER == "transaction" or (not settings.DATABASE_POOLER and find_transaction_pooler())


def find_transaction_pooler() -> bool:
    """Compare the server processes of two connections: in transaction mode, one gets the process that the other had."""
    params: dict[str, Any] = connector_params()
    with psycopg.connect(**params, autocommit=True) as first:
        if first.info.backend_pid == _pid(first):
            return False  # PostgreSQL itself, or a pooler in session mode
        with psycopg.connect(**params, autocommit=True) as second:
            for _look in range(_LOOKS):
                pid = _pid(first)
                with second.transaction():  # keeps its server process
                    if pid == _pid(second) or pid != _pid(first):
                        return True
    return False


def _pid(raw: psycopg.Connection[Any]) -> int:
    """Return the number of the server process that runs this statement."""
    return int(raw.execute("SELECT pg_backend_pid()").fetchall()[0][0])


class WorkerConnector(PsycopgConnector):
    """The worker's connections. They listen for new jobs, or query for them where a pooler prevents listening."""

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Wake the worker for each notification, or every POLL seconds behind a pooler."""
        if await sync_to_async(_needs_polling, thread_sensitive=False)():
            while True:
                await on_notification(channel="", payload='{"type": "job_inserted"}')
                await asyncio.sleep(POLL)
        await super().listen_notify(on_notification, channels)


@wrap_exceptions()
def _needs_polling() -> bool:
    return is_transaction_pooler()


def worker_connector() -> WorkerConnector:
    """Return the worker's own connections, besides those that its jobs take from Django's pool."""
    return WorkerConnector(kwargs=connector_params(), min_size=1, max_size=WORKER_POOL)


def on_app_ready(app: Any) -> None:
    """Let procrastinate's worker use WorkerConnector. Called when Django starts (PROCRASTINATE_ON_APP_READY)."""
    app.connector.get_worker_connector = worker_connector


def demand(processes: int) -> tuple[int, int]:
    """Return the most connections of so many web processes, and of one worker."""
    each = int(settings.DATABASE_POOL)
    return processes * each, min(settings.WORKER_CONCURRENCY, each) + WORKER_EXTRA


def room() -> int:
    """Return PostgreSQL's max_connections without those that are reserved or used by other machines."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
            - (SELECT count(*) FROM pg_stat_activity
               WHERE datid IS NOT NULL AND client_addr IS DISTINCT FROM inet_client_addr())"""
        )
        return int(cursor.fetchone()[0])
