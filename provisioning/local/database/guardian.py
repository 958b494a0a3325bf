"""The process that keeps the embedded server: its parent, which starts it again when it is killed and ends it when
nobody uses it any more, also when every user was killed.

Run by postgres.py with `python -I -S guardian.py HOME SOCKET_DIR USER_NUMBER PROGRAMS`; ends with the server.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from provisioning.local.database.cluster import Cluster, Problem

_waiting = False


class _Ended(Exception):
    """The server ended while this process waited for its users to leave."""


def _child_ended(_signal: int, _frame: FrameType | None) -> None:
    if _waiting:
        raise _Ended


def main(home: Path, socket_dir: Path, user: int, programs: Path) -> int:
    """Keep the server until nobody holds the lock of its users. Returns 0 after an orderly end, 1 after another."""
    global _waiting
    cluster = Cluster(
        home=home, socket_dir=socket_dir, user=pwd.getpwuid(user) if user >= 0 else None, programs=programs
    )
    signal.signal(signal.SIGCHLD, _child_ended)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    alive = os.open(home / "guardian.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)  # held to the end: a process that stops the server waits for it
    users = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    server = cluster.launch()
    deaths: list[float] = []
    while True:
        try:
            _waiting = True
            if server.poll() is None:
                fcntl.flock(users, fcntl.LOCK_EX)
                _waiting = False
                break
        except _Ended:
            pass
        finally:
            _waiting = False
        if server.wait() == 0:
            return 0  # somebody stopped it
        now = time.monotonic()
        deaths = [*(death for death in deaths if now - death < 60), now]
        if cluster.postmaster() != (server.pid, "ready") or len(deaths) > 5:
            return 1  # it doesn't even start, or keeps dying: its log says why
        server = _again(cluster)
    server.send_signal(signal.SIGINT)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()
    return 0


def _again(cluster: Cluster) -> subprocess.Popen[bytes]:
    lock = os.open(cluster.home / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cluster.data / "PG_VERSION").exists() or cluster.running():
            sys.exit(1)  # taken away, or already started by somebody else
        cluster.clear_remains()
        return cluster.launch()
    finally:
        os.close(lock)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
    except (OSError, Problem):
        sys.exit(1)
