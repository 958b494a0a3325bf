"""Decides which errors mean that the database can't be used at the moment: a later attempt can succeed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import psycopg
from psycopg import errors

# Errors with an SQLSTATE. A lost connection, or one that can't be made, has none.
_AWAY = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.TooManyConnections,
    # A standby that is not promoted yet, or a former primary, during a failover.
    errors.ReadOnlySqlTransaction,
)
_CLASS_CONNECTION = "08"
# Messages of refusals that waiting doesn't change; libpq passes on no SQLSTATE for them.
_REFUSED = ("authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted to log in")


def database_is_away(problem: BaseException) -> bool:
    """Say whether an error or one of its causes means that the database can't be reached or takes no writes now."""
    return any(isinstance(cause, psycopg.Error) and _is_away(cause) for cause in _causes(problem))


def database_is_read_only(problem: BaseException) -> bool:
    """Say whether an error or one of its causes means that the server takes no writes."""
    return any(isinstance(cause, errors.ReadOnlySqlTransaction) for cause in _causes(problem))


def connection_is_refused(problem: BaseException) -> bool:
    """Say whether the server refuses this user, password or database, so that waiting doesn't help."""
    return any(
        isinstance(cause, psycopg.OperationalError)
        and cause.sqlstate is None
        and any(t in str(cause) for t in _REFUSED)
        for cause in _causes(problem)
    )


class NoTracebacks(logging.Filter):
    """A filter that removes the traceback from log records about an outage of the database."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record."""
        if record.exc_info and record.exc_info[1] and database_is_away(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        return True


def _is_away(problem: psycopg.Error) -> bool:
    if problem.sqlstate is None:
        return isinstance(problem, psycopg.OperationalError)
    return isinstance(problem, _AWAY) or problem.sqlstate.startswith(_CLASS_CONNECTION)


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__
