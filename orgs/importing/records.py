"""Writes organizations that another system sends as records, by the checks and the merge of the import.

A record is a JSON object with the columns of the import file; ``domains`` are objects with ``name``, ``status`` and
``used_until``, ``other_names`` with ``name`` and ``kind``, ``members`` with ``email`` and ``role``. A field that is
missing keeps what is stored. A list that is there is complete: what an earlier record or import brought and the list
does not have is removed. What people entered is kept, as in an import.

A record is written as a whole or refused as a whole, unlike a row of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from orgs.importing.merge import Merge
from orgs.importing.report import Report
from orgs.importing.rows import Parts, check_row
from orgs.importing.slices import REMOVED, Row, sliced
from orgs.models import OrganizationMerge
from orgs.text.table_files import RefusedRow

REFUSED: Final = "refused"

_LISTS: Final = ("domains", "other_names", "members")
_BROUGHT: Final = """
SELECT o.external_id, 'domains', x.name FROM orgs_domain x JOIN orgs_organization o ON o.id = x.organization_id
WHERE o.external_id = ANY(%(domains)s) AND x.imported
UNION ALL
SELECT o.external_id, 'other_names', x.name FROM orgs_othername x JOIN orgs_organization o ON o.id = x.organization_id
WHERE o.external_id = ANY(%(other_names)s) AND x.imported
UNION ALL
SELECT o.external_id, 'members', x.email FROM orgs_member x JOIN orgs_organization o ON o.id = x.organization_id
WHERE o.external_id = ANY(%(members)s) AND x.imported
"""


class Result(NamedTuple):
    """What became of a record: created, updated, unchanged (``merge``) or refused, with the reasons by JSON pointer."""

    line: int
    external_id: str
    outcome: str
    errors: tuple[tuple[str, str], ...] = ()  # (JSON pointer into the record, sentence)


def upsert(
    records: Sequence[tuple[int, Mapping[str, Any]]], within: Callable[[list[Result]], object] = lambda _results: None
) -> list[Result]:
    """Write records, given as (line, record) with at most ``slices.SLICE`` - 1 of them; return the results by line.

    :param within: called with the results in the transaction of the writes.
    """
    refused: dict[int, list[RefusedRow]] = {}
    rows: list[Row] = []
    for line, record in records:
        row, problems = check_row(line, _row_of(record))
        if problems or row is None:
            refused[line] = problems
        else:
            rows.append(row)
    given = {line: [name for name in _LISTS if record.get(name) is not None] for line, record in records}
    with transaction.atomic():
        rows = _without_merged(rows, refused)
        rows = _with_removals(rows, given)
        while True:
            merge, outcomes = _merged(rows)
            if not merge.report.refused:
                break
            for each in merge.report.refused:
                refused.setdefault(each.line, []).append(each)
            rows = [row for row in rows if row.line not in refused]
        stored = {row.line: row.external_id for row in rows}
        results = [
            Result(line, stored[line], outcomes[line])
            if line in stored
            else _refusal(line, record, refused.get(line, []))
            for line, record in records
        ]
        with connection.cursor() as cursor:  # what the merge set for its own statements
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT")
        within(results)
    merge.count_words()
    return results


def _merged(rows: Sequence[Row]) -> tuple[Merge, dict[int, str]]:
    """Merge rows; return the merge, and what became of each line. Where something is refused, nothing is written."""
    outcomes: dict[int, str] = {}
    with transaction.atomic(), Merge(Report(), durable=True, outcomes=outcomes) as merge:
        for part in sliced(rows):
            merge.add(part, frozenset())
        merge.write_rest()
        if merge.report.refused:
            transaction.set_rollback(True)
    return merge, outcomes


def _refusal(line: int, record: Mapping[str, Any], refused: list[RefusedRow]) -> Result:
    errors = tuple((f"/{each.field}".rstrip("/"), each.reason) for each in refused)
    return Result(line, str(record.get("external_id", ""))[:64], REFUSED, errors)


def _row_of(record: Mapping[str, Any]) -> dict[str, str | Parts]:
    """Return a record as a row of the import: texts, and parts as (kind, text)."""
    row: dict[str, str | Parts] = {}
    for name, value in record.items():
        if value is None:
            continue
        if name == "domains":
            row[name] = [(each.get("status") or "", _domain(each)) for each in value]
        elif name == "other_names":
            row[name] = [(each.get("kind") or "", each["name"]) for each in value]
        elif name == "members":
            row[name] = [(each.get("role") or "", each["email"]) for each in value]
        elif isinstance(value, bool):
            row[name] = "yes" if value else "no"
        else:
            row[name] = str(value)
    return row


def _domain(domain: Mapping[str, str]) -> str:
    """Return a domain as the import has it; the time until which it was used counts for a former domain only."""
    until = domain.get("used_until") or ""
    return f"{domain['name']}@{until}" if until else domain["name"]


def _without_merged(rows: list[Row], refused: dict[int, list[RefusedRow]]) -> list[Row]:
    """Refuse records of organizations that were merged into another one: those are closed for good."""
    merges = OrganizationMerge.objects.filter(gone__external_id__in=[row.external_id for row in rows])
    into = dict(merges.values_list("gone__external_id", "kept__external_id"))
    for row in rows:
        if row.external_id in into:
            other = f" with the external id {into[row.external_id]}" if into[row.external_id] else ""
            reason = f"This organization was merged into another one{other}; send that one instead."
            refused.setdefault(row.line, []).append(RefusedRow(row.line, reason, "external_id"))
    return [row for row in rows if row.external_id not in into]


def _with_removals(rows: list[Row], given: dict[int, list[str]]) -> list[Row]:
    """Add to each row what an import brought and its lists don't have any more."""
    asked = {name: [row.external_id for row in rows if name in given[row.line]] for name in _LISTS}
    brought: dict[tuple[str, str], list[str]] = {}
    if any(asked.values()):
        with connection.cursor() as cursor:
            cursor.execute(_BROUGHT, asked)
            for external_id, name, value in cursor.fetchall():
                brought.setdefault((external_id, name), []).append(value)
    return [_with_removals_of(row, brought) for row in rows]


def _with_removals_of(row: Row, brought: dict[tuple[str, str], list[str]]) -> Row:
    changed: dict[str, Any] = {}
    for name in _LISTS:
        parts = getattr(row, name)
        named = {value for _kind, value in parts}
        gone = tuple((REMOVED, each) for each in brought.get((row.external_id, name), ()) if each not in named)
        changed[name] = (*parts, *gone)
    return row._replace(**changed)
