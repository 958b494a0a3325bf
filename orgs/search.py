"""Looks up in PostgreSQL what may be the organization: two prepared statements, each a union of b-tree look-ups.

The first finds ties (member, users at the domain, domains, names) and what the words of the name are known as; the
second finds organizations by the rarest words and brings the facts of everything that was found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from django.db import connection
from rapidfuzz.distance import OSA

from orgs import features, legal_forms, normalize, terms
from orgs.features import Asked, Known, Name
from orgs.models import Domain, Organization, OtherName

MOST_ON_A_DOMAIN: Final = 400
MOST_BY_WORDS: Final = 60
MOST_POSTINGS: Final = 5000
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
    ties: list[tuple[str, str]] = field(default_factory=list)
    by_words: float = 0.0
    organization: Organization = field(default_factory=Organization)  # always the real one where look_up returns it
    other_names: tuple[tuple[str, str], ...] = ()  # name, key
    domains: tuple[tuple[str, str], ...] = ()  # name, status


FIRST: Final = f"""
(SELECT 'member' AS arm, organization_id AS id, role AS detail, 0 AS slot, 0::float AS amount
 FROM orgs_member WHERE email = %(email)s LIMIT 50)
UNION ALL
(WITH RECURSIVE step(id) AS (
     (SELECT organization_id FROM orgs_member WHERE email_domain = %(domain)s ORDER BY organization_id LIMIT 1)
     UNION ALL
     SELECT (SELECT m.organization_id FROM orgs_member m
             WHERE m.email_domain = %(domain)s AND m.organization_id > step.id ORDER BY m.organization_id LIMIT 1)
     FROM step WHERE step.id IS NOT NULL
 ) SELECT 'seed', o.id, '', 0, 0 FROM (SELECT id FROM step WHERE id IS NOT NULL LIMIT 1000) step
 JOIN orgs_organization o ON o.id = step.id WHERE o.name_start = %(start)s LIMIT 50)
UNION ALL
(SELECT 'domain', organization_id, '', 0, 0 FROM orgs_domain
 WHERE registrable = %(registrable)s LIMIT {MOST_ON_A_DOMAIN})
UNION ALL
(SELECT 'label', organization_id, '', 0, 0 FROM orgs_domain WHERE label = %(label)s LIMIT 60)
UNION ALL
(SELECT 'name', found.id, '', 0, 0 FROM unnest(%(keys)s::text[]) AS asked(key)
 CROSS JOIN LATERAL (SELECT id FROM orgs_organization WHERE name_key = asked.key LIMIT 40) found)
UNION ALL
(SELECT 'name', found.id, '', 0, 0 FROM unnest(%(keys)s::text[]) AS asked(key)
 CROSS JOIN LATERAL (SELECT organization_id AS id FROM orgs_othername WHERE name_key = asked.key LIMIT 40) found)
UNION ALL
(SELECT 'known', 0, word.word || ' ' || word.country, asked.slot, word.organizations
 FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
 CROSS JOIN LATERAL (SELECT word, country, organizations FROM orgs_word WHERE word = asked.word LIMIT 1) word)
UNION ALL
(SELECT 'pair', word.organizations, pair.other, asked.slot, pair.strength
 FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
 CROSS JOIN LATERAL (SELECT other, strength FROM orgs_wordpair WHERE word = asked.word LIMIT 12) pair
 CROSS JOIN LATERAL (SELECT organizations FROM orgs_word WHERE word = pair.other LIMIT 1) word)
UNION ALL
(SELECT 'spelling', word.organizations, word.word, asked.slot, 0
 FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked(word, slot)
 CROSS JOIN LATERAL (
     SELECT DISTINCT s.word FROM generate_series(0, length(asked.word)) AS place
     CROSS JOIN LATERAL (
         SELECT word FROM orgs_spelling
         WHERE key = CASE place WHEN 0 THEN asked.word ELSE overlay(asked.word PLACING '' FROM place FOR 1) END LIMIT 20
     ) s
 ) near
 CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE word = near.word LIMIT 1) word
 WHERE length(asked.word) >= 4 AND asked.word ~ '^[a-z0-9]*[a-z][a-z0-9]*$'
   AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word AND organizations > 2))
UNION ALL
(SELECT 'sound', word.organizations, word.word, asked.slot, 0
 FROM unnest(%(words)s::text[], %(sounds)s::text[]) WITH ORDINALITY AS asked(word, sound, slot)
 CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE sound = asked.sound AND sound <> '' LIMIT 12) word
 WHERE asked.sound <> '' AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word))
UNION ALL
(SELECT 'reading', word.organizations, word.word, asked.slot, 0
 FROM unnest(%(readings)s::text[]) WITH ORDINALITY AS asked(word, slot)
 CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE word = asked.word LIMIT 1) word)
UNION ALL
(SELECT 'heard', word.organizations, word.word, asked.slot, 0
 FROM unnest(%(readings)s::text[], %(heard)s::text[]) WITH ORDINALITY AS asked(word, sound, slot)
 CROSS JOIN LATERAL (SELECT word, organizations FROM orgs_word WHERE sound = asked.sound AND sound <> '' LIMIT 6) word
 WHERE length(asked.sound) >= 4 AND NOT EXISTS (SELECT 1 FROM orgs_word WHERE word = asked.word))
UNION ALL
(SELECT 'total', 0, '', 0, reltuples FROM pg_class WHERE oid = to_regclass('orgs_organization'))
"""  # noqa: S608 — numbers of ours only

# The columns of an organization that its card and the actions that follow need, in the order of SECOND.
COLUMNS: Final = tuple(field.attname for field in Organization._meta.concrete_fields)

SECOND: Final = f"""
WITH by_words AS (
    SELECT id, sum(weight) AS weight FROM (
        SELECT posting.id, asked.slot, max(asked.weight) AS weight
        FROM unnest(%(terms)s::text[], %(slots)s::int[], %(weights)s::float[]) AS asked(term, slot, weight)
        CROSS JOIN LATERAL (
            SELECT unnest(organization_ids) AS id FROM orgs_posting WHERE word = asked.term LIMIT {MOST_POSTINGS}
        ) posting GROUP BY 1, 2
    ) found GROUP BY id ORDER BY 2 DESC, id LIMIT {MOST_BY_WORDS}
), wanted AS (
    SELECT id, max(weight) AS weight FROM (
        SELECT id, weight FROM by_words UNION ALL SELECT id, 0 FROM unnest(%(ids)s::bigint[]) AS given(id)
    ) both_ways GROUP BY id
)
SELECT wanted.weight,
       ARRAY(SELECT name FROM orgs_othername WHERE organization_id = o.id ORDER BY id LIMIT 40),
       ARRAY(SELECT name_key FROM orgs_othername WHERE organization_id = o.id ORDER BY id LIMIT 40),
       ARRAY(SELECT name FROM orgs_domain WHERE organization_id = o.id ORDER BY id LIMIT 20),
       ARRAY(SELECT status FROM orgs_domain WHERE organization_id = o.id ORDER BY id LIMIT 20),
       {", ".join(f"o.{column}" for column in COLUMNS)}
FROM wanted JOIN orgs_organization o ON o.id = wanted.id
"""  # noqa: S608 — names and numbers of ours only


def ask(email: str, domain: str, name: str) -> Question:
    """The question as it is looked up; ``domain`` is "" where it can't be evidence."""
    key = normalize.name_key(name)
    return Question(email, domain, name, key, tuple(dict.fromkeys(terms.of_key(key)))[:MOST_WORDS])


def look_up(question: Question, also: Sequence[int] = ()) -> tuple[dict[int, Found], list[Slot]]:
    """What may be the organization (and ``also`` these), and what the question's words are known as."""
    found: dict[int, Found] = {}
    words = list(question.terms)
    readings = _readings(question)
    label_words = _label_words(question)
    asked = words + [word for word in label_words if word not in words]
    keys = [question.key] if question.key else []
    if question.label and len(question.label) >= 3:
        keys += list(dict.fromkeys([question.label, question.label.replace("-", " "), question.label.replace("-", "")]))
    rows = _run(
        FIRST,
        {
            "email": question.email,
            "domain": question.domain or "-",
            "start": normalize.name_start(question.name),
            "registrable": question.registrable or "-",
            "label": question.label or "-",
            "keys": keys,
            "words": asked,
            "sounds": [terms.sound(word) for word in asked],
            "heard": [terms.sound(reading) for reading, _place in readings],
            "readings": [reading for reading, _slot in readings],
        },
    )
    slots = [Slot(word) for word in asked]
    total = 1.0
    for arm, pk, detail, slot, amount in rows:
        if arm == "total":
            total = max(amount, 1.0)
        elif arm == "known":
            word, _space, slots[slot - 1].country = detail.partition(" ")
            slots[slot - 1].organizations = int(amount)
            slots[slot - 1].options.append(Option(word, 1.0, int(amount)))
        elif arm == "pair":
            slots[slot - 1].options.append(Option(detail, 0.4 + 0.5 * amount, pk))
        elif arm == "spelling":
            quality = _spelling(slots[slot - 1].word, detail)
            if quality:
                slots[slot - 1].options.append(Option(detail, quality, pk))
        elif arm == "sound":
            slots[slot - 1].options.append(Option(detail, 0.55, pk))
        elif arm == "reading":
            slots[readings[slot - 1][1]].options.append(Option(detail, 0.7, pk))
        elif arm == "heard":
            slots[readings[slot - 1][1]].options.append(Option(detail, 0.5, pk))
        else:
            found.setdefault(pk, Found(pk)).ties.append((arm, detail))
    chosen = _choose(slots, total, len(words))
    rows = _run(
        SECOND,
        {
            "terms": [option.word for _slot, option, _weight in chosen],
            "slots": [slot for slot, _option, _weight in chosen],
            "weights": [weight for _slot, _option, weight in chosen],
            "ids": [*found, *also],
        },
    )
    alive: set[int] = set()
    for weight, names, name_keys, domains, statuses, *values in rows:
        organization = Organization.from_db(connection.alias, COLUMNS, values)
        _attach(organization, "domains", [Domain(name=n, status=s) for n, s in zip(domains, statuses, strict=True)])
        _attach(organization, "other_names", [OtherName(name=name) for name in names])
        one = found.setdefault(organization.pk, Found(organization.pk))
        one.organization, one.by_words = organization, weight
        alive.add(organization.pk)
        one.other_names = tuple(zip(names, name_keys, strict=True))
        one.domains = tuple(zip(domains, statuses, strict=True))
    return {pk: one for pk, one in found.items() if pk in alive}, slots


def _attach(organization: Organization, relation: str, rows: list[Any]) -> None:
    """Give an organization its related rows as a prefetch does, so that nobody asks for them again."""
    related = getattr(organization, relation).all()
    related._result_cache = rows
    related._prefetch_done = True
    cache = organization.__dict__.setdefault("_prefetched_objects_cache", {})
    cache[relation] = related


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


def _choose(slots: Sequence[Slot], total: float, words: int) -> list[tuple[int, Option, float]]:
    """The rarest words to look for, as many as may be read in one go: slot, word, weight."""
    weighed: list[tuple[float, int, Option]] = []
    for number, slot in enumerate(slots):
        for option in slot.options:
            idf = math.log(1 + total / max(option.organizations, 1))
            weighed.append((idf * option.quality * (1.0 if number < words else 0.5), number, option))
    weighed.sort(key=lambda each: -each[0])
    chosen: list[tuple[int, Option, float]] = []
    read = 0
    per_slot: dict[int, int] = defaultdict(int)
    for weight, number, option in weighed:
        if (chosen and read + option.organizations > MOST_POSTINGS) or per_slot[number] >= MOST_OPTIONS:
            continue
        per_slot[number] += 1
        read += option.organizations
        chosen.append((number, option, weight))
        if len(chosen) >= MOST_CHOSEN:
            break
    return chosen


def _run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on Django's connection."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, values, prepare=True).fetchall()


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
    organization = found.organization
    keys = [organization.name_key, *(key for _name, key in found.other_names)]
    return Known(
        pk=found.pk,
        names=tuple(Name(key, terms.of_key(key)) for key in keys),
        domains=tuple((name, status == "claimed") for name, status in found.domains),
        country=str(organization.country),
        by_words=found.by_words,
    )
