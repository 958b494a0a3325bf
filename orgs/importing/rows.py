"""Checks the rows of an import file: known columns, parts of fields, and a sentence for each refusal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from orgs import usage_statistics
from orgs.importing.slices import CLOSED, OPEN, REMOVED, Row, Slice, sliced, status_until
from orgs.models import Domain, Member, Organization, OtherName
from orgs.text import country_names, normalize, pasted_text
from orgs.text.table_files import RefusedRow, truth

_SEPARATOR: Final = "|"
_DOMAINS: Final = frozenset({*Domain.Status.values, REMOVED})
_NAMES: Final = frozenset({*OtherName.Kind.values, REMOVED})
_ROLES: Final = frozenset({*Member.Role.values, REMOVED})
_FIGURES: Final = {"users": "users", "active_users": "active_users", "subscriptions": "active_subscriptions"}
_ORIGINS: Final = frozenset(Organization.Origin.values)
# Nobody was active before; a time near the year 1 could be stored, and not be read again.
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
REQUIRED: Final = ("external_id", "name")
COLUMNS: Final = (
    *REQUIRED,
    *("country", "vertical", "is_partner", "origin", "status", "domains", "other_names", "members"),
    *("users", "active_users", "active_subscriptions", "last_activity"),
)

# Domains, other names or members as (status, kind or role; text). An empty kind is the default one.
type Parts = Sequence[tuple[str, str]]


@dataclass
class Batch:
    """Checked rows in slices, and refused rows."""

    rows: int = 0
    columns: frozenset[str] = frozenset()
    slices: list[Slice] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    read_as: str = ""


def check(rows: tuple[tuple[int, dict[str, str]], ...]) -> Batch:
    """Check rows of the file, given as (line, {column: text}); refused rows and parts get a reason."""
    batch = Batch(rows=len(rows))
    checked: list[Row] = []
    for line, row in rows:
        batch.columns = batch.columns or frozenset(row)
        found, refused = check_row(line, row)
        batch.refused += refused
        if found:
            checked.append(found)
    batch.slices = sliced(checked)
    return batch


def check_row(line: int, row: Mapping[str, str | Parts]) -> tuple[Row | None, list[RefusedRow]]:
    """Check one row, given as {column: text}; domains, other_names and members may also be Parts.

    Return the row without its refused parts, or None where the whole row is refused; and what is refused, with reasons.
    """
    refused: list[RefusedRow] = []
    external_id, name = _clean(_text(row, "external_id")), _clean(_text(row, "name"))
    country = _text(row, "country").strip()
    origin = _text(row, "origin").strip() or Organization.Origin.DIRECT_ORDER.value
    partner = truth(_text(row, "is_partner"))
    field_name, problem = _problem(external_id, name, country, origin)
    if partner is None and not problem:
        field_name = "is_partner"
        problem = f"is_partner must be yes or no, or empty for no; not “{_clean(_text(row, 'is_partner'))[:80]}”."
    if problem:
        return None, [RefusedRow(line, problem, field_name)]
    found = Row(
        line=line,
        external_id=external_id,
        name=name,
        country=country_names.find(country) if "country" in row else None,
        vertical=_clean(_text(row, "vertical"))[:40] if "vertical" in row else None,
        is_partner=partner if "is_partner" in row else None,
        origin=origin,
        status=_status(refused, line, row),
        **_use(refused, line, row),
        **_check_parts(refused, line, row),
    )
    return found, refused


def external_id_problem(external_id: str) -> str:
    """Return what is wrong with an external id, or ""."""
    return "" if 1 <= len(external_id) <= 64 else "An external id has 1 to 64 characters."


def _text(row: Mapping[str, str | Parts], column: str) -> str:
    value = row.get(column, "")
    return value if isinstance(value, str) else ""


def _problem(external_id: str, name: str, country: str, origin: str) -> tuple[str, str]:
    """Return the column of the first value that refuses the whole row, and the reason; two empty texts for none."""
    if problem := external_id_problem(external_id):
        return "external_id", problem
    if not name or len(name) > 200:
        return "name", "A name has 1 to 200 characters."
    if country and not country_names.find(country):
        return "country", country_names.problem(country)
    if origin not in _ORIGINS:
        return "origin", f"An origin is one of {', '.join(sorted(_ORIGINS))}."
    return "", ""


def _status(refused: list[RefusedRow], line: int, row: Mapping[str, str | Parts]) -> str | None:
    status = _text(row, "status").strip().lower()
    if status and status not in {OPEN, CLOSED}:
        refused.append(RefusedRow(line, f"A status is open or closed: {status[:80]}", "status"))
        return None
    return status or None


def _use(refused: list[RefusedRow], line: int, row: Mapping[str, str | Parts]) -> dict[str, Any]:
    """Return the reported usage figures; all are None if one of them is refused."""
    found: dict[str, Any] = dict.fromkeys(("users", "active_users", "subscriptions", "last_activity"))
    for field_name, column in _FIGURES.items():
        text = _text(row, column).strip()
        number = pasted_text.whole_number(text)
        if text and (number is None or number >= 2**31):
            reason = f"{column} must be a whole number in digits, such as 1250: {text[:80]}"
            refused.append(RefusedRow(line, reason, column))
            return dict.fromkeys(found)
        found[field_name] = number
    if found["active_users"] is not None and found["users"] is not None and found["active_users"] > found["users"]:
        refused.append(RefusedRow(line, "There are not more active_users than users.", "active_users"))
        return dict.fromkeys(found)
    text = _text(row, "last_activity").strip()
    if text:
        moment = _moment(text)
        if moment is None or not _EARLIEST <= moment <= timezone.now() + usage_statistics.CLOCK_TOLERANCE:
            reason = (
                f"A last_activity is a past date such as 2026-01-31, or a time such as 2026-01-31T12:00Z: {text[:80]}"
            )
            refused.append(RefusedRow(line, reason, "last_activity"))
            return dict.fromkeys(found)
        found["last_activity"] = moment.isoformat()
    return found


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_parts(refused: list[RefusedRow], line: int, row: Mapping[str, str | Parts]) -> dict[str, Any]:
    domains: list[tuple[str, str]] = []
    for at, (status, text) in enumerate(_parts(row.get("domains", ""), _DOMAINS, "verified")):
        domain, mark, until = text.partition("@") if status == Domain.Status.FORMER else (text, "", "")
        until = until.strip()
        if mark and not normalize.is_year_or_date(until):
            reason = f"Until when a domain was used is a year or a date, such as 2022 or 2022-06-30: {text[:80]}"
            refused.append(RefusedRow(line, reason, f"domains/{at}"))
            continue
        name = pasted_text.domain(domain)
        if not normalize.registrable_domain(name) or len(name) > 253:
            refused.append(RefusedRow(line, f"A domain is like contoso.com: {text[:80]}", f"domains/{at}"))
            continue
        domains.append((status_until(status, until), name))
    # The last entry for a domain counts, so current domains follow former ones.
    domains.sort(key=lambda each: (not each[0].startswith(Domain.Status.FORMER), each[0]))
    other_names: list[tuple[str, str]] = []
    for at, (kind, text) in enumerate(_parts(row.get("other_names", ""), _NAMES, "trading")):
        if not 1 <= len(text) <= 200:
            reason = f"Another name has 1 to 200 characters: {text[:80]}"
            refused.append(RefusedRow(line, reason, f"other_names/{at}"))
            continue
        other_names.append((kind, text))
    members: list[tuple[str, str]] = []
    for at, (role, text) in enumerate(_parts(row.get("members", ""), _ROLES, "user")):
        found = pasted_text.emails(text)
        email = normalize.email_key(found[0])
        domain = normalize.email_domain(email)
        if len(found) > 1 or not email.partition("@")[0] or "." not in domain or len(email) > 254:
            refused.append(RefusedRow(line, f"A member is an email address: {text[:80]}", f"members/{at}"))
            continue
        members.append((role, email))
    return {"domains": tuple(domains), "other_names": tuple(other_names), "members": tuple(members)}


def _parts(value: str | Parts, kinds: frozenset[str], default: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a field as (kind, text)."""
    if not isinstance(value, str):
        yield from ((kind or default, _clean(text)) for kind, text in value)
        return
    for part in value.split(_SEPARATOR) if value else ():
        kind, colon, rest = part.partition(":")
        if colon and kind.strip().lower() in kinds:
            found = (kind.strip().lower(), _clean(rest))
        else:
            found = (default, _clean(part))
        if found[1]:
            yield found


def _clean(text: str) -> str:
    """Return the text without control characters and surrounding spaces. PostgreSQL rejects NUL."""
    if text.isprintable():
        return text.strip()
    return "".join(char for char in text if char.isprintable() or char == " ").strip()
