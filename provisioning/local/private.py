"""Files that only their owner reads: they hold keys, sign-in codes and people's data. Standard library only."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

UMASK = 0o077


def begin(state_dir: Path, *, mails: Path | None = None) -> None:
    """Give new files to their owner only from here on, and restrict files that everybody could read before.

    ``mails`` is the folder that emails are written to, which may be another person's: only the emails are closed.
    """
    os.umask(UMASK)
    mend(state_dir)
    if mails:
        mend_files(mails, "*.log")


def mend(state_dir: Path) -> None:
    """Close everything in a state folder to others.

    What belongs to another user is that user's to close. A folder that everybody shares (as /tmp) is left alone.
    """
    try:
        if state_dir.stat().st_mode & stat.S_ISVTX:
            return
    except OSError:
        return
    database = state_dir / "postgres"
    if os.geteuid() != 0 or not database.is_dir():  # otherwise the database's user passes; postgres.py sees to it
        _close(state_dir)
    for path in state_dir.iterdir():
        if path != database:
            _close_tree(path)
    mend_files(database)


def mend_files(folder: Path, pattern: str = "*") -> None:
    """Close the files of one folder, and nothing below it."""
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            if path.is_file():
                _close(path)


def _close_tree(top: Path) -> None:
    _close(top)
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            _close(Path(folder, name))


def _close(path: Path) -> None:
    with contextlib.suppress(OSError):  # taken away meanwhile
        found = path.lstat()
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o077:
            path.chmod(found.st_mode & 0o700)
