"""The embedded PostgreSQL server. (Being written.)"""

from __future__ import annotations

import secrets
from pathlib import Path


def url(state_dir: Path) -> str:
    """Address of the embedded server of this state folder, as DATABASE_URL has it."""
    return f"postgres://postgres@/provisioning?host={state_dir}"


def local_secret(state_dir: Path) -> str:
    """The secret key of a one-machine installation, made at the first start."""
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / "secret_key"
    if not path.exists():
        path.write_text(secrets.token_urlsafe(50))
        path.chmod(0o600)
    return path.read_text()
