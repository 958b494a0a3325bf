"""Merges checked rows into the directory while people work: small transactions, each of which is complete.

A file is merged in slices. Rows that the directory has as they are are found by one statement that locks nothing; what
is new or differs is written SLICE rows at a time, each time in a transaction of its own, together with the search
words. So a person waits for one slice at most, an import that is killed has brought in whole slices, and the next run
finds them unchanged and goes on.

The order of locks is the same in every slice: organizations by their primary keys, then their domains, other names and
members, then postings by word. Words themselves have no unique index and are only added (search_index), so nobody waits
for them. A slice that has to wait for somebody else's lock gives way after WAITS, lets go of what it has, and tries
again: people never wait for an import that waits for people.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

import django
import uuid_utils.compat as uuid
from django.apps import apps
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from orgs import search_index, use
from orgs.models import Domain
from orgs.text import normalize, terms
from orgs.text.table_files import Refused

SLICE: Final = 500  # rows that are written in one transaction, at most
WAITS: Final = "100ms"  # how long a slice waits for a lock before it gives way
TRIES: Final = 300  # a slice gives way so often, at most: more than a minute for what holds the lock
REMOVED: Final = "removed"  # said of a domain, another name or a member that is to be taken away
OPEN: Final = "open"
CLOSED: Final = "closed"
# Figures that are reported again unchanged are noted anew when they are this old, so that they go on counting.
_REPORTED_FOR: Final = timedelta(days=30)
_AHEAD: Final = 4  # slices whose keys are being made while one is written
_MANY: Final = 20_000  # words that changed: so many are counted all together
_LEARN_FROM: Final = 1000  # other names that changed: then the pairs of words are learned again
_ANALYZE_FROM: Final = 500  # rows that changed: then the planner is told
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('import organizations'))"


class Row(NamedTuple):
    """A checked row. None: the file doesn't have this column, or nothing in it, so it stays as it is."""

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
    domains: tuple[tuple[str, str], ...]  # status or REMOVED, and the name as DNS has it
    other_names: tuple[tuple[str, str], ...]  # kind or REMOVED, and the name
    members: tuple[tuple[str, str], ...]  # role or REMOVED, and the address


@dataclass(frozen=True)
class Slice:
    """Checked rows as they are compared with the directory: arrays in PostgreSQL's notation, made by the checkers."""

    lines: tuple[int, ...]
    external_ids: tuple[str, ...]
    compared: dict[str, str]
    rows: bytes  # the rows themselves, pickled: most are never looked at again


@dataclass
class Report:
    """What an import did."""

    rows: int = 0
    made: int = 0  # organizations
    changed: int = 0  # organizations whose own columns differed
    unchanged: int = 0  # rows that the directory has as they are, with all their parts
    closed: int = 0
    reopened: int = 0
    domains: int = 0  # made or changed
    other_names: int = 0
    members: int = 0
    removed_domains: int = 0
    removed_other_names: int = 0
    removed_members: int = 0
    gave_way: int = 0  # slices that were tried again because somebody else had a row
    not_removed: str = ""  # why nothing that isn't in the file was taken away
    refused: list[Refused] = field(default_factory=list)
    read_as: str = ""  # the file's encoding and separator

    @property
    def organizations(self) -> int:
        """Organizations made or changed."""
        return self.made + self.changed

    @property
    def written(self) -> int:
        """Rows of all tables that were made, changed or removed."""
        return (
            self.organizations + self.closed + self.reopened + self.domains + self.other_names + self.members
            + self.removed_domains + self.removed_other_names + self.removed_members
        )  # fmt: skip


# Checking processes


def until(status: str, used_until: str) -> str:
    """Return a domain's status as slices carry it: with until when a former one was used, if that is known."""
    return f"{status}@{used_until}" if used_until else status


def sliced(rows: Sequence[Row]) -> list[Slice]:
    """Make slices of checked rows."""
    return [_slice(rows[start : start + SLICE]) for start in range(0, len(rows), SLICE)]


def _slice(rows: Sequence[Row]) -> Slice:
    compared = {
        "external_id": _array(row.external_id for row in rows),
        "name": _array(row.name for row in rows),
        "country": _array(row.country for row in rows),
        "vertical": _array(row.vertical for row in rows),
        "is_partner": _array(row.is_partner for row in rows),
        "status": _array(row.status for row in rows),
        "users": _array(row.users for row in rows),
        "active_users": _array(row.active_users for row in rows),
        "subscriptions": _array(row.subscriptions for row in rows),
        "last_activity": _array(row.last_activity for row in rows),
        **_parts("domain", [row.domains for row in rows]),
        **_parts("other_name", [row.other_names for row in rows]),
        **_parts("member", [row.members for row in rows]),
    }
    return Slice(
        tuple(row.line for row in rows), tuple(row.external_id for row in rows), compared, pickle.dumps(tuple(rows))
    )


def _parts(what: str, parts: Sequence[tuple[tuple[str, str], ...]]) -> dict[str, str]:
    """Parts of rows as three arrays: the row's place, what it is, its name. Of one name the last one counts."""
    each_once = [(at, {name: kind for kind, name in of_row}) for at, of_row in enumerate(parts, start=1) if of_row]
    found = [(at, kind, name) for at, of_row in each_once for name, kind in of_row.items()]
    return {
        f"{what}_at": _array(at for at, _kind, _name in found),
        f"{what}_kind": _array(kind for _at, kind, _name in found),
        f"{what}_name": _array(name for _at, _kind, name in found),
    }


def _array(values: Iterable[object]) -> str:
    """Values as an array in PostgreSQL's notation: much quicker than an adapter for each value."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\\" in value or '"' in value:
            value = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    return str(value)


# What is looked up by for each row, and the words it is found by


class _Keys(NamedTuple):
    """Rows that are new or differ, with their search keys, as arrays in PostgreSQL's notation."""

    rows: tuple[Row, ...]
    arrays: dict[str, str]
    words: frozenset[str]
    words_of_names: frozenset[str]


def make_keys(rows: tuple[Row, ...]) -> _Keys:
    """Make the search keys of rows: what takes most of the time, so only for those that are written."""
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
        **{name: _array(values) for name, values in (keys | domain_keys).items()},
        "line": _array(row.line for row in rows),
        "origin": _array(row.origin for row in rows),
        "other_name_key": _array(name_keys),
        "member_domain": _array(email_domains),
        "word_at": _array(at for at, _word in pairs),
        "word": _array(word for _at, word in pairs),
    }
    return _Keys(rows, arrays, frozenset(every), frozenset(of_names))


# Statements. Every table is looked up by its indexes: a slice is small, whatever the directory's size.

_FILE: Final = """
    file AS MATERIALIZED (
        SELECT * FROM unnest(
            %(external_id)s::text[], %(name)s::text[], %(country)s::text[], %(vertical)s::text[],
            %(is_partner)s::boolean[], %(status)s::text[], %(users)s::int[], %(active_users)s::int[],
            %(subscriptions)s::int[], %(last_activity)s::timestamptz[]
        ) WITH ORDINALITY AS row(external_id, name, country, vertical, is_partner, status, users, active_users,
                                 subscriptions, last_activity, at)
    )
"""
# Whether a row's own columns differ from its organization's.
_OWN_DIFFER: Final = """
    (o.name <> f.name OR o.country <> f.country OR o.vertical <> f.vertical OR o.is_partner <> f.is_partner)
"""
_USE_DIFFERS: Final = """
    (f.users IS DISTINCT FROM o.reported_user_count AND f.users IS NOT NULL
     OR f.active_users IS DISTINCT FROM o.reported_active_user_count AND f.active_users IS NOT NULL
     OR f.subscriptions IS DISTINCT FROM o.reported_subscription_count AND f.subscriptions IS NOT NULL
     OR f.last_activity IS DISTINCT FROM o.reported_activity_at AND f.last_activity IS NOT NULL
     OR num_nonnulls(f.users, f.active_users, f.subscriptions, f.last_activity) > 0
        AND (o.reported_at IS NULL OR o.reported_at < %(report_again)s))
"""
_CLOSES: Final = "(f.status = 'closed' AND o.closed_at IS NULL)"
_OPENS: Final = "(o.closed_at IS NOT NULL AND (f.status = 'open' OR %(full)s AND f.status IS DISTINCT FROM 'closed'))"

# Places of the rows that are new or differ.
_DIFFERENT: Final = f"""
WITH {_FILE}, known AS MATERIALIZED (
    SELECT f.at, o.id, coalesce({_OWN_DIFFER}, false) OR coalesce({_USE_DIFFERS}, false)
           OR coalesce({_CLOSES}, false) OR coalesce({_OPENS}, false) OR o.id IS NULL AS differs
    FROM file f LEFT JOIN orgs_organization o ON o.external_id = f.external_id
)
SELECT at FROM known WHERE differs
UNION
SELECT part.at FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_domain d ON d.organization_id = known.id AND d.name = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN d.id IS NOT NULL
      ELSE (d.status, d.imported) IS DISTINCT FROM (split_part(part.kind, '@', 1), true)
           OR split_part(part.kind, '@', 2) NOT IN ('', d.used_until) END
UNION
SELECT part.at FROM unnest(%(other_name_at)s::int[], %(other_name_kind)s::text[], %(other_name_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_othername n ON n.organization_id = known.id AND n.name = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN n.id IS NOT NULL
      ELSE (n.kind, n.imported) IS DISTINCT FROM (part.kind, true) END
UNION
SELECT part.at FROM unnest(%(member_at)s::int[], %(member_kind)s::text[], %(member_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_member m ON m.organization_id = known.id AND m.email = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN m.id IS NOT NULL AND (m.given_by IS NULL OR m.role_before <> '')
      ELSE (CASE WHEN m.given_by IS NULL THEN m.role ELSE m.role_before END, m.imported)
           IS DISTINCT FROM (part.kind, true) END
"""  # noqa: S608 — names of ours only

_INSERT: Final = f"""
WITH {_FILE}, keys AS MATERIALIZED (
    SELECT * FROM unnest(%(public_id)s::uuid[], %(name_key)s::text[], %(name_start)s::text[], %(origin)s::text[])
    WITH ORDINALITY AS row(public_id, name_key, name_start, origin, at)
)
INSERT INTO orgs_organization (public_id, external_id, name, name_key, name_start, country, vertical, is_partner,
    origin, account_created_at, user_count, active_user_count, active_subscription_count, closed_at)
SELECT k.public_id, f.external_id, f.name, k.name_key, k.name_start, coalesce(f.country, ''),
       coalesce(f.vertical, ''), coalesce(f.is_partner, false), k.origin, %(now)s, 0, 0, 0,
       CASE WHEN f.status = 'closed' THEN %(now)s::timestamptz END
FROM file f JOIN keys k USING (at) WHERE f.at <> ALL(%(known)s::int[]) ORDER BY f.at
RETURNING external_id, id
"""  # noqa: S608 — names of ours only

_UPDATE: Final = f"""
WITH {_FILE}, keys AS MATERIALIZED (
    SELECT * FROM unnest(%(name_key)s::text[], %(name_start)s::text[], %(ids)s::bigint[])
    WITH ORDINALITY AS row(name_key, name_start, id, at)
), differs AS MATERIALIZED (
    SELECT f.*, k.name_key, k.name_start, k.id, coalesce({_OWN_DIFFER}, false) AS own,
           coalesce({_USE_DIFFERS}, false) AS use, coalesce({_CLOSES}, false) AS closes,
           coalesce({_OPENS}, false) AS opens
    FROM file f JOIN keys k USING (at) JOIN orgs_organization o ON o.id = k.id
)
UPDATE orgs_organization o SET
    name = f.name, name_key = f.name_key, name_start = f.name_start, country = coalesce(f.country, o.country),
    vertical = coalesce(f.vertical, o.vertical), is_partner = coalesce(f.is_partner, o.is_partner),
    closed_at = CASE WHEN f.closes THEN %(now)s WHEN NOT f.opens THEN o.closed_at END,
    reported_user_count = coalesce(f.users, o.reported_user_count),
    reported_active_user_count = coalesce(f.active_users, o.reported_active_user_count),
    reported_subscription_count = coalesce(f.subscriptions, o.reported_subscription_count),
    reported_activity_at = coalesce(f.last_activity, o.reported_activity_at),
    reported_at = CASE WHEN f.use THEN %(now)s ELSE o.reported_at END,
    active_subscription_count = greatest(0, o.active_subscription_count + coalesce(
        f.subscriptions - coalesce(o.reported_subscription_count, 0), 0))
FROM differs f WHERE o.id = f.id AND (f.own OR f.use OR f.closes OR f.opens)
RETURNING f.own, f.closes, f.opens
"""  # noqa: S608 — names of ours only

_CLAIMED_BY_ANOTHER: Final = """
WITH asked AS MATERIALIZED (
    SELECT place, (%(ids)s::bigint[])[at] AS id, (%(line)s::int[])[at] AS line, name,
           row_number() OVER (PARTITION BY name ORDER BY place) AS nth
    FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[])
         WITH ORDINALITY AS part(at, kind, name, place) WHERE kind = 'claimed'
)
SELECT place, line, name FROM asked WHERE nth > 1 OR EXISTS (
    SELECT FROM orgs_domain d WHERE d.name = asked.name AND d.status = 'claimed' AND d.organization_id <> asked.id)
"""
_DOMAINS: Final = f"""
INSERT INTO orgs_domain (organization_id, name, registrable, label, status, used_until, imported)
SELECT (%(ids)s::bigint[])[at], name, registrable, label, split_part(kind, '@', 1), split_part(kind, '@', 2), true
FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[], %(registrable)s::text[],
            %(label)s::text[]) WITH ORDINALITY AS part(at, kind, name, registrable, label, place)
WHERE kind <> '{REMOVED}' AND place <> ALL(%(taken)s::int[]) ORDER BY 1, 2
ON CONFLICT (organization_id, name) DO UPDATE SET status = excluded.status, imported = true,
    used_until = CASE excluded.status WHEN 'former'
        THEN coalesce(nullif(excluded.used_until, ''), orgs_domain.used_until) ELSE '' END
WHERE (orgs_domain.status, orgs_domain.imported) IS DISTINCT FROM (excluded.status, true)
      OR excluded.used_until NOT IN ('', orgs_domain.used_until)
"""  # noqa: S608 — names of ours only
_OTHER_NAMES: Final = f"""
INSERT INTO orgs_othername (organization_id, name, name_key, kind, imported)
SELECT (%(ids)s::bigint[])[at], name, name_key, kind, true
FROM unnest(%(other_name_at)s::int[], %(other_name_kind)s::text[], %(other_name_name)s::text[],
            %(other_name_key)s::text[]) AS part(at, kind, name, name_key)
WHERE kind <> '{REMOVED}' ORDER BY 1, 2
ON CONFLICT (organization_id, name) DO UPDATE SET kind = excluded.kind, name_key = excluded.name_key, imported = true
WHERE (orgs_othername.kind, orgs_othername.name_key, orgs_othername.imported)
      IS DISTINCT FROM (excluded.kind, excluded.name_key, true)
"""  # noqa: S608 — names of ours only
# A right that a request gave stays as the request's own rules say; what the file says is what comes after it.
_MEMBERS: Final = f"""
INSERT INTO orgs_member (organization_id, email, email_domain, role, imported)
SELECT (%(ids)s::bigint[])[at], name, email_domain, kind, true
FROM unnest(%(member_at)s::int[], %(member_kind)s::text[], %(member_name)s::text[], %(member_domain)s::text[])
     AS part(at, kind, name, email_domain)
WHERE kind <> '{REMOVED}' ORDER BY 1, 2
ON CONFLICT (organization_id, email) DO UPDATE SET imported = true,
    role = CASE WHEN orgs_member.given_by IS NULL THEN excluded.role ELSE orgs_member.role END,
    role_before = CASE WHEN orgs_member.given_by IS NULL THEN orgs_member.role_before ELSE excluded.role END
WHERE (CASE WHEN orgs_member.given_by IS NULL THEN orgs_member.role ELSE orgs_member.role_before END,
       orgs_member.imported) IS DISTINCT FROM (excluded.role, true)
"""  # noqa: S608 — names of ours only
_POSTINGS: Final = """
INSERT INTO orgs_posting (word, organization_id)
SELECT word, (%(ids)s::bigint[])[at] FROM unnest(%(word_at)s::int[], %(word)s::text[]) AS part(at, word)
WHERE at = ANY(%(new)s::int[]) ORDER BY 1, 2
RETURNING word
"""
_TABLES: Final = {"domain": "orgs_domain", "other_name": "orgs_othername", "member": "orgs_member"}
_NAMED: Final = {"domain": "name", "other_name": "name", "member": "email"}


@dataclass
class _Done:
    """What one transaction did: counted once it is committed."""

    report: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    of_names: set[str] = field(default_factory=set)
    come: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


@dataclass
class Missing:
    """What a full file doesn't have and the directory has from an import: primary keys, with their organizations."""

    organizations: list[int] = field(default_factory=list)
    parts: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {what: [] for what in _TABLES})


class Merge:
    """One import: takes slices in the order of the file, and ends with finish().

    ``full``: the file is all that the source has. ``dry_run``: do everything, and undo each slice.
    """

    def __init__(self, report: Report, *, full: bool = False, dry_run: bool = False) -> None:
        self.report = report
        self.full, self.dry_run = full, dry_run
        self._seen: dict[str, int] = {}
        self._missing = Missing()
        self._present: frozenset[str] = frozenset()
        self._words = search_index.Difference()
        self._waiting: list[Row] = []
        self._ahead: deque[Future[_Keys]] = deque()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Merge:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def add(self, part: Slice, present: frozenset[str]) -> None:
        """Compare a slice with the directory, and write what has come together of what is new or differs."""
        self._present = present
        twice = self._twice(part)
        values: dict[str, Any] = {**part.compared, "report_again": timezone.now() - _REPORTED_FOR, "full": self.full}
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(_DIFFERENT, values)
            different = sorted({at for (at,) in cursor.fetchall()} - twice)
            if self.full:
                self._note_missing_parts(cursor, part, twice)
        self.report.unchanged += len(part.lines) - len(twice) - len(different)
        if different:
            rows: tuple[Row, ...] = pickle.loads(part.rows)  # noqa: S301 — made by our own checking process
            self._waiting += [rows[at - 1] for at in different]
        while len(self._waiting) >= SLICE:
            self._send(SLICE)
        while len(self._ahead) >= _AHEAD:
            self._write(self._ahead.popleft().result())

    def _twice(self, part: Slice) -> set[int]:
        """The places of rows whose external id an earlier line has."""
        twice: set[int] = set()
        for at, (line, external_id) in enumerate(zip(part.lines, part.external_ids, strict=True), start=1):
            first = self._seen.setdefault(external_id, line)
            if first != line:
                twice.add(at)
                reason = f"The external id is in line {first} already; what that line says is kept."
                self.report.refused.append(Refused(line, reason))
        return twice

    def _send(self, count: int) -> None:
        """Have the keys of waiting rows made by another process, or here where there are few."""
        rows, self._waiting = tuple(self._waiting[:count]), self._waiting[count:]
        if len(rows) < SLICE and not self._ahead:
            self._write(make_keys(rows))
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(2, mp_context=get_context("forkserver"), initializer=django.setup)
        self._ahead.append(self._pool.submit(make_keys, rows))

    def finish(self, *, most_removed: float = 0.0) -> None:
        """Write what is left, take away what a full file doesn't have, and bring counts and statistics up to date.

        Where that is a greater share than ``most_removed`` of what imports have brought, nothing is taken away and
        the report says so.
        """
        if self._waiting:
            self._send(len(self._waiting))
        while self._ahead:
            self._write(self._ahead.popleft().result())
        if self.full:
            self._remove_missing(most_removed)
        if self.dry_run:
            return
        if len(self._words.more) >= _MANY:
            search_index.recount()
        elif self._words.more:
            search_index.count(self._words.more)
        if self.report.other_names + self.report.removed_other_names >= _LEARN_FROM:
            search_index.learn_pairs()
        if self.report.written >= _ANALYZE_FROM:
            analyze()

    # One transaction each

    def _write(self, keys: _Keys) -> None:
        self._in_a_transaction(lambda cursor: self._merge(cursor, keys))

    def _in_a_transaction(self, act: Callable[[Any], _Done]) -> None:
        """Run ``act`` in a transaction of its own, again while others hold what it needs, and count what it did."""
        for nth in range(1, TRIES + 1):
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(_LOCK)
                    cursor.execute(f"SET LOCAL lock_timeout = '{WAITS}'")
                    cursor.execute("SET LOCAL enable_seqscan = off")
                    # A crash of the server may lose the last slices; the next run brings them in again.
                    cursor.execute("SET LOCAL synchronous_commit = off")
                    done = act(cursor)
                    if self.dry_run:
                        transaction.set_rollback(True)
                break
            except (OperationalError, IntegrityError) as error:
                if nth == TRIES or not _gives_way(error):
                    raise
                self.report.gave_way += 1
        for name, number in done.report.items():
            setattr(self.report, name, getattr(self.report, name) + number)
        self.report.refused += done.refused
        if not self.dry_run:
            self._words.note(done.words, done.of_names, done.come, done.gone)

    def _merge(self, cursor: Any, keys: _Keys) -> _Done:
        """Write rows that are new or differ: organizations first, then what belongs to them."""
        done, rows, now = _Done(), keys.rows, timezone.now()
        values: dict[str, Any] = {
            **keys.arrays, "now": now, "report_again": now - _REPORTED_FOR, "full": self.full
        }  # fmt: skip
        cursor.execute(
            "SELECT external_id, id FROM orgs_organization WHERE external_id = ANY(%(external_id)s::text[]) "
            "ORDER BY id FOR NO KEY UPDATE",
            values,
        )
        known: dict[str, int] = dict(cursor.fetchall())
        before = search_index.of_organizations(list(known.values()))[0] if known else set()
        new = [at for at, row in enumerate(rows, start=1) if row.external_id not in known]
        ids = dict(known)
        if new:
            places = [at for at, row in enumerate(rows, start=1) if row.external_id in known]
            cursor.execute(_INSERT, values | {"known": places})
            ids |= dict(cursor.fetchall())
        values["ids"] = _array(ids[row.external_id] for row in rows)
        told = {row.external_id for row in rows if _reports(row)}
        if known or told:
            cursor.execute(_UPDATE, values)
            for own, closes, opens in cursor.fetchall():
                done.report["changed"] += own
                done.report["closed"] += closes
                done.report["reopened"] += opens
        done.report["made"] = len(new)
        self._merge_parts(cursor, values, done)
        counted = told | {row.external_id for row in rows if row.members}
        if counted:
            use.settle([ids[external_id] for external_id in counted])
        self._merge_words(cursor, keys, values, before, (known, new), done)
        return done

    def _merge_parts(self, cursor: Any, values: dict[str, Any], done: _Done) -> None:
        if values["domain_at"] != "{}":
            cursor.execute(_CLAIMED_BY_ANOTHER, values)
            taken = cursor.fetchall()
            for _place, line, name in taken:
                reason = f"A domain is claimed by one organization alone; another has {name}."
                done.refused.append(Refused(line, reason))
            cursor.execute(_DOMAINS, values | {"taken": [place for place, _line, _name in taken]})
            done.report["domains"] = cursor.rowcount
        if values["other_name_at"] != "{}":
            cursor.execute(_OTHER_NAMES, values)
            done.report["other_names"] = cursor.rowcount
        if values["member_at"] != "{}":
            cursor.execute(_MEMBERS, values)
            done.report["members"] = cursor.rowcount
        for what, table in _TABLES.items():
            if REMOVED in values[f"{what}_kind"]:
                cursor.execute(
                    f"""SELECT x.id FROM unnest(%({what}_at)s::int[], %({what}_kind)s::text[], %({what}_name)s::text[])
                            AS part(at, kind, name)
                        JOIN {table} x ON x.organization_id = (%(ids)s::bigint[])[at] AND x.{_NAMED[what]} = part.name
                        WHERE part.kind = '{REMOVED}' ORDER BY x.id""",  # noqa: S608 — names of ours only
                    values,
                )
                _remove(cursor, what, [pk for (pk,) in cursor.fetchall()], done)

    def _merge_words(
        self,
        cursor: Any,
        keys: _Keys,
        values: dict[str, Any],
        before: set[tuple[str, int]],
        known_and_new: tuple[dict[str, int], list[int]],
        done: _Done,
    ) -> None:
        """Keep the search words with their rows."""
        known, new = known_and_new
        if known:
            self._move_words(before, list(known.values()), done)
        found = [at for at in new if keys.rows[at - 1].status != CLOSED]
        if found:
            self._words.add_words(set(keys.words), set(keys.words_of_names))
            done.words |= keys.words
            done.of_names |= keys.words_of_names
            cursor.execute(_POSTINGS, values | {"new": found})
            done.come += [word for (word,) in cursor.fetchall()]

    def _move_words(self, before: set[tuple[str, int]], organization_ids: list[int], done: _Done) -> None:
        after, of_names = search_index.of_organizations(organization_ids)
        found = {word for word, _pk in after - before}
        if found:
            self._words.add_words(found, found & of_names)
            done.words |= found
            done.of_names |= found & of_names
        come, gone = search_index.move(before, after)
        done.come += come
        done.gone += gone

    # What a full file doesn't have

    def _note_missing_parts(self, cursor: Any, part: Slice, twice: set[int]) -> None:
        """Note what imports have brought of this slice's organizations and the file doesn't have any more."""
        for what, table in _TABLES.items():
            if f"{what}s" not in self._present:
                continue
            cursor.execute(
                f"""WITH known AS MATERIALIZED (
                        SELECT f.at, o.id FROM unnest(%(external_id)s::text[]) WITH ORDINALITY AS f(external_id, at)
                        JOIN orgs_organization o USING (external_id) WHERE f.at <> ALL(%(twice)s::int[])
                    ), part AS MATERIALIZED (
                        SELECT known.id, said.name FROM unnest(%({what}_at)s::int[], %({what}_name)s::text[])
                        AS said(at, name) JOIN known USING (at)
                    )
                    SELECT known.id, x.id FROM known JOIN {table} x ON x.organization_id = known.id
                    WHERE x.imported AND NOT EXISTS (
                        SELECT FROM part WHERE part.id = known.id AND part.name = x.{_NAMED[what]})""",  # noqa: S608
                part.compared | {"twice": sorted(twice)},
            )
            self._missing.parts[what] += cursor.fetchall()

    def _remove_missing(self, most: float) -> None:
        """Take away what the file doesn't have, unless it is too great a share."""
        with transaction.atomic(), connection.cursor() as cursor:
            found = search_index.stream("SELECT id, external_id FROM orgs_organization "
                                 "WHERE external_id IS NOT NULL AND closed_at IS NULL")  # fmt: skip
            open_ones = 0
            for pk, external_id in found:
                open_ones += 1
                if external_id not in self._seen:
                    self._missing.organizations.append(pk)
            shares = {"organizations": (len(self._missing.organizations), open_ones)}
            for what, table in _TABLES.items():
                cursor.execute(f"SELECT count(*) FROM {table} WHERE imported")  # noqa: S608 — names of ours only
                shares[f"{what}s".replace("_", " ")] = (len(self._missing.parts[what]), cursor.fetchone()[0])
        too_much = [
            f"{gone} of {of} {name} ({gone / of:.1%})" for name, (gone, of) in shares.items() if gone > most * of
        ]
        if too_much:
            self.report.not_removed = (
                f"The file doesn't have {', '.join(too_much)}; at most {most:.1%} may be taken away."
            )
            return
        for start in range(0, len(self._missing.organizations), SLICE):
            some = sorted(self._missing.organizations)[start : start + SLICE]
            self._in_a_transaction(lambda cursor, some=some: self._close(cursor, some))  # type: ignore[misc]
        every = sorted((pk, what, part) for what, parts in self._missing.parts.items() for pk, part in parts)
        for start in range(0, len(every), SLICE):
            those = every[start : start + SLICE]
            self._in_a_transaction(lambda cursor, those=those: self._take_away(cursor, those))  # type: ignore[misc]

    def _close(self, cursor: Any, organization_ids: list[int]) -> _Done:
        done = _Done()
        _lock(cursor, organization_ids)
        before, _names = search_index.of_organizations(organization_ids)
        cursor.execute(
            "UPDATE orgs_organization SET closed_at = %s WHERE id = ANY(%s) AND closed_at IS NULL",
            [timezone.now(), organization_ids],
        )
        done.report["closed"] = cursor.rowcount
        self._move_words(before, organization_ids, done)
        return done

    def _take_away(self, cursor: Any, parts: list[tuple[int, str, int]]) -> _Done:
        done = _Done()
        organizations = sorted({pk for pk, _what, _part in parts})
        _lock(cursor, organizations)
        before, _names = search_index.of_organizations(organizations)
        for what in _TABLES:
            _remove(cursor, what, sorted(part for _pk, of, part in parts if of == what), done)
        self._move_words(before, organizations, done)
        use.settle(organizations)
        return done


def _lock(cursor: Any, organization_ids: list[int]) -> None:
    cursor.execute("SELECT FROM orgs_organization WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [organization_ids])


def _remove(cursor: Any, what: str, ids: list[int], done: _Done) -> None:
    """Remove parts of organizations. Who has a right by a request keeps it as the request says, and nothing else."""
    if not ids:
        return
    condition = ""
    if what == "member":
        cursor.execute(
            "UPDATE orgs_member SET role_before = '', imported = false WHERE id = ANY(%s) AND given_by IS NOT NULL",
            [ids],
        )
        done.report["removed_members"] += cursor.rowcount
        condition = " AND given_by IS NULL"
    cursor.execute(f"DELETE FROM {_TABLES[what]} WHERE id = ANY(%s){condition}", [ids])  # noqa: S608 — names of ours
    done.report[f"removed_{what}s"] += cursor.rowcount


def _reports(row: Row) -> bool:
    return any(value is not None for value in (row.users, row.active_users, row.subscriptions, row.last_activity))


def _gives_way(error: Exception) -> bool:
    """Whether somebody else had what was needed: a lock, or by now a domain that is claimed once."""
    return getattr(error.__cause__, "sqlstate", "") in {"55P03", "40P01", "23505"}


def analyze() -> None:
    """Tell the planner what all tables of the product are like now.

    Pages join the directory to tables that may have been small, and never looked at, when the directory was too: with
    what PostgreSQL assumes of those, reading a directory whole can seem the best way to join it.
    """
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
