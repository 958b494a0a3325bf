"""Looks up in PostgreSQL what may be the organization: two prepared statements, each a union of b-tree look-ups.

The first finds ties (member, users at the domain, domains, names); the second, where the first has not settled it, what
the words of the name are known as and the organizations that have the rarest of them. Both bring the facts with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import psycopg
from django.db import connection
from rapidfuzz.distance import OSA

from orgs import features, legal_forms, normalize, terms
from orgs.features import Asked, Known
from orgs.models import Domain, Organization, OtherName

MOST_ON_A_DOMAIN: Final = 400
MOST_BY_WORDS: Final = 50
MOST_POSTINGS: Final = 2500
MOST_WORDS: Final = 24
MOST_OPTIONS: Final = 5
MOST_CHOSEN: Final = 20


@dataclass(frozen=True)
class Option:
    """What a word of the question may be in the directory: the word there, how sure, in how many organizations."""

    word: str
    quality: float
    organizations: int


@dataclass
class Slot:
    """One word of the question and what it is known as in the directory."""

    word: str
    organizations: int = 0
    country: str = ""  # where nearly all organizations with this word are
    options: list[Option] = field(default_factory=list)


@dataclass(frozen=True)
class Question:
    """What is asked, as it is looked up."""

    email: str
    domain: str  # "" where it can't be evidence
    name: str
    key: str
    terms: tuple[str, ...]

    @property
    def registrable(self) -> str:
        """What somebody registered of the email domain."""
        return normalize.registrable_domain(self.domain)

    @property
    def label(self) -> str:
        """The registrable domain's name without its ending."""
        return normalize.domain_label(self.domain)


@dataclass
class Found:
    """An organization that was looked up: its ties, and its facts as the ranking needs them."""

    pk: int
    values: list[Any]  # of COLUMNS
    key: str
    country: str
    other_names: tuple[tuple[str, str], ...]  # name, key
    domains: tuple[tuple[str, str], ...]  # name, status
    ties: list[tuple[str, ...]] = field(default_factory=list)
    by_words: float = 0.0

    @cached_property
    def organization(self) -> Organization:
        """The row, with its domains and other names; made only for those that are shown."""
        organization = Organization.from_db(connection.alias, COLUMNS, self.values)
        _attach(organization, "domains", [Domain(name=name, status=status) for name, status in self.domains])
        _attach(organization, "other_names", [OtherName(name=name) for name, _key in self.other_names])
        return organization

    def value(self, column: str) -> Any:
        """One column of the row."""
        return self.values[_AT[column]]


def _attach(organization: Organization, relation: str, rows: list[Any]) -> None:
    """Give an organization its related rows as a prefetch does, so that nobody asks for them again."""
    related = getattr(organization, relation).all()
    related._result_cache = rows
    related._prefetch_done = True
    organization.__dict__.setdefault("_prefetched_objects_cache", {})[relation] = related


# The columns of an organization that its card and the actions that follow need.
COLUMNS: Final = tuple(field.attname for field in Organization._meta.concrete_fields)
_AT: Final = {column: place for place, column in enumerate(COLUMNS)}
_SPLIT: Final = "\x1f"
_FACTS: Final = f"""
    ARRAY(SELECT name || E'\\x1f' || name_key FROM orgs_othername WHERE organization_id = o.id LIMIT 40),
    ARRAY(SELECT name || E'\\x1f' || status FROM orgs_domain WHERE organization_id = o.id LIMIT 20),
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
     ) SELECT o.id, 'seed' FROM (SELECT id FROM step WHERE id IS NOT NULL LIMIT 1000) step
     JOIN orgs_organization o ON o.id = step.id WHERE o.name_start = %(start)s LIMIT 50)
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
WITH options AS MATERIALIZED (
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
               max(quality * ln(1 + (SELECT greatest(reltuples, 1) FROM pg_class
                                     WHERE oid = to_regclass('orgs_organization')) / organizations)
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
        SELECT posting.id, chosen.slot, max(chosen.weight) AS weight FROM chosen
        CROSS JOIN LATERAL (
            SELECT unnest(organization_ids) AS id FROM orgs_posting WHERE word = chosen.word LIMIT {MOST_POSTINGS}
        ) posting GROUP BY 1, 2
    ) found GROUP BY id ORDER BY 2 DESC, id LIMIT {MOST_BY_WORDS}
)
SELECT NULL::text[], by_words.weight, {_FACTS} FROM by_words JOIN orgs_organization o ON o.id = by_words.id
UNION ALL
SELECT ARRAY[arm, slot::text, word, country, organizations::text], quality, NULL, NULL,
       {", ".join(["NULL"] * len(COLUMNS))}
FROM options
"""  # noqa: S608 — names and numbers of ours only


def ask(email: str, domain: str, name: str) -> Question:
    """The question as it is looked up; ``domain`` is "" where it can't be evidence."""
    key = normalize.name_key(name)
    return Question(email, domain, name, key, tuple(dict.fromkeys(terms.of_key(key)))[:MOST_WORDS])


def look_up(question: Question, also: Sequence[int] = ()) -> tuple[dict[int, Found], list[Slot]]:
    """What may be the organization (and ``also`` these), and what the question's words are known as.

    One round trip where the email's domain or the whole name settles it (see _is_settled), else two.
    """
    found: dict[int, Found] = {}
    keys = [question.key] if question.key else []
    label = question.label
    if len(label) >= 3:
        keys += dict.fromkeys([label, label.replace("-", " "), label.replace("-", "")])
    values = {
        "email": question.email,
        "domain": question.domain or "-",
        "start": normalize.name_start(question.name),
        "registrable": question.registrable or "-",
        "label": label or "-",
        "keys": keys,
        "given": list(also),
    }
    for ties, _weight, *facts in _run(TIES, values):
        one = _read(facts)
        one.ties = [tuple(tie.split(" ")) if " " in tie else (tie, "") for tie in ties]
        found[one.pk] = one
    slots = [Slot(word) for word in question.terms]
    if _is_settled(found, question):
        for slot in slots:
            slot.options.append(Option(slot.word, 1.0, 1))
        return found, slots
    return _by_words(question, found, slots)


def _is_settled(found: Mapping[int, Found], question: Question) -> bool:
    """Whether words would add nothing: one organization alone has the domain, or a whole name says enough."""
    on_domain = [one for one in found.values() if ("domain", "") in one.ties]
    if len(on_domain) == 1 and all(one is on_domain[0] or ("name", "") not in one.ties for one in found.values()):
        return True
    telling = len(question.key) >= 10 and " " in question.key
    return len(question.key) >= 6 and any(
        question.key in (one.key, *(key for _name, key in one.other_names))
        for one in (found.values() if telling else on_domain)
    )


def _by_words(question: Question, found: dict[int, Found], slots: list[Slot]) -> tuple[dict[int, Found], list[Slot]]:
    """The second round trip: organizations by the rarest words, and what each word is known as."""
    readings = _readings(question)
    words = list(question.terms)
    asked = words + [word for word in _label_words(question) if word not in words]
    values = {
        "words": asked,
        "of_name": len(words),
        "sounds": [terms.sound(word) for word in asked],
        "readings": [reading for reading, _place in readings],
        "reading_slots": [place + 1 for _reading, place in readings],
        "heard": [terms.sound(reading) for reading, _place in readings],
    }
    for option, amount, *facts in _run(BY_WORDS, values):
        if option is None:
            one = _read(facts)
            known = found.setdefault(one.pk, one)
            known.by_words = amount
            continue
        arm, place, word, country, organizations = option
        if int(place) > len(slots):
            continue
        slot = slots[int(place) - 1]
        if arm == "known":
            slot.country, slot.organizations = country, int(organizations)
        elif arm == "spelling":
            amount = _spelling(slot.word, word)
        if amount:
            slot.options.append(Option(word, amount, int(organizations)))
    return found, slots


def _read(facts: list[Any]) -> Found:
    """The facts of an organization as a statement brings them."""
    other_names, domains, *values = facts
    return Found(
        pk=values[_AT["id"]],
        values=values,
        key=values[_AT["name_key"]],
        country=values[_AT["country"]],
        other_names=tuple(sorted((name, key) for name, _x, key in (each.partition(_SPLIT) for each in other_names))),
        domains=tuple(sorted((name, status) for name, _x, status in (each.partition(_SPLIT) for each in domains))),
    )


def _readings(question: Question) -> list[tuple[str, int]]:
    """Readings of the words in other scripts, each with the place of the term it is a reading of."""
    places = {term: place for place, term in reversed(list(enumerate(question.terms)))}
    found: list[tuple[str, int]] = []
    for word in question.key.split():
        of_word = terms.of_word(word)
        for reading, at in terms.readings(word):
            if of_word and (place := places.get(of_word[min(at, len(of_word) - 1)])) is not None:
                found.append((reading, place))
    return found[:60]


def _label_words(question: Question) -> list[str]:
    """The parts of the email domain that may be words of the name."""
    label = question.label
    return [part for part in {label, *label.split("-")} if len(part) >= 3 and part.isascii()] if label else []


def _spelling(asked: str, word: str) -> float:
    """How likely a word is what was meant; 0 where too many letters differ."""
    edits = OSA.distance(asked, word)
    shorter = min(len(asked), len(word))
    if edits == 1:
        likely = {3: 0.3, 4: 0.5, 5: 0.65, 6: 0.8}.get(shorter, 0.88)
    elif edits == 2 and shorter >= 6:
        likely = 0.6 if shorter < 8 else 0.75
    else:
        return 0.0
    return likely if asked[0] == word[0] else likely - 0.1


def _run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on Django's connection, always with its generic plan: look-ups by equality are alike."""
    connection.ensure_connection()
    raw = connection.connection
    if not getattr(raw, "plans_are_generic", False):
        # Nothing else on this connection is prepared. Lost if the transaction is rolled back, which only costs time.
        raw.execute("SET plan_cache_mode = force_generic_plan")
        raw.plans_are_generic = True
    threshold, raw.prepare_threshold = raw.prepare_threshold, 0
    try:
        with psycopg.Cursor(raw) as cursor:
            return cursor.execute(sql, values, prepare=True, binary=True).fetchall()
    finally:
        raw.prepare_threshold = threshold  # Django switches preparing off for its own statements


# Two-letter endings that say nothing about a country.
_ENDINGS_OF_ALL: Final = frozenset({"io", "ai", "co", "tv", "me", "cc", "fm", "la", "ws", "eu"})
_FORMS: Final = tuple(sorted(word for word in {*legal_forms.WORDS, "company", "limited"} if len(word) >= 3))


def as_asked(question: Question, slots: Sequence[Slot]) -> Asked:
    """The question as the features compare it."""
    ending = question.domain.rpartition(".")[2]
    country = "" if len(ending) != 2 or ending in _ENDINGS_OF_ALL else {"uk": "GB"}.get(ending, ending.upper())
    native = normalize.is_native(question.name)
    words = tuple(
        features.Word(
            slot.word,
            _worth(slot),
            {option.word: option.quality for option in sorted(slot.options, key=lambda each: each.quality)},
            slot.country,
        )
        for slot in slots[: len(question.terms)]
    )
    return Asked(
        key=question.key,
        words=words,
        domain=question.domain,
        registrable=question.registrable,
        label=question.label,
        country=country,
        is_native=native,
        readings=terms.reading(question.key) if native else "",
        script_countries=features.script_countries(question.name) if native else frozenset(),
    )


def _worth(slot: Slot) -> float:
    """How much a word of the question tells: little for pieces that nobody has, and for misspelt legal forms."""
    worth = features.idf(slot.word)
    if not slot.word.isascii():
        return worth if slot.options else 0.3 * worth
    if not slot.organizations and 3 <= len(slot.word) <= 12:
        for form in _FORMS:
            most = 1 if len(form) < 6 else 2
            if OSA.distance(slot.word, form, score_cutoff=most) <= most:
                return 1.0
    return worth


def as_known(found: Found) -> Known:
    """An organization as the features compare it."""
    keys = [found.key, *(key for _name, key in found.other_names)]
    return Known(
        pk=found.pk,
        names=tuple(features.name_of(key) for key in keys),
        domains=tuple((name, status == "claimed") for name, status in found.domains),
        country=found.country,
        by_words=found.by_words,
    )
