"""The tests' databases: cloned from a template that is migrated once, and emptied quickly after tests that commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import TransactionTestCase

_BRING_MIGRATIONS = ("django", "django-allauth", "procrastinate")
_FILLED_BY_MIGRATE = {ContentType._meta.db_table, Permission._meta.db_table}
_truncate = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


def use_template() -> None:
    """Have Django create this run's test database as a copy of the template, which the first process makes.

    The template's name has a hash of all migrations: a changed migration makes a new one, and drops the former.
    Django's `migrate` then finds nothing to apply in a copy, and runs what follows every migration.
    """
    test = connection.settings_dict["TEST"]
    family = f"test_{connection.settings_dict['NAME']}_template_"
    template = family + _hash_of_migrations()
    with connection._nodb_cursor() as server:
        server.execute("SELECT pg_advisory_lock(hashtext(%s))", [family])  # until the connection is closed
        server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [family])
        found = {name for (name,) in server.fetchall()}
        if template not in found:
            for former in found:
                server.execute(f'DROP DATABASE "{former}" WITH (FORCE)')
            _make(f"{family}unfinished")
            server.execute(f'ALTER DATABASE "{family}unfinished" RENAME TO "{template}"')
    test["TEMPLATE"] = template


def empty_tables(case: TransactionTestCase) -> None:
    """Delete the rows of all tables but those that `migrate` fills, after a test whose transactions were real.

    Django truncates each table and runs what follows a migration, which takes ten times as long. Triggers and foreign
    keys are off meanwhile, which takes a superuser: any other user truncates as Django does.
    """
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    tables -= _FILLED_BY_MIGRATE
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        superuser = cursor.fetchone()[0]
        if superuser:
            names = sorted(connection.ops.quote_name(table) for table in tables)
            filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in names)
            cursor.execute("BEGIN; SET LOCAL session_replication_role = replica")
            cursor.execute(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(filled)
            found = {name for (name,) in cursor.fetchall()}
            cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgenabled = 'A'")
            kept = found & {f'"{name}"' for (name,) in cursor.fetchall()}
            if kept:
                cursor.execute(f"TRUNCATE {', '.join(sorted(kept))} CASCADE")
            for name in sorted(found - kept):
                cursor.execute(f"DELETE FROM {name}")
            cursor.execute("COMMIT")
    if not superuser:
        _truncate(case)


@contextmanager
def rolled_back() -> Iterator[None]:
    """Undo in the end what a block writes: around one request, or around all tests of a module (a module's fixture)."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _make(name: str) -> None:
    """Create a database of this name with all tables. One that an interrupted run left behind is replaced."""
    own, test = connection.settings_dict["NAME"], connection.settings_dict["TEST"]
    named = test["NAME"]
    test["NAME"] = name
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
    finally:
        connection.close()
        connection.settings_dict["NAME"], test["NAME"] = own, named


def _hash_of_migrations() -> str:
    digest = hashlib.sha256()
    for app in apps.get_app_configs():
        for path in sorted(Path(app.path, "migrations").glob("*.py")):
            digest.update(f"{app.label} {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    digest.update(" ".join(metadata.version(package) for package in _BRING_MIGRATIONS).encode())
    return digest.hexdigest()[:12]
