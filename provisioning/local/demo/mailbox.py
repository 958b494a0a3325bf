"""The demo's mailbox: the emails that the product has sent, read from the files they are kept in.

Django's file backend writes a message and then a line of 79 dashes; one file may hold several of them. What has no such
line after it is still being written, and isn't shown yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as policy
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

from orgs.text.normalize import email_key
from provisioning.models import Mail, SignInCode

SEPARATOR: Final = re.compile(rb"^-{79}\r?\n", re.MULTILINE)
NEWEST: Final = 200  # as many are listed

# An email carries its styles with it, so this one response may; it runs no script, is nobody's origin, and all it can
# do is open what the reader clicks.
_SANDBOX: Final = ("allow-popups", "allow-popups-to-escape-sandbox", "allow-top-navigation-by-user-activation")
_EMAIL_CSP: Final[dict[str, Any]] = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.UNSAFE_INLINE],
    "img-src": settings.SECURE_CSP["img-src"],
    "form-action": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.SELF],
    "sandbox": list(_SANDBOX),
}
_PAGE_CSP: Final[dict[str, Any]] = {**settings.SECURE_CSP, "frame-src": [CSP.SELF]}


@dataclass(frozen=True)
class Attachment:
    """A file that came with an email."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """One email as a reader sees it; ``file`` and ``at`` (from 0, within the file) say which one it is."""

    file: str
    at: int
    written: int  # when the file was last written, in nanoseconds: the date of an email knows only seconds
    sent_at: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]


def letters(*, to: str = "") -> list[Letter]:
    """The emails that were sent, newest first; ``to`` one address, or to all."""
    key = email_key(to)
    found = [letter for file in _files() for letter in _letters_of(file) if not key or key in letter.to]
    return sorted(found, key=lambda letter: (letter.sent_at, letter.written, letter.at), reverse=True)


def folder() -> Path | None:
    """Where the file backend writes; None where mail is sent in another way."""
    path = settings.MAILERS["default"].get("OPTIONS", {}).get("file_path")
    return Path(str(path)) if path else None


def _files() -> Iterator[Path]:
    where = folder()
    if where and where.is_dir():
        yield from (file for file in where.iterdir() if file.suffix in {".log", ".eml"})


def _letters_of(file: Path) -> tuple[Letter, ...]:
    try:
        stat = file.stat()
    except OSError:  # removed since the folder was read
        return ()
    return _read(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _read(file: Path, written: int, size: int) -> tuple[Letter, ...]:
    """The emails of a file as it is now: another time or size is another file to the cache."""
    try:
        content = file.read_bytes()
    except OSError:
        return ()
    parts = SEPARATOR.split(content)[:-1] if file.suffix == ".log" else [content]
    return tuple(letter for at, part in enumerate(parts) if (letter := _parse(part, file.name, at, written)))


def _parse(content: bytes, file: str, at: int, written: int) -> Letter | None:
    """One email; None for bytes that aren't one."""
    try:
        message = BytesParser(EmailMessage, policy=policy).parsebytes(content.lstrip(b"\r\n"))
        if "To" not in message:
            return None
        sent_at = message["Date"].datetime if "Date" in message else datetime.fromtimestamp(written / 1e9, UTC)
        return Letter(
            file=file,
            at=at,
            written=written,
            sent_at=sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC),
            sender=str(message.get("From", "")),
            to=tuple(email_key(address.addr_spec) for address in message["To"].addresses),
            subject=str(message.get("Subject", "")),
            text=_body(message, "plain"),
            html=_body(message, "html"),
            attachments=tuple(_attachment(part) for part in message.iter_attachments()),
        )
    except Exception:  # the parser's own errors are of many kinds; what can't be read isn't an email
        return None


def _body(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body else ""


def _attachment(part: EmailMessage) -> Attachment:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    return Attachment(part.get_filename() or "attachment", part.get_content_type(), content)


def _letter(file: str, at: int) -> Letter:
    where = folder()
    if where and re.fullmatch(r"[\w.-]+\.(log|eml)", file):
        for letter in _letters_of(where / file):
            if letter.at == at:
                return letter
    raise Http404


# Pages


@never_cache
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """The emails, newest first; ``?to=`` those of one address."""
    to = email_key(request.GET.get("to", "").replace("\0", ""))
    everything = letters()
    found = [letter for letter in everything if not to or to in letter.to]
    addresses = {address for letter in everything for address in letter.to} | ({to} if to else set())
    context = {
        "to": to,
        "letters": found[:NEWEST],
        "more": max(0, len(found) - NEWEST),
        "addresses": sorted(addresses, key=lambda address: address.partition("@")[::-1]),
        "on_their_way": _on_their_way(to),
        "kept": folder() is not None,
    }
    return render(request, "local/mailbox.html", context)


def _on_their_way(to: str) -> int:
    """How many emails wait for a worker."""
    mails = Mail.objects.filter(sent_at=None, tries=0)
    codes = SignInCode.objects.filter(sent_at=None, tries=0, used_at=None, user__isnull=False)
    return (mails.filter(to=to) if to else mails).count() + (codes.filter(email=to) if to else codes).count()


@csp_override(_PAGE_CSP)
@never_cache
@require_safe
def mail(request: HttpRequest, file: str, at: int) -> HttpResponse:
    """One email: the HTML part in a frame of its own, the text part, what is attached."""
    context = {"letter": _letter(file, at), "to": email_key(request.GET.get("to", "")), "sandbox": " ".join(_SANDBOX)}
    return render(request, "local/mail.html", context)


@xframe_options_sameorigin
@csp_override(_EMAIL_CSP)
@never_cache
@require_safe
def mail_html(request: HttpRequest, file: str, at: int) -> HttpResponse:
    """The HTML part as it was sent; its buttons open in the reader's tab, not in the frame."""
    html = _letter(file, at).html
    if not html:
        raise Http404
    head, tag, rest = html.partition("<head>")
    return HttpResponse(f'{head}{tag}<base target="_top">{rest}' if tag else f'<base target="_top">{html}')


@never_cache
@require_safe
def attachment(request: HttpRequest, file: str, at: int, which: int) -> HttpResponse:
    """Something attached to an email, to be saved."""
    attached = _letter(file, at).attachments
    if which >= len(attached):
        raise Http404
    response = HttpResponse(attached[which].content, content_type=attached[which].kind)
    name = re.sub(r"[^\w. -]", "_", attached[which].name)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
