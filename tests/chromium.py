"""Where the browser tests' Chromium is on this machine."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

HOW_TO_GET = (
    "apt install chromium (Debian), brew install --cask chromium (macOS), or set CHROMIUM to the program of one"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")


@functools.cache
def find() -> str | None:
    """Return the program: CHROMIUM where set, else one of PATH or of macOS's applications; None without any."""
    asked = os.environ.get("CHROMIUM")
    if asked:
        return shutil.which(asked)
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    folders = (Path("/Applications"), Path.home() / "Applications")
    return next((str(folder / app) for folder in folders for app in _APPS if (folder / app).exists()), None)
