"""The options of a process's connection pool: quick to fail while the database is away, at once there when it is back.

psycopg's pool retries a lost connection after 1, 2, 4 … seconds and lets every caller wait for its whole time-out.
Here a connection that can't be made is given up at once (``reconnect_timeout``), and whoever waits for one is told so;
the next caller tries anew. So a request during an outage takes as long as one attempt to connect, and the first one
after it succeeds. A caller that waits because all connections are in use waits on, up to ``timeout``.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool

# Seconds that a request waits for a connection: while the pool is busy, and while the server didn't answer last time.
BUSY_TIMEOUT: Final = 5.0
AWAY_TIMEOUT: Final = 0.5
# Of libpq: seconds for one attempt to connect (2 is the least), milliseconds until an unanswered packet ends a
# connection, seconds of silence before the other side is asked whether it is still there.
CONNECTION_OPTIONS: Final = {"connect_timeout": 2, "tcp_user_timeout": 5000, "keepalives_idle": 30}


class PooledConnection(psycopg.Connection[Any]):
    """A connection that knows when it was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made_at = time.monotonic()


Pool = ConnectionPool[Any]

_lock = threading.Lock()
_drained_at = 0.0


def check(connection: PooledConnection) -> None:
    """Check a connection before it is used; drop all others of its age where it is broken.

    The others were most likely lost together with it, and finding that out one by one takes a pause each.
    """
    pool: Pool = connection._pool  # type: ignore[assignment]
    try:
        ConnectionPool.check_connection(connection)
    except Exception:
        drop_connections(pool, made_before=connection.made_at)
        raise
    pool.timeout = BUSY_TIMEOUT


def drop_connections(pool: Pool, *, made_before: float | None = None) -> None:
    """Close the pool's connections, unless that was done since ``made_before``; those in use after their use."""
    global _drained_at
    with _lock:
        if made_before is not None and made_before <= _drained_at:
            return
        _drained_at = time.monotonic()
    pool.drain()


def connecting_failed(pool: Pool) -> None:
    """Tell whoever waits that no connection can be made, unless some are in use and come back."""
    if pool.get_stats()["pool_size"]:
        return
    pool.timeout = AWAY_TIMEOUT
    with pool._lock:
        waiting = list(pool._waiting)
        pool._waiting.clear()
    for client in waiting:
        client.fail(psycopg.OperationalError("the database can't be reached"))


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
