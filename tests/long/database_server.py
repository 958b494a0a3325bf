"""A PostgreSQL server of a test's own, on a TCP port: stopped at once, started again, followed by a standby."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from provisioning.local.database import postgres
from tests.long.local_machine import eventually
from tests.long.test_local_demo import free_port

_NO_SYNC = ["-c", "fsync=off"]  # the tests end processes, not machines


class DatabaseServer:
    """A data folder and its server, which listens on a port of 127.0.0.1 that stays the same."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        embedded = postgres.Server(settings.STATE_DIR)
        self.programs, self.user = embedded.programs / "bin", embedded.cluster.user
        self.folder = folder
        self.data = folder / "data"
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    @property
    def url(self) -> str:
        """Its address, as DATABASE_URL has it."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make the data folder."""
        self._run("initdb", "-D", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.launch()
        eventually(self.answers, "the server answers")

    def launch(self) -> None:
        """Start the server."""
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", "", *_NO_SYNC]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60"],
                stdout=log,
                stderr=log,
                **self._as_user(),
            )

    def answers(self) -> bool:
        """Whether a connection can be made."""
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        return False

    def stop(self) -> None:
        """Stop it as a crash does: nothing is finished."""
        if self.process and self.process.poll() is None:
            self._run("pg_ctl", "stop", "-D", self.data, "-m", "immediate", "-w")
        if self.process:
            self.process.wait(30)

    def end(self) -> None:
        """Stop it in order."""
        self._run("pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w")

    def copy(self, folder: Path) -> None:
        """Take over the data of another folder, whose server was stopped in order."""
        self._run("cp", "-r", folder / "data", self.data)

    def standby(self, folder: Path) -> DatabaseServer:
        """Make a standby of this server that takes its place, on the same port, once this one has been stopped."""
        other = DatabaseServer(folder, port=self.port)
        source = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        self._run("pg_basebackup", "-D", other.data, *source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        return other

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "promote", "-D", self.data, "-w")

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: object) -> None:
        own = self.programs / program
        command = [str(own) if own.exists() else program, *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **self._as_user())

    def _as_user(self) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"}}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return options


@contextlib.contextmanager
def a_folder() -> Iterator[Path]:
    """A folder that the server's user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
