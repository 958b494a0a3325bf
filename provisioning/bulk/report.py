"""What a batch says: sentences for each row in the reader's language, and the report as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs.finder import evidence_rules, evidence_sentences
from orgs.text.csv_out import csv_lines
from provisioning.models import BatchRow, OrderBatch
from provisioning.rules import refusals
from subscriptions import packs
from subscriptions.rules.validation import Refused

Outcome, Result = BatchRow.Outcome, BatchRow.Result
_FIELDS: Final[dict[str, Promise]] = {
    "number": gettext_lazy("Order number"),
    "sold_to": gettext_lazy("Sold to"),
    "contact_email": gettext_lazy("Contact"),
    "customer_name": gettext_lazy("Customer"),
    "customer_email": gettext_lazy("Customer’s administrator"),
    "set_up_by": gettext_lazy("Set up by"),
    "lines": gettext_lazy("Services"),
}


COLUMNS: Final = ("line", "number", "outcome", "refused because", "changes", "look at", "suggested organization")


def number(row: BatchRow) -> str:
    """Return the order number of a row, or what stands in its place."""
    return row.number or row.facts.get("number") or ""


def outcome(row: BatchRow) -> str:
    """Return in a word what the row does or did."""
    if row.result in {Result.CHANGED, Result.REFUSED}:
        return str(Result(row.result).label)
    return str(Outcome(row.outcome).label) if row.outcome else _("Being checked")


def faults(row: BatchRow) -> list[str]:
    """Return why the row is refused: the sentences of the order form, each with its field where it is not all of it."""
    found = [_fault(row, fault) for fault in [*row.faults, *row.result_faults]]
    if row.result == Result.CHANGED:
        found.append(
            _("The order was changed or placed after this file was checked, so nothing was done. Check it again.")
        )
    return found


def warnings(row: BatchRow) -> list[str]:
    """Return what looks wrong with the row, although it is possible."""
    return [_warning(row, warning) for warning in row.warnings]


def changes(row: BatchRow) -> list[tuple[str, str, str]]:
    """Return (field, before, after) of what a correction changes."""
    return [(label(name), value(name, before), value(name, after)) for name, (before, after) in row.changes.items()]


def suggestion(row: BatchRow) -> str:
    """Return the organization that the finder suggests with its mark and strongest tie, "" where there is none."""
    if not row.suggestion:
        return ""
    known = row.suggestion
    evidence = [evidence_rules.evidence(evidence_rules.Code(code), about) for code, about in known["evidence"]]
    name = f"{known['name']} ({known['country']})" if known["country"] else known["name"]
    parts = [name, _("Best match") if known["best"] else "", evidence_sentences.tie(evidence)]
    return " · ".join(part for part in parts if part)


def label(field: str) -> str:
    """Return the name of a field, such as "Contact" or "Services, line 2: licenses"."""
    if field.startswith("lines."):
        at, _dot, name = field.removeprefix("lines.").partition(".")
        return _("Line %(number)s: %(field)s") % {"number": int(at) + 1 if at.isdigit() else at, "field": name}
    return str(_FIELDS.get(field, field))


def value(field: str, kept: Any) -> str:
    """Return a field's value in one line."""
    if field != "lines":
        return str(kept or "")
    return "; ".join(
        _("%(service)s (%(product)s): %(licenses)s licenses, %(term)s months")
        % {"service": _service(service), "product": product, "licenses": licenses, "term": term}
        for service, product, licenses, term, _number in kept
    )


def csv_report(batch: OrderBatch, *, with_suggestion: bool = True) -> Iterator[str]:
    """Yield the lines of the report: one for each row of the batch."""
    rows = batch.rows.iterator(chunk_size=500)
    return csv_lines(COLUMNS, (csv_row(row, with_suggestion=with_suggestion) for row in rows), mark=True)


def csv_row(row: BatchRow, *, with_suggestion: bool = True) -> Iterable[object]:
    """Return a row of the report, in COLUMNS."""
    changed = (f"{name}: {before or '–'} → {after or '–'}" for name, before, after in changes(row))
    return [
        row.line,
        number(row),
        outcome(row),
        " ".join(faults(row)),
        "; ".join(changed),
        " ".join(warnings(row)),
        suggestion(row) if with_suggestion else "",
    ]


def as_json(row: BatchRow, *, with_suggestion: bool = True) -> dict[str, Any]:
    """Return a row as the API and ``place_orders --json`` show it."""
    found: dict[str, Any] = {
        "line": row.line,
        "number": number(row) or None,
        "outcome": row.outcome or None,
        "result": row.result or None,
        "errors": [
            {"pointer": pointer(fault["field"]), "detail": _fault(row, fault, named=False)}
            for fault in [*row.faults, *row.result_faults]
        ],
        "changes": [
            {"field": name, "before": _json_value(name, before), "after": _json_value(name, after)}
            for name, (before, after) in row.changes.items()
        ],
        "warnings": [{"kind": each["kind"], "detail": _warning(row, each)} for each in row.warnings],
    }
    if row.result == Result.CHANGED:
        found["errors"].append({"pointer": "", "detail": faults(row)[-1]})
    if with_suggestion:
        found["suggestion"] = row.suggestion and {
            **{name: row.suggestion[name] for name in ("name", "country", "best")},
            "id": row.suggestion["public_id"],
            "because": [code for code, _about in row.suggestion["evidence"]],
        }
    return found


def pointer(field: str) -> str:
    """Return the JSON pointer of a field: /customer/name, /lines/0/licenses."""
    if field in {"customer_name", "customer_email"}:
        return "/" + field.replace("_", "/")
    return "/" + field.replace("~", "~0").replace("/", "~1").replace(".", "/") if field else ""


def _json_value(field: str, kept: Any) -> Any:
    if field != "lines":
        return kept
    return [dict(zip(("service", "product", "licenses", "term_months", "number"), line, strict=True)) for line in kept]


def _fault(row: BatchRow, fault: Mapping[str, Any], *, named: bool = True) -> str:
    if fault.get("problem") == "differs":
        lines = ", ".join(str(line) for line in fault["lines"])
        if fault["field"] == "number":
            sentence = _("The order is in the file again with other facts: see %(lines)s.") % {"lines": lines}
        else:
            sentence = _("Another row of this order says something else: see %(lines)s.") % {"lines": lines}
    elif "text" in fault:
        sentence = fault["text"]
    else:
        sentence = refusals.sentence(Refused(fault["problem"]))
    return f"{label(fault['field'])}: {sentence}" if named and fault["field"] else sentence


def _warning(row: BatchRow, warning: Mapping[str, Any]) -> str:
    if warning["kind"] == "free_mail":
        text = _("%(field)s: anybody can have an address at this domain, so it can’t tell an organization.")
        return text % {"field": label(warning["field"])}
    if warning["kind"] == "date_kept":
        return _("The set-up-by date counts for new orders only; the order keeps the one that it has.")
    if warning["kind"] == "equal_lines":
        return _("The order has the same line more than once. Each is bought by itself.")
    lines = {"lines": ", ".join(str(line) for line in warning["rows"])}
    if warning["kind"] == "twice":
        return _("The file has this order more than once, with the same facts: see %(lines)s.") % lines
    return _("Other orders of the file are for the same customer: see %(lines)s.") % lines


def _service(code: str) -> str:
    pack = packs.installed().get(code)
    return str(pack.label) if pack else str(code)
