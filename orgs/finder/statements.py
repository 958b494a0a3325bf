"""The finder's two statements, each a union of b-tree look-ups, and how they are run: prepared, with a generic plan."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from orgs.models import Organization

MOST_ON_A_DOMAIN: Final = 400
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
    ARRAY(SELECT name || E'\\x1f' || status FROM orgs_domain WHERE organization_id = o.id
          ORDER BY registrable <> %(registrable)s, id LIMIT {MOST_DOMAINS}),
    {", ".join(f"o.{column}" for column in COLUMNS)}
"""  # noqa: S608 — names of ours only

# The ties: each arm is a b-tree look-up with its own limit; then the facts of what was found. Names are compared with
# >= and <=, because a trigram index on them, where somebody makes one, would be taken for = and be 200 times slower.
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
    (SELECT organization_id, 'domain' FROM orgs_domain WHERE registrable = %(registrable)s LIMIT {MOST_ON_A_DOMAIN})
    UNION ALL
    (SELECT organization_id, 'label' FROM orgs_domain WHERE label = %(label)s LIMIT 60)
    UNION ALL
    (SELECT found.id, 'name' FROM unnest(%(keys)s::text[]) AS asked(key)
     CROSS JOIN LATERAL (
         SELECT id FROM orgs_organization WHERE name_key >= asked.key AND name_key <= asked.key LIMIT 40
     ) found)
    UNION ALL
    (SELECT found.id, 'name' FROM unnest(%(keys)s::text[]) AS asked(key)
     CROSS JOIN LATERAL (
         SELECT organization_id AS id FROM orgs_othername WHERE name_key >= asked.key AND name_key <= asked.key LIMIT 40
     ) found)
    UNION ALL
    SELECT given.id, 'given' FROM unnest(%(given)s::bigint[]) AS given(id)
), tied AS (SELECT id, array_agg(DISTINCT tie) AS ties FROM ties GROUP BY id)
SELECT tied.ties, 0::float, {_FACTS} FROM tied JOIN orgs_organization o ON o.id = tied.id
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
            SELECT unnest(organization_ids) AS id FROM orgs_posting WHERE word = chosen.word LIMIT {MOST_POSTINGS}
        ) posting
    ) found GROUP BY id ORDER BY 2 DESC, id LIMIT {MOST_BY_WORDS}
)
SELECT NULL::text[], by_words.weight, {_FACTS} FROM by_words JOIN orgs_organization o ON o.id = by_words.id
UNION ALL
SELECT ARRAY[arm, slot::text, word, country, organizations::text, (SELECT size FROM directory)::text], quality,
       NULL, NULL, {", ".join(["NULL"] * len(COLUMNS))}
FROM options
"""  # noqa: S608 — names and numbers of ours only


def plan_once(*, connection: BaseDatabaseWrapper, **_signal: object) -> None:
    """Have a new connection keep the generic plan of a prepared statement: look-ups by equality are all alike.

    Nothing else on it is prepared. Compiling plans to machine code (on by default before PostgreSQL 19) never pays for
    look-ups. Said as a connection is made, because what is set within a transaction goes when that is rolled back.
    """
    raw = connection.connection
    if not getattr(raw, "plans_once", False):  # a pool hands out the same ones again
        raw.execute("SET plan_cache_mode = force_generic_plan")
        raw.execute("SET jit = off")
        raw.plans_once = True


def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on Django's connection."""
    connection.ensure_connection()
    raw = connection.connection
    threshold, raw.prepare_threshold = raw.prepare_threshold, 0
    try:
        with psycopg.Cursor(raw) as cursor:
            return cursor.execute(sql, values, prepare=True, binary=True).fetchall()
    finally:
        raw.prepare_threshold = threshold  # Django switches preparing off for its own statements
