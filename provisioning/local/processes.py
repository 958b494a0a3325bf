"""Forks of this process that live and die with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping

from provisioning.local.database.cluster import Problem

_PATIENCE = 5.0  # seconds for an orderly end
_MANY = 5  # deaths within a minute: the cause persists, and starting again at once doesn't help
_PAUSE = 3.0  # seconds before the next start then
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


class Children:
    """A set of child processes, each a function that runs until it is told to end."""

    def __init__(
        self, tasks: Mapping[str, Callable[[], None]], *, patience: float = _PATIENCE, gives_up: bool = True
    ) -> None:
        """``patience``: how long an orderly end may take. ``gives_up``: whether deaths again and again end it all."""
        self._tasks = tasks
        self._patience = patience
        self._gives_up = gives_up
        self._pids: dict[str, int] = {}
        self._deaths: list[float] = []
        self._paused_until = 0.0

    def start(self) -> None:
        """Start those that don't run."""
        for name, task in self._tasks.items():
            if name not in self._pids:
                self._pids[name] = _fork(name, task)

    def revive(self) -> None:
        """Start again what has ended, and say so. Raises Problem where that keeps happening."""
        for name, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._pids[name]
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            now = time.monotonic()
            self._deaths = [*(death for death in self._deaths if now - death < 60), now]
            many = len(self._deaths) >= _MANY
            if many and self._gives_up:
                raise Problem(f"The {name} keeps ending ({how}), so the demo ends; the lines above say why.")
            self._paused_until = now + _PAUSE if many else now
            sys.stderr.write(f"The {name} ended ({how}); it is started again{' in a moment' if many else ''}.\n")
        if time.monotonic() >= self._paused_until:
            self.start()

    def stop(self) -> None:
        """End all of them, in order where they manage to within seconds, and return when they have ended."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # asked already
        for sign, patience in ((signal.SIGTERM, self._patience), (signal.SIGKILL, _PATIENCE)):
            for pid in self._pids.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            until = time.monotonic() + patience
            while self._pids and time.monotonic() < until:
                for name, pid in list(self._pids.items()):
                    with contextlib.suppress(ChildProcessError):
                        if not os.waitpid(pid, os.WNOHANG)[0]:
                            continue
                    del self._pids[name]
                time.sleep(0.01)


def _fork(name: str, task: Callable[[], None]) -> int:
    parent = os.getpid()
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # none may find the child with the parent's handlers
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        return pid
    status = 1
    try:
        os.setpgid(0, 0)  # the parent handles Ctrl-C and ends its children
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        _die_with(parent)
        _be_called(name)
        task()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _die_with(parent: int) -> None:
    """End this process in order when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_notice, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _be_called(name: str) -> None:
    """Show up under this name in lists of processes, where the system has such names."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _notice(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
