"""Merges checked rows into the directory in small transactions, while other people use it.

One SELECT without row locks finds the rows of a slice that are new or differ. They are written, together with their
search words, at most ``slices.SLICE`` rows per transaction. An import that is killed has committed whole transactions;
the next run finds those rows unchanged and continues.

Lock order is the same in each transaction: organizations by primary key, then their domains, other names and members,
then postings by word. Words have no unique index and are only inserted (orgs.search_index), so they cause no lock
waits. A transaction that waits for a lock longer than ``_LOCK_TIMEOUT`` is rolled back and tried again, so that an
import never makes other transactions wait while it waits itself.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from typing import Any, Final

import django
from django.apps import apps
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from orgs import search_index, usage_statistics
from orgs.importing import slices, statements
from orgs.importing.report import Report
from orgs.importing.slices import CLOSED, REMOVED, KeyedRows, Row, Slice
from orgs.text.table_files import RefusedRow

# What becomes of a row.
CREATED: Final = "created"
UPDATED: Final = "updated"
UNCHANGED: Final = "unchanged"

_LOCK_TIMEOUT: Final = "100ms"
_MAX_TRIES: Final = 300  # of one transaction: more than a minute of waiting for a lock
# An unchanged usage report is written again when the stored one is this old, because reports expire (usage_statistics).
_REPORT_AGAIN_AFTER: Final = timedelta(days=30)
_AHEAD: Final = 4  # slices whose keys are computed while one is written
_RECOUNT_FROM: Final = 20_000  # changed words from which all words are counted again, instead of the changed ones
_LEARN_FROM: Final = 1000  # changed other names from which the word pairs are learned again
ANALYZE_FROM: Final = 500  # changed rows from which ANALYZE runs
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('import organizations'))"

_TABLES: Final = {"domain": "orgs_domain", "other_name": "orgs_othername", "member": "orgs_member"}
_NAMED: Final = {"domain": "name", "other_name": "name", "member": "email"}


@dataclass
class _Done:
    """What one transaction changed. It is added to the report after the commit."""

    report: Counter[str] = field(default_factory=Counter)
    refused: list[RefusedRow] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    of_names: set[str] = field(default_factory=set)
    come: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    outcomes: dict[int, str] = field(default_factory=dict)


@dataclass
class Missing:
    """Imported rows that a complete file doesn't contain: organizations, and parts as (organization, primary key)."""

    organizations: list[int] = field(default_factory=list)
    parts: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {what: [] for what in _TABLES})


class Merge:
    """One import: call add() with each slice in the order of the file, then finish().

    ``full``: the file is the complete list. ``dry_run``: roll every transaction back. ``outcomes`` gets what became of
    each line. ``durable``: a transaction that was committed survives a crash of the database server.
    """

    def __init__(
        self,
        report: Report,
        *,
        full: bool = False,
        dry_run: bool = False,
        durable: bool = False,
        outcomes: dict[int, str] | None = None,
    ) -> None:
        self.report = report
        self.full, self.dry_run, self.durable = full, dry_run, durable
        self.outcomes = outcomes
        self._seen: dict[str, int] = {}
        self._missing = Missing()
        self._present: frozenset[str] = frozenset()
        self._words = search_index.Difference()
        self._waiting: list[Row] = []
        self._ahead: deque[Future[KeyedRows]] = deque()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Merge:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def add(self, part: Slice, present: frozenset[str]) -> None:
        """Compare a slice with the directory, and write rows that are new or differ once there are enough of them."""
        self._present = present
        twice = self._twice(part)
        values: dict[str, Any] = {
            **part.compared,
            "report_again": timezone.now() - _REPORT_AGAIN_AFTER,
            "full": self.full,
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(statements.FIND_DIFFERENT, values)
            different = sorted({at for (at,) in cursor.fetchall()} - twice)
            if self.full:
                self._note_missing_parts(cursor, part, twice)
        self.report.unchanged += len(part.lines) - len(twice) - len(different)
        if self.outcomes is not None:
            written = {at - 1 for at in different}
            self.outcomes |= {line: UNCHANGED for at, line in enumerate(part.lines) if at not in written}
        if different:
            rows: tuple[Row, ...] = pickle.loads(part.rows)  # noqa: S301 — made by our own checking process
            self._waiting += [rows[at - 1] for at in different]
        while len(self._waiting) >= slices.SLICE:
            self._send(slices.SLICE)
        while len(self._ahead) >= _AHEAD:
            self._write(self._ahead.popleft().result())

    def _twice(self, part: Slice) -> set[int]:
        """Return the places of rows whose external id is also in an earlier line, and refuse them."""
        twice: set[int] = set()
        for at, (line, external_id) in enumerate(zip(part.lines, part.external_ids, strict=True), start=1):
            first = self._seen.setdefault(external_id, line)
            if first != line:
                twice.add(at)
                reason = f"The external id is in line {first} already; what that line says is kept."
                self.report.refused.append(RefusedRow(line, reason, "external_id"))
        return twice

    def _send(self, count: int) -> None:
        """Have another process compute the keys of waiting rows; compute them here if there are few."""
        rows, self._waiting = tuple(self._waiting[:count]), self._waiting[count:]
        if len(rows) < slices.SLICE and not self._ahead:
            self._write(slices.make_keys(rows))
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(2, mp_context=get_context("forkserver"), initializer=django.setup)
        self._ahead.append(self._pool.submit(slices.make_keys, rows))

    def finish(self, *, most_removed: float = 0.0) -> None:
        """Write the remaining rows, remove what a complete file doesn't contain, and update counts and statistics.

        If the share of imported rows to remove exceeds ``most_removed`` (0 to 1), nothing is removed and the report
        says why.
        """
        self.write_rest()
        if self.full:
            self._remove_missing(most_removed)
        if self.dry_run:
            return
        self.count_words()
        if self.report.written >= ANALYZE_FROM:
            analyze()

    def write_rest(self) -> None:
        """Write the rows that are left."""
        if self._waiting:
            self._send(len(self._waiting))
        while self._ahead:
            self._write(self._ahead.popleft().result())

    def count_words(self) -> None:
        """Count the words again by how many organizations have them, and learn pairs of words, where enough changed."""
        if len(self._words.more) >= _RECOUNT_FROM:
            search_index.recount()
        elif self._words.more:
            search_index.count(self._words.more)
        if self.report.other_names + self.report.removed_other_names >= _LEARN_FROM:
            search_index.learn_pairs()

    def _write(self, keys: KeyedRows) -> None:
        self._in_a_transaction(lambda cursor: self._merge(cursor, keys))

    def _in_a_transaction(self, act: Callable[[Any], _Done]) -> None:
        """Run ``act`` in its own transaction, retry it after conflicts, and add its counts to the report."""
        for nth in range(1, _MAX_TRIES + 1):
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(_LOCK)
                    cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    cursor.execute("SET LOCAL enable_seqscan = off")
                    if not self.durable:
                        # If the server crashes, the last transactions may be lost; the next run writes them again.
                        cursor.execute("SET LOCAL synchronous_commit = off")
                    done = act(cursor)
                    if self.dry_run:
                        transaction.set_rollback(True)
                break
            except (OperationalError, IntegrityError) as error:
                if nth == _MAX_TRIES or not _is_retryable(error):
                    raise
                self.report.retried += 1
        for name, number in done.report.items():
            setattr(self.report, name, getattr(self.report, name) + number)
        self.report.refused += done.refused
        if self.outcomes is not None:
            self.outcomes |= done.outcomes
        if not self.dry_run:
            self._words.note(done.words, done.of_names, done.come, done.gone)

    def _merge(self, cursor: Any, keys: KeyedRows) -> _Done:
        """Write rows that are new or differ: organizations first, then their domains, other names and members."""
        done, rows, now = _Done(), keys.rows, timezone.now()
        values: dict[str, Any] = {
            **keys.arrays, "now": now, "report_again": now - _REPORT_AGAIN_AFTER, "full": self.full
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
            cursor.execute(statements.INSERT_ORGANIZATIONS, values | {"known": places})
            ids |= dict(cursor.fetchall())
        values["ids"] = slices.array(ids[row.external_id] for row in rows)
        reporting = {row.external_id for row in rows if _has_usage(row)}
        if known or reporting:
            cursor.execute(statements.UPDATE_ORGANIZATIONS, values)
            for own, closes, opens in cursor.fetchall():
                done.report["changed"] += own
                done.report["closed"] += closes
                done.report["reopened"] += opens
        done.report["made"] = len(new)
        done.outcomes = {row.line: UPDATED if row.external_id in known else CREATED for row in rows}
        self._merge_parts(cursor, values, done)
        counted = reporting | {row.external_id for row in rows if row.members}
        if counted:
            usage_statistics.update([ids[external_id] for external_id in counted])
        self._merge_words(cursor, keys, values, before, (known, new), done)
        return done

    def _merge_parts(self, cursor: Any, values: dict[str, Any], done: _Done) -> None:
        if values["domain_at"] != "{}":
            cursor.execute(statements.FIND_CLAIMED_BY_ANOTHER, values)
            taken = cursor.fetchall()
            for _place, line, name in taken:
                reason = f"A domain is claimed by one organization alone; another has {name}."
                done.refused.append(RefusedRow(line, reason, "domains"))
            cursor.execute(statements.UPSERT_DOMAINS, values | {"taken": [place for place, _line, _name in taken]})
            done.report["domains"] = cursor.rowcount
        if values["other_name_at"] != "{}":
            cursor.execute(statements.UPSERT_OTHER_NAMES, values)
            done.report["other_names"] = cursor.rowcount
        if values["member_at"] != "{}":
            cursor.execute(statements.UPSERT_MEMBERS, values)
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
        keys: KeyedRows,
        values: dict[str, Any],
        before: set[tuple[str, int]],
        known_and_new: tuple[dict[str, int], list[int]],
        done: _Done,
    ) -> None:
        """Update the search words of the written organizations."""
        known, new = known_and_new
        if known:
            self._move_words(before, list(known.values()), done)
        found = [at for at in new if keys.rows[at - 1].status != CLOSED]
        if found:
            self._words.add_words(set(keys.words), set(keys.words_of_names))
            done.words |= keys.words
            done.of_names |= keys.words_of_names
            cursor.execute(statements.INSERT_POSTINGS, values | {"new": found})
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

    def _note_missing_parts(self, cursor: Any, part: Slice, twice: set[int]) -> None:
        """Collect imported parts of this slice's organizations that the file doesn't contain."""
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
        """Close organizations and remove parts that the file doesn't contain, unless their share exceeds ``most``."""
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
            self.report.not_removed = f"The file doesn't have {', '.join(too_much)}; at most {most:.1%} may be removed."
            return
        for start in range(0, len(self._missing.organizations), slices.SLICE):
            some = sorted(self._missing.organizations)[start : start + slices.SLICE]
            self._in_a_transaction(lambda cursor, some=some: self._close(cursor, some))  # type: ignore[misc]
        every = sorted((pk, what, part) for what, parts in self._missing.parts.items() for pk, part in parts)
        for start in range(0, len(every), slices.SLICE):
            those = every[start : start + slices.SLICE]
            self._in_a_transaction(lambda cursor, those=those: self._remove_parts(cursor, those))  # type: ignore[misc]

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

    def _remove_parts(self, cursor: Any, parts: list[tuple[int, str, int]]) -> _Done:
        done = _Done()
        organizations = sorted({pk for pk, _what, _part in parts})
        _lock(cursor, organizations)
        before, _names = search_index.of_organizations(organizations)
        for what in _TABLES:
            _remove(cursor, what, sorted(part for _pk, of, part in parts if of == what), done)
        self._move_words(before, organizations, done)
        usage_statistics.update(organizations)
        return done


def _lock(cursor: Any, organization_ids: list[int]) -> None:
    cursor.execute("SELECT FROM orgs_organization WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [organization_ids])


def _remove(cursor: Any, what: str, ids: list[int], done: _Done) -> None:
    """Delete parts of organizations. A member with a right by request keeps that right, and nothing else."""
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


def _has_usage(row: Row) -> bool:
    return any(value is not None for value in (row.users, row.active_users, row.subscriptions, row.last_activity))


def _is_retryable(error: Exception) -> bool:
    """Return whether a retry may help: lock timeout, deadlock, or unique violation (a domain claimed meanwhile)."""
    return getattr(error.__cause__, "sqlstate", "") in {"55P03", "40P01", "23505"}


def analyze() -> None:
    """Run ANALYZE on all tables of the product.

    Pages join the directory to tables that may never have been analyzed. With PostgreSQL's default assumptions about
    them, the planner may choose a sequential scan of the whole directory.
    """
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
