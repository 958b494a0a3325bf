"""Turns the orders of a file into rows: checked facts, faults, and what looks wrong in the file as a whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from orgs.finder.cards import is_shared
from orgs.text import normalize, pasted_text
from provisioning.bulk.files import OrderFile, Raw
from provisioning.models import BatchRow
from subscriptions import packs
from subscriptions.actions import clean_lines, end_of_day
from subscriptions.rules import deadlines, validation
from subscriptions.rules.validation import Line, Problem, Refused

Outcome = BatchRow.Outcome
TEXTS: Final = ("sold_to", "contact_email", "customer_name", "customer_email")
_SHOWN: Final = 300  # characters that are kept of a text that was refused
_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})\.(\d{1,2})\.(\d{4})")


def rows_of(file: OrderFile) -> list[BatchRow]:
    """Return a row for each order of a file, in its order, not saved; rows that can't be read are refused ones."""
    rows = _join_equal([_row(raw) for raw in file.orders])
    for refused in file.refused:
        rows.append(BatchRow(line=refused.line, faults=[{"field": "", "text": storable(refused.reason)}]))
    rows.sort(key=lambda row: row.line)
    for position, row in enumerate(rows, start=1):
        row.position = position
        if row.faults:
            row.outcome = Outcome.REFUSED
    _warn_of_equal_lines(rows)
    _warn_of_shared_domains(rows)
    _warn_of_same_customer(rows)
    return rows


def lines_for(kept: Sequence[Sequence[Any]], existing: Sequence[Sequence[Any]] = ()) -> tuple[Line, ...]:
    """Return the lines of a row, with their numbers.

    A line is the order's line of its number, or else the next of its service that no other line names. A product or a
    term that it doesn't say is that of this line.

    :param kept, existing: service, product, licenses, term in months and number of each line; of ``kept``, what isn't
        said is "" or None.
    """
    named = {number for *_facts, number in kept if number is not None}
    left = [line for line in existing if line[4] not in named]
    found = []
    for service, product, licenses, term, number in kept:
        if number is not None:
            same = next((line for line in existing if line[4] == number and line[0] == service), None)
        else:
            same = next((line for line in left if line[0] == service), None)
            if same is not None:
                left.remove(same)
        found.append(
            Line(
                service=service,
                licenses=licenses,
                term_months=term or (same[3] if same else 12),
                product=product or (same[1] if same else ""),
                number=same[4] if same else number,
            )
        )
    return clean_lines(found, existing=[(line[4], line[0]) for line in existing])


def _row(raw: Raw) -> BatchRow:
    faults: list[dict[str, Any]] = [{"field": field, "text": storable(text)} for field, text in raw.faults]
    for field, lines in raw.differs.items():
        faults.append({"field": field, "problem": "differs", "lines": lines[:20]})
    facts: dict[str, Any] = {}
    for name, check in validation.CLEAN.items():
        given: Any = raw.facts.get(name)
        if name not in raw.facts and name.startswith("customer_"):
            facts[name] = None  # not said: as it is
            continue
        try:
            facts[name] = check(given if given is not None or name in raw.facts else "")
        except Refused as refused:
            facts[name] = storable(given)
            faults.append({"field": name, "problem": str(refused.problem)})
    facts["set_up_by"] = _date(raw, faults)
    facts["lines"] = _lines(raw, faults)
    number = facts["number"] if not any(fault["field"] == "number" for fault in faults) else ""
    return BatchRow(line=raw.line, number=number, facts=facts, faults=faults)


def _lines(raw: Raw, faults: list[dict[str, Any]]) -> list[list[Any]]:
    """Return service, product, licenses, term and number of each line; "" or None where it doesn't say."""
    found: list[list[Any]] = []
    wrong = False
    names = {label: code for code, pack in packs.installed().items() for label in (code, str(pack.label).casefold())}
    for at, line in enumerate(raw.lines):
        numbers: dict[str, int | None] = {"licenses": None, "term_months": None, "number": None}
        for field, problem in _NUMBERS:
            text = line.get(field, "" if field == "licenses" else None)
            if text is not None or field in line:
                numbers[field] = pasted_text.whole_number(text) if isinstance(text, str) else None
                if numbers[field] is None:
                    faults.append({"field": f"lines.{at}.{field}", "problem": str(problem)})
                    wrong = True
        service = line.get("service", "")
        service = names.get(service.strip().casefold(), service) if isinstance(service, str) else None
        product = line.get("product", "")
        found.append([storable(service), storable(product), *(numbers[field] for field, _problem in _NUMBERS)])
        if not isinstance(product, str):
            faults.append({"field": f"lines.{at}.product", "problem": str(Problem.PRODUCT)})
            wrong = True
    if not wrong:
        lines = [
            Line(service, licenses, 12 if term is None else term, product, number)
            for service, product, licenses, term, number in found
        ]
        try:
            clean_lines(lines)
        except Refused as refused:
            part = _FIELD_OF.get(str(refused.problem))
            at_field = f"lines.{refused.at or 0}.{part}" if part else "lines"
            faults.append({"field": at_field, "problem": str(refused.problem)})
        else:
            for kept in found:
                kept[1] = validation.clean_text(
                    kept[1], Problem.PRODUCT, longest=validation.MAX_PRODUCT, required=False
                )
    return found


_NUMBERS: Final = (("licenses", Problem.LICENSES), ("term_months", Problem.TERM), ("number", Problem.LINE_NUMBER))
_FIELD_OF: Final = {
    str(Problem.LINE_NUMBER): "number",
    str(Problem.LINE_NUMBER_TWICE): "number",
    str(Problem.TOO_MANY_LICENSES): "licenses",
    str(Problem.SERVICE): "service",
    str(Problem.SERVICE_TWICE): "service",
    str(Problem.PRODUCT): "product",
    str(Problem.LICENSES): "licenses",
    str(Problem.TERM): "term_months",
}


def _date(raw: Raw, faults: list[dict[str, Any]]) -> str | None:
    """Return the set-up-by date in ISO 8601; the end of the day where it is a day. None: not given."""
    text = raw.facts.get("set_up_by", "")
    if text == "":
        return None
    found = _moment(text) if isinstance(text, str) else None
    if found is None:
        faults.append({"field": "set_up_by", "text": _("Enter a date like 2026-12-24.")})
    elif not deadlines.is_valid_date(found, now=timezone.now()):
        faults.append({"field": "set_up_by", "problem": str(Problem.SET_UP_BY)})
    return found.isoformat() if found else None


def _moment(text: str) -> datetime | None:
    day = _DAY.fullmatch(text.strip())
    try:
        if day:
            year, month, number = day.group(1, 2, 3) if day[1] else day.group(6, 5, 4)
            return end_of_day(date(int(year), int(month), int(number)))
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else None


def _join_equal(rows: list[BatchRow]) -> list[BatchRow]:
    """Return the rows without those that repeat an order; refuse all rows of a number that give different facts."""
    by_number: dict[str, list[BatchRow]] = defaultdict(list)
    for row in rows:
        if row.number:
            by_number[row.number].append(row)
    left_out: set[int] = set()
    for same in by_number.values():
        if len(same) == 1:
            continue
        lines = [row.line for row in same]
        if all(row.facts == same[0].facts and not row.faults for row in same):
            same[0].warnings.append({"kind": "twice", "rows": lines[1:21]})
            left_out |= {id(row) for row in same[1:]}
            continue
        for row in same:
            others = [line for line in lines[:21] if line != row.line][:20]
            row.faults.append({"field": "number", "problem": "differs", "lines": others})
    return [row for row in rows if id(row) not in left_out]


def _warn_of_equal_lines(rows: Sequence[BatchRow]) -> None:
    """Warn of lines that are the same and have no number: a row may have been copied by mistake."""
    for row in rows:
        lines = [tuple(line) for line in row.facts.get("lines", ()) if line[4] is None]
        if len(set(lines)) < len(lines):
            row.warnings.append({"kind": "equal_lines", "field": "lines"})


def _warn_of_shared_domains(rows: Sequence[BatchRow]) -> None:
    """Warn of addresses at free-mail domains: they tell no organization."""
    known: dict[str, bool] = {}
    for row in rows:
        for field in ("contact_email", "customer_email"):
            domain = normalize.email_domain(row.facts.get(field) or "")
            if domain and known.setdefault(domain, is_shared(domain)):
                row.warnings.append({"kind": "free_mail", "field": field})


def _warn_of_same_customer(rows: Sequence[BatchRow]) -> None:
    """Warn of several orders for one customer: the same name (without its legal form), or the same address."""
    groups: dict[tuple[str, str], list[BatchRow]] = defaultdict(list)
    for row in rows:
        if row.facts.get("customer_name") and (key := normalize.name_key(row.facts["customer_name"])):
            groups["name", key].append(row)
        if row.facts.get("customer_email"):
            groups["email", row.facts["customer_email"]].append(row)
    others: dict[int, set[int]] = defaultdict(set)
    for same in groups.values():
        lines = [row.line for row in same]
        for row in same:
            others[row.position] |= set(lines[:50]) - {row.line}
    for row in rows:
        if others[row.position]:
            row.warnings.append({"kind": "same_customer", "rows": sorted(others[row.position])[:5]})


def date_of(row: BatchRow) -> datetime | None:
    """Return the set-up-by date that a row asks for, or None."""
    return datetime.fromisoformat(row.facts["set_up_by"]) if row.facts["set_up_by"] else None


def storable(value: object) -> str:
    """Return a text as the database can keep it, and as short as it is shown; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    text = value[:_SHOWN].replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode()
