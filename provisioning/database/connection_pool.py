"""The options of a process's connection pool: it fails fast during an outage and works at once after it.

psycopg's pool retries a lost connection after 1, 2, 4 … seconds and lets every caller wait for its whole time-out.
Here a failed connection is given up at once (``reconnect_timeout``), and all waiting callers get an error; the next
caller tries again. So a request during an outage takes as long as one attempt to connect, and the first request after
it succeeds. A caller that waits because all connections are in use waits up to ``timeout``.
"""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar, Final, Self

import psycopg
from psycopg_pool import ConnectionPool

from provisioning.database import clock

# Seconds that a request waits for a connection: while all are in use; after the last attempt to connect failed.
BUSY_TIMEOUT: Final = 5.0
AWAY_TIMEOUT: Final = 0.5
# Of libpq: seconds for one attempt to connect (2 is the least), milliseconds until an unanswered packet ends a
# connection, seconds of silence before the other side is asked whether it is still there.
CONNECTION_OPTIONS: Final = {"connect_timeout": 2, "tcp_user_timeout": 5000, "keepalives_idle": 30}


class PooledConnection(psycopg.Connection[Any]):
    """A connection with the time when it was made (``made_at``, of time.monotonic)."""

    # Why the last attempt to connect failed, of any pool: a process has one database.
    refused_because: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made_at = time.monotonic()

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Connect, and note why that failed: the pool only logs it."""
        try:
            return super().connect(*args, **kwargs)
        except psycopg.Error as problem:
            PooledConnection.refused_because = str(problem)
            raise


Pool = ConnectionPool[Any]

_lock = threading.Lock()
_drained_at = 0.0


def check(connection: PooledConnection) -> None:
    """Check a connection before it is used, and note the database's time. Where it is broken, drop all that are as old.

    They were most likely lost too, and checking them one by one would take a pause each.
    """
    pool: Pool = connection._pool  # type: ignore[assignment]
    try:
        _ask_for_time(connection)
    except Exception:
        drop_connections(pool, made_before=connection.made_at)
        raise
    pool.timeout = BUSY_TIMEOUT


def _ask_for_time(connection: PooledConnection) -> None:
    transactional = not connection.autocommit
    try:
        if transactional:
            connection.autocommit = True
        clock.note(connection)
    finally:
        if transactional and not connection.closed:
            connection.autocommit = False


def drop_connections(pool: Pool, *, made_before: float | None = None) -> None:
    """Close the pool's connections, those in use after their use, unless that was done since ``made_before``."""
    global _drained_at
    with _lock:
        if made_before is not None and made_before <= _drained_at:
            return
        _drained_at = time.monotonic()
    pool.drain()


def connecting_failed(pool: Pool) -> None:
    """Raise an error for all waiting callers, unless connections in use will be returned to the pool."""
    if pool.get_stats()["pool_size"]:
        return
    pool.timeout = AWAY_TIMEOUT
    with pool._lock:
        waiting = list(pool._waiting)
        pool._waiting.clear()
    for client in waiting:
        client.fail(psycopg.OperationalError(PooledConnection.refused_because or "the database can't be reached"))


def options(*, max_size: int) -> dict[str, Any]:
    """Return the options of a pool, as Django's ``DATABASES`` takes them."""
    return {
        "min_size": 0,
        "max_size": max_size,
        "max_idle": 60,
        "timeout": BUSY_TIMEOUT,
        "reconnect_timeout": 0.0,
        "reconnect_failed": connecting_failed,
        "connection_class": PooledConnection,
        "check": check,
    }
