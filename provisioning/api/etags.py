"""ETags (RFC 9110, 8.8.3): what a client has read, so that it changes or reads again only what is still the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Final

from django.http import HttpRequest
from ninja import Schema

from provisioning.api.errors import Problem

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


def etag_of(shown: Schema, *, leave_out: Collection[str] = ()) -> str:
    """Return the strong ETag of an answer, without these fields of it."""
    text = shown.model_dump_json(exclude=set(leave_out))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def require_match(request: HttpRequest, etag: str) -> None:
    """Raise Problem where the request has If-Match without this ETag. The caller has locked what it stands for."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    if etag not in (tag for tag in _TAG.findall(wanted) if not tag.startswith("W/")):
        raise Problem("changed-meanwhile")


def is_unchanged(request: HttpRequest, etag: str) -> bool:
    """Return whether the request has If-None-Match with this ETag: the answer is 304."""
    return etag in _TAG.findall(request.headers.get("If-None-Match", ""))
