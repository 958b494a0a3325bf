"""What `manage.py` does inside the environment: the demo, the tests, and every command of Django and the project.

A command runs when what it needs is there: by default the database and its tables. `NEEDS` names the commands that
need less or more; a command that isn't in it is covered without anybody thinking of it.
"""

from __future__ import annotations

import enum
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand

from provisioning.deployment import metrics_folder, readiness
from provisioning.local import environment, private
from provisioning.local.database import cluster, postgres


class Needs(enum.IntEnum):
    """What a command needs; each includes those before it."""

    NOTHING = 0
    SERVER = 1  # the embedded server runs where DATABASE_URL names no other; nothing is asked of it before
    DATABASE = 2  # it answers
    TABLES = 3  # all migrations are applied
    PAGES = 4  # static files are collected


NEEDS: Final = {
    # They never look at the database.
    **dict.fromkeys(
        (
            *("collectstatic", "compilemessages", "diffsettings", "findstatic", "makemessages", "optimizemigration"),
            *(
                "sendtestemail",
                "startapp",
                "startproject",
                "chart_matching",
                "webhook_sink",
                "settings",
                "sbom",
                "demo",
                "test",
            ),
        ),
        Needs.NOTHING,
    ),
    # They look for themselves what is there, or leave it to the person.
    **dict.fromkeys(("check", "serve", "shell", "status"), Needs.SERVER),
    # They make the tables, or work without them.
    **dict.fromkeys(
        (
            *("createcachetable", "dbshell", "inspectdb", "makemigrations", "migrate", "showmigrations", "sqlflush"),
            *("sqlmigrate", "sqlsequencereset", "squashmigrations", "testserver"),
        ),
        Needs.DATABASE,
    ),
    "runserver": Needs.PAGES,
}


def run(argv: list[str]) -> int:
    """Run the command that `argv` names and return the exit status."""
    command = argv[1] if len(argv) > 1 else ""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provisioning.settings")
    try:
        if command == "demo":
            environment.require_pango()
            from provisioning.local.demo import runner

            return runner.main(argv[2:], state_dir())
        if command == "test":
            environment.require_pango()
            from provisioning.local import suite

            return suite.main(argv[2:])
        if command == "serve":
            metrics_folder.prepare()
        _Utility(argv).execute()
    except (environment.Problem, cluster.Problem, ImproperlyConfigured) as problem:
        environment.refuse(str(problem))
    except Exception as error:
        sentence = _sentence(error)
        if not sentence:
            raise
        environment.refuse(sentence)
    return 0


def state_dir() -> Path:
    """The folder for everything that this writes: STATE_DIR, or `.state` beside manage.py."""
    return Path(os.environ.get("STATE_DIR") or environment.ROOT / ".state").resolve()


def start_server() -> postgres.Server | None:
    """Start the embedded server, unless DATABASE_URL names another one. Raises Problem where it can't be started."""
    return None if os.environ.get("DATABASE_URL", "").strip() else postgres.start(state_dir())


def is_in_state_dir() -> bool:
    """Say whether static files are collected into the state folder, which is its owner's alone."""
    from django.conf import settings

    return Path(settings.STATIC_ROOT).is_relative_to(state_dir())


def keep_private() -> None:
    """Close what this process writes, and what an earlier version wrote, to everybody but the owner."""
    from django.conf import settings

    folder = settings.MAILERS["default"].get("OPTIONS", {}).get("file_path")
    private.begin(state_dir(), mails=Path(str(folder)) if folder else None)


def _wait_for_database() -> None:
    """Wait until the database answers; a process that is asked to end meanwhile ends with the status 0."""
    before = {number: signal.signal(number, lambda *_: sys.exit(0)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        readiness.wait_for_database(lambda sentence: say(f"{sentence} The worker waits for it."))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require(name: str, /, **options: Any) -> None:
    """Return when what a command needs is there. Raises NotReady or Problem, with one sentence, where it isn't."""
    needs = NEEDS.get(name, Needs.TABLES)
    if name == "check" and options.get("databases"):
        needs = Needs.DATABASE
    if name == "collectstatic" and is_in_state_dir():
        os.umask(private.UMASK)  # compressed files take no mode from the storage
    if needs == Needs.NOTHING:
        return
    server = start_server()
    if name == "dbshell" and server and server.programs:
        os.environ["PATH"] += f"{os.pathsep}{server.programs / 'bin'}"
    if needs == Needs.SERVER:
        return
    if needs >= Needs.TABLES:
        keep_private()  # not those that write source files
    if name == "procrastinate" and options.get("command") == "worker":
        _wait_for_database()
    if needs == Needs.DATABASE:
        readiness.database_answers()
    else:
        warning = readiness.tables_are_there()
        if warning:
            say(warning)
    if needs == Needs.PAGES:
        readiness.static_files_are_there()


def require_for_pages(program: str = "manage.py") -> None:
    """Return when pages can be served, or will be when the database answers. Raises NotReady otherwise.

    Hosts start in any order: a database that isn't there yet keeps no web process from starting.
    """
    keep_private()
    readiness.static_files_are_there()
    try:
        warning = readiness.tables_are_there()
    except readiness.Away as away:
        warning = f"{away} Until it answers, no page can be shown."
    if warning:
        say(warning, program)


def say(sentence: str, program: str = "manage.py") -> None:
    """Tell the person at the keyboard something that doesn't end the command."""
    sys.stderr.write(f"{program}: {sentence}\n")
    sys.stderr.flush()


class _Utility(ManagementUtility):
    """Django's, whose commands run when what they need is there: after their arguments are read, before all else."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Find a command, and have it look first."""
        command = super().fetch_command(subcommand)
        execute = command.execute

        def when_ready(*args: Any, **options: Any) -> str | None:
            require(subcommand, **options)
            return execute(*args, **options)

        command.execute = when_ready  # type: ignore[method-assign]
        return command


def _sentence(error: Exception) -> str:
    """What to say of an error that isn't a fault of the command; empty where it may be one."""
    problem = error if isinstance(error, readiness.NotReady) else readiness.explain(error)
    return str(problem) if problem else ""
