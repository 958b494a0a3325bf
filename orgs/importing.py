"""Brings organizations with their domains, other names and members into the directory from one CSV file.

Columns: ``external_id`` and ``name``, and as far as they are there ``country`` (a code or a name), ``vertical``,
``is_partner``, ``origin``, ``status`` (open or closed), ``domains``, ``other_names``, ``members``. The last three hold
any number of parts, separated by ``|``, each with what it is before a colon:
``verified:contoso.com|claimed:contoso.de``, ``former:Fabrikam|acronym:CTS``,
``full:ada@contoso.com|user:bob@contoso.com``; without one it is verified, trading, user. ``removed:`` takes it away,
whoever made it. A domain that was used before is ``former:fabrikam.com``, and with the year or the day until when, if
that is known, ``former:fabrikam.com@2022`` or ``former:fabrikam.com@2022-06-30``. What other systems know of the use
comes in ``users``, ``active_users``, ``active_subscriptions`` (other systems', not those that were set up here) and
``last_activity`` (a date or a time, ISO 8601); see orgs.use for how it counts.

What the file doesn't have stays as it is, and a second run changes nothing. With --remove-missing the file is all that
the source has: organizations with an external id that aren't in it are closed, and of those that are in it the domains,
other names and members that earlier imports brought are taken away, as far as the file has the column. What people
made stays: organizations without an external id, what the order desk typed, rights that were given by request (who has
one and isn't in the file keeps it as the request says, and nothing else). What both a person and a file say is the
file's. A closed organization is found by nobody; its orders stay as they are.

Rows are read and checked by other processes, and merged by external id while people work (orgs.merging): an import
that ends early has brought in what it reports, and the next one goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import django
from django.utils import timezone

from orgs import country_names, merging, normalize, pasted_text, use
from orgs.merging import Report, Row
from orgs.models import Domain, Member, Organization, OtherName
from orgs.table_files import Refused, TableFile, truth

BATCH: Final = 10_000  # rows that one process reads and checks at a time
LARGE: Final = 2_000_000  # bytes from which on other processes help to check a file
AHEAD: Final = 4  # batches that wait to be written, at most
_SEPARATOR: Final = "|"
_DOMAINS: Final = frozenset({*Domain.Status.values, merging.REMOVED})
_NAMES: Final = frozenset({*OtherName.Kind.values, merging.REMOVED})
_ROLES: Final = frozenset({*Member.Role.values, merging.REMOVED})
_FIGURES: Final = {"users": "users", "active_users": "active_users", "subscriptions": "active_subscriptions"}
_ORIGINS: Final = frozenset(Organization.Origin.values)
REQUIRED: Final = ("external_id", "name")
COLUMNS: Final = (
    *REQUIRED,
    *("country", "vertical", "is_partner", "origin", "status", "domains", "other_names", "members"),
    *("users", "active_users", "active_subscriptions", "last_activity"),
)


@dataclass
class Batch:
    """Checked rows, in slices as they are merged, and what was refused."""

    rows: int = 0
    columns: frozenset[str] = frozenset()
    slices: list[merging.Slice] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    read_as: str = ""


def import_file(
    path: Path,
    progress: Callable[[int], None] = lambda _read: None,
    *,
    remove_missing: bool = False,
    most_removed: float = 0.05,
    dry_run: bool = False,
    report: Report | None = None,
) -> Report:
    """Bring in what is not refused of a file; ``progress`` hears how many bytes were read, ``report`` fills up.

    ``remove_missing``: the file is all that the source has; see above. Where that is a greater share than
    ``most_removed`` nothing is taken away. ``dry_run``: the report alone.
    """
    report = report or Report()
    with merging.Merge(report, full=remove_missing, dry_run=dry_run) as merge:
        for batch in _checked(path, progress):
            report.rows += batch.rows
            report.read_as = report.read_as or batch.read_as
            report.refused += batch.refused
            for part in batch.slices:
                merge.add(part, batch.columns)
        merge.finish(most_removed=most_removed)
    report.refused.sort(key=lambda each: each.line)
    return report


def _checked(path: Path, progress: Callable[[int], None]) -> Iterator[Batch]:
    """Batches of the file in order; of a large file checked by two processes while the batch before is written."""
    with TableFile(path, columns=COLUMNS, required=REQUIRED, progress=progress) as table:
        batches = itertools.batched(table, BATCH)
        if path.stat().st_size < LARGE:  # starting a process takes longer
            yield from map(check, batches)
        else:
            with ProcessPoolExecutor(2, mp_context=get_context("forkserver"), initializer=django.setup) as pool:
                waiting: list[Future[Batch]] = []
                for rows in batches:
                    waiting.append(pool.submit(check, rows))
                    if len(waiting) >= AHEAD:
                        yield waiting.pop(0).result()
                for each in waiting:
                    yield each.result()
    yield Batch(rows=len({each.line for each in table.refused}), refused=table.refused, read_as=table.read_as)


def check(rows: tuple[tuple[int, dict[str, str]], ...]) -> Batch:
    """Read and check rows of the file: what is not right is refused with a reason."""
    batch = Batch(rows=len(rows))
    checked: list[Row] = []
    for line, row in rows:
        batch.columns = batch.columns or frozenset(row)
        external_id, name = _clean(row["external_id"]), _clean(row["name"])
        country = row.get("country", "").strip()
        origin = row.get("origin", "").strip() or Organization.Origin.DIRECT_ORDER.value
        partner = truth(row.get("is_partner", ""))
        problem = _problem(external_id, name, country, origin)
        if partner is None and not problem:
            problem = f"Whether it is a partner is yes or no, or empty for no; not “{_clean(row['is_partner'])[:80]}”."
        if problem:
            batch.refused.append(Refused(line, problem))
            continue
        checked.append(
            Row(
                line=line,
                external_id=external_id,
                name=name,
                country=country_names.find(country) if "country" in row else None,
                vertical=_clean(row["vertical"])[:40] if "vertical" in row else None,
                is_partner=partner if "is_partner" in row else None,
                origin=origin,
                status=_status(batch, line, row),
                **_use(batch, line, row),
                **_check_parts(batch, line, row),
            )
        )
    batch.slices = merging.sliced(checked)
    return batch


def _problem(external_id: str, name: str, country: str, origin: str) -> str:
    if not external_id or len(external_id) > 64:
        return "An external id has 1 to 64 characters."
    if not name or len(name) > 200:
        return "A name has 1 to 200 characters."
    if country and not country_names.find(country):
        return country_names.problem(country)
    if origin not in _ORIGINS:
        return f"An origin is one of {', '.join(sorted(_ORIGINS))}."
    return ""


def _status(batch: Batch, line: int, row: dict[str, str]) -> str | None:
    status = row.get("status", "").strip().lower()
    if status and status not in {merging.OPEN, merging.CLOSED}:
        batch.refused.append(Refused(line, f"A status is open or closed: {status[:80]}"))
        return None
    return status or None


def _use(batch: Batch, line: int, row: dict[str, str]) -> dict[str, Any]:
    """What other systems know of the use; all of it or, where something is wrong, nothing."""
    found: dict[str, Any] = dict.fromkeys(("users", "active_users", "subscriptions", "last_activity"))
    for field_name, column in _FIGURES.items():
        text = row.get(column, "").strip()
        number = pasted_text.whole_number(text)
        if text and (number is None or number >= 2**31):
            batch.refused.append(Refused(line, f"What {column} has is a whole number, such as 1250: {text[:80]}"))
            return dict.fromkeys(found)
        found[field_name] = number
    if found["active_users"] is not None and found["users"] is not None and found["active_users"] > found["users"]:
        batch.refused.append(Refused(line, "There are not more active_users than users."))
        return dict.fromkeys(found)
    text = row.get("last_activity", "").strip()
    if text:
        moment = _moment(text)
        if moment is None or moment > timezone.now() + use.CLOCKS_DIFFER:
            reason = (
                f"A last_activity is a past date such as 2026-01-31, or a time such as 2026-01-31T12:00Z: {text[:80]}"
            )
            batch.refused.append(Refused(line, reason))
            return dict.fromkeys(found)
        found["last_activity"] = moment.isoformat()
    return found


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_parts(batch: Batch, line: int, row: dict[str, str]) -> dict[str, Any]:
    domains: list[tuple[str, str]] = []
    for status, text in _parts(row.get("domains", ""), _DOMAINS, "verified"):
        domain, at, until = text.partition("@") if status == Domain.Status.FORMER else (text, "", "")
        until = until.strip()
        if at and not normalize.is_year_or_date(until):
            reason = f"Until when a domain was used is a year or a date, such as 2022 or 2022-06-30: {text[:80]}"
            batch.refused.append(Refused(line, reason))
            continue
        name = pasted_text.domain(domain)
        if not normalize.registrable_domain(name) or len(name) > 253:
            batch.refused.append(Refused(line, f"A domain is like contoso.com: {text[:80]}"))
            continue
        domains.append((merging.until(status, until), name))
    # Of one domain the last one counts: what is used now comes after what was used before.
    domains.sort(key=lambda each: (not each[0].startswith(Domain.Status.FORMER), each[0]))
    other_names: list[tuple[str, str]] = []
    for kind, text in _parts(row.get("other_names", ""), _NAMES, "trading"):
        if len(text) > 200:
            batch.refused.append(Refused(line, f"Another name has 1 to 200 characters: {text[:80]}"))
            continue
        other_names.append((kind, text))
    members: list[tuple[str, str]] = []
    for role, text in _parts(row.get("members", ""), _ROLES, "user"):
        found = pasted_text.emails(text)
        email = normalize.email_key(found[0])
        domain = normalize.email_domain(email)
        if len(found) > 1 or not email.partition("@")[0] or "." not in domain or len(email) > 254:
            batch.refused.append(Refused(line, f"A member is an email address: {text[:80]}"))
            continue
        members.append((role, email))
    return {"domains": tuple(domains), "other_names": tuple(other_names), "members": tuple(members)}


def _parts(text: str, kinds: frozenset[str], default: str) -> Iterator[tuple[str, str]]:
    """The parts of a field with what each is."""
    for part in text.split(_SEPARATOR) if text else ():
        kind, colon, rest = part.partition(":")
        if colon and kind.strip().lower() in kinds:
            found = (kind.strip().lower(), _clean(rest))
        else:
            found = (default, _clean(part))
        if found[1]:
            yield found


def _clean(text: str) -> str:
    """Without what PostgreSQL or a page can't show: NUL and other control characters, spaces around."""
    if text.isprintable():
        return text.strip()
    return "".join(char for char in text if char.isprintable() or char == " ").strip()
