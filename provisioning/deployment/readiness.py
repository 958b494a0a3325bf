"""Checks before anything runs: a database that answers, its tables, and the collected static files.

One function a condition. manage.py, the WSGI application, the worker and the checks call them; each raises `NotReady`
with one sentence that says what is wrong and which command to run or which variable to set.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Final

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.files.storage import FileSystemStorage
from django.db import Error, InterfaceError, NotSupportedError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from provisioning.database import clock

MIGRATE: Final = "python3 manage.py migrate"
COLLECT: Final = "python3 manage.py collectstatic --noinput"
_ALIAS: Final = "readiness"
_PATIENCE: Final = 5  # seconds for an address to answer


class NotReady(Exception):
    """One sentence: what is missing, and what to do."""


class Unusable(NotReady):
    """The database can't be used as this installation says."""


class Away(Unusable):
    """The database can't be reached now, and may be there in a moment without anybody changing this installation."""


# Messages of libpq, psycopg or the server -> their meaning here. The first match counts.
_REASONS: Final[tuple[tuple[str, type[Unusable], str], ...]] = (
    (
        r"failed to resolve host|could not translate host|[Nn]ame or service not known|name resolution|nodename nor",
        Away,
        "The host {host} of the database isn't known: correct the host in DATABASE_URL",
    ),
    (
        r"on socket .* failed: (?:No such file|Connection refused)",
        Away,
        "PostgreSQL has no socket in {host}: start it, or correct the host in DATABASE_URL",
    ),
    (
        r"Connection refused",
        Away,
        "Nothing listens at {where}: start PostgreSQL there, or correct host and port in DATABASE_URL",
    ),
    (
        r"starting up|shutting down|in recovery mode|not yet accepting",
        Away,
        "The database at {where} is starting or ending: run this again in a moment",
    ),
    (
        r"too many clients|too many connections|remaining connection slots|no more connections",
        Away,
        "The database at {where} has no connection left: raise its max_connections, or lower DATABASE_POOL",
    ),
    (
        r"invalid response|expected authentication request|unsupported frontend protocol",
        Unusable,
        "What listens at {where} isn't PostgreSQL: correct host and port in DATABASE_URL",
    ),
    (
        r"timeout expired|timed out|No route to host|unreachable|closed the connection|terminating connection|"
        r"Connection reset|couldn't get a connection|connection (?:is|was|has been) (?:closed|lost)",
        Away,
        "The database at {where} doesn't answer: start it, open the network to it, or correct DATABASE_URL",
    ),
    (
        r'database "[^"]*" does not exist|no such database',
        Unusable,
        "There is no database {name} at {where}: create it, or correct the name in DATABASE_URL",
    ),
    (
        r"authentication failed|no password supplied|role \"[^\"]*\" (?:does not exist|is not permitted)|no such user",
        Unusable,
        "The database at {where} refuses the user {user}: correct user and password in DATABASE_URL",
    ),
    (
        r"pg_hba.conf",
        Unusable,
        "The database at {where} lets {user} not in from this machine: allow it in pg_hba.conf, or set sslmode in "
        "DATABASE_URL",
    ),
    (
        r"sslmode|SSL|certificate",
        Unusable,
        "The database at {where} can't be reached as sslmode in DATABASE_URL says ({text}): correct sslmode and the "
        "certificates",
    ),
    (
        r"invalid connection option|invalid .*value|invalid integer",
        Unusable,
        "DATABASE_URL has an option that PostgreSQL doesn't take ({text}): correct or remove it",
    ),
    (
        r"No space left|could not extend file|disk (?:is )?full",
        Away,
        "The database at {where} has no space left on its disk: free some there, and run this again",
    ),
    (
        r"permission denied",
        Unusable,
        "The user {user} of the database at {where} may not do this ({text}): let the owner of the database grant it",
    ),
)
_OUTSIDE: Final = {"08", "28", "3D", "53", "57"}  # connections, authorization, no such database, resources, operators
_TABLES_DIFFER: Final = {"42P01", "42703"}  # undefined table, undefined column


def database_answers() -> None:
    """Raise NotReady where no connection to the database can be made."""
    with _connection():
        pass


def tables_are_there() -> str:
    """Raise NotReady where a migration of this code is not applied; return a warning where the database is newer."""
    with _connection() as connection:
        executor = MigrationExecutor(connection)
        loader = executor.loader
        plan = executor.migration_plan(loader.graph.leaf_nodes())
    if plan and not loader.applied_migrations:
        raise NotReady(f"The database has no tables yet: run {MIGRATE}.")
    if plan:
        more = f" and {len(plan) - 1} more" if len(plan) > 1 else ""
        raise NotReady(f"The migration {plan[0][0]}{more} is not applied to the database: run {MIGRATE}.")
    known = {*loader.disk_migrations, *(key for each in loader.disk_migrations.values() for key in each.replaces)}
    newer = sorted(key for key in loader.applied_migrations if key[0] in loader.migrated_apps and key not in known)
    if newer:
        return f"The database is newer than this version (it has {'.'.join(newer[-1])}): install the newer version."
    return ""


def static_files_are_there() -> None:
    """Raise NotReady where a page would ask for a static file that was not collected."""
    if not _manifest_is_used():
        return
    collected = getattr(staticfiles_storage, "hashed_files", {})
    missing = next((name for name, _path in _static_sources() if name not in collected), "")
    if missing:
        raise NotReady(f"The static files are not collected ({missing} is missing): run {COLLECT}.")


def static_files_are_current() -> bool:
    """Whether what is collected is as new as the files that it is made from."""
    if not _manifest_is_used():
        return True
    try:
        static_files_are_there()
        return all(
            staticfiles_storage.get_modified_time(name) >= storage.get_modified_time(path)
            for name, (storage, path) in _static_sources()
        )
    except (NotReady, OSError):
        return False


def wait_for_database(say: Callable[[str], object]) -> None:
    """Return when the database answers; say once that it doesn't. Raises NotReady where waiting doesn't help."""
    told = False
    while True:
        try:
            database_answers()
            return
        except Away as away:
            if not told:
                say(str(away))
                told = True
            time.sleep(1)


def explain(error: BaseException) -> NotReady | None:
    """Say in one sentence what an error of the database means for this installation; None: it is a fault of ours."""
    if isinstance(error, InconsistentMigrationHistory):
        return NotReady(f"The database was not made by this version ({error} Install the version that made it.)")
    if isinstance(error, NotSupportedError) and "is required" in str(error):
        return Unusable(f"The database server is too old ({error}): use a newer PostgreSQL in DATABASE_URL.")
    cause = error.__cause__ if isinstance(error, Error) and error.__cause__ else error
    text = " ".join(str(cause).split())
    state = getattr(cause, "sqlstate", None)
    if state in _TABLES_DIFFER:
        return NotReady(f"The tables of the database aren't those of this version ({_first(text)}): run {MIGRATE}.")
    from_outside = isinstance(error, OperationalError | InterfaceError) and (
        state is None or state[:2] in _OUTSIDE  # the server names a state only once it is connected
    )
    if not from_outside and state != "42501" and "invalid connection option" not in text:
        return None
    database = connections["default"].settings_dict
    words = {
        "host": database.get("HOST") or "the default folder",
        "where": _where(str(database.get("HOST") or ""), str(database.get("PORT") or "")),
        "name": database.get("NAME") or "(none)",
        "user": database.get("USER") or "(none)",
        "text": _first(text),
    }
    for pattern, kind, sentence in _REASONS:
        if re.search(pattern, text):
            return kind(sentence.format(**words) + ".")
    if from_outside and state is None:
        return Unusable(f"The database at {words['where']} can't be used ({words['text']}): correct DATABASE_URL.")
    return None


@contextlib.contextmanager
def _connection() -> Iterator[BaseDatabaseWrapper]:
    """A connection of its own: no pool hides why it can't be made, and none is left open for a fork to inherit."""
    connection = connections["default"].copy(alias=_ALIAS)
    connections[_ALIAS] = connection  # the recorder of migrations asks by alias
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    connection.settings_dict["OPTIONS"] = {"connect_timeout": _PATIENCE, **options}
    try:
        connection.ensure_connection()
        clock.note(connection.connection)  # before anything in this process asks for the time
        yield connection
    except Error as error:
        problem = explain(error)
        if problem is None:
            raise
        raise problem from error
    finally:
        connection.close()
        del connections[_ALIAS]


def _where(host: str, port: str) -> str:
    if not host or host.startswith("/"):
        return f"the socket in {host or 'the default folder'}"
    return f"{host}:{port or 5432}"


def _first(text: str) -> str:
    """The part of a message that says what is wrong, without where and without a full stop."""
    return re.sub(r"^connection (?:failed|is bad): (?:connection to server .*? failed: )?", "", text).rstrip(".")


def _manifest_is_used() -> bool:
    return isinstance(staticfiles_storage, ManifestFilesMixin) and not settings.DEBUG


def _static_sources() -> Iterator[tuple[str, tuple[FileSystemStorage, str]]]:
    ignored = StaticFilesConfig.ignore_patterns
    for finder in get_finders():
        for path, storage in finder.list(ignored):
            prefix = getattr(storage, "prefix", None)
            yield (f"{prefix}/{path}" if prefix else path), (storage, path)
