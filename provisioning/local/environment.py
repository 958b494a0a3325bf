"""Make the project's `.venv` from the hashed `requirements.txt` and go on inside it.

Runs on Python 3.8 with the standard library only, before the environment exists. Whatever goes wrong is told in one
sentence that says what to do.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from provisioning.local import pythons

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
_MARKER = VENV / "requirements.sha256"
_PYTHON = VENV / "bin" / "python"
_GUARD = "_MANAGE_PY_ENTERED"  # the process that entered already: stops an endless loop of a broken environment
_NEEDED = 700  # MB of disk for .venv with the wheels being unpacked

NO_PANGO = (
    "PDFs need the Pango library: install it (Debian, Ubuntu: apt install libpango-1.0-0 libpangoft2-1.0-0 "
    "libharfbuzz-subset0; macOS: brew install pango; Fedora: dnf install pango) and run this again."
)
NO_NETWORK = (
    "The packages could not be downloaded because the package index did not answer: connect this machine to the "
    "network (or set PIP_INDEX_URL to an index that it reaches) and run this again; it goes on where it stopped."
)

# What pip prints -> what to do. The first match is shown: a full disk also breaks connections.
_REASONS: tuple[tuple[str, str], ...] = (
    (r"Errno 28\]|Errno 122\]|No space left|Disk quota exceeded", "full"),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index answered with a certificate that this machine doesn't trust: set PIP_CERT to your "
        "network's certificate file and run this again.",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "A downloaded package differs from the one that requirements.txt names: run this again, and if it stays so, "
        "check the index that pip is set to use.",
    ),
    (
        r"NewConnectionError|Failed to establish|Connection refused|Name or service not known|Name resolution|"
        r"name resolution|nodename nor servname|No address associated|Network is unreachable|ConnectTimeout|"
        r"ReadTimeout|Read timed out|Connection aborted|Connection reset|Max retries exceeded|ProxyError|"
        r"connection broken",
        NO_NETWORK,
    ),
    (
        r"No matching distribution found",
        "The package index that pip is set to use lacks a package of requirements.txt: unset PIP_INDEX_URL or choose "
        "a complete index, and run this again.",
    ),
)


class Problem(Exception):
    """Something that the person at the keyboard has to do first; the message says what, in one sentence."""


def enter(program: str, arguments: list[str]) -> None:
    """Return when this process runs inside a complete `.venv`; otherwise make it and run `program` again inside it.

    Ends the process with status 1 and a sentence where that is not possible.
    """
    try:
        if complete():
            if _inside():
                return
        else:
            _prepare()
        if os.environ.get(_GUARD) == str(os.getpid()):
            raise Problem("The environment in .venv doesn't work: remove the folder .venv and run this again.")
        os.environ[_GUARD] = str(os.getpid())
        os.environ.pop("__PYVENV_LAUNCHER__", None)
        if sys.platform == "darwin":
            os.environ.setdefault("DYLD_FALLBACK_LIBRARY_PATH", "/opt/homebrew/lib:/usr/local/lib:/usr/lib")
        sys.stdout.flush()
        os.execv(str(_PYTHON), [str(_PYTHON), program, *arguments])  # noqa: S606
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The next start goes on from here.\n")
        sys.exit(130)
    except Problem as problem:
        refuse(str(problem))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            refuse(_full())
        refuse(f"The environment in .venv can't be written ({error}): run this as the owner of {ROOT}.")


def refuse(sentence: str) -> NoReturn:
    """End the process with status 1 and one sentence on stderr."""
    sys.stderr.write("manage.py: " + sentence + "\n")
    sys.exit(1)


def require_pango() -> None:
    """Raise Problem where the shared library that WeasyPrint draws with is not on this machine."""
    names = ["libpango-1.0.so.0", "libpangoft2-1.0.so.0"]
    if sys.platform == "darwin":
        names = ["libpango-1.0.0.dylib", "libpangoft2-1.0.0.dylib"]
    folders = ["", "/opt/homebrew/lib/", "/usr/local/lib/", "/opt/local/lib/"] if sys.platform == "darwin" else [""]
    for name in names:
        if not any(_loads(folder + name) for folder in folders):
            raise Problem(NO_PANGO)


def complete() -> bool:
    """Whether `.venv` holds everything that the present `requirements.txt` names, and lies where it was made."""
    try:
        return _MARKER.read_text() == _fingerprint() and _PYTHON.exists()
    except OSError:
        return False


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _inside() -> bool:
    return os.path.realpath(sys.prefix) == os.path.realpath(str(VENV))


def _fingerprint() -> str:
    # The folder is part of it: scripts in .venv/bin name it, so a moved environment is made again.
    return f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {VENV}\n"


def _prepare() -> None:
    """Make or finish `.venv`, one process at a time."""
    lock = os.open(str(ROOT), os.O_RDONLY)  # the folder itself is the lock: nothing to leave behind
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("Another command is setting up .venv; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if complete():
            return
        require_pango()
        moved = _MARKER.exists() and str(VENV) not in _MARKER.read_text()
        if _MARKER.exists():
            _MARKER.unlink()
        if moved or not _usable():
            _make()
        _bring_pip()
        _install()
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            _compile()
        _MARKER.write_text(_fingerprint())
    finally:
        os.close(lock)


def _usable() -> bool:
    """Whether `.venv` has a suitable Python that works: then only packages are missing."""
    probe = "import sys; print(sys.prefix); sys.exit(sys.version_info < (3, 12))"
    try:
        asked = subprocess.run([str(_PYTHON), "-I", "-c", probe], stdout=subprocess.PIPE, check=False)
    except OSError:
        return False
    return asked.returncode == 0 and os.path.realpath(asked.stdout.decode().strip()) == os.path.realpath(str(VENV))


def _make() -> None:
    try:
        python = pythons.find()
    except pythons.NotFound as reason:
        raise Problem(str(reason)) from None
    if shutil.disk_usage(str(ROOT)).free // 1_000_000 < _NEEDED:
        raise Problem(_full())
    _say(f"Setting up .venv with Python {python.name} (once; about a minute).")
    _run([python.path, "-I", "-m", "venv", "--clear", "--without-pip", str(VENV)])


def _bring_pip() -> None:
    """Put pip into `.venv` where it is missing or was half written."""
    pip = [str(_PYTHON), "-I", "-m", "pip", "--version"]
    if subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        for half in VENV.glob("lib/python3.*/site-packages/pip*"):
            shutil.rmtree(str(half))
        _run([str(_PYTHON), "-I", "-m", "ensurepip", "--default-pip"])


def _run(command: list[str]) -> None:
    """Run a part of making `.venv`. Raises Problem where it fails."""
    made = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_pip_environment(), check=False
    )
    if made.returncode == 0:
        return
    output = made.stdout.decode(errors="replace")
    if re.search(_REASONS[0][0], output):
        raise Problem(_full())
    if "Permission denied" in output or "Read-only" in output:
        raise Problem(f"The folder {ROOT} can't be written: run this as its owner.")
    raise Problem(f"{command[0]} could not make .venv: {_last_line(output)}")


def _install() -> None:
    """Install the locked packages, saying how far it is."""
    lines = REQUIREMENTS.read_text().splitlines()
    total = sum(1 for line in lines if re.match(r"[A-Za-z0-9._-]+(\[.*\])?==", line))
    site = next(VENV.glob("lib/python3.*/site-packages"))
    # pip writes RECORD last: a package without it was being installed when somebody pulled the plug.
    for half in site.glob("*.dist-info"):
        if not (half / "RECORD").exists():
            shutil.rmtree(str(half))
    command = [str(_PYTHON), "-I", "-m", "pip", "install", "--require-hashes", "--no-deps", "--prefer-binary"]
    command += ["--no-compile", "--progress-bar", "off", "--disable-pip-version-check", "--no-input"]
    process = subprocess.Popen(
        [*command, "--retries", "2", "-r", str(REQUIREMENTS)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_pip_environment(),
        cwd=str(ROOT),
    )
    progress = _Progress()
    output: list[str] = []
    fetched, installing = 0, False
    try:
        for line in _lines(process):
            output.append(line)
            if re.match(r"(Collecting|Requirement already satisfied|Ignoring) ", line):
                fetched += 1
                progress.show("fetching", fetched, total)
            installing = installing or line.startswith("Installing collected packages")
            if installing:
                progress.show("installing", sum(1 for _ in site.glob("*.dist-info/RECORD")), total)
        if process.wait() == 0:
            progress.end("installed", total)
            return
        progress.end()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    text = "\n".join(output)
    for pattern, sentence in _REASONS:
        if re.search(pattern, text):
            raise Problem(_full() if sentence == "full" else sentence)
    raise Problem(f"The packages could not be installed: {_last_line(text)}")


def _compile() -> None:
    """Compile what the product imports, once: with PYTHONDONTWRITEBYTECODE every start would do it again."""
    imports = (
        "import sys; sys.path.insert(0, sys.argv[1]); import django; django.setup(); "
        "from django.urls import get_resolver; get_resolver().url_patterns; "
        "import gunicorn.app.base, gunicorn.workers.gthread, procrastinate.worker, provisioning.local.demo.runner"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "provisioning.settings", "SECRET_KEY": "-", "DATABASE_URL": "postgres:///-"}
    subprocess.run(
        [str(_PYTHON), "-I", "-c", imports, str(ROOT)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _pip_environment() -> dict[str, str]:
    # The person's own index, certificate and proxy settings stay; settings that would install elsewhere don't.
    unwanted = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_QUIET")
    environ = {name: value for name, value in os.environ.items() if name not in unwanted}
    environ.update(PIP_USER="0", LC_ALL="C.UTF-8", PYTHONUNBUFFERED="1")
    return environ


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines of a process as they come, and an empty one every half second of silence."""
    assert process.stdout  # noqa: S101
    pipe = process.stdout.fileno()
    rest = b""
    while True:
        if not select.select([pipe], [], [], 0.5)[0]:
            yield ""
            continue
        block = os.read(pipe, 65536)
        if not block:
            break
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield part.decode(errors="replace").strip()
    yield rest.decode(errors="replace").strip()


class _Progress:
    """One line that counts on a terminal; a line every fifth of the way elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ("", -1)

    def show(self, doing: str, count: int, total: int) -> None:
        count = min(count, total)
        step = count if self._terminal else count * 5 // max(total, 1)
        if (doing, step) == self._shown:
            return
        self._shown = (doing, step)
        text = f"  {doing} packages: {count} of {total}"
        sys.stderr.write("\r\033[K" + text if self._terminal else text + "\n")
        sys.stderr.flush()

    def end(self, doing: str = "", total: int = 0) -> None:
        if doing:
            self._shown = ("", -1)
            self.show(doing, total, total)
        if self._terminal:
            sys.stderr.write("\n")


def _full() -> str:
    free = shutil.disk_usage(str(ROOT)).free // 1_000_000
    return (
        f"The disk is full: {ROOT} has {free} MB left and .venv needs about {_NEEDED} MB, the temporary folder "
        f"{tempfile.gettempdir()} some as well; free some space and run this again."
    )


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no reason was given"])[-1]


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
