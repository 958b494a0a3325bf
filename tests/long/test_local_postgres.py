"""The embedded database: there when a command needs it, gone when nobody does, and back after whatever happened."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import environ as django_environ
import psycopg
import pytest

from provisioning.local.database import cluster, postgres
from tests.long.local_machine import (
    ROOT,
    environ,
    eventually,
    kill_all,
    manage,
    needs_proc,
    needs_root,
    processes,
    small_disk,
)

pytestmark = needs_proc

HOLD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from provisioning.local.database import postgres
postgres.start(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state folder that the server's user can enter, as in a clone under /srv or /opt; nothing runs there after."""
    folder = Path(tempfile.mkdtemp(prefix="state-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "state"
    left = processes(folder)
    kill_all(folder)
    shutil.rmtree(folder)
    assert not left


def connect(state_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    """Connect as Django does."""
    found = django_environ.Env.db_url_config(postgres.url(state_dir))
    return psycopg.connect(host=found["HOST"], user=found["USER"], dbname=found["NAME"], autocommit=True)


def value(state_dir: Path, query: str) -> object:
    """The one value that a query answers with."""
    with connect(state_dir) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def hold(state_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the server until its input ends."""
    command = [sys.executable, "-c", HOLD, str(ROOT), str(state_dir)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ(), text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def is_ready(process: subprocess.Popen[str]) -> bool:
    """Wait until the other process has the server."""
    assert process.stdout
    return process.stdout.readline() == "ready\n"


def leave(process: subprocess.Popen[str]) -> str:
    """End the other process in order; returns what it said."""
    _stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return stderr


def test_server_keeps_its_data_is_utf_8_with_checksums_and_opens_no_port(state_dir: Path) -> None:
    with postgres.running(state_dir):
        with connect(state_dir) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'Ünïcode ✓' AS word")
        assert value(state_dir, "SHOW server_encoding") == "UTF8"
        assert value(state_dir, "SHOW data_checksums") == "on"
        assert value(state_dir, "SHOW listen_addresses") == ""
        assert value(state_dir, "SHOW fsync") == "on"
        provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
        assert value(state_dir, provider) == "bC.UTF-8"
    assert processes(state_dir) == {}
    with postgres.running(state_dir):
        assert value(state_dir, "SELECT word FROM kept") == "Ünïcode ✓"


def test_everything_killed_is_recovered_by_the_next_start(state_dir: Path) -> None:
    user = hold(state_dir)
    assert is_ready(user)
    with connect(state_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    kill_all(state_dir)
    user.wait()
    with postgres.running(state_dir):
        assert value(state_dir, "SELECT answer FROM kept") == 42


def test_killed_server_comes_back_while_it_is_in_use(state_dir: Path) -> None:
    with postgres.running(state_dir) as server:
        killed, _state = server.cluster.postmaster()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.cluster.ready() and server.cluster.postmaster()[0] != killed, "a new server")
        assert value(state_dir, "SELECT 1") == 1


def test_server_without_its_guardian_still_ends_with_its_last_user(state_dir: Path) -> None:
    with postgres.running(state_dir):
        guardian = next(pid for pid, command in processes(state_dir).items() if "guardian.py" in command)
        os.kill(guardian, signal.SIGKILL)
        assert value(state_dir, "SELECT 1") == 1


def test_killed_user_takes_the_server_along(state_dir: Path) -> None:
    user = hold(state_dir)
    assert is_ready(user)
    user.kill()
    user.wait()
    eventually(lambda: not processes(state_dir), "the server's end")


def test_two_that_start_at_once_share_one_server_and_the_last_one_ends_it(state_dir: Path) -> None:
    first, second = hold(state_dir), hold(state_dir)
    assert is_ready(first)
    assert is_ready(second)
    assert sum("guardian.py" in command for command in processes(state_dir).values()) == 1
    leave(first)
    assert value(state_dir, "SELECT 1") == 1
    leave(second)
    assert processes(state_dir) == {}


def test_command_beside_another_user_does_not_stop_the_server_and_alone_it_stops_what_it_started(
    state_dir: Path,
) -> None:
    alone = manage("showmigrations", "contenttypes", STATE_DIR=str(state_dir))
    assert alone.returncode == 0, alone.stderr
    assert processes(state_dir) == {}
    with postgres.running(state_dir) as server:
        before = server.cluster.postmaster()[0]
        assert manage("showmigrations", "contenttypes", STATE_DIR=str(state_dir)).returncode == 0
        assert server.cluster.postmaster()[0] == before


def test_database_that_was_half_made_is_made_again(state_dir: Path) -> None:
    for half in ("data", "data.new"):
        (state_dir / "postgres" / half / "base").mkdir(parents=True)
    state_dir.chmod(0o755)
    with postgres.running(state_dir):
        assert value(state_dir, "SELECT 1") == 1


def test_process_number_that_belongs_to_somebody_else_by_now_is_no_server(state_dir: Path) -> None:
    with postgres.running(state_dir) as server:
        data = server.cluster.data
        noted = (data / "postmaster.pid").read_text().splitlines()
    noted[0] = str(os.getpid())
    (data / "postmaster.pid").write_text("\n".join(noted) + "\n")
    shutil.chown(data / "postmaster.pid", data.stat().st_uid)
    with postgres.running(state_dir):
        assert value(state_dir, "SELECT 1") == 1


def test_database_of_another_major_version_is_refused_with_a_sentence(state_dir: Path) -> None:
    with postgres.running(state_dir) as server:
        version = server.cluster.data / "PG_VERSION"
    version.write_text("17\n")
    refused = manage("showmigrations", STATE_DIR=str(state_dir))
    assert refused.returncode == 1
    assert "was made by PostgreSQL 17, and this brings 18" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert version.read_text() == "17\n"


def test_long_folder_name_does_not_make_the_socket_too_long(state_dir: Path) -> None:
    deep = state_dir / ("a" * 60) / ("b c+d" * 10)
    with postgres.running(deep) as server:
        assert len(os.fsencode(server.cluster.socket_dir)) < 86
        assert server.cluster.socket_dir.stat().st_mode & 0o777 == 0o700
        assert value(deep, "SELECT 1") == 1
    shutil.rmtree(server.cluster.socket_dir)


def test_socket_folder_of_somebody_else_is_refused(state_dir: Path) -> None:
    deep = state_dir / ("a" * 100)
    with postgres.running(deep) as server:
        socket_dir = server.cluster.socket_dir
    socket_dir.chmod(0o777)
    with pytest.raises(cluster.Problem, match="belongs to somebody else"), postgres.running(deep):
        pass
    shutil.rmtree(socket_dir)


def test_secret_is_made_once_and_readable_by_its_owner_only(state_dir: Path) -> None:
    secret = postgres.local_secret(state_dir)
    assert len(secret) >= 50
    assert postgres.local_secret(state_dir) == secret
    assert (state_dir / "secret_key").stat().st_mode & 0o777 == 0o600


def test_state_folder_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = manage("showmigrations", STATE_DIR=str(tmp_path / "file" / "state"))
    assert refused.returncode == 1
    assert "can't be used (Not a directory)" in refused.stderr
    assert "Traceback" not in refused.stderr


@needs_root
def test_clone_that_only_root_can_enter_gets_its_data_elsewhere_and_stays_closed() -> None:
    closed = Path(tempfile.mkdtemp())  # 0700, as every newcomer's `mktemp -d`
    state_dir = closed / "clone" / ".state"
    homes = []
    try:
        assert leave(hold(state_dir)).count("The database lies in /var/lib/") == 1
        assert leave(hold(state_dir)) == ""
        assert closed.stat().st_mode & 0o777 == 0o700
        homes.append(Path((state_dir / "postgres.path").read_text().strip()))
        assert homes[0].parent == Path("/var/lib")

        # The clone is deleted and made again: its old data don't come back from the dead, and aren't thrown away.
        shutil.rmtree(closed / "clone")
        homes.append(homes[0].with_name(f"{homes[0].name}.old-1"))
        assert f"was kept as {homes[1]}" in leave(hold(state_dir))
        assert (homes[1] / "data").is_dir()
    finally:
        for folder in (closed, *homes):
            shutil.rmtree(folder, ignore_errors=True)


@needs_root
def test_full_disk_is_told_in_one_sentence(state_dir: Path) -> None:
    state_dir.parent.mkdir(exist_ok=True)
    with small_disk(state_dir, 10):
        refused = manage("showmigrations", STATE_DIR=str(state_dir))
        assert refused.returncode == 1
        assert "The disk is full" in refused.stderr
        assert "Traceback" not in refused.stderr
    with contextlib.suppress(OSError):
        state_dir.rmdir()
