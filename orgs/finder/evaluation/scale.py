"""Generates a directory of any size from real names, and measures the finder's latency in it."""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg
from django.db import connection
from django.utils import timezone
from rapidfuzz import fuzz, process

from orgs import search_index
from orgs.finder import statements
from orgs.finder.evaluation import peers, splink_peer
from orgs.finder.evaluation.benchmark import (
    ORGANIZATION,
    Directory,
    Question,
    domain_row,
    organization_row,
    percentiles,
    read,
)
from orgs.finder.matching import find_candidates
from orgs.text import normalize

_ROUNDS: Final = 3
_BIG_DOMAIN: Final = 228  # organizations on the busiest domain of the real directory


def names(rows: list[dict[str, str]], count: int) -> Iterator[tuple[str, str, str]]:
    """Yield ``count`` (name, country, domain): the real ones first, then generated ones.

    A generated name is a real name with one word replaced by a word of another real name. Generated syllables are
    added to its domain and, for every second one, to the name, so that the vocabulary grows with the directory.
    """
    rng = random.Random(20261121)  # noqa: S311 — repeatable, not secret
    for row in rows[:count]:
        yield row["name"], row["country"], row["domain"]
    for number in range(count - len(rows)):
        one, other = rng.choice(rows), rng.choice(rows)
        parts, others = one["name"].split(), other["name"].split()
        parts[rng.randrange(len(parts))] = rng.choice(others)
        mark = _syllables(number)
        if number % 2:
            parts.insert(rng.randrange(len(parts) + 1), mark.capitalize())
        label, _dot, ending = one["domain"].partition(".")
        domain = one["domain"] if number % 7 == 0 and number < 200 * _BIG_DOMAIN else f"{label}-{mark}.{ending}"
        yield " ".join(parts)[:200], one["country"], domain


def _syllables(number: int) -> str:
    text = ""
    number += 70
    while number:
        number, rest = divmod(number, 70)
        text += "bdfgklmnprstvz"[rest % 14] + "aeiou"[rest // 14]
    return text


def fill(directory: Directory, organizations: Path, count: int, members: int = 0) -> None:
    """Fill the empty tables with ``count`` organizations and about ``members`` members, evenly spread."""
    rows = list(read(organizations, "org_id", "name", "country", "domain"))
    now = timezone.now()
    with connection.cursor() as cursor, _indexed_afterwards(cursor):
        with cursor.copy(f"COPY orgs_organization ({ORGANIZATION}) FROM STDIN") as copy:
            for pk, (name, country, _domain) in enumerate(names(rows, count), start=1):
                external = rows[pk - 1]["org_id"] if pk <= len(rows) else f"made-{pk}"
                if pk <= len(rows):
                    directory.external[pk], directory.pks[external] = external, pk
                copy.write_row(organization_row(pk, external, name, country, now))
        with cursor.copy("COPY orgs_domain (organization_id, name, registrable, label, status) FROM STDIN") as copy:
            for pk, (_name, _country, domain) in enumerate(names(rows, count), start=1):
                copy.write_row(domain_row(pk, domain))
        cursor.execute(
            """INSERT INTO orgs_member (organization_id, email, email_domain, role)
               SELECT organization_id, 'person' || person || '.' || organization_id || '@' || name, name, 'user'
               FROM orgs_domain CROSS JOIN generate_series(1, %s) AS person""",
            [max(1, members // count) if members else 0],
        )
    with connection.cursor() as cursor:
        tidy = "ANALYZE" if connection.in_atomic_block else "VACUUM ANALYZE"  # a test's transaction can't be vacuumed
        for table in ("orgs_organization", "orgs_domain", "orgs_member"):
            cursor.execute(f"{tidy} {table}")
    search_index.rebuild()


@contextmanager
def _indexed_afterwards(cursor: Any) -> Iterator[None]:
    """Drop the indexes that aren't unique, and create them after the rows are written, which is faster."""
    cursor.execute(
        """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
           WHERE NOT indisunique
             AND indrelid IN ('orgs_organization'::regclass, 'orgs_domain'::regclass, 'orgs_member'::regclass)"""
    )
    indexes = cursor.fetchall()
    for name, _made_by in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET maintenance_work_mem = '512MB'")
    for _name, made_by in indexes:
        cursor.execute(made_by)


def is_filled() -> bool:
    """Return whether the schema has a directory from an earlier run."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM orgs_organization)")
        return bool(cursor.fetchone()[0])


def machine() -> dict[str, Any]:
    """Return what the figures were measured on: cores, PostgreSQL version, shared buffers, load averages."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('shared_buffers')")
        version, buffers = cursor.fetchone()
    load = [round(value, 1) for value in os.getloadavg()]
    return {"cores": os.cpu_count(), "postgresql": version, "shared_buffers": buffers, "load": load}


def latencies(
    asked: Sequence[Question], *, slow_peers: bool, say: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    """Return percentiles in milliseconds by name, of the finder and its peers, on one connection in one run.

    The fast ones run in turn for three rounds, and the median of each question counts, so that other work on the
    machine has less effect. ``slow_peers`` also measures trigram indexes, a comparison with every name in memory, and
    Splink if it is installed (milliseconds of the batch divided by its questions). ``say`` gets the reason if Splink is
    left out.
    """
    for question in asked:  # warms the caches
        find_candidates(email=question.email, company_name=question.name)
    keys = [[1 + number * 37 % 30_000] for number in range(len(asked))]
    older = [peers.older_rule_values(question) for question in asked]
    taken: dict[str, list[list[float]]] = defaultdict(list)
    for _round in range(_ROUNDS):
        whole, in_database = _finder(asked)
        taken["finder, whole call"].append(whole)
        taken["finder, in the database"].append(in_database)
        taken["SELECT by primary key"].append(_timed("SELECT * FROM orgs_organization WHERE id = %s", keys))
        taken["the older rule alone"].append(_timed(peers.OLDER_RULE, older))
    result = {
        name: percentiles(sorted(median(times) for times in zip(*rounds, strict=True)))
        for name, rounds in taken.items()
    }
    if slow_peers:
        result |= _slow_peers(asked, say)
    return result


def _finder(asked: Sequence[Question]) -> tuple[list[float], list[float]]:
    """Return milliseconds of each call, and of the time it waited for the database."""
    whole, in_database = [], []
    spent = [0.0]
    run = statements.run

    def timed(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        start = time.perf_counter()
        rows = run(sql, values)
        spent[0] += time.perf_counter() - start
        return rows

    statements.run = timed
    try:
        for question in asked:
            spent[0] = 0.0
            start = time.perf_counter()
            find_candidates(email=question.email, company_name=question.name)
            whole.append((time.perf_counter() - start) * 1000)
            in_database.append(spent[0] * 1000)
    finally:
        statements.run = run
    return whole, in_database


def _slow_peers(asked: Sequence[Question], say: Callable[[str], object]) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    with peers.trigram_indexes():
        values = [peers.nearest_values(question) for question in asked[:100]]
        result["trigram, nearest five"] = percentiles(sorted(_timed(peers.NEAREST, values)))
        result["domain and trigram, rescored"] = percentiles(sorted(_each(peers.domain_and_trigram, asked[:100])))
    with connection.cursor() as cursor:
        cursor.execute("SELECT name_key FROM orgs_organization")
        keys = [key for (key,) in cursor.fetchall()]
    over_all = _each(
        lambda question: process.extractOne(normalize.name_key(question.name), keys, scorer=fuzz.token_sort_ratio),
        asked[:20],
    )
    result["rapidfuzz over all names"] = percentiles(sorted(over_all))
    try:
        batch = splink_peer.link(asked).milliseconds
    except splink_peer.LeftOutError as left_out:
        say(str(left_out))
    else:
        result["Splink"] = {"batch": batch, "questions": len(asked)}
    return result


def _each(find: Callable[[Question], object], asked: Sequence[Question]) -> list[float]:
    times = []
    for question in asked:
        start = time.perf_counter()
        find(question)
        times.append((time.perf_counter() - start) * 1000)
    return times


def _timed(sql: str, many: Sequence[Sequence[Any]]) -> list[float]:
    times = []
    raw = connection.connection
    with psycopg.Cursor(raw) as cursor:
        raw.prepare_threshold = 0
        for values in many:
            start = time.perf_counter()
            cursor.execute(sql, values, prepare=True).fetchall()
            times.append((time.perf_counter() - start) * 1000)
        raw.prepare_threshold = None
    return times
