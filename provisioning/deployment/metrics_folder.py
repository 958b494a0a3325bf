"""The folder through which the processes of one host share their counters (PROMETHEUS_MULTIPROC_DIR).

Imports nothing of the product: the variable has to be set before prometheus_client is imported anywhere.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile


def prepare() -> None:
    """Make the folder, unless the variable names one. It is removed when this process ends, not when a fork does."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - must not wait for a disk
    folder = tempfile.mkdtemp(prefix="provisioning-metrics-", dir=shared)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
