"""The plan: what applying rows would do to the orders as they are now. Reads only.

``plan`` is the same for a dry run, which saves nothing, and for a stored batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import OuterRef, QuerySet, Subquery

from orgs.finder.matching import FULL, Candidate, find_candidates
from orgs.text.normalize import email_key
from provisioning.bulk.rows import TEXTS, lines_for
from provisioning.models import BatchRow, Part
from subscriptions.actions import require_correctable
from subscriptions.models import Order
from subscriptions.rules.validation import Line, Refused

Outcome = BatchRow.Outcome
# Of a candidate's evidence: the strongest ones are enough to judge it in a table.
_EVIDENCE: Final = 3


def orders_by_number(numbers: Sequence[str]) -> QuerySet[Order]:
    """Return the orders with these numbers, each with its lines and ``named_contact``.

    That is whom the vendor named as contact: a hand-over to somebody else is no difference to the vendor's file.
    """
    named = Part.objects.filter(order=OuterRef("pk"), role=Part.Role.CONTACT, given_by=None).order_by("-pk")
    orders = Order.objects.filter(number__in=numbers).prefetch_related("lines")
    return orders.annotate(named_contact=Subquery(named.values("user__email")[:1]))


def facts_of(order: Order) -> dict[str, Any]:
    """Return what a file can say of an order, as the vendor said it, in JSON values."""
    facts: dict[str, Any] = {name: getattr(order, name) for name in TEXTS}
    facts["customer_email"] = email_key(order.customer_email)
    facts["contact_email"] = getattr(order, "named_contact", None) or email_key(order.contact_email)
    facts["lines"] = [as_list(line) for line in order.lines.all()]
    return facts


def as_list(line: Any) -> list[Any]:
    """Return a line (of an order, or of a row) as plans keep it: service, product, licenses, term, number."""
    return [line.service, line.product, line.licenses, line.term_months, line.number]


def plan(rows: Sequence[BatchRow]) -> None:
    """Set what each row would do: outcome, changes, the order as seen, and the organization that is suggested."""
    open_rows = [row for row in rows if not row.faults]
    existing = {order.number: order for order in orders_by_number([row.number for row in open_rows])}
    suggested: dict[tuple[str, str], dict[str, Any] | None] = {}
    for row in open_rows:
        order = existing.get(row.number)
        _compare(row, order)
        if row.outcome in {Outcome.NEW, Outcome.CORRECTED}:
            asked = _question(row, order)
            if asked not in suggested:
                suggested[asked] = _suggestion(*asked)
            row.suggestion = suggested[asked]


def wanted(row: BatchRow, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the order is to have, in the form of ``facts_of``; what the row doesn't say is as it is."""
    facts: dict[str, Any] = {}
    for name in TEXTS:
        said = row.facts[name]
        facts[name] = said if said is not None else seen[name] if seen else ""
    lines = lines_for(row.facts["lines"], seen["lines"] if seen else ())
    facts["lines"] = [as_list(line) for line in lines]
    return facts


def lines_from(kept: Sequence[Sequence[Any]]) -> list[Line]:
    """Return lines as the actions take them."""
    return [
        Line(service=service, product=product, licenses=licenses, term_months=term, number=number)
        for service, product, licenses, term, number in kept
    ]


def _compare(row: BatchRow, order: Order | None) -> None:
    row.changes, row.order = {}, order
    if order is None:
        row.seen, row.outcome = None, Outcome.NEW
        return
    seen = facts_of(order)
    row.seen = seen
    to_be = wanted(row, seen)
    row.changes = {name: [seen[name], value] for name, value in to_be.items() if seen[name] != value}
    if row.facts["set_up_by"] and row.facts["set_up_by"][:10] != order.closes_at.isoformat()[:10]:
        row.warnings.append({"kind": "date_kept", "field": "set_up_by"})
    if not row.changes:
        row.outcome = Outcome.UNCHANGED
        return
    row.outcome = Outcome.CORRECTED
    try:
        require_correctable(order, {name: row.changes[name][1] for name in TEXTS[1:] if name in row.changes})
    except Refused as refused:
        row.outcome = Outcome.REFUSED
        row.faults.append({"field": "", "problem": str(refused.problem)})


def _question(row: BatchRow, order: Order | None) -> tuple[str, str]:
    """Return the address and the name that are matched: the customer's where there is one, or who bought it."""
    facts = wanted(row, row.seen if order else None)
    if facts["customer_name"] or facts["customer_email"]:
        return facts["customer_email"], facts["customer_name"]
    return facts["contact_email"], facts["sold_to"]


def _suggestion(email: str, name: str) -> dict[str, Any] | None:
    """Return the finder's first candidate, as the vendor may see it."""
    match = find_candidates(email=email, company_name=name, limit=1, viewer=FULL)
    first = next(iter(match.candidates), None)
    return _kept(first) if first else None


def _kept(candidate: Candidate) -> dict[str, Any]:
    organization = candidate.organization
    return {
        "public_id": str(organization.public_id),
        "name": organization.name,
        "country": organization.country.code if organization.country else "",
        "best": candidate.best or candidate.exact,
        "evidence": [[str(each.code), each.about] for each in candidate.evidence[:_EVIDENCE]],
    }
