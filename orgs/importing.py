"""Brings organizations with their domains, other names and members into the directory from one CSV file.

Columns: ``external_id`` and ``name``, and as far as they are there ``country``, ``vertical``, ``is_partner``,
``domains``, ``other_names``, ``members``. The last three hold any number of parts, separated by ``|``, each with what
it is before a colon: ``verified:contoso.com|claimed:contoso.de``, ``former:Fabrikam|acronym:CTS``,
``full:ada@contoso.com|user:bob@contoso.com``; without one it is verified, trading, user.

Everything is one transaction: rows are read and checked by other processes, staged with COPY, and merged by external
id. What the file doesn't have stays as it is; a second run changes nothing.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import django
import uuid_utils.compat as uuid
from django.db import connection, transaction
from django.utils import timezone
from django_countries import countries

from orgs import search_index
from orgs.models import Domain, Member, Organization, OtherName
from orgs.names import normalize

BATCH: Final = 10_000  # rows that one process reads and checks at a time
AHEAD: Final = 4  # batches that wait to be written, at most
_SEPARATOR: Final = "|"
_DOMAINS: Final = frozenset(Domain.Status.values)
_NAMES: Final = frozenset(OtherName.Kind.values)
_ROLES: Final = frozenset(Member.Role.values)
_ORIGINS: Final = frozenset(Organization.Origin.values)
_TRUE: Final = frozenset({"1", "true", "yes", "y"})


@dataclass(frozen=True)
class Refused:
    """A row, or a part of one, that was not brought in: its line in the file, and what is expected."""

    line: int
    reason: str


@dataclass
class Batch:
    """Checked rows as COPY takes them, table by table, and what was refused."""

    rows: int = 0
    staged: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in STAGED})
    refused: list[Refused] = field(default_factory=list)


@dataclass
class Report:
    """What an import did."""

    rows: int = 0
    organizations: int = 0  # made or changed
    domains: int = 0
    other_names: int = 0
    members: int = 0
    refused: list[Refused] = field(default_factory=list)


STAGED: Final[dict[str, str]] = {
    "staged_organization": "line int, public_id uuid, external_id text, name text, name_key text, name_start text, "
    "country text, vertical text, is_partner boolean, origin text",
    "staged_domain": "line int, external_id text, name text, registrable text, label text, status text",
    "staged_other_name": "external_id text, name text, name_key text, kind text",
    "staged_member": "external_id text, email text, email_domain text, role text",
}


def import_file(path: Path, progress: Callable[[int], None] = lambda _read: None) -> Report:
    """Bring a file in, all or nothing of what is not refused; ``progress`` hears how many bytes were read."""
    report = Report()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('import organizations'))")
        for table, columns in STAGED.items():
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")
            cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP")
        for batch in _checked(path, progress):
            report.rows += batch.rows
            report.refused += batch.refused
            for table, lines in batch.staged.items():
                if lines:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write("".join(lines))
        _merge(cursor, report)
    with connection.cursor() as cursor:
        for model in (Organization, Domain, OtherName, Member):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    report.refused.sort(key=lambda each: each.line)
    return report


def _checked(path: Path, progress: Callable[[int], None]) -> Iterator[Batch]:
    """Batches of the file in order, checked by two processes while the batch before is being written."""
    with (
        path.open(encoding="utf-8-sig", newline="") as file,
        ProcessPoolExecutor(2, mp_context=get_context("forkserver"), initializer=django.setup) as pool,
    ):
        reader = csv.DictReader(_counted(file, progress))
        missing = {"external_id", "name"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"The first line must name the columns; not there: {', '.join(sorted(missing))}.")
        waiting: list[Future[Batch]] = []
        numbered = ((reader.line_num, row) for row in reader)
        for rows in itertools.batched(numbered, BATCH):
            waiting.append(pool.submit(check, rows))
            if len(waiting) >= AHEAD:
                yield waiting.pop(0).result()
        for each in waiting:
            yield each.result()


def _counted(file: Any, progress: Callable[[int], None]) -> Iterator[str]:
    read = 0
    for number, line in enumerate(file, start=1):
        read += len(line.encode()) if not line.isascii() else len(line)
        if number % 5_000 == 0:
            progress(read)
        yield line
    progress(read)


def check(rows: tuple[tuple[int, dict[str, str]], ...]) -> Batch:
    """Read and check rows of the file: what is right goes to its table, what is not is refused with a reason."""
    batch = Batch(rows=len(rows))
    for line, row in rows:
        if None in row.values() or None in row:
            batch.refused.append(Refused(line, "The row needs as many fields as the first line has columns."))
            continue
        external_id, name = _clean(row["external_id"]), _clean(row["name"])
        country = row.get("country", "").strip().upper()
        origin = row.get("origin", "").strip() or Organization.Origin.DIRECT_ORDER.value
        problem = _problem(external_id, name, country, origin)
        if problem:
            batch.refused.append(Refused(line, problem))
            continue
        partner = "t" if row.get("is_partner", "").strip().lower() in _TRUE else "f"
        batch.staged["staged_organization"].append(
            _line(line, uuid.uuid7(), external_id, name, normalize.name_key(name), normalize.name_start(name), country,
                  _clean(row.get("vertical", ""))[:40], partner, origin)
        )  # fmt: skip
        _check_parts(batch, line, external_id, row)
    return batch


def _problem(external_id: str, name: str, country: str, origin: str) -> str:
    if not external_id or len(external_id) > 64:
        return "An external id has 1 to 64 characters."
    if not name or len(name) > 200:
        return "A name has 1 to 200 characters."
    if country and country not in countries and country != "XK":  # Kosovo, by common use
        return "A country is a code of two letters (ISO 3166-1), such as DE."
    if origin not in _ORIGINS:
        return f"An origin is one of {', '.join(sorted(_ORIGINS))}."
    return ""


def _check_parts(batch: Batch, line: int, external_id: str, row: dict[str, str]) -> None:
    for status, text in _parts(row.get("domains", ""), _DOMAINS, "verified"):
        name = normalize.ascii_domain(text)
        registrable = normalize.registrable_domain(name)
        if not registrable or len(name) > 253:
            batch.refused.append(Refused(line, f"A domain is like contoso.com: {text[:80]}"))
            continue
        label = normalize.domain_label(name)[:63]
        batch.staged["staged_domain"].append(_line(line, external_id, name, registrable, label, status))
    for kind, text in _parts(row.get("other_names", ""), _NAMES, "trading"):
        if len(text) > 200:
            batch.refused.append(Refused(line, f"Another name has 1 to 200 characters: {text[:80]}"))
            continue
        batch.staged["staged_other_name"].append(_line(external_id, text, normalize.name_key(text), kind))
    for role, text in _parts(row.get("members", ""), _ROLES, "user"):
        email = normalize.email_key(text)
        domain = normalize.email_domain(email)
        if not email.partition("@")[0] or "." not in domain or len(email) > 254:
            batch.refused.append(Refused(line, f"A member is an email address: {text[:80]}"))
            continue
        batch.staged["staged_member"].append(_line(external_id, email, domain, role))


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


def _line(*values: object) -> str:
    """A line of COPY's text format. Values hold no control characters; only the backslash needs care."""
    return "\t".join(str(value).replace("\\", "\\\\") for value in values) + "\n"


def _merge(cursor: Any, report: Report) -> None:
    """Merge what is staged into the directory; only what differs is written."""
    cursor.execute("ANALYZE staged_organization")
    cursor.execute(
        """DELETE FROM staged_organization s USING (
               SELECT external_id, min(line) AS first FROM staged_organization GROUP BY 1 HAVING count(*) > 1
           ) twice WHERE s.external_id = twice.external_id AND s.line > twice.first RETURNING s.line, twice.first"""
    )
    for line, first in cursor.fetchall():
        reason = f"The external id is in line {first} already; what that line says is kept."
        report.refused.append(Refused(line, reason))
    cursor.execute(
        """INSERT INTO orgs_organization AS o (public_id, external_id, name, name_key, name_start, country, vertical,
                is_partner, origin, account_created_at, user_count, active_user_count, active_subscription_count)
            SELECT public_id, external_id, name, name_key, name_start, country, vertical, is_partner, origin,
                %s, 0, 0, 0
            FROM staged_organization ORDER BY line
            ON CONFLICT (external_id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key,
                name_start = excluded.name_start, country = excluded.country, vertical = excluded.vertical,
                is_partner = excluded.is_partner
            WHERE (o.name, o.name_key, o.country, o.vertical, o.is_partner)
                  IS DISTINCT FROM (excluded.name, excluded.name_key, excluded.country, excluded.vertical,
                                    excluded.is_partner)""",
        [timezone.now()],
    )
    report.organizations = cursor.rowcount
    cursor.execute("DROP TABLE IF EXISTS pg_temp.staged_id")
    cursor.execute("CREATE TEMPORARY TABLE staged_id (external_id text PRIMARY KEY, id bigint) ON COMMIT DROP")
    cursor.execute(
        "INSERT INTO staged_id SELECT external_id, id FROM orgs_organization "
        "WHERE external_id IN (SELECT external_id FROM staged_organization)"
    )
    cursor.execute("ANALYZE staged_id")
    _merge_domains(cursor, report)
    cursor.execute(
        """INSERT INTO orgs_othername (organization_id, name, name_key, kind)
           SELECT DISTINCT ON (i.id, s.name) i.id, s.name, s.name_key, s.kind
           FROM staged_other_name s JOIN staged_id i USING (external_id) ORDER BY i.id, s.name
           ON CONFLICT (organization_id, name) DO UPDATE SET kind = excluded.kind, name_key = excluded.name_key
           WHERE (orgs_othername.kind, orgs_othername.name_key) IS DISTINCT FROM (excluded.kind, excluded.name_key)"""
    )
    report.other_names = cursor.rowcount
    cursor.execute(
        """INSERT INTO orgs_member (organization_id, email, email_domain, role)
           SELECT DISTINCT ON (i.id, s.email) i.id, s.email, s.email_domain, s.role
           FROM staged_member s JOIN staged_id i USING (external_id) ORDER BY i.id, s.email
           ON CONFLICT (organization_id, email) DO UPDATE SET role = excluded.role
           WHERE orgs_member.role IS DISTINCT FROM excluded.role"""
    )
    report.members = cursor.rowcount
    cursor.execute(
        """UPDATE orgs_organization o SET user_count = counted.users FROM (
               SELECT m.organization_id, count(*) AS users FROM orgs_member m
               WHERE m.organization_id IN (
                   SELECT i.id FROM staged_id i JOIN staged_member s USING (external_id))
               GROUP BY 1) counted
           WHERE counted.organization_id = o.id AND o.user_count IS DISTINCT FROM counted.users"""
    )
    if report.organizations or report.other_names or report.domains:
        search_index.rebuild()


def _merge_domains(cursor: Any, report: Report) -> None:
    """Domains: one that another organization has claimed can't be claimed again."""
    cursor.execute(
        """WITH claimed AS (
               SELECT s.ctid AS row, s.line, s.name, i.id,
                      row_number() OVER (PARTITION BY s.name ORDER BY s.line) AS nth
               FROM staged_domain s JOIN staged_id i USING (external_id) WHERE s.status = 'claimed'
           ), taken AS (
               SELECT c.row, c.line, c.name FROM claimed c WHERE c.nth > 1 OR EXISTS (
                   SELECT 1 FROM orgs_domain d
                   WHERE d.name = c.name AND d.status = 'claimed' AND d.organization_id <> c.id)
           ), gone AS (DELETE FROM staged_domain s USING taken t WHERE s.ctid = t.row)
           SELECT line, name FROM taken"""
    )
    for line, name in cursor.fetchall():
        report.refused.append(Refused(line, f"A domain is claimed by one organization alone; another has {name}."))
    cursor.execute(
        """INSERT INTO orgs_domain (organization_id, name, registrable, label, status)
           SELECT DISTINCT ON (i.id, s.name) i.id, s.name, s.registrable, s.label, s.status
           FROM staged_domain s JOIN staged_id i USING (external_id) ORDER BY i.id, s.name, s.status
           ON CONFLICT (organization_id, name) DO UPDATE SET status = excluded.status
           WHERE orgs_domain.status IS DISTINCT FROM excluded.status"""
    )
    report.domains = cursor.rowcount
