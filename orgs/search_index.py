"""The search index of the directory: postings, word counts, misspellings, and word pairs (translations). SQL only."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection, transaction

from orgs.text import terms

_PAIR_ORGANIZATIONS: Final = 60_000  # organizations that word pairs are learned from
_PAIR_SEEN: Final = 2
_PAIR_STRENGTH: Final = 0.07
_PAIRS_OF_A_WORD: Final = 12
_COUNTRY_SEEN: Final = 3
_COUNTRY_SHARE: Final = 0.8


# Queries of (organization, key) for all names; the last one is for domain labels. Closed organizations are left out.
_NAMES: Final = (
    "SELECT id, name_key FROM orgs_organization WHERE closed_at IS NULL",
    "SELECT organization_id, name_key FROM orgs_othername n WHERE NOT EXISTS "
    "(SELECT FROM orgs_organization o WHERE o.id = n.organization_id AND o.closed_at IS NOT NULL)",
    "SELECT organization_id, label FROM orgs_domain d WHERE length(label) >= 4 AND status <> 'former' AND NOT EXISTS "
    "(SELECT FROM orgs_organization o WHERE o.id = d.organization_id AND o.closed_at IS NOT NULL)",
)
# orgs.text.terms.sound in SQL, of {word}. A test compares the two.
_SOUND: Final = """
    CROSS JOIN LATERAL (
        SELECT translate(replace({word}, 'x', 'ks'), 'cqzvfgdjl', 'kksbpktsr') AS letters OFFSET 0) spelt
    CROSS JOIN LATERAL (
        SELECT CASE WHEN {word} ~ '^[0-9]*$' OR octet_length({word}) <> length({word}) THEN '' ELSE regexp_replace(
            left(letters, 1) || translate(substr(letters, 2), 'aeiouyhw', ''), '(.)\\1+', '\\1', 'g'
        ) END AS heard) sounding
    CROSS JOIN LATERAL (
        SELECT CASE WHEN length(heard) >= 3 THEN left(heard, 30) ELSE '' END AS sound) sounded
"""
# orgs.text.terms.spellings in SQL, of the words of the table or query {of}.
_SPELLINGS: Final = f"""
    SELECT CASE place WHEN 0 THEN word ELSE overlay(word PLACING '' FROM place FOR 1) END AS key, word
    FROM {{of}} CROSS JOIN LATERAL generate_series(0, length(word)) AS place
    WHERE length(word) BETWEEN 4 AND {terms.LONGEST_REPAIRED} AND word ~ '[a-z]'
          AND octet_length(word) = length(word)
"""  # noqa: S608 — a number of ours
# The number of organizations with each word, and the country of nearly all of them.
_COUNTED: Final = f"""
    SELECT counted.word, counted.organizations, coalesce(place.country, '') AS country
    FROM (SELECT word, count(*) AS organizations FROM orgs_posting GROUP BY word) counted
    LEFT JOIN (
        SELECT DISTINCT ON (word) word, country, n, sum(n) OVER (PARTITION BY word) AS total FROM (
            SELECT p.word, o.country, count(*) AS n
            FROM orgs_posting p JOIN orgs_organization o ON o.id = p.organization_id
            WHERE p.word IN (SELECT word FROM orgs_posting GROUP BY word HAVING count(*) >= {_COUNTRY_SEEN})
            GROUP BY 1, 2
        ) by_country ORDER BY word, n DESC, country
    ) place ON place.word = counted.word AND place.n >= {_COUNTRY_SEEN} AND place.n >= {_COUNTRY_SHARE} * place.total
"""  # noqa: S608 — numbers of ours only
_ONE_COUNT_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('search words'))"
# Words with at least this many organizations are updated by the difference; the others are counted.
_COUNTED_UP_TO: Final = 2000


def index_names(organization_id: int, key: str) -> None:
    """Add the words of a name key to an organization. Word counts are updated by the next count.

    The only lock conflict is with a transaction that gives the same organization the same word.
    """
    found = sorted(terms.distinct([key]))
    if found:
        with transaction.atomic():
            add_words(found, of_names=found)
            add_postings([(word, organization_id) for word in found])


# LIMIT forces an index look-up of each word, whatever the planner's statistics say.
_UNKNOWN: Final = """
    (SELECT asked.word FROM unnest(%s::text[]) AS asked(word)
     LEFT JOIN LATERAL (SELECT true AS there FROM {table} known WHERE {condition} LIMIT 1) known ON true
     WHERE known.there IS NULL OFFSET 0) new
"""


def add_words(words: Sequence[str], *, of_names: Sequence[str]) -> None:
    """Insert words that are missing, and the misspellings of ``of_names``, the words that occur in names."""
    of = _UNKNOWN.format(table="orgs_word", condition="known.word = asked.word")
    spelt = _UNKNOWN.format(table="orgs_spelling", condition="known.key = asked.word AND known.word = asked.word")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO orgs_word (word, organizations, sound, country)
                SELECT word, 1, sound, '' FROM {of} {_SOUND.format(word="word")}""",  # noqa: S608 — names of ours
            [list(words)],
        )
        cursor.execute(f"INSERT INTO orgs_spelling (key, word) {_SPELLINGS.format(of=spelt)}", [list(of_names)])


def add_postings(pairs: Sequence[tuple[str, int]]) -> None:
    """Insert postings, given as (word, organization primary key)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orgs_posting (word, organization_id) SELECT * FROM unnest(%s::text[], %s::bigint[]) "
            "ORDER BY 1, 2 ON CONFLICT DO NOTHING",
            [[word for word, _pk in pairs], [pk for _word, pk in pairs]],
        )


def of_organizations(organization_ids: Sequence[int]) -> tuple[set[tuple[str, int]], set[str]]:
    """Return the (word, organization) pairs of these organizations, and the words that occur in names."""
    pairs: set[tuple[str, int]] = set()
    of_names: set[str] = set()
    with connection.cursor() as cursor:
        for source in _NAMES:
            cursor.execute(
                f"SELECT id, key FROM ({source}) AS named(id, key) WHERE id = ANY(%s)",  # noqa: S608 — names of ours
                [list(organization_ids)],
            )
            for pk, key in cursor.fetchall():
                found = terms.of_key(key)
                pairs.update((word, pk) for word in found)
                if source is not _NAMES[-1]:
                    of_names.update(found)
    return pairs, of_names


@dataclass
class Difference:
    """Changes of an import: by how many organizations each word's count changes, and words that were inserted."""

    more: Counter[str] = field(default_factory=Counter)
    written: set[str] = field(default_factory=set)  # words that exist, so they needn't be looked up again
    written_of_names: set[str] = field(default_factory=set)

    def add_words(self, words: set[str], of_names: set[str]) -> None:
        """Insert words that this import hasn't inserted yet."""
        missing, missing_of_names = words - self.written, of_names - self.written_of_names
        if missing or missing_of_names:
            add_words(sorted(missing), of_names=sorted(missing_of_names))

    def note(self, words: set[str], of_names: set[str], more: Iterable[str], fewer: Iterable[str]) -> None:
        """Record what a committed transaction wrote."""
        self.written |= words
        self.written_of_names |= of_names
        self.more.update(more)
        self.more.subtract(fewer)


def move(before: set[tuple[str, int]], after: set[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """Replace postings; return the added and the removed words."""
    gone = sorted(before - after)
    if gone:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM orgs_posting p USING unnest(%s::text[], %s::bigint[]) AS gone(word, id) "
                "WHERE p.word = gone.word AND p.organization_id = gone.id",
                [[word for word, _pk in gone], [pk for _word, pk in gone]],
            )
    come = sorted(after - before)
    if come:
        add_postings(come)
    return [word for word, _pk in come], [word for word, _pk in gone]


def count(changed: Counter[str]) -> None:
    """Update the counts of these words. Only counting updates word rows; other writers insert, so they never wait."""
    words = sorted(word for word, more in changed.items() if more)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_COUNT_AT_A_TIME)
        for some in itertools.batched(words, 1000):
            cursor.execute(
                f"""UPDATE orgs_word w SET organizations = greatest(1, CASE
                        WHEN counted.n < {_COUNTED_UP_TO} THEN counted.n
                        ELSE greatest(w.organizations + changed.more, {_COUNTED_UP_TO}) END)
                    FROM unnest(%s::text[], %s::int[]) AS changed(word, more)
                    CROSS JOIN LATERAL (
                        SELECT count(*) AS n FROM (
                            SELECT FROM orgs_posting p WHERE p.word = changed.word LIMIT {_COUNTED_UP_TO}) listed
                    ) counted
                    WHERE w.word = changed.word""",  # noqa: S608 — numbers of ours only
                [list(some), [changed[word] for word in some]],
            )


def recount() -> int:
    """Count the organizations and the country of every word again; return the number of changed words.

    It runs every night and after a large import, and doesn't block transactions that insert words.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_COUNT_AT_A_TIME)
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            f"""WITH counted AS MATERIALIZED ({_COUNTED}), gone AS (
                    DELETE FROM orgs_word w
                    WHERE NOT EXISTS (SELECT FROM counted c WHERE c.word = w.word)
                          OR w.id > (SELECT min(id) FROM orgs_word first WHERE first.word = w.word)
                    RETURNING 1
                ), changed AS (
                    UPDATE orgs_word w SET organizations = c.organizations, country = c.country FROM counted c
                    WHERE c.word = w.word AND (w.organizations, w.country) IS DISTINCT FROM (c.organizations, c.country)
                          AND w.id = (SELECT min(id) FROM orgs_word first WHERE first.word = w.word)
                    RETURNING 1
                ), come AS (
                    INSERT INTO orgs_word (word, organizations, sound, country)
                    SELECT c.word, c.organizations, sound, c.country FROM counted c {_SOUND.format(word="c.word")}
                    WHERE NOT EXISTS (SELECT FROM orgs_word w WHERE w.word = c.word)
                    RETURNING 1
                ) SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM changed) + (SELECT count(*) FROM come)"""  # noqa: S608
        )
        return int(cursor.fetchone()[0])


def learn_pairs() -> None:
    """Learn the word pairs again and replace them in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_COUNT_AT_A_TIME)
        pairs = list(_learn_pairs())
        cursor.execute("DELETE FROM orgs_wordpair")
        with cursor.copy("COPY orgs_wordpair (word, other, strength) FROM STDIN") as copy:
            for row in pairs:
                copy.write_row(row)


def rebuild() -> None:
    """Build the whole search index from the directory's names in one transaction.

    It is for a directory that was filled without it (the sample, benchmarks) and blocks transactions that add
    organizations. An import updates the index with its rows instead.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_COUNT_AT_A_TIME)
        cursor.execute("LOCK TABLE orgs_posting IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute("DROP TABLE IF EXISTS pg_temp.term")
        # Collation "C" sorts faster, and the order doesn't matter.
        cursor.execute(
            'CREATE TEMPORARY TABLE term (word text COLLATE "C", id bigint, of_domain boolean) ON COMMIT DROP'
        )
        for source in _NAMES:
            of_domain = source is _NAMES[-1]
            # The terms of an ASCII key are its words, so PostgreSQL can split most keys.
            cursor.execute(
                f"INSERT INTO term SELECT left(word, {terms.LONGEST}), id, {of_domain} "  # noqa: S608 — names of ours
                f"FROM ({source}) AS named(id, key), string_to_table(key, ' ') AS word "
                "WHERE octet_length(key) = length(key) AND word <> ''"
            )
            other = stream(f"SELECT id, key FROM ({source}) AS named(id, key) WHERE octet_length(key) <> length(key)")  # noqa: S608
            for names in itertools.batched(other, 20_000):
                with cursor.copy("COPY term FROM STDIN") as copy:
                    for pk, key in names:
                        for word in set(terms.of_key(key)):
                            copy.write_row((word, pk, of_domain))
        cursor.execute("ANALYZE term")
        cursor.execute("DELETE FROM orgs_posting")
        cursor.execute(
            "INSERT INTO orgs_posting (word, organization_id) SELECT word, id FROM term GROUP BY word, id ORDER BY 1, 2"
        )
        cursor.execute("ANALYZE orgs_posting")
        cursor.execute("DELETE FROM orgs_word")
        cursor.execute(
            f"""INSERT INTO orgs_word (word, organizations, sound, country)
                SELECT counted.word, organizations, sound, country
                FROM ({_COUNTED}) counted {_SOUND.format(word="counted.word")} ORDER BY counted.word"""  # noqa: S608
        )
        cursor.execute("DELETE FROM orgs_spelling")
        of = "(SELECT DISTINCT word FROM term WHERE NOT of_domain OFFSET 0) of_names"
        cursor.execute(f"INSERT INTO orgs_spelling (key, word) {_SPELLINGS.format(of=of)} ORDER BY key")
        learn_pairs()
    analyze()


def analyze() -> None:
    """Run ANALYZE on the tables of the index."""
    with connection.cursor() as cursor:
        for table in ("orgs_posting", "orgs_word", "orgs_spelling", "orgs_wordpair"):
            cursor.execute(f"ANALYZE {table}")


def stream(sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query through a server-side cursor."""
    connection.ensure_connection()
    with connection.connection.cursor(name="stream_of_names") as cursor:
        cursor.itersize = 20_000
        cursor.execute(sql, values)
        yield from cursor


def _learn_pairs() -> Iterator[tuple[str, str, float]]:
    """Yield (word, other, strength) of words that replace each other in names of the same organization."""
    alone: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    names: dict[int, tuple[set[str], list[set[str]]]] = defaultdict(lambda: (set(), []))
    for pk, key in stream("SELECT id, name_key FROM orgs_organization ORDER BY id LIMIT %s", _PAIR_ORGANIZATIONS):
        names[pk][0].update(terms.of_key(key))
    for pk, key in stream("SELECT organization_id, name_key FROM orgs_othername LIMIT %s", 3 * _PAIR_ORGANIZATIONS):
        if pk in names:
            names[pk][1].append(set(terms.of_key(key)))
    for name, others in names.values():
        seen: set[tuple[str, str]] = set()
        for i, other in enumerate(others):
            for against in (name, *others[:i]):
                left, right = against - other, other - against
                if len(left) <= 12 and len(right) <= 16:
                    seen.update((a, b) for a in left for b in right)
                    seen.update((b, a) for a in left for b in right)
        together.update(seen)
        alone.update({a for a, _b in seen})
    best: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (a, b), count in together.items():
        if count >= _PAIR_SEEN:
            strength = count / math.sqrt(alone[a] * alone[b])
            if strength >= _PAIR_STRENGTH:
                best[a].append((strength, b))
    for a, found in best.items():
        for strength, b in sorted(found, reverse=True)[:_PAIRS_OF_A_WORD]:
            yield a, b, round(strength, 3)


def known_words(words: Iterable[str]) -> dict[str, int]:
    """Return the number of organizations by word, for the words that the directory has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, organizations FROM orgs_word WHERE word = ANY(%s)", [list(words)])
        return dict(cursor.fetchall())
