"""The versions of the API, the newest last, and what changed.

A client sends the version that it was written for as ``Api-Version``; without it, the newest counts. A change that
could break a client gets a new version; what only adds something doesn't.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VERSIONS: Final = ("2026-11-27",)


class Change(NamedTuple):
    """A change: the version that it is part of, and what it is, in words for integrators."""

    version: str
    text: str


# The newest first.
CHANGES: Final = (
    Change("2026-11-27", "A provisioning request and each webhook about one name the number of its line."),
    Change("2026-11-27", "The directory of organizations, the finder, events, and webhook endpoints."),
    Change("2026-11-27", "The first version: orders, and reports of provisioning requests."),
)
