"""Order summaries that are given out: the code that proves one, its PDF, and the PDFs that are kept.

A *document* is an order's facts at a moment. Its code is derived from the order, those facts and SECRET_KEY, so that
nobody can make one up, and printed on the PDF; the row keeps its hash only. ``verify`` says of a code whether the
document is one of ours, and whether everything it says is still so. It works for good, also after a change of keys.

A PDF is kept under a hash of everything that decides its bytes. It is made in the worker, which whoever is quicker
waits for, and on demand where no worker does it; never more than RENDERS at once, on all machines together.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orgs.text import pasted_text
from orgs.text.normalize import email_key
from subscriptions.models import Document, KeptPdf, Order, Subscription
from subscriptions.packs.base import installed
from subscriptions.summary.summary import OrderSummary, build

# Crockford's base 32: no letter that is taken for a digit. Twelve of them are 60 bits.
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 12
SALT = "subscriptions.documents"

RENDERS: Final = 2
SLOTS = 0x504446  # the first of the two numbers of our advisory locks
_POLL = 0.025
_LOOK_AGAIN = 0.1
# A kept PDF is dropped when it is this old, and sooner where a newer document of the order has replaced it.
KEPT, KEPT_WHEN_REPLACED = timedelta(days=90), timedelta(days=7)


class Busy(Exception):
    """As many PDFs as may be are being made, and went on for as long as the caller would wait."""


class Standing(enum.StrEnum):
    """What is known of a code."""

    CURRENT = "current"
    CHANGED = "changed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Known:
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
        return _hash(decides)

    def kept(self) -> bytes | None:
        """The PDF, if it is kept."""
        content = KeptPdf.objects.filter(key=self.key).values_list("content", flat=True).first()
        return bytes(content) if content is not None else None

    def wait(self, seconds: float) -> bytes | None:
        """The PDF once it is kept, which a worker is about to do; None where that takes longer."""
        until = time.monotonic() + seconds
        while (content := self.kept()) is None and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)
        return content


@dataclass(frozen=True)
class Copy(Known):
    """The same with its facts, so that its PDF can be made."""

    summary: OrderSummary

    def make(self, wait: float | None = None) -> bytes:
        """Make the PDF, which keeps nothing.

        :param wait: for how many seconds to wait for a turn; None: for as long as it takes.
        :raises Busy: it was never this one's turn.
        """
        from subscriptions.summary import pdf  # WeasyPrint takes half a second to load, which a start need not wait for

        with _turn(wait):
            return pdf.render(self.summary, self.language, code=self.code, url=verify_url(self.code))

    def keep(self) -> bytes:
        """The PDF, made and kept if it is not kept yet."""
        content = self.kept()
        if content is None:
            content = self.make()
            rows = [KeptPdf(document=self.document, key=self.key, content=content)]
            KeptPdf.objects.bulk_create(rows, ignore_conflicts=True)
        return content


@lru_cache(maxsize=1)
def get_ready() -> None:
    """Load what makes PDFs, with its fonts and styles, beside what this process does: its first PDF took 2 seconds."""

    def load() -> None:
        from subscriptions.summary import pdf

        pdf.get_ready()

    threading.Thread(target=load, name="get ready for PDFs", daemon=True).start()


def issue(order: Order) -> tuple[Document, OrderSummary, str]:
    """The document of an order's facts as they are now, with them and its code; written down the first time."""
    rows_hash = _rows_hash(order)
    summary = build(order)
    facts = summary.as_dict()
    facts_hash = _hash(facts)
    codes = _codes(order, facts_hash)
    document = Document.objects.filter(code_hash__in=codes).order_by("-pk").first()
    if document is None:
        code_hash = next(iter(codes))
        fresh = Document(order=order, facts=facts, facts_hash=facts_hash, code_hash=code_hash, rows_hash=rows_hash)
        Document.objects.bulk_create([fresh], ignore_conflicts=True)
        document = Document.objects.get(code_hash=code_hash)
    return document, summary, codes[document.code_hash]


def copy_for(order: Order, *, reader: str, language: str) -> Copy:
    """The order's document as this reader (an email address) may see it."""
    document, summary, code = issue(order)
    return Copy(document, code, reader, language, seen_by(summary, reader))


def known(order: Order, *, reader: str, language: str) -> Known | None:
    """The same without its facts, where a glance at the rows says that none of them has changed; None otherwise."""
    rows_hash = _rows_hash(order)
    document = Document.objects.filter(order=order, rows_hash=rows_hash).order_by("-pk").first() if rows_hash else None
    code = _codes(order, document.facts_hash).get(document.code_hash) if document else None
    return Known(document, code, reader, language) if document and code else None


def seen_by(summary: OrderSummary, reader: str) -> OrderSummary:
    """The summary as this reader may see it: the contact all of it, others with other people's addresses masked."""
    return summary if email_key(reader) == email_key(summary.contact_email) else summary.masked_for(reader)


def verify(typed: str) -> Standing:
    """Say what is known of a code, however it was typed."""
    code = tidy(typed)
    document = Document.objects.select_related("order").filter(code_hash=_hash(shown(code))).first() if code else None
    if document is None:
        return Standing.UNKNOWN
    now = json.loads(json.dumps(build(document.order).as_dict()))
    return Standing.CURRENT if _still_so(document.facts, now) else Standing.CHANGED


def tidy(typed: str) -> str:
    """The twelve letters of a code as they were printed; "" for what can't be one."""
    return pasted_text.code(typed, alphabet=LETTERS, length=LENGTH)


def shown(code: str) -> str:
    """A code as it is printed: ABCD-EFGH-JKMN."""
    return "-".join(code[at : at + 4] for at in range(0, LENGTH, 4))


def verify_url(code: str) -> str:
    """Where the QR code leads."""
    return f"{settings.PUBLIC_URL}{reverse('verify', args=[code])}"


def to_be_made() -> list[Document]:
    """Documents of today whose PDFs a worker should have made and hasn't."""
    now = timezone.now()
    rows = Document.objects.filter(made_at=None, issued_at__gt=now - timedelta(days=1), order__state="set_up")
    return list(rows.filter(issued_at__lt=now - timedelta(seconds=20)).order_by("pk")[:20])


def drop_old() -> int:
    """Drop kept PDFs that hardly anybody asks for any more; returns how many. The documents stay."""
    now = timezone.now()
    newer = Document.objects.filter(order=OuterRef("document__order"), pk__gt=OuterRef("document"))
    old = KeptPdf.objects.filter(Q(made_at__lt=now - KEPT) | Q(Exists(newer), made_at__lt=now - KEPT_WHEN_REPLACED))
    return old.delete()[0]


def _codes(order: Order, facts_hash: str) -> dict[str, str]:
    """The codes of these facts by their hashes: by the key of now, and by those before it."""
    codes = {}
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        digest = salted_hmac(SALT, f"{order.public_id} {facts_hash}", secret=secret, algorithm="sha256").digest()
        number = int.from_bytes(digest)
        letters = ""
        for _place in range(LENGTH):
            number, place = divmod(number, len(LETTERS))
            letters += LETTERS[place]
        codes[_hash(shown(letters))] = shown(letters)
    return codes


def _rows_hash(order: Order) -> str:
    """A hash of which versions of which rows an order's facts are read from: another one where any was written.

    PostgreSQL's ``xmin`` and ``ctid`` name a version of a row; reading them takes a tenth of the time that reading the
    facts takes. "" for a pack that reads what isn't directly a subscription's.
    """
    tables = set()
    for name in (name for each in installed().values() for name in (*each.one, *each.many)):
        try:
            model = Subscription._meta.get_field(name).related_model
        except FieldDoesNotExist:
            return ""
        tables.add(model._meta.db_table if isinstance(model, type) and issubclass(model, Model) else "")
    versions = "".join(_VERSIONS % table for table in sorted(tables))
    with connection.cursor() as cursor:
        cursor.execute(_ROWS % versions, [settings.MEETINGS_BASE_DOMAIN, order.pk])
        return str(cursor.fetchone()[0])


_VERSIONS = """, (SELECT string_agg(concat_ws(':', t.id, t.xmin, t.ctid), ',' ORDER BY t.id) FROM "%s" t
    JOIN subscriptions_subscription s ON s.id = t.subscription_id
    JOIN subscriptions_orderline l ON l.id = s.line_id WHERE l.order_id = o.id)"""
_ROWS = """
    SELECT md5(jsonb_build_array(%%s::text, concat_ws(':', o.id, o.xmin, o.ctid), concat_ws(':', c.id, c.xmin, c.ctid),
        concat_ws(':', p.id, p.xmin, p.ctid), (
            SELECT string_agg(concat_ws(':', l.id, l.xmin, l.ctid, s.xmin, s.ctid), ',' ORDER BY l.id)
            FROM subscriptions_orderline l LEFT JOIN subscriptions_subscription s ON s.line_id = l.id
            WHERE l.order_id = o.id), (
            SELECT string_agg(concat_ws(':', r.id, r.xmin, r.ctid), ',' ORDER BY r.id)
            FROM subscriptions_provisioningrequest r WHERE r.order_id = o.id)%s)::text)
    FROM subscriptions_order o LEFT JOIN orgs_organization c ON c.id = o.customer_id
    LEFT JOIN orgs_organization p ON p.id = o.partner_id WHERE o.id = %%s"""


def _still_so(said: Any, now: Any) -> bool:
    """Whether everything that was said is so now; what is said in addition since (by a newer version) is no change."""
    if isinstance(said, dict) and isinstance(now, dict):
        return all(name in now and _still_so(value, now[name]) for name, value in said.items())
    if isinstance(said, list) and isinstance(now, list):
        return len(said) == len(now) and all(map(_still_so, said, now))
    return bool(said == now)


def _hash(value: Any) -> str:
    plain = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


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
        raise Busy
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
                raise Busy
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
