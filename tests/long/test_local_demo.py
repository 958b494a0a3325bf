"""`manage.py demo`: one command starts all of it, one key ends all of it, and whatever is killed comes back."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.long.local_machine import MANAGE, environ, eventually, kill_all, manage, needs_proc, processes

pytestmark = needs_proc


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


class Demo:
    """A demo that runs in another process, as a person at a terminal has it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.port = free_port()
        self.log = state_dir.with_name("demo.log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait for the first page; returns how many seconds that took."""
        began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(MANAGE), "demo", "--port", str(self.port)],
                env=environ(STATE_DIR=str(self.state_dir)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self.answers, "the first page", 240)
        took = time.monotonic() - began
        eventually(lambda: "Look here: " in self.told(), "the address")
        return took

    def answers(self) -> bool:
        """Whether the first page, after its redirects, is a page."""
        assert self.process
        assert self.process.poll() is None, self.told()
        path = "/"
        with contextlib.suppress(OSError, http.client.HTTPException):
            for _ in range(5):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("GET", path)
                page = connection.getresponse()
                if page.status != 302:
                    return page.status == 200
                path = page.headers["Location"]
        return False

    def told(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        """Its parts by what they are."""
        assert self.process
        own = self.process.pid
        found: dict[str, int] = {}
        for pid, command in processes(self.state_dir).items():
            if "guardian.py" in command:
                found["guardian"] = pid
            elif "/bin/postgres -D" in command:
                found["postgres"] = pid
        for child in Path(f"/proc/{own}/task/{own}/children").read_text().split():
            found[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it by a signal; returns its exit status."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """One state folder for all the demos of this file: only the first one has to load the sample."""
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir="/tmp"))
    folder.chmod(0o755)
    demo = Demo(folder / "state")
    try:
        demo.start()
        assert demo.end() == 0
        assert processes(folder) == {}
        yield folder / "state"
        assert processes(folder) == {}
    finally:
        kill_all(folder)
        shutil.rmtree(folder)


@pytest.fixture
def demo(state_dir: Path) -> Iterator[Demo]:
    """A demo that was started before; killed at the end where the test didn't end it."""
    demo = Demo(state_dir)
    yield demo
    if demo.process and demo.process.poll() is None:
        demo.end(signal.SIGTERM)


def test_second_start_says_where_to_look_and_ctrl_c_ends_all_of_it(demo: Demo) -> None:
    demo.start()
    assert f"Look here: http://127.0.0.1:{demo.port}/" in demo.told()
    assert "Preparing" not in demo.told()
    assert "Traceback" not in demo.told()
    assert len(processes(demo.state_dir)) > 5
    assert demo.end() == 0
    assert processes(demo.state_dir) == {}
    assert "The demo has ended" in demo.told()


def test_killed_parts_come_back_while_the_demo_goes_on(demo: Demo) -> None:
    demo.start()
    for part in ("web server", "worker"):
        os.kill(demo.children()[part], signal.SIGKILL)
        eventually(lambda part=part: f"The {part} ended (signal 9)" in demo.told(), f"a new {part}")  # type: ignore[misc]
        eventually(demo.answers, f"a page after the {part} was killed")
    for part in ("postgres", "guardian"):
        os.kill(demo.children()[part], signal.SIGKILL)
        eventually(demo.answers, f"a page after the {part} was killed")
    assert demo.end() == 0
    assert processes(demo.state_dir) == {}


def test_killed_demo_takes_its_parts_along_and_starts_again(demo: Demo) -> None:
    demo.start()
    assert demo.end(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not processes(demo.state_dir), "the end of what the demo had started")
    demo.start()
    assert demo.end(signal.SIGTERM) == 0


def test_demo_starts_after_everything_was_killed_at_once(demo: Demo) -> None:
    demo.start()
    kill_all(demo.state_dir)
    assert demo.process
    demo.process.wait()
    demo.start()
    assert "Preparing" not in demo.told()


def test_everything_that_the_demo_writes_is_its_owners_alone(demo: Demo) -> None:
    state_dir = demo.state_dir
    for path in (state_dir, state_dir / "postgres", state_dir / "mail", *(state_dir / "mail").glob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # as an earlier version left them
    (state_dir / "postgres" / "log").chmod(0o644)
    demo.start()
    eventually(lambda: list((state_dir / "mail").glob("*.log")), "an email")
    manage("collectstatic", "--noinput", STATE_DIR=str(state_dir))
    of_the_server = [state_dir / "postgres" / name for name in ("data", "socket")]
    programs = list((state_dir / "postgres").glob("programs-*"))  # public, and passed by nobody but the server
    passages = [state_dir, state_dir / "postgres"] if os.geteuid() == 0 else []
    for path in (state_dir, *state_dir.rglob("*")):
        if not path.is_symlink() and not any(path.is_relative_to(each) for each in (*of_the_server, *programs)):
            allowed = 0o710 if path in passages else 0o600 if path.is_file() else 0o700
            assert path.stat().st_mode & 0o777 & ~allowed == 0, path
    for folder in of_the_server:
        assert folder.stat().st_mode & 0o077 == 0
        assert folder.stat().st_uid == of_the_server[0].stat().st_uid
    assert demo.end() == 0


def test_port_in_use_is_told_in_a_sentence_that_names_the_option(state_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = manage("demo", "--port", port, STATE_DIR=str(state_dir))
    assert refused.returncode == 1
    assert f"Port {port} is in use already: choose another one, such as --port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_command_beside_the_demo_sees_its_data_and_leaves_it_running(demo: Demo) -> None:
    demo.start()
    beside = manage("showmigrations", "--plan", STATE_DIR=str(demo.state_dir))
    assert "[X]" in beside.stdout
    assert "[ ]" not in beside.stdout
    assert demo.answers()
