"""Keeps the search words of the directory: which organizations have a word, how it may be misspelt, what it means."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db import connection, transaction

from orgs.names import terms

CHUNK: Final = 1000  # organizations in one row of postings
_PAIR_ORGANIZATIONS: Final = 60_000  # enough to learn which words stand for each other
_PAIR_SEEN: Final = 2
_PAIR_STRENGTH: Final = 0.07
_PAIRS_OF_A_WORD: Final = 12
_COUNTRY_SEEN: Final = 3
_COUNTRY_SHARE: Final = 0.8


_NAMES: Final = (
    "SELECT id, name_key FROM orgs_organization",
    "SELECT organization_id, name_key FROM orgs_othername",
    "SELECT organization_id, label FROM orgs_domain WHERE length(label) >= 4",
)


def index_names(organization_id: int, key: str) -> None:
    """Make an organization findable by the words of one more name. Cheap; counts follow at the next rebuild."""
    found = sorted(terms.distinct([key]))
    if not found:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orgs_word (word, organizations, sound, country) "
            "SELECT word, 1, sound, '' FROM unnest(%s::text[], %s::text[]) AS new(word, sound) "
            "ON CONFLICT DO NOTHING RETURNING word",
            [found, [terms.sound(word) for word in found]],
        )
        new = [(key, word) for (word,) in cursor.fetchall() for key in terms.spellings(word)]
        if new:
            cursor.execute(
                "INSERT INTO orgs_spelling (key, word) SELECT * FROM unnest(%s::text[], %s::text[])",
                [[key for key, _word in new], [word for _key, word in new]],
            )
        cursor.execute(
            "INSERT INTO orgs_posting (word, organization_ids) SELECT asked.word, ARRAY[%s::bigint] "
            "FROM unnest(%s::text[]) AS asked(word) WHERE NOT EXISTS (SELECT 1 FROM orgs_posting known "
            "WHERE known.word = asked.word AND known.organization_ids @> ARRAY[%s::bigint])",
            [organization_id, found, organization_id],
        )


def rebuild() -> None:
    """Make all search words anew from the names in the directory, in one transaction; readers see old or new."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE orgs_posting IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute("DROP TABLE IF EXISTS pg_temp.term")
        # Sorted byte by byte, whatever the database's language: the order means nothing here, and this is quick.
        cursor.execute(
            'CREATE TEMPORARY TABLE term (word text COLLATE "C", id bigint, of_domain boolean) ON COMMIT DROP'
        )
        for source in _NAMES:
            of_domain = source is _NAMES[-1]
            # Most keys are plain ASCII, whose terms are their words; PostgreSQL takes those apart by itself.
            cursor.execute(
                f"INSERT INTO term SELECT left(word, {terms.LONGEST}), id, {of_domain} "  # noqa: S608 — names of ours
                f"FROM ({source}) AS named(id, key), string_to_table(key, ' ') AS word "
                "WHERE octet_length(key) = length(key) AND word <> ''"
            )
            other = _stream(f"SELECT id, key FROM ({source}) AS named(id, key) WHERE octet_length(key) <> length(key)")  # noqa: S608
            for names in itertools.batched(other, 20_000):
                with cursor.copy("COPY term FROM STDIN") as copy:
                    for pk, key in names:
                        for word in set(terms.of_key(key)):
                            copy.write_row((word, pk, of_domain))
        cursor.execute("ANALYZE term")
        cursor.execute("DELETE FROM orgs_posting")
        # One sort serves the grouping and the numbering; a hash would be made first, and sorted all the same.
        cursor.execute("SET LOCAL enable_hashagg = off")
        cursor.execute(
            """INSERT INTO orgs_posting (word, organization_ids)
               SELECT word, array_agg(id) FROM (
                   SELECT word, id, (row_number() OVER (PARTITION BY word ORDER BY id) - 1) / %s AS chunk
                   FROM (SELECT word, id FROM term GROUP BY word, id) once) numbered GROUP BY word, chunk""",
            [CHUNK],
        )
        cursor.execute("SET LOCAL enable_hashagg = on")
        cursor.execute("ANALYZE orgs_posting")
        cursor.execute("DELETE FROM orgs_word")
        cursor.execute(
            # The sound as orgs.names.terms.sound has it; a test holds the two together.
            """INSERT INTO orgs_word (word, organizations, sound, country)
               SELECT counted.word, organizations, CASE WHEN length(heard) >= 3 THEN left(heard, 30) ELSE '' END,
                      coalesce(place.country, '')
               FROM (SELECT word, sum(cardinality(organization_ids)) AS organizations
                     FROM orgs_posting GROUP BY word) counted
               CROSS JOIN LATERAL (
                   SELECT translate(replace(word, 'x', 'ks'), 'cqzvfgdjl', 'kksbpktsr') AS letters OFFSET 0) spelt
               CROSS JOIN LATERAL (
                   SELECT CASE WHEN word ~ '^[0-9]*$' OR octet_length(word) <> length(word) THEN '' ELSE regexp_replace(
                       left(letters, 1) || translate(substr(letters, 2), 'aeiouyhw', ''), '(.)\\1+', '\\1', 'g'
                   ) END AS heard) sounding
               LEFT JOIN (
                   SELECT DISTINCT ON (word) word, country, n, sum(n) OVER (PARTITION BY word) AS total FROM (
                       SELECT word, o.country, count(*) AS n
                       FROM (SELECT word, unnest(organization_ids) AS id FROM orgs_posting WHERE word IN (
                                 SELECT word FROM orgs_posting GROUP BY word
                                 HAVING sum(cardinality(organization_ids)) >= %s)) placed
                       JOIN orgs_organization o ON o.id = placed.id GROUP BY 1, 2) by_country
                   ORDER BY word, n DESC, country) place
               ON place.word = counted.word AND place.n >= %s AND place.n >= %s * place.total
               ORDER BY counted.word""",
            [_COUNTRY_SEEN, _COUNTRY_SEEN, _COUNTRY_SHARE],
        )
        cursor.execute("DELETE FROM orgs_spelling")
        cursor.execute(
            """INSERT INTO orgs_spelling (key, word)
               SELECT CASE place WHEN 0 THEN word ELSE overlay(word PLACING '' FROM place FOR 1) END AS key, word
               FROM (SELECT DISTINCT word FROM term WHERE NOT of_domain OFFSET 0) of_names
               CROSS JOIN LATERAL generate_series(0, length(word)) AS place
               WHERE length(word) BETWEEN 4 AND %s AND word ~ '[a-z]' AND octet_length(word) = length(word)
               ORDER BY key""",
            [terms.LONGEST_REPAIRED],
        )
        cursor.execute("DELETE FROM orgs_wordpair")
        pairs = list(_learn_pairs())
        with cursor.copy("COPY orgs_wordpair (word, other, strength) FROM STDIN") as copy:
            for row in pairs:
                copy.write_row(row)
    with connection.cursor() as cursor:
        for table in ("orgs_posting", "orgs_word", "orgs_spelling", "orgs_wordpair"):
            cursor.execute(f"ANALYZE {table}")


def _stream(sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Rows of a query without holding them all in memory."""
    connection.ensure_connection()
    with connection.connection.cursor(name="stream_of_names") as cursor:
        cursor.itersize = 20_000
        cursor.execute(sql, values)
        yield from cursor


def _learn_pairs() -> Iterator[tuple[str, str, float]]:
    """Words that stand for each other, from organizations with several names: how often they come together."""
    alone: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    names: dict[int, tuple[set[str], list[set[str]]]] = defaultdict(lambda: (set(), []))
    for pk, key in _stream("SELECT id, name_key FROM orgs_organization ORDER BY id LIMIT %s", _PAIR_ORGANIZATIONS):
        names[pk][0].update(terms.of_key(key))
    for pk, key in _stream("SELECT organization_id, name_key FROM orgs_othername LIMIT %s", 3 * _PAIR_ORGANIZATIONS):
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
    """In how many organizations each word is, for those that the directory knows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, organizations FROM orgs_word WHERE word = ANY(%s)", [list(words)])
        return dict(cursor.fetchall())
