"""`manage.py serve`, gunicorn and the worker: what they refuse, what they wait for, and how they end."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.long.local_machine import MANAGE, ROOT, environ, eventually, kill_all, manage, needs_proc, processes
from tests.long.test_local_demo import free_port

pytestmark = needs_proc
AWAY = "postgres://u:secret@127.0.0.1:1/d"
GUNICORN = (sys.executable, "-m", "gunicorn")


class Process:
    """A command that runs until it is ended, as a service manager has it."""

    def __init__(self, *command: str, log: Path, **changes: str) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environ(**changes), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def told(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def wait_for(self, sentence: str) -> None:
        """Wait until it has said something."""

        def said() -> bool:
            assert self.process.poll() is None or sentence in self.told(), self.told()
            return sentence in self.told()

        eventually(said, sentence, 240)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


def serve(state_dir: Path, port: int, *arguments: str, **changes: str) -> Process:
    """Start `manage.py serve`."""
    command = (sys.executable, str(MANAGE), "serve", "--bind", f"127.0.0.1:{port}", "--workers", "2", *arguments)
    return Process(*command, log=state_dir.with_name("serve.log"), STATE_DIR=str(state_dir), **changes)


def status(port: int, path: str = "/sign-in/") -> int:
    """What a page answers with; 0 where nobody answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        return connection.getresponse().status
    return 0


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """A state folder with the tables made and static files collected, by the first serve of this file."""
    folder = Path(tempfile.mkdtemp(prefix="serve-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        refused = manage("serve", STATE_DIR=str(folder / "state"))
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == (
            "manage.py: The database has no tables yet: run python3 manage.py migrate."
        )
        assert not (folder / "state" / "static").exists()
        port = free_port()
        first = serve(folder / "state", port, "--migrate")
        first.wait_for("Serving on")
        assert "Collecting the static files." in first.told()
        eventually(lambda: status(port) == 200, "a page")
        assert status(port, "/readyz") == 200  # also after --migrate, requests get connections
        assert first.end() == 0, first.told()
        assert processes(folder) == {}
        yield folder / "state"
        assert processes(folder) == {}
    finally:
        kill_all(folder)
        shutil.rmtree(folder)


@pytest.fixture
def server(state_dir: Path) -> Iterator[tuple[Process, int]]:
    """A serve that answers, and its port; ended after the test where that didn't end it."""
    port = free_port()
    running = serve(state_dir, port)
    running.wait_for("Serving on")
    eventually(lambda: status(port) == 200, "a page")
    yield running, port
    if running.process.poll() is None:
        running.end()


def children(process: Process) -> dict[str, int]:
    """The parts of a serve, by name."""
    own = process.process.pid
    pids = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in pids}


def test_serve_answers_with_styles_and_ends_all_of_it_when_told(server: tuple[Process, int], state_dir: Path) -> None:
    running, port = server
    assert "Collecting" not in running.told()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/sign-in/")
    page = connection.getresponse().read().decode()
    style = re.search(r'href="(/static/[^"]+\.css)"', page)
    assert style
    assert status(port, style[1]) == 200
    assert {"web server", "worker"} <= set(children(running))
    assert running.end(signal.SIGINT) == 0
    assert processes(state_dir) == {}
    assert "Traceback" not in running.told()


def test_killed_parts_are_started_again(server: tuple[Process, int]) -> None:
    running, port = server
    for part in ("web server", "worker"):
        os.kill(children(running)[part], signal.SIGKILL)
        running.wait_for(f"The {part} ended (signal 9); it is started again")
        eventually(lambda part=part: part in children(running), f"a new {part}")  # type: ignore[misc]
        eventually(lambda: status(port) == 200, "a page")
    assert running.end() == 0


def test_killed_serve_leaves_nobody_behind(server: tuple[Process, int], state_dir: Path) -> None:
    running, _port = server
    running.end(signal.SIGKILL)
    eventually(lambda: not processes(state_dir), "the end of its parts")


def test_connection_that_was_idle_takes_the_next_request(server: tuple[Process, int]) -> None:
    _running, port = server
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kept.request("GET", "/sign-in/")
    first = kept.getresponse()
    first.read()
    used = kept.sock
    began = parsedate_to_datetime(first.headers["Date"])

    def later() -> bool:
        other = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        other.request("HEAD", "/sign-in/")
        now = parsedate_to_datetime(other.getresponse().headers["Date"])
        return (now - began).total_seconds() >= 4  # gunicorn's own limit is 2

    eventually(later, "four seconds")
    kept.request("GET", "/sign-in/")
    assert kept.getresponse().status == 200
    assert kept.sock is used


def test_port_in_use_and_wrong_options_are_told_in_a_sentence(server: tuple[Process, int], state_dir: Path) -> None:
    _running, port = server
    refused = manage("serve", "--bind", f"127.0.0.1:{port}", STATE_DIR=str(state_dir))
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} can't be listened on (Address already in use)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "expects a whole number from 1 on" in manage("serve", "--workers", "0", STATE_DIR=str(state_dir)).stderr


@pytest.mark.parametrize("how", [("provisioning.wsgi",), ("-c", "provisioning/deployment/gunicorn.py")])
def test_gunicorn_refuses_in_a_sentence_and_keeps_nothing_running(
    how: tuple[str, ...], state_dir: Path, tmp_path: Path
) -> None:
    bind = ("--bind", f"127.0.0.1:{free_port()}", "--workers", "1")
    for changes, sentence in (
        ({"STATIC_ROOT": str(tmp_path / "nothing")}, "wsgi: The static files are not collected"),
        ({"DATABASE_URL": "mysql://u:secret@h/d"}, "wsgi: DATABASE_URL begins with mysql://"),
    ):
        told = tmp_path / "log"
        refused = Process(*GUNICORN, *how, *bind, log=told, **{"STATE_DIR": str(state_dir), **changes})
        assert refused.process.wait(120) == 4
        assert refused.told().count("wsgi: ") == 1
        assert sentence in refused.told()
        assert "Traceback" not in refused.told()
        assert "secret" not in refused.told()


def test_web_process_and_worker_start_although_the_database_is_away(state_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    own = {"STATE_DIR": str(state_dir), "DATABASE_URL": AWAY}
    web = Process(
        *GUNICORN, "-c", "provisioning/deployment/gunicorn.py", "--bind", f"127.0.0.1:{port}", log=tmp_path / "w", **own
    )
    worker = Process(sys.executable, str(MANAGE), "procrastinate", "worker", log=tmp_path / "p", **own)
    web.wait_for("wsgi: Nothing listens at 127.0.0.1:1")
    worker.wait_for("manage.py: Nothing listens at 127.0.0.1:1")
    eventually(lambda: status(port, "/nowhere/") != 0, "an answer")
    for process in (web, worker):
        assert process.process.poll() is None
        process.end()
        assert "Traceback" not in process.told()


def test_settings_of_gunicorn_keep_connections_longer_than_a_proxy_does() -> None:
    shown = subprocess.run(
        [
            *GUNICORN,
            "-c",
            "provisioning/deployment/gunicorn.py",
            "--print-config",
            "http:HTTPStatus",
        ],  # the module is only loaded
        cwd=ROOT,
        env=environ(WEB_CONCURRENCY="3", PORT="8123"),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    config = dict(re.findall(r"^(\w+) += (.*)$", shown, re.MULTILINE))
    assert int(config["keepalive"]) >= 75  # nginx keeps an idle connection for 60 s
    assert int(config["max_requests"]) > int(config["max_requests_jitter"]) > 0
    assert (config["worker_class"], config["workers"], config["preload_app"]) == ("gthread", "3", "True")
    assert config["bind"] == "['0.0.0.0:8123']"
