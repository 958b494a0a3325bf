"""Find a Python on this machine that the product runs on.

Runs on Python 3.8 with the standard library only, before the environment exists.
"""

from __future__ import annotations

import glob
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OLDEST = (3, 12)
NEWEST = (3, 14)  # of those that every locked package has been seen on

_PROBE = """
import json, sys, sysconfig
try:
    import ensurepip, venv
    complete = True
except ImportError:
    complete = False
print(json.dumps([sys.version_info[:3], complete and sys.implementation.name == "cpython"
                  and not sysconfig.get_config_var("Py_GIL_DISABLED")]))
"""


class Python(NamedTuple):
    """An interpreter: where it is, its version, and whether it can make an environment."""

    path: str
    version: tuple[int, ...]
    complete: bool

    @property
    def name(self) -> str:
        """The version as people write it."""
        return ".".join(str(part) for part in self.version)


class NotFound(Exception):
    """No Python will do; the message says what to install."""


def find() -> Python:
    """Return the Python to make the environment with: the newest supported one, else the oldest of the newer ones.

    Raises NotFound, with a sentence that says what to do, where there is none.
    """
    found: dict[str, Python] = {}
    for path in _paths():
        real = os.path.realpath(path)
        # A shim is a script that starts one of several interpreters: its own path is kept separately.
        key = path if os.path.basename(os.path.dirname(path)) == "shims" else real
        if key not in found and os.access(path, os.X_OK):
            python = _probe(path)
            if python:
                found[key] = python
    suitable = [python for python in found.values() if python.version >= OLDEST]
    complete = [python for python in suitable if python.complete]
    supported = [python for python in complete if python.version[:2] <= NEWEST]
    if supported:
        return max(supported, key=lambda python: python.version)
    if complete:
        return min(complete, key=lambda python: python.version)
    if suitable:
        best = max(suitable, key=lambda python: python.version)
        short = "{}.{}".format(*best.version[:2])
        raise NotFound(
            f"Python {best.name} at {best.path} can't make environments because its venv module is missing: install it "
            f"(Debian, Ubuntu: apt install python{short}-venv) and run this again."
        )
    names = sorted({python.name for python in found.values()}, key=lambda name: [int(part) for part in name.split(".")])
    raise NotFound(
        "This needs Python {}.{} or newer and found {}: install one (Debian 13, Ubuntu 24.04: apt install python3 "
        "python3-venv; macOS: brew install python@3.13; anywhere: pyenv install 3.13, or uv python install 3.13) "
        "and run this again.".format(OLDEST[0], OLDEST[1], "only " + ", ".join(names) if names else "none")
    )


def _probe(path: str) -> Python | None:
    """Ask an interpreter for its version; None where it doesn't answer (an unselected shim, a broken one)."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        version, complete = json.loads(answer.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Python(path, tuple(version), bool(complete))


def _paths() -> Iterator[str]:
    """Paths that may be interpreters: this one, PATH, pyenv, uv, and the usual places beside them."""
    names = [f"python{OLDEST[0]}.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)] + ["python3"]
    yield sys.executable
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in [*folders, "/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"]:
        for name in names:
            path = os.path.join(folder, name)
            if folder and os.path.exists(path):
                yield path
    for versions in _version_folders():
        for path in sorted(glob.glob(os.path.join(glob.escape(versions), "*", "bin", "python3")), reverse=True):
            yield path
    yield from _output(["uv", "python", "find", "--offline", ">={}.{}".format(*OLDEST)])


def _version_folders() -> list[str]:
    """Folders of version managers: one folder a version, `bin/python3` inside."""
    homes = [os.path.expanduser("~"), *_own_home()]
    folders = []
    if os.environ.get("PYENV_ROOT"):
        folders.append(os.path.join(os.environ["PYENV_ROOT"], "versions"))
    folders += [os.path.join(root, "versions") for root in _output(["pyenv", "root"])]
    folders += [os.path.join(home, ".pyenv", "versions") for home in homes]
    # This interpreter's siblings: they are there even where HOME and PATH are not those of the one who installed it.
    own = Path(os.path.realpath(sys.executable)).parent.parent.parent
    if own.name in ("versions", "python", "installs"):
        folders.append(str(own))
    if os.environ.get("UV_PYTHON_INSTALL_DIR"):
        folders.append(os.environ["UV_PYTHON_INSTALL_DIR"])
    folders += _output(["uv", "python", "dir"])
    shares = [os.environ.get("XDG_DATA_HOME"), *(os.path.join(home, ".local", "share") for home in homes)]
    for data in filter(None, shares):
        folders.append(os.path.join(data, "uv", "python"))
        folders.append(os.path.join(data, "mise", "installs", "python"))
    folders += [os.path.join(home, ".asdf", "installs", "python") for home in homes]
    return list(dict.fromkeys(folders))


def _own_home() -> list[str]:
    """The home that the system knows of: HOME may be another, for a service or a test."""
    try:
        return [pwd.getpwuid(os.getuid()).pw_dir]
    except KeyError:  # a container's user without an account
        return []


def _output(command: list[str]) -> list[str]:
    """Lines that a tool prints; none where the tool is missing or fails."""
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    if answer.returncode != 0:
        return []
    return [line.strip() for line in answer.stdout.decode(errors="replace").splitlines() if line.strip()]
