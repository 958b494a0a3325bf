"""The time that decides: the database's, on every host.

A host whose clock is an hour wrong must not write dates in the future, take codes for expired or send reminders early.
``install`` puts ``now`` in the place of ``django.utils.timezone.now``, so that Django's sessions, the models' defaults
and every rule use it. It asks nothing: each connection that a thread takes from the pool is checked by a statement
that returns the database's time (``note``), and from then on a clock that nobody sets counts on.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from django.utils import timezone

# What the check of a connection runs.
STATEMENT: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
_lock = threading.Lock()
# What to add to _ticks() for the seconds since 1970 by the database's clock; None: it hasn't been asked yet.
_offset: float | None = None
# Whether the database's clock counts. Tests travel in time with this host's.
_follows = True


def _ticks() -> float:
    """Return seconds of a clock that nobody sets. On Linux it counts on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def now() -> datetime:
    """Return the database's time, with a time zone; this host's where the database has not been asked yet."""
    return datetime.now(UTC) if _offset is None else datetime.fromtimestamp(_ticks() + _offset, UTC)


def note(connection: psycopg.Connection[Any]) -> None:
    """Ask the database for its time over a connection in autocommit mode. Raises psycopg.Error where it is broken."""
    global _offset
    before = _ticks()
    seconds = connection.execute(STATEMENT).fetchall()[0][0]
    with _lock:
        if _follows:
            _offset = seconds - (before + _ticks()) / 2


def use_host() -> None:
    """Use this host's clock from now on."""
    global _offset, _follows
    _offset, _follows = None, False


def install() -> None:
    """Have ``django.utils.timezone.now`` return the database's time, before any model is imported."""
    timezone.now = now
