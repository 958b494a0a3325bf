"""`manage.py serve`: web processes and a worker for real use, started, watched and ended together.

Django is imported once and checked once; gunicorn and the worker are forks of this process that die with it.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.urls import get_resolver
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.util import parse_address  # type: ignore[import-untyped]

from provisioning.deployment import gunicorn as settings
from provisioning.deployment import readiness
from provisioning.local import commands
from provisioning.local.database.cluster import Problem
from provisioning.local.processes import Children

_LONGER = 5.0  # seconds that an orderly end may take beyond gunicorn's own limit


def run(*, bind: str, workers: int, threads: int, background: bool, migrate: bool) -> None:
    """Serve until SIGTERM or SIGINT. Raises Problem or NotReady, with a sentence, where it can't."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)  # SIGINT as well: a shell's background job starts with it ignored
    try:
        listener = _listen(bind)
        _prepare(migrate)
        commands.require_for_pages()
        _ = get_resolver().url_patterns  # imported before the fork, by all
        tasks: dict[str, Callable[[], None]] = {"web server": lambda: _serve(listener, bind, workers, threads)}
        if background:
            tasks["worker"] = _work
        children = Children(tasks, patience=settings.graceful_timeout + _LONGER, gives_up=False)
        try:
            children.start()
            commands.say(f"Serving on {bind}: {workers} processes of {threads} threads{' and a worker' * background}.")
            while True:
                time.sleep(0.2)
                children.revive()
        finally:
            children.stop()
    except KeyboardInterrupt:
        commands.say("Ended.")


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _listen(bind: str) -> socket.socket | None:
    """Open the address first: an unusable one is reported at once. gunicorn opens a Unix socket itself."""
    try:
        address = parse_address(bind)
        if not isinstance(address, tuple):
            return None
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except (OSError, RuntimeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Problem(f"{bind} can't be listened on ({reason}): choose another address with --bind or PORT.") from None
    return listener


def _prepare(migrate: bool) -> None:
    """Apply migrations where that is asked for, and collect static files where they are missing or old."""
    if migrate:
        readiness.wait_for_database(lambda sentence: commands.say(f"{sentence} Waiting for it."))
        call_command("migrate", interactive=False, verbosity=1)
        connection.close()
        # The threads of the pool would be missing in the forks, whose requests would wait for them.
        connection.close_pool()  # type: ignore[attr-defined]
    else:
        with contextlib.suppress(readiness.Away):
            readiness.tables_are_there()  # refused before anything is written
    if not readiness.static_files_are_current():
        commands.say("Collecting the static files.")
        try:
            call_command("collectstatic", interactive=False, verbosity=0)
        except OSError as error:
            raise Problem(
                f"The static files can't be collected ({error}): set STATIC_ROOT to another folder."
            ) from None


class _Web(BaseApplication):  # type: ignore[misc]
    """Gunicorn with the settings that a plain `gunicorn` reads from the same file."""

    def __init__(self, changed: dict[str, Any]) -> None:
        self._changed = changed
        super().__init__()

    def load_config(self) -> None:
        for name, value in {**vars(settings), **self._changed}.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., object]:
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()


def _serve(listener: socket.socket | None, bind: str, workers: int, threads: int) -> None:
    where = f"fd://{listener.fileno()}" if listener else bind
    _Web({"bind": where, "workers": workers, "threads": threads, "loglevel": "warning"}).run()


def _work() -> None:
    readiness.wait_for_database(lambda sentence: commands.say(f"{sentence} The worker waits for it."))
    with contextlib.suppress(KeyboardInterrupt):
        call_command("procrastinate", "worker", f"--shutdown-graceful-timeout={settings.graceful_timeout}")
