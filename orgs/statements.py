"""The finder's two statements, each a union of b-tree look-ups, and the functions of the database that run them.

Planning such a union takes longer than running it, so its plan is kept, and a generic one: look-ups by equality are all
alike. A prepared statement would do that for one connection, which behind a pooler in transaction mode is another one
each time. A function in PL/pgSQL keeps its plan on whichever connection runs it. Migrations make the functions.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from orgs.models import Organization

MOST_ON_A_DOMAIN: Final = 400
MOST_FORMER: Final = 20
MOST_BY_WORDS: Final = 50
MOST_POSTINGS: Final = 1500
MOST_WORDS: Final = 24
MOST_OPTIONS: Final = 5
MOST_CHOSEN: Final = 20
MOST_NAMES: Final = 40
MOST_DOMAINS: Final = 20

# The columns of an organization that its card and the actions that follow need.
COLUMNS: Final = tuple(field.attname for field in Organization._meta.concrete_fields)
AT: Final = {column: place for place, column in enumerate(COLUMNS)}
SPLIT: Final = "\x1f"
# What was asked for comes first: some organizations have more names and domains than anybody compares.
_FACTS: Final = f"""
    ARRAY(SELECT name || E'\\x1f' || name_key FROM orgs_othername WHERE organization_id = o.id
          ORDER BY name_key <> %(key)s, id LIMIT {MOST_NAMES}),
    ARRAY(SELECT name || E'\\x1f' || status || E'\\x1f' || used_until FROM orgs_domain WHERE organization_id = o.id
          AND (status <> 'former' OR name = ANY(%(within)s::text[]))
          ORDER BY registrable <> %(registrable)s, status = 'former', id LIMIT {MOST_DOMAINS}),
    {", ".join(f"o.{column}" for column in COLUMNS)}
"""  # noqa: S608 — names of ours only

# The ties: each arm is a b-tree look-up with its own limit; then the facts of what was found. Names are compared
# without their spaces, as the indexes have them: with >= and <=, because a trigram index on them, where somebody makes
# one, would be taken for = and be 200 times slower.
TIES: Final = f"""
WITH ties AS MATERIALIZED (
    (SELECT organization_id AS id, 'member ' || role AS tie FROM orgs_member WHERE email = %(email)s LIMIT 50)
    UNION ALL
    -- The older rule. Steps through the index from organization to organization, however many users each has.
    (WITH RECURSIVE step(id) AS (
         (SELECT organization_id FROM orgs_member WHERE email_domain = %(domain)s ORDER BY organization_id LIMIT 1)
         UNION ALL
         SELECT (SELECT m.organization_id FROM orgs_member m
                 WHERE m.email_domain = %(domain)s AND m.organization_id > step.id
                 ORDER BY m.organization_id LIMIT 1)
         FROM step WHERE step.id IS NOT NULL
     ) SELECT step.id, 'seed' FROM (SELECT id FROM step WHERE id IS NOT NULL LIMIT 1000) step
     -- LIMIT makes it a look-up for each: many thousands of names begin with "unive".
     CROSS JOIN LATERAL (SELECT name_start FROM orgs_organization WHERE id = step.id LIMIT 1) o
     WHERE o.name_start = %(start)s LIMIT 50)
    UNION ALL
    (SELECT organization_id, 'domain' FROM orgs_domain
     WHERE registrable = %(registrable)s AND status <> 'former' LIMIT {MOST_ON_A_DOMAIN})
    UNION ALL
    (SELECT organization_id, 'former' FROM orgs_domain
     WHERE name = ANY(%(within)s::text[]) AND status = 'former' LIMIT {MOST_FORMER})
    UNION ALL
    (SELECT organization_id, 'label' FROM orgs_domain WHERE label = %(label)s AND status <> 'former' LIMIT 60)
    UNION ALL
    (SELECT found.id, 'name' FROM unnest(%(keys)s::text[]) AS asked(key)
     CROSS JOIN LATERAL (
         SELECT id FROM orgs_organization
         WHERE replace(name_key, ' ', '') >= asked.key AND replace(name_key, ' ', '') <= asked.key LIMIT 40
     ) found)
    UNION ALL
    (SELECT found.id, 'name' FROM unnest(%(keys)s::text[]) AS asked(key)
     CROSS JOIN LATERAL (
         SELECT organization_id AS id FROM orgs_othername
         WHERE replace(name_key, ' ', '') >= asked.key AND replace(name_key, ' ', '') <= asked.key LIMIT 40
     ) found)
    UNION ALL
    SELECT given.id, 'given' FROM unnest(%(given)s::bigint[]) AS given(id)
), tied AS (SELECT id, array_agg(DISTINCT tie) AS ties FROM ties GROUP BY id)
SELECT tied.ties, 0::float, {_FACTS} FROM tied JOIN orgs_organization o ON o.id = tied.id WHERE o.closed_at IS NULL
"""  # noqa: S608 — names and numbers of ours only

# By words: what each word of the question is known as (itself, what it is paired with, how it may be misspelt or
# sound, readings of other scripts), the rarest of those, the organizations that have most of them, and their facts.
BY_WORDS: Final = f"""
WITH directory AS (
    SELECT greatest(reltuples, 1) AS size FROM pg_class WHERE oid = to_regclass('orgs_organization')
), options AS MATERIALIZED (
    SELECT 'known' AS arm, asked.slot, word.word, word.country, word.organizations, 1::float AS quality
    FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
    CROSS JOIN LATERAL (SELECT word, country, organizations FROM orgs_word WHERE word = asked.word LIMIT 1) word
    UNION ALL
    SELECT 'pair', asked.slot, pair.other, '', word.organizations, 0.4 + 0.5 * pair.strength
    FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
    CROSS JOIN LATERAL (SELECT other, strength FROM orgs_wordpair WHERE word = asked.word LIMIT 12) pair
    CROSS JOIN LATERAL (SELECT organizations FROM orgs_word WHERE word = pair.other LIMIT 1) word
    UNION ALL
    SELECT 'spelling', near.slot, near.word, '', word.organizations,
           CASE WHEN length(near.word) < 6 THEN 0.6 ELSE 0.8 END
    FROM (
        SELECT DISTINCT asked.slot, spelling.word
        FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
        CROSS JOIN LATERAL generate_series(0, length(asked.word)) AS place
        CROSS JOIN LATERAL (
            SELECT word FROM orgs_spelling
            WHERE key = CASE place WHEN 0 THEN asked.word ELSE overlay(asked.word PLACING '' FROM place FOR 1) END
            LIMIT 20
        ) spelling
        WHERE length(asked.word) >= 4 AND asked.word ~ '^[a-z0-9]*[a-z][a-z0-9]*$'
          AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word AND organizations > 2)
    ) near
    CROSS JOIN LATERAL (SELECT organizations FROM orgs_word WHERE word = near.word LIMIT 1) word
    UNION ALL
    SELECT 'sound', asked.slot, word.word, '', word.organizations, 0.55
    FROM unnest(%(words)s::text[], %(sounds)s::text[]) WITH ORDINALITY AS asked(word, sound, slot)
    CROSS JOIN LATERAL (
        SELECT word, organizations FROM orgs_word WHERE sound = asked.sound AND sound <> '' LIMIT 12
    ) word
    WHERE asked.sound <> '' AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word)
    UNION ALL
    SELECT 'reading', asked.slot, word.word, '', word.organizations, 0.7
    FROM unnest(%(readings)s::text[], %(reading_slots)s::int[]) AS asked(word, slot)
    CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE word = asked.word LIMIT 1) word
    UNION ALL
    SELECT 'heard', asked.slot, word.word, '', word.organizations, 0.5
    FROM unnest(%(readings)s::text[], %(heard)s::text[], %(reading_slots)s::int[]) AS asked(word, sound, slot)
    CROSS JOIN LATERAL (
        SELECT word, organizations FROM orgs_word WHERE sound = asked.sound AND sound <> '' LIMIT 6
    ) word
    WHERE length(asked.sound) >= 4 AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word)
    UNION ALL
    -- Words that were written together in the question: what one begins and ends with, where it is no usual word.
    SELECT 'part', long.slot, word.word, '', word.organizations, 0.8 * length(part.word) / length(long.word)
    FROM (
        SELECT asked.slot, asked.word FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
        WHERE length(asked.word) >= 7 AND asked.slot <= %(of_name)s AND asked.word ~ '^[a-z]*$'
          AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word AND organizations > 2)
    ) long
    CROSS JOIN LATERAL generate_series(3, length(long.word) - 3) AS place
    CROSS JOIN LATERAL (VALUES (left(long.word, place)), (substr(long.word, place + 1))) AS part(word)
    CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE word = part.word LIMIT 1) word
    UNION ALL
    -- Words that are written together in the directory: neighbours of the question as one word, and misspelt.
    SELECT 'joined', asked.slot, word.word, '', word.organizations, 0.9
    FROM unnest(%(neighbours)s::text[], %(neighbour_slots)s::int[]) AS asked(word, slot)
    CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE word = asked.word LIMIT 1) word
    UNION ALL
    SELECT 'joined', near.slot, near.word, '', word.organizations, 0.8
    FROM (
        SELECT DISTINCT asked.slot, spelling.word
        FROM unnest(%(neighbours)s::text[], %(neighbour_slots)s::int[]) AS asked(word, slot)
        CROSS JOIN LATERAL generate_series(0, length(asked.word)) AS place
        CROSS JOIN LATERAL (
            SELECT word FROM orgs_spelling
            WHERE key = CASE place WHEN 0 THEN asked.word ELSE overlay(asked.word PLACING '' FROM place FOR 1) END
            LIMIT 5
        ) spelling
        WHERE length(asked.word) >= 6
    ) near
    CROSS JOIN LATERAL (SELECT organizations FROM orgs_word WHERE word = near.word LIMIT 1) word
), weighed AS (
    SELECT slot, word, organizations, weight,
           row_number() OVER (PARTITION BY slot ORDER BY weight DESC, word) AS nth
    FROM (
        SELECT slot, word, organizations,
               max(quality * ln(1 + (SELECT size FROM directory) / organizations)
                   * CASE WHEN slot <= %(of_name)s THEN 1 ELSE 0.5 END) AS weight
        FROM options GROUP BY 1, 2, 3
    ) each_once
), chosen AS (
    SELECT slot, word, weight FROM (
        SELECT slot, word, weight, sum(organizations) OVER (ORDER BY weight DESC, word) - organizations AS before
        FROM (
            SELECT * FROM weighed WHERE nth <= {MOST_OPTIONS} ORDER BY weight DESC, word LIMIT {MOST_CHOSEN}
        ) rarest
    ) counted WHERE before < {MOST_POSTINGS}
), by_words AS (
    SELECT id, sum(weight) AS weight FROM (
        SELECT posting.id, chosen.weight FROM chosen
        CROSS JOIN LATERAL (
            SELECT organization_id AS id FROM orgs_posting WHERE word = chosen.word LIMIT {MOST_POSTINGS}
        ) posting
    ) found GROUP BY id ORDER BY 2 DESC, id LIMIT {MOST_BY_WORDS}
)
SELECT NULL::text[], by_words.weight, {_FACTS} FROM by_words JOIN orgs_organization o ON o.id = by_words.id
WHERE o.closed_at IS NULL
UNION ALL
SELECT ARRAY[arm, slot::text, word, country, organizations::text, (SELECT size FROM directory)::text], quality,
       NULL, NULL, {", ".join(["NULL"] * len(COLUMNS))}
FROM options
"""  # noqa: S608 — names and numbers of ours only


# The types of what is asked for, by the names that the statements have for it.
TYPES: Final = {
    **dict.fromkeys(("email", "domain", "start", "key", "registrable", "label"), "text"),
    **dict.fromkeys(("keys", "words", "sounds", "readings", "heard", "within", "neighbours"), "text[]"),
    "given": "bigint[]",
    "of_name": "integer",
    **dict.fromkeys(("reading_slots", "neighbour_slots"), "integer[]"),
}
# A process of an earlier version may still run after a migration: so many functions of earlier versions are kept.
_KEPT: Final = 6


@dataclass(frozen=True)
class Function:
    """A statement as a function of the database: what makes it, and what calls it."""

    name: str
    definition: str
    call: str


@cache
def function(sql: str) -> Function:
    """A function that runs this statement. Its name follows from it, so another version has another function."""
    names = dict.fromkeys(re.findall(r"%\((\w+)\)s", sql))
    body = sql % {name: f"${place}" for place, name in enumerate(names, start=1)}
    columns = ", ".join(f"column_{place} {kind}" for place, kind in enumerate(_returned(), start=1))
    rest = f"""({", ".join(TYPES[name] for name in names)}) RETURNS TABLE ({columns})
        LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET jit = off
        AS $function$ BEGIN RETURN QUERY {body}; END $function$"""
    name = f"orgs_find_{hashlib.sha256(rest.encode()).hexdigest()[:12]}"
    asked = ", ".join(f"%({name})s::{TYPES[name]}" for name in names)
    return Function(name, f"CREATE OR REPLACE FUNCTION {name} {rest}", f"SELECT * FROM {name}({asked})")  # noqa: S608


def _returned() -> list[str]:
    """The types of the columns that both statements return."""
    columns = [str(field.db_type(connection)) for field in Organization._meta.concrete_fields]
    return ["text[]", "float", "text[]", "text[]", *columns]


def install(*, using: str = DEFAULT_DB_ALIAS, **_signal: object) -> None:
    """Make the functions where they are missing, as migrations end, and drop those of versions long gone."""
    wanted = [function(TIES), function(BY_WORDS)]
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('functions of the finder'))")
        cursor.execute(
            """SELECT proname, oid::regprocedure::text FROM pg_proc
            WHERE pronamespace = current_schema()::regnamespace AND proname ~ '^orgs_find_[0-9a-f]{12}$'
            ORDER BY oid DESC"""
        )
        there = dict(cursor.fetchall())
        for each in wanted:
            if there.pop(each.name, None) is None:
                cursor.execute(each.definition)
        for signature in list(there.values())[_KEPT:]:
            cursor.execute(f"DROP FUNCTION {signature}")


_installed: set[str] = set()


def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement on Django's connection, by its function; where nobody has migrated yet, as it is.

    Nothing of it stays on the connection: behind a pooler, each transaction may have another one.
    """
    connection.ensure_connection()
    called = function(sql)
    with psycopg.Cursor(connection.connection) as cursor:
        if called.name not in _installed:
            if cursor.execute("SELECT to_regproc(%s) IS NULL", [called.name]).fetchall()[0][0]:
                return cursor.execute(sql, values, binary=True).fetchall()
            _installed.add(called.name)
        return cursor.execute(called.call, values, binary=True).fetchall()
