"""Reads the mailbox that bounces and replies come to, by IMAP (``MAILBOX_URL``)."""

from __future__ import annotations

import imaplib
import logging
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

from provisioning import actions
from provisioning.integration import returned_mail

log = logging.getLogger(__name__)

_SECONDS: Final = 20
_MOST: Final = 100
_LONGEST: Final = 1_000_000  # bytes of a message that are read


def read() -> int:
    """Note what unread messages say, and mark them as read; return how many there were, at most 100 at a time.

    A message is marked after it was noted, and noting it twice is noting it once: nothing is lost by a kill. A server
    that can't be reached is logged; the next run tries again.
    """
    if not settings.MAILBOX_URL:
        return 0
    try:
        return _read()
    except (OSError, imaplib.IMAP4.error) as problem:
        log.warning("the mailbox of MAILBOX_URL can't be read: %s", type(problem).__name__)
        return 0


def _read() -> int:
    where = urlsplit(settings.MAILBOX_URL)
    host, folder = where.hostname or "", unquote(where.path.strip("/")) or "INBOX"
    box: imaplib.IMAP4
    if where.scheme == "imaps":
        context = ssl.create_default_context()
        box = imaplib.IMAP4_SSL(host, where.port or 993, ssl_context=context, timeout=_SECONDS)
    else:
        box = imaplib.IMAP4(host, where.port or 143, timeout=_SECONDS)
    with box:
        box.login(unquote(where.username or ""), unquote(where.password or ""))
        status, _data = box.select(f'"{folder}"')
        if status != "OK":
            raise imaplib.IMAP4.error(f"no folder {folder}")
        _status, found = box.uid("SEARCH", "UNSEEN")
        uids = (found[0] or b"").split()[:_MOST]
        for uid in uids:
            _status, parts = box.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{_LONGEST}>)")
            content = next((part[1] for part in parts if isinstance(part, tuple)), b"")
            for returned in returned_mail.read(content):
                actions.note_returned(returned, trusted=False)
            box.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)")
    return len(uids)
