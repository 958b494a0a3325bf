"""Issued order summaries (documents), and the verification of their codes.

A *document* is the facts of an order at one moment. Its code is an HMAC of the order and those facts with SECRET_KEY
and is printed on the PDF; the row has only a hash of the code. ``verify`` returns whether a code is genuine, and
whether its facts are still current. Codes stay valid after a change of SECRET_KEY.
"""

from __future__ import annotations

import enum
import json
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import connection
from django.db.models import Model

from orgs.text.normalize import email_key
from subscriptions.models import Document, Order, Subscription
from subscriptions.packs import installed
from subscriptions.summary.order_summary import OrderSummary, build_summary
from subscriptions.summary.pdf_cache import DocumentCopy, PrintableCopy
from subscriptions.summary.verification_codes import codes_for, format_code, hash_of, normalize_code


class CodeStatus(enum.StrEnum):
    """The result of verifying a code."""

    CURRENT = "current"
    CHANGED = "changed"
    UNKNOWN = "unknown"


def issue(order: Order) -> tuple[Document, OrderSummary, str]:
    """The document of an order's facts as they are now, with them and its code; written down the first time."""
    rows_hash = _rows_hash(order)
    summary = build_summary(order)
    facts = summary.as_dict()
    facts_hash = hash_of(facts)
    codes = codes_for(order, facts_hash)
    document = Document.objects.filter(code_hash__in=codes).order_by("-pk").first()
    if document is None:
        code_hash = next(iter(codes))
        fresh = Document(order=order, facts=facts, facts_hash=facts_hash, code_hash=code_hash, rows_hash=rows_hash)
        Document.objects.bulk_create([fresh], ignore_conflicts=True)
        document = Document.objects.get(code_hash=code_hash)
    return document, summary, codes[document.code_hash]


def copy_for(order: Order, *, reader: str, language: str) -> PrintableCopy:
    """The order's document as this reader (an email address) may see it."""
    document, summary, code = issue(order)
    return PrintableCopy(document, code, reader, language, seen_by(summary, reader))


def find_unchanged(order: Order, *, reader: str, language: str) -> DocumentCopy | None:
    """The same without its facts, where a glance at the rows says that none of them has changed; None otherwise."""
    rows_hash = _rows_hash(order)
    document = Document.objects.filter(order=order, rows_hash=rows_hash).order_by("-pk").first() if rows_hash else None
    code = codes_for(order, document.facts_hash).get(document.code_hash) if document else None
    return DocumentCopy(document, code, reader, language) if document and code else None


def seen_by(summary: OrderSummary, reader: str) -> OrderSummary:
    """The summary as this reader may see it: the contact all of it, others with other people's addresses masked."""
    return summary if email_key(reader) == email_key(summary.contact_email) else summary.masked_for(reader)


def verify(typed: str) -> CodeStatus:
    """Say what is known of a code, however it was typed."""
    code = normalize_code(typed)
    document = (
        Document.objects.select_related("order").filter(code_hash=hash_of(format_code(code))).first() if code else None
    )
    if document is None:
        return CodeStatus.UNKNOWN
    now = json.loads(json.dumps(build_summary(document.order).as_dict()))
    return CodeStatus.CURRENT if _still_so(document.facts, now) else CodeStatus.CHANGED


def _rows_hash(order: Order) -> str:
    """A hash of which versions of which rows an order's facts are read from: another one where any was written.

    PostgreSQL's ``xmin`` and ``ctid`` name a version of a row; reading them takes a tenth of the time that reading the
    facts takes. "" for a pack that reads what isn't directly a subscription's.
    """
    tables = set()
    for name in (name for each in installed().values() for name in (*each.to_one, *each.to_many)):
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
