"""PDFs of order summaries: made in a limited number at once, and stored in PostgreSQL.

A PDF is stored under a hash of everything that decides its bytes. The worker makes it after the set-up; a download
makes it where the worker has not. All processes on all machines together make at most RENDERS at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from prometheus_client import Histogram

from orgs.text.normalize import email_key
from subscriptions.models import Document, KeptPdf
from subscriptions.summary.order_summary import OrderSummary
from subscriptions.summary.verification_codes import hash_of, verify_url

SECONDS: Final = Histogram("provisioning_pdf_seconds", "Seconds to make a PDF.", buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10))

RENDERS: Final = 2
SLOTS = 0x504446  # the first of the two numbers of our advisory locks
_POLL = 0.025
_LOOK_AGAIN = 0.1
# A stored PDF is deleted at this age, and sooner where a newer document of the order has replaced it.
KEPT, KEPT_WHEN_REPLACED = timedelta(days=90), timedelta(days=7)


class TooManyRenders(Exception):
    """As many PDFs as may be are being made, and went on for as long as the caller would wait."""


@dataclass(frozen=True)
class DocumentCopy:
    """A document as one person (an email address) may read it, in one language."""

    document: Document
    code: str
    reader: str
    language: str

    @cached_property
    def key(self) -> str:
        """The hash of everything that decides the bytes of the PDF."""
        facts, reader = self.document.facts, email_key(self.reader)
        emails = [facts["contact_email"], facts["administrator_email"], facts["delegated_to"]]
        own = [email_key(email) == reader for email in emails]  # decides what is masked
        decides = [
            _look(), self.language, self.code, self.document.facts_hash, own[0] or own, settings.PUBLIC_URL,
            settings.TIME_ZONE, settings.HELP_CONTACT, settings.BRAND_NAME, settings.BRAND_LOGO_URL,
            settings.BRAND_ACCENT, settings.BRAND_FONT,
        ]  # fmt: skip
        return hash_of(decides)

    def stored(self) -> bytes | None:
        """The PDF, if it is kept."""
        content = KeptPdf.objects.filter(key=self.key).values_list("content", flat=True).first()
        return bytes(content) if content is not None else None

    def wait(self, seconds: float) -> bytes | None:
        """The PDF once it is kept, which a worker is about to do; None where that takes longer."""
        until = time.monotonic() + seconds
        while (content := self.stored()) is None and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)
        return content


@dataclass(frozen=True)
class PrintableCopy(DocumentCopy):
    """The same with its facts, so that its PDF can be made."""

    summary: OrderSummary

    def make(self, wait: float | None = None) -> bytes:
        """Make the PDF, which keeps nothing.

        :param wait: for how many seconds to wait for a turn; None: for as long as it takes.
        :raises TooManyRenders: it was never this one's turn.
        """
        from subscriptions.summary import pdf  # WeasyPrint takes half a second to load, which a start need not wait for

        with _turn(wait), SECONDS.time():
            return pdf.render(self.summary, self.language, code=self.code, url=verify_url(self.code))

    def make_and_store(self) -> bytes:
        """The PDF, made and kept if it is not kept yet."""
        content = self.stored()
        if content is None:
            content = self.make()
            rows = [KeptPdf(document=self.document, key=self.key, content=content)]
            KeptPdf.objects.bulk_create(rows, ignore_conflicts=True)
        return content


@lru_cache(maxsize=1)
def warm_up() -> None:
    """Load what makes PDFs, with its fonts and styles, beside what this process does: its first PDF took 2 seconds."""

    def load() -> None:
        from subscriptions.summary import pdf

        pdf.warm_up()

    threading.Thread(target=load, name="get ready for PDFs", daemon=True).start()


def documents_without_pdf() -> list[Document]:
    """Documents of today whose PDFs a worker should have made and hasn't."""
    now = timezone.now()
    rows = Document.objects.filter(made_at=None, issued_at__gt=now - timedelta(days=1), order__state="set_up")
    return list(rows.filter(issued_at__lt=now - timedelta(seconds=20)).order_by("pk")[:20])


def delete_old_pdfs() -> int:
    """Drop kept PDFs that hardly anybody asks for any more; returns how many. The documents stay."""
    now = timezone.now()
    newer = Document.objects.filter(order=OuterRef("document__order"), pk__gt=OuterRef("document"))
    old = KeptPdf.objects.filter(Q(made_at__lt=now - KEPT) | Q(Exists(newer), made_at__lt=now - KEPT_WHEN_REPLACED))
    return old.delete()[0]


@lru_cache(maxsize=1)
def _look() -> str:
    """A hash of the files that decide how a PDF looks: another version of them makes others."""
    root = Path(settings.BASE_DIR)
    packs = [spec.submodule_search_locations or () for name in settings.PACKS if (spec := find_spec(name))]
    folders = [Path(__file__).parent.parent, *(Path(folder) for found in packs for folder in found)]
    files = [root / "requirements.txt", *(file for folder in folders for file in sorted(folder.rglob("*.py")))]
    files += sorted((root / "templates" / "subscriptions").glob("order_summary_pdf.*"))
    files += sorted((root / "provisioning" / "locale").glob("*/LC_MESSAGES/django.mo"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@contextlib.contextmanager
def _turn(wait: float | None) -> Iterator[None]:
    """One of the RENDERS turns that all processes on all machines share, for as long as the block takes.

    The lock belongs to a transaction: a killed process's is free at once, and a pooler keeps it on one connection. The
    block writes nothing, so the transaction (or savepoint) is rolled back, which frees the lock at the block's end.
    """
    from subscriptions.summary import pdf

    until = None if wait is None else time.monotonic() + wait
    if not pdf.one_at_a_time.acquire(timeout=-1 if wait is None else wait):
        raise TooManyRenders
    try:
        while True:
            with transaction.atomic():
                if _is_free():
                    try:
                        yield
                    finally:
                        transaction.set_rollback(True)
                    return
            if until is not None and time.monotonic() > until:
                raise TooManyRenders
            time.sleep(_POLL)
    finally:
        pdf.one_at_a_time.release()


def _is_free() -> bool:
    """Whether one of the turns is free, which then is taken for the rest of the transaction."""
    with connection.cursor() as cursor:
        for slot in range(RENDERS):
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [SLOTS, slot])
            if cursor.fetchone()[0]:
                return True
    return False
