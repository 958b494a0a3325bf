"""Emails as files that nobody but their owner reads: they hold links and codes that sign people in."""

from __future__ import annotations

import os
from typing import Any

from django.core.mail.backends import filebased


class EmailBackend(filebased.EmailBackend):
    """Django's file backend, with a folder and files of the owner's alone."""

    def __init__(self, *, file_path: str | None = None, **options: Any) -> None:
        """Make the folder, where it is missing, before the parent makes it readable by others."""
        if file_path and not os.path.isdir(file_path):
            try:
                os.makedirs(os.path.dirname(os.path.abspath(file_path)), exist_ok=True)
                os.mkdir(file_path, 0o700)
            except OSError:  # the parent says what is wrong with it
                pass
        super().__init__(file_path=file_path, **options)

    def open(self) -> bool | None:
        """Open the file of this connection's emails."""
        if self.stream is not None:
            return False
        descriptor = os.open(self._get_filename(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.stream = os.fdopen(descriptor, "ab")
        return True
