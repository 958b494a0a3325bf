"""Checks the rows of an import file: known columns, parts of fields, and a sentence for each refusal."""

from __future__ import annotations

from collections.abc import Iterator
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
REQUIRED: Final = ("external_id", "name")
COLUMNS: Final = (
    *REQUIRED,
    *("country", "vertical", "is_partner", "origin", "status", "domains", "other_names", "members"),
    *("users", "active_users", "active_subscriptions", "last_activity"),
)


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
        external_id, name = _clean(row["external_id"]), _clean(row["name"])
        country = row.get("country", "").strip()
        origin = row.get("origin", "").strip() or Organization.Origin.DIRECT_ORDER.value
        partner = truth(row.get("is_partner", ""))
        problem = _problem(external_id, name, country, origin)
        if partner is None and not problem:
            problem = f"is_partner must be yes or no, or empty for no; not “{_clean(row['is_partner'])[:80]}”."
        if problem:
            batch.refused.append(RefusedRow(line, problem))
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
    batch.slices = sliced(checked)
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
    if status and status not in {OPEN, CLOSED}:
        batch.refused.append(RefusedRow(line, f"A status is open or closed: {status[:80]}"))
        return None
    return status or None


def _use(batch: Batch, line: int, row: dict[str, str]) -> dict[str, Any]:
    """Return the reported usage figures; all are None if one of them is refused."""
    found: dict[str, Any] = dict.fromkeys(("users", "active_users", "subscriptions", "last_activity"))
    for field_name, column in _FIGURES.items():
        text = row.get(column, "").strip()
        number = pasted_text.whole_number(text)
        if text and (number is None or number >= 2**31):
            batch.refused.append(
                RefusedRow(line, f"{column} must be a whole number in digits, such as 1250: {text[:80]}")
            )
            return dict.fromkeys(found)
        found[field_name] = number
    if found["active_users"] is not None and found["users"] is not None and found["active_users"] > found["users"]:
        batch.refused.append(RefusedRow(line, "There are not more active_users than users."))
        return dict.fromkeys(found)
    text = row.get("last_activity", "").strip()
    if text:
        moment = _moment(text)
        if moment is None or moment > timezone.now() + usage_statistics.CLOCK_TOLERANCE:
            reason = (
                f"A last_activity is a past date such as 2026-01-31, or a time such as 2026-01-31T12:00Z: {text[:80]}"
            )
            batch.refused.append(RefusedRow(line, reason))
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
            batch.refused.append(RefusedRow(line, reason))
            continue
        name = pasted_text.domain(domain)
        if not normalize.registrable_domain(name) or len(name) > 253:
            batch.refused.append(RefusedRow(line, f"A domain is like contoso.com: {text[:80]}"))
            continue
        domains.append((status_until(status, until), name))
    # The last entry for a domain counts, so current domains follow former ones.
    domains.sort(key=lambda each: (not each[0].startswith(Domain.Status.FORMER), each[0]))
    other_names: list[tuple[str, str]] = []
    for kind, text in _parts(row.get("other_names", ""), _NAMES, "trading"):
        if len(text) > 200:
            batch.refused.append(RefusedRow(line, f"Another name has 1 to 200 characters: {text[:80]}"))
            continue
        other_names.append((kind, text))
    members: list[tuple[str, str]] = []
    for role, text in _parts(row.get("members", ""), _ROLES, "user"):
        found = pasted_text.emails(text)
        email = normalize.email_key(found[0])
        domain = normalize.email_domain(email)
        if len(found) > 1 or not email.partition("@")[0] or "." not in domain or len(email) > 254:
            batch.refused.append(RefusedRow(line, f"A member is an email address: {text[:80]}"))
            continue
        members.append((role, email))
    return {"domains": tuple(domains), "other_names": tuple(other_names), "members": tuple(members)}


def _parts(text: str, kinds: frozenset[str], default: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a field as (kind, text)."""
    for part in text.split(_SEPARATOR) if text else ():
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
