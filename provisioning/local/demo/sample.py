"""The sample directory of the demo: real organizations, with made-up members, activity and subscriptions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uuid_utils.compat as uuid
from django.db import connection, transaction
from django.utils import timezone

from orgs import search_index
from orgs.actions import ACTIVE_FOR
from orgs.models import Domain, Member, Organization, OtherName
from orgs.text import normalize
from orgs.text.table_files import TableFile
from provisioning.local.demo import sample_orders

DATA: Final = Path(__file__).parent / "data"
_FIRST: Final = (
    "alex amira anna ben carla chen daniel elif emma farah felix george hana ines ivan jana jonas kenji lara leo lina "
    "marco maria mei mila nina noah olga omar paula pedro priya rosa sam sara tom vera yuki zoe"
).split()
_LAST: Final = (
    "abe adams bauer becker brown costa diaz fischer garcia haddad ito jensen kim kovacs kumar lee lopez martin meyer "
    "miller moreau nguyen novak okafor olsen park patel rossi santos sato silva singh smith tanaka walker wang weber"
).split()
_KINDS: Final = {
    "ror:acronym": OtherName.Kind.ACRONYM,
    "ror:label in native script": OtherName.Kind.NATIVE,
    "ror:label other language or long form": OtherName.Kind.TRANSLATED,
    "ror:ascii spelling": OtherName.Kind.TRANSLATED,
}


@dataclass(frozen=True)
class MadeUp:
    """What the sources don't have about an organization, made up from its id, the same at each load."""

    is_partner: bool
    origin: str
    created: datetime
    users: int
    active: int
    last: datetime | None
    subscriptions: int
    has_domain: bool
    claims_domain: bool
    former_domain: bool


def load() -> None:
    """Fill an empty installation with the sample: the directory, and the orders of the tour."""
    load_directory()
    sample_orders.load()


def load_directory() -> int:
    """Fill the directory with the sample organizations; how many there were. A second call does nothing and says 0."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sample directory'))")
        rows = list(_read("orgs.csv.xz"))
        if Organization.objects.filter(external_id=rows[0]["org_id"]).exists():
            return 0
        now = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('orgs_organization', 'id')) FROM generate_series(1, %s)", [len(rows)]
        )
        pks = [pk for (pk,) in cursor.fetchall()]
        ids = {row["org_id"]: pk for row, pk in zip(rows, pks, strict=True)}
        shared = Counter(row["domain"] for row in rows)
        made_up = {row["org_id"]: _make_up(row, shared[row["domain"]], now) for row in rows}
        _copy(cursor, "orgs_organization", _ORGANIZATION, _organizations(rows, ids, made_up))
        _copy(cursor, "orgs_domain", _DOMAIN, _domains(rows, ids, made_up))
        _copy(cursor, "orgs_othername", _OTHER_NAME, _other_names(ids))
        _copy(cursor, "orgs_member", _MEMBER, _members(rows, ids, made_up, now))
        search_index.rebuild()
    with connection.cursor() as cursor:
        for model in (Organization, Domain, OtherName, Member):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    return len(rows)


_ORGANIZATION: Final = (
    "id, public_id, external_id, name, name_key, name_start, country, vertical, is_partner, origin, "
    "account_created_at, user_count, active_user_count, active_subscription_count, last_activity_at"
)
_DOMAIN: Final = "organization_id, name, registrable, label, status, used_until"
_OTHER_NAME: Final = "organization_id, name, name_key, kind"
_MEMBER: Final = "organization_id, email, email_domain, role, last_active_at"


def _read(name: str) -> Iterator[dict[str, str]]:
    with TableFile(DATA / name, others=True, encoding="utf-8") as table:
        for _line, row in table:
            yield row


def _copy(cursor: Any, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _draw(org_id: str, what: str, below: int) -> int:
    """A number from 0 to below - 1 that depends on the organization and on what it is for, and on nothing else."""
    return int.from_bytes(hashlib.blake2b(f"{org_id} {what}".encode(), digest_size=6).digest()) % below


def _make_up(row: dict[str, str], on_domain: int, now: datetime) -> MadeUp:
    org = row["org_id"]
    company = normalize.words(row["name"], legal=True)[-1:] != normalize.words(row["name"])[-1:]
    abandoned = _draw(org, "abandoned", 100) < 6
    age = 60 + _draw(org, "age", 5200) + (900 if abandoned else 0)
    # Most organizations are small; one in fifty has some dozens of users.
    size = _draw(org, "size", 100)
    users = 0 if size < 6 else 1 + _draw(org, "users", 6) if size < 80 else 4 + _draw(org, "users", 12)
    if size >= 98:
        users += _draw(org, "many users", 60)
    if abandoned:
        users = min(users, 3)
    active = 0 if abandoned else min(users, _draw(org, "active", users + 2)) if users else 0
    if active:
        last: datetime | None = now - timedelta(days=_draw(org, "last", 30))
    elif users and not abandoned:
        last = now - timedelta(days=min(age, ACTIVE_FOR.days + 1 + _draw(org, "last", 500)))
    else:
        last = now - timedelta(days=min(age, 400 + _draw(org, "last", 1200))) if users else None
    return MadeUp(
        is_partner=_draw(org, "partner", 100) < (35 if company else 4),
        origin=Organization.Origin.values[_draw(org, "origin", 4)],
        created=now - timedelta(days=age),
        users=users,
        active=active,
        last=last,
        subscriptions=0 if abandoned or not users else (0, 1, 1, 1, 2, 2, 3, 5)[_draw(org, "subscriptions", 8)],
        has_domain=not (abandoned and _draw(org, "domain", 2)),
        claims_domain=on_domain == 1 and _draw(org, "claims", 10) < 3,
        former_domain=on_domain == 1 and _draw(org, "former domain", 50) == 0,
    )


def _organizations(
    rows: list[dict[str, str]], ids: dict[str, int], made_up: dict[str, MadeUp]
) -> Iterator[tuple[object, ...]]:
    for row in rows:
        extra, name = made_up[row["org_id"]], row["name"][:200]
        yield (
            *(ids[row["org_id"]], uuid.uuid7(), row["org_id"], name, normalize.name_key(name)),
            *(normalize.name_start(name), row["country"], "", extra.is_partner, extra.origin, extra.created),
            *(extra.users, extra.active, extra.subscriptions, extra.last),
        )


def _domains(
    rows: list[dict[str, str]], ids: dict[str, int], made_up: dict[str, MadeUp]
) -> Iterator[tuple[object, ...]]:
    for row in rows:
        extra, domain = made_up[row["org_id"]], normalize.ascii_domain(row["domain"])
        if domain and extra.has_domain:
            status = Domain.Status.CLAIMED if extra.claims_domain else Domain.Status.VERIFIED
            yield _domain(ids[row["org_id"]], domain, status)
        if domain and extra.former_domain:
            # Under an ending that nobody can register: no real domain is said to be anybody's former one.
            name = f"{normalize.domain_label(domain)}.example"
            yield _domain(ids[row["org_id"]], name, Domain.Status.FORMER, str(2014 + _draw(row["org_id"], "until", 10)))


def _domain(pk: int, name: str, status: Domain.Status, until: str = "") -> tuple[object, ...]:
    return (pk, name, normalize.registrable_domain(name), normalize.domain_label(name), status.value, until)


def _other_names(ids: dict[str, int]) -> Iterator[tuple[object, ...]]:
    seen: set[tuple[str, str]] = set()
    for row in _read("known_aliases.csv.xz"):
        name = row["alias"][:200]
        if row["org_id"] in ids and name and (row["org_id"], name) not in seen:
            seen.add((row["org_id"], name))
            kind = _KINDS.get(row["provenance"], OtherName.Kind.TRADING)
            yield (ids[row["org_id"]], name, normalize.name_key(name), kind.value)


def _members(
    rows: list[dict[str, str]], ids: dict[str, int], made_up: dict[str, MadeUp], now: datetime
) -> Iterator[tuple[object, ...]]:
    for row in rows:
        org, extra, domain = row["org_id"], made_up[row["org_id"]], normalize.ascii_domain(row["domain"])
        start = _draw(org, "person", len(_FIRST) * len(_LAST))
        for place in range(extra.users):
            # Steps through all pairs of names before one comes again: 7 and the number of pairs have no common factor.
            pair = (start + 7 * place) % (len(_FIRST) * len(_LAST))
            email = f"{_FIRST[pair % len(_FIRST)]}.{_LAST[pair // len(_FIRST)]}@{domain}"
            last = extra.last
            if place >= extra.active and extra.active:
                last = None if place % 3 == 0 else now - ACTIVE_FOR - timedelta(days=1 + place)
            role = Member.Role.FULL if place == 0 else Member.Role.PROVISIONING if place == 7 else Member.Role.USER
            yield (ids[org], email, domain, role.value, last)
