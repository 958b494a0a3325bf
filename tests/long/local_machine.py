"""What the tests of the one-machine default share: copies of the project, commands, processes, small disks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = ROOT / "manage.py"

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has this difficulty")


def environ(**changes: str) -> dict[str, str]:
    """The environment without what a developer may have set for the product."""
    unwanted = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "STATE_DIR", "PUBLIC_URL", "EMAIL_URL", "PROVISIONING_DEMO")
    kept = {
        name: value for name, value in os.environ.items() if name not in unwanted and not name.startswith("PYTEST_")
    }
    return {**kept, **changes}


def manage(
    *arguments: str, root: Path = ROOT, python: str = sys.executable, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run manage.py to its end; what it printed is in `stdout` and `stderr`."""
    command = [python, str(root / "manage.py"), *arguments]
    return subprocess.run(command, env=environ(**changes), capture_output=True, text=True, timeout=240, check=False)


def eventually(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something is true; fail with `what` where it never is."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.02)


def processes(of: Path) -> dict[int, str]:
    """Processes that name this folder in their command or environment, with their commands."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            where = (entry / "environ").read_bytes() + b"\0" + str((entry / "cwd").readlink()).encode()
            if command and str(of).encode() in command + b"\0" + where:
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def kill_all(of: Path) -> None:
    """`kill -9` of everything that works for this folder, as a machine that loses power would."""
    while alive := processes(of):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def copy_of_project(to: Path, requirements: str) -> Path:
    """A clone with what runs before the environment exists, and a `commands` that says where it arrived."""
    (to / "provisioning" / "local").mkdir(parents=True)
    shutil.copy2(MANAGE, to)
    for name in ("__init__.py", "local/__init__.py", "local/environment.py", "local/pythons.py"):
        shutil.copy2(ROOT / "provisioning" / name, to / "provisioning" / name)
    arrived = "import sys\n\ndef run(argv):\n    print('inside', sys.prefix, *argv[1:])\n    return 0\n"
    (to / "provisioning" / "local" / "commands.py").write_text(arrived)
    (to / "requirements.txt").write_text(requirements)
    return to


@contextlib.contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A disk of a few megabytes; skips the test where none can be mounted."""
    at.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(at)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user can't mount a small disk")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)
