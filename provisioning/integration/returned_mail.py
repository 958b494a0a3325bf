"""Reads what comes back by email: delivery status notifications (RFC 3464), replies, and a mail service's events."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final, Literal, cast
from uuid import UUID

from orgs.text.normalize import email_key

MOST_SAID: Final = 500
_LONGEST_HEADER: Final = 500  # characters
_MOST_PARTS: Final = 100
_MESSAGE_ID: Final = re.compile(r"<([0-9a-f-]{36})@[^<>\s]+>")
_AUTOMATIC: Final = frozenset({"auto-replied", "auto-generated", "auto-notified"})


class _ShortHeaders(email.policy.EmailPolicy):
    """Reads the beginning of each header: Python's parser takes time in proportion to the square of its length."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """Return the header's object."""
        return super().header_fetch_parse(name, value[:_LONGEST_HEADER])


_POLICY: Final = cast("email.policy.EmailPolicy[EmailMessage]", _ShortHeaders())


@dataclass(frozen=True)
class Returned:
    """Something that came back. ``mail`` is the public id of the email that it is about, None where it isn't said."""

    kind: Literal["bounce", "reply"]
    address: str  # in lower case
    mail: UUID | None
    said: str = ""


def read(content: bytes) -> Iterator[Returned]:
    """Yield what a message says: each address that can't be reached for good, or one reply. Never raises.

    A delay (``Action: delayed``, status 4.x.x) and an automatic answer say nothing that has to be noted.
    """
    if content.lower().count(b"content-type") > _MOST_PARTS:
        return
    try:
        message = email.message_from_bytes(content, policy=_POLICY)
        yield from _bounces(message) if message.get_content_type() == "multipart/report" else _replies(message)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):  # what the parser raises for odd mail
        return


def _bounces(message: EmailMessage) -> Iterator[Returned]:
    original = ""
    for part in message.walk():
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            original = original or _message_id(part.get_payload())
    about = _mail_of(original)
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for block in part.get_payload():
            fields = {name.lower(): str(value) for name, value in block.items()} if hasattr(block, "items") else {}
            status, recipient = fields.get("status", ""), fields.get("final-recipient", "").rpartition(";")[2]
            if fields.get("action", "").strip().lower() == "failed" and not status.startswith("4") and recipient:
                said = fields.get("diagnostic-code") or status
                yield Returned("bounce", email_key(recipient.strip(" <>")), about, " ".join(said.split())[:MOST_SAID])


def _message_id(original: object) -> str:
    """Return the Message-ID of what a notification brings back: a message, or the text of its headers."""
    if isinstance(original, list) and original and isinstance(original[0], EmailMessage):
        return str(original[0].get("Message-ID", ""))
    return original if isinstance(original, str) else ""


def _replies(message: EmailMessage) -> Iterator[Returned]:
    if str(message.get("Auto-Submitted", "no")).strip().lower().partition(";")[0] in _AUTOMATIC:
        return
    about = _mail_of(f"{message.get('In-Reply-To', '')} {message.get('References', '')}")
    senders = message["From"].addresses if message["From"] else ()
    if about is None or not senders:
        return
    body = message.get_body(preferencelist=("plain", "html"))
    lines = str(body.get_content()).splitlines() if body else []
    said = " ".join(" ".join(line for line in lines if not line.lstrip().startswith(">")).split())
    yield Returned("reply", email_key(senders[0].addr_spec), about, said[:MOST_SAID])


def _mail_of(text: str) -> UUID | None:
    found = _MESSAGE_ID.search(text)
    try:
        return UUID(found[1]) if found else None
    except ValueError:
        return None


def mail_id(text: object) -> UUID | None:
    """Return the public id in a Message-ID of ours, with or without angle brackets; None for any other value."""
    return _mail_of(f"<{text.strip('<> ')}>") if isinstance(text, str) else None
