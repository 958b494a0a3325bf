"""The versions of the API, the newest last, and what changed.

A client sends the version that it was written for as ``Api-Version``; without it, the newest counts. A change that
could break a client gets a new version; what only adds something doesn't.

``python -m tests.provisioning.api.openapi_file "What changed."`` writes ``openapi.json``, a copy of the document, and
adds the entry here. Each change of the document has an entry of its own, whose digest never changes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VERSIONS: Final = ("2026-11-27",)


class Change(NamedTuple):
    """A change: the version that it is part of, what it is, and the beginning of the SHA-256 of openapi.json after it.

    The digest is empty for the changes before there was the file.
    """

    version: str
    text: str
    document: str = ""


# The newest first.
CHANGES: Final = (
    Change("2026-11-27", "Batches of organizations, and their rows, are described as they are.", "dfcc5168e001e036"),
    Change(
        "2026-11-27", "Lists of orders name only what every order has, not what expand adds to one.", "0b1a3542e773bab6"
    ),
    Change("2026-11-27", "RateLimit headers on every answer to a valid key, errors too.", "c8d5e4437eb11f3f"),
    Change("2026-11-27", "Any operation may answer 404.", "b2dddb23a139ce91"),
    Change("2026-11-27", "Organizations: ETag, If-Match and If-None-Match.", "d192d223aee59589"),
    Change("2026-11-27", "Batches of orders, as JSON, YAML or CSV.", "2a8cc522431f6d94"),
    Change(
        "2026-11-27",
        "Orders: place, read, list, correct, extend, cancel, hand to the desk; history, summary.",
        "fe5bf66217616fd8",
    ),
    Change("2026-11-27", "A provisioning request and each webhook about one name the number of its line."),
    Change("2026-11-27", "The directory of organizations, the finder, events, and webhook endpoints."),
    Change("2026-11-27", "The first version: reports of provisioning requests."),
)
