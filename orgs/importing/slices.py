"""Checked rows of an import file, grouped in slices and converted to PostgreSQL array literals.

The functions here are pure, so that other processes can run them.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import uuid_utils.compat as uuid

from orgs.models import Domain
from orgs.text import normalize, terms

SLICE: Final = 500  # rows per transaction, at most
REMOVED: Final = "removed"  # the status, kind or role of a domain, other name or member that is to be removed
OPEN: Final = "open"
CLOSED: Final = "closed"


class Row(NamedTuple):
    """A checked row. None: the file doesn't have this column, or the field is empty; the stored value is kept."""

    line: int
    external_id: str
    name: str
    country: str | None
    vertical: str | None
    is_partner: bool | None
    origin: str
    status: str | None
    users: int | None
    active_users: int | None
    subscriptions: int | None
    last_activity: str | None  # ISO 8601, with a time zone
    domains: tuple[tuple[str, str], ...]  # (status or REMOVED, ASCII domain name)
    other_names: tuple[tuple[str, str], ...]  # (kind or REMOVED, name)
    members: tuple[tuple[str, str], ...]  # (role or REMOVED, email address)


@dataclass(frozen=True)
class Slice:
    """Checked rows as array literals for the comparison with the directory. The checking processes make them."""

    lines: tuple[int, ...]
    external_ids: tuple[str, ...]
    compared: dict[str, str]
    rows: bytes  # the rows, pickled: only those that differ are unpickled


def status_until(status: str, used_until: str) -> str:
    """Return a domain's status as slices carry it: ``former@2022`` if ``used_until`` is known, else the status."""
    return f"{status}@{used_until}" if used_until else status


def sliced(rows: Sequence[Row]) -> list[Slice]:
    """Split checked rows into slices of at most SLICE rows."""
    return [_slice(rows[start : start + SLICE]) for start in range(0, len(rows), SLICE)]


def _slice(rows: Sequence[Row]) -> Slice:
    compared = {
        "external_id": array(row.external_id for row in rows),
        "name": array(row.name for row in rows),
        "country": array(row.country for row in rows),
        "vertical": array(row.vertical for row in rows),
        "is_partner": array(row.is_partner for row in rows),
        "status": array(row.status for row in rows),
        "users": array(row.users for row in rows),
        "active_users": array(row.active_users for row in rows),
        "subscriptions": array(row.subscriptions for row in rows),
        "last_activity": array(row.last_activity for row in rows),
        **_parts("domain", [row.domains for row in rows]),
        **_parts("other_name", [row.other_names for row in rows]),
        **_parts("member", [row.members for row in rows]),
    }
    return Slice(
        tuple(row.line for row in rows), tuple(row.external_id for row in rows), compared, pickle.dumps(tuple(rows))
    )


def _parts(what: str, parts: Sequence[tuple[tuple[str, str], ...]]) -> dict[str, str]:
    """Return the parts of rows (domains, other names or members) as three parallel arrays.

    ``{what}_at`` is the place of the row in the slice, from 1; ``{what}_kind`` the status, kind or role;
    ``{what}_name`` the domain, name or address. If a row has a name twice, the last one counts.
    """
    each_once = [(at, {name: kind for kind, name in of_row}) for at, of_row in enumerate(parts, start=1) if of_row]
    found = [(at, kind, name) for at, of_row in each_once for name, kind in of_row.items()]
    return {
        f"{what}_at": array(at for at, _kind, _name in found),
        f"{what}_kind": array(kind for _at, kind, _name in found),
        f"{what}_name": array(name for _at, _kind, name in found),
    }


def array(values: Iterable[object]) -> str:
    """Return values as a PostgreSQL array literal. This is much faster than adapting each value."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\\" in value or '"' in value:
            value = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    return str(value)


class KeyedRows(NamedTuple):
    """Rows that are new or differ, with their search keys, as PostgreSQL array literals."""

    rows: tuple[Row, ...]
    arrays: dict[str, str]
    words: frozenset[str]
    words_of_names: frozenset[str]


def make_keys(rows: tuple[Row, ...]) -> KeyedRows:
    """Compute the search keys of rows. It is slow, so it runs only for rows that are written."""
    of_names: set[str] = set()
    every: set[str] = set()
    pairs: list[tuple[int, str]] = []
    keys: dict[str, list[object]] = {name: [] for name in ("name_key", "name_start", "public_id")}
    domain_keys: dict[str, list[object]] = {"registrable": [], "label": []}
    name_keys: list[str] = []
    email_domains: list[str] = []
    for at, row in enumerate(rows, start=1):
        key = normalize.name_key(row.name)
        keys["name_key"].append(key)
        keys["name_start"].append(normalize.name_start(row.name))
        keys["public_id"].append(str(uuid.uuid7()))
        found = set(terms.of_key(key))
        for name, kind in {name: kind for kind, name in row.other_names}.items():
            other = normalize.name_key(name)
            name_keys.append(other)
            if kind != REMOVED:
                found.update(terms.of_key(other))
        of_names |= found
        for name, kind in {name: kind for kind, name in row.domains}.items():
            label = normalize.domain_label(name)[:63]
            domain_keys["registrable"].append(normalize.registrable_domain(name))
            domain_keys["label"].append(label)
            if kind != REMOVED and not kind.startswith(Domain.Status.FORMER) and len(label) >= 4:
                found.update(terms.of_key(label))
        email_domains += [normalize.email_domain(email) for email in {email: role for role, email in row.members}]
        every |= found
        pairs += [(at, word) for word in found]
    arrays = {
        **_slice(rows).compared,
        **{name: array(values) for name, values in (keys | domain_keys).items()},
        "line": array(row.line for row in rows),
        "origin": array(row.origin for row in rows),
        "other_name_key": array(name_keys),
        "member_domain": array(email_domains),
        "word_at": array(at for at, _word in pairs),
        "word": array(word for _at, word in pairs),
    }
    return KeyedRows(rows, arrays, frozenset(every), frozenset(of_names))
