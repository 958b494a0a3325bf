"""Codes of evidence with their weights, and rules about equal names and usage. Plain Python."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rapidfuzz.distance import Levenshtein

from orgs.text import normalize, spacing, terms

# Edit similarity from which a name is a near name.
NEAR_NAME_SIMILARITY: Final = 0.84
ABANDONED_AFTER: Final = timedelta(days=365)


class Code(enum.StrEnum):
    """Evidence for a candidate, strongest first, then against it."""

    ADMINISTRATOR = "administrator"
    MEMBER = "member"
    CLAIMED_DOMAIN = "claimed_domain"
    USERS_AND_NAME_START = "users_and_name_start"  # rule of the older specification
    VERIFIED_DOMAIN = "verified_domain"
    SUB_DOMAIN = "sub_domain"
    FORMER_DOMAIN = "former_domain"
    SAME_NAME = "same_name"
    SAME_NAME_BUT_FORM = "same_name_but_form"  # another legal form
    SAME_NAME_BUT_SCRIPT = "same_name_but_script"
    SAME_NAME_BUT_ORDER = "same_name_but_order"  # of its words
    SAME_NAME_BUT_SPACING = "same_name_but_spacing"  # written together or apart, or with short forms of its words
    OTHER_NAME = "other_name"
    ACRONYM = "acronym"
    READS_THE_SAME = "reads_the_same"  # in another script
    NEAR_NAME = "near_name"
    SAME_WORDS = "same_words"
    OTHER_TLD = "other_tld"
    ANOTHER_COUNTRY = "another_country"
    NOT_ACTIVE = "not_active"
    NO_VERIFIED_DOMAIN = "no_verified_domain"


# The order of evidence on a card: members and domains before names; negative for evidence against. The order of the
# cards is independent of it: their scores come from weights.toml (orgs.finder.scoring).
WEIGHTS: Final[dict[Code, float]] = {
    Code.ADMINISTRATOR: 100,
    Code.MEMBER: 90,
    Code.USERS_AND_NAME_START: 30,
    Code.CLAIMED_DOMAIN: 32,
    Code.VERIFIED_DOMAIN: 28,
    Code.SUB_DOMAIN: 22,
    Code.FORMER_DOMAIN: 21,
    Code.OTHER_TLD: 8,
    Code.SAME_NAME: 20,
    Code.SAME_NAME_BUT_FORM: 18,
    Code.SAME_NAME_BUT_SCRIPT: 18,
    Code.SAME_NAME_BUT_ORDER: 18,
    Code.SAME_NAME_BUT_SPACING: 18,
    Code.OTHER_NAME: 17,
    Code.ACRONYM: 12,
    Code.READS_THE_SAME: 12,
    Code.NEAR_NAME: 10,
    Code.SAME_WORDS: 9,
    Code.ANOTHER_COUNTRY: -2,
    Code.NOT_ACTIVE: -1,
    Code.NO_VERIFIED_DOMAIN: -1,
}
DOMAIN_TIES: Final = frozenset(
    {
        *(Code.USERS_AND_NAME_START, Code.CLAIMED_DOMAIN, Code.VERIFIED_DOMAIN, Code.SUB_DOMAIN, Code.FORMER_DOMAIN),
        Code.OTHER_TLD,
    }
)
SAME_NAMES: Final = frozenset(
    {
        *(Code.SAME_NAME, Code.SAME_NAME_BUT_FORM, Code.SAME_NAME_BUT_SCRIPT, Code.SAME_NAME_BUT_ORDER),
        *(Code.SAME_NAME_BUT_SPACING, Code.OTHER_NAME),
    }
)
NAME_TIES: Final = SAME_NAMES | {Code.ACRONYM, Code.READS_THE_SAME, Code.NEAR_NAME, Code.SAME_WORDS}
EXACT: Final = frozenset({Code.ADMINISTRATOR, Code.MEMBER})
# Evidence that a masked card never shows. A viewer could find the country by trying one after the other.
NOT_ON_MASKED_CARDS: Final = frozenset({Code.ANOTHER_COUNTRY})


@dataclass(frozen=True)
class Evidence:
    """A piece of evidence: its code, its weight, and the name, domain or country that it is about.

    ``until`` is a year or an ISO 8601 date until when it was true; "" if it is true now or the end is unknown.
    """

    code: Code
    weight: float
    about: str = ""
    until: str = ""


@dataclass(frozen=True)
class UsageFigures:
    """Usage figures of an organization, which order candidates with almost equal scores."""

    active_subscriptions: int
    active_users: int
    last_activity_at: datetime | None
    has_verified_domain: bool
    created_at: datetime


def evidence(code: Code, about: str = "", factor: float = 1.0, *, until: str = "") -> Evidence:
    """Make a piece of evidence with the weight of its code."""
    return Evidence(code, WEIGHTS[code] * factor, about, until)


def compare_names(asked: str, name: str, other_names: Iterable[str]) -> Evidence | None:
    """Return the strongest name tie between a typed name and an organization's names; None if no name is near."""
    words = normalize.words(asked)
    if not words:
        return None
    if normalize.words(name) == words:
        if normalize.words(name, legal=True) != normalize.words(asked, legal=True):
            return evidence(Code.SAME_NAME_BUT_FORM, name)
        one_script = normalize.is_native(name) == normalize.is_native(asked)
        return evidence(Code.SAME_NAME if one_script else Code.SAME_NAME_BUT_SCRIPT, name)
    if sorted(normalize.words(name)) == sorted(words):
        return evidence(Code.SAME_NAME_BUT_ORDER, name)
    joins = spacing.keys(asked)
    if "".join(normalize.words(name)) in joins:
        return evidence(Code.SAME_NAME_BUT_SPACING, name)
    near = word_sequence_similarity(words, normalize.words(name))
    best, about = near, name
    for other in other_names:
        theirs = normalize.words(other)
        if theirs == words or sorted(theirs) == sorted(words) or "".join(theirs) in joins:
            return evidence(Code.OTHER_NAME, other)
        near = word_sequence_similarity(words, theirs)
        if near > best:
            best, about = near, other
    if best < NEAR_NAME_SIMILARITY:
        return None
    return evidence(Code.NEAR_NAME, about, best)


def is_same_company(asked: str, name: str, other_names: Iterable[str]) -> bool:
    """Return whether ``asked`` is one of an organization's names except for legal form, accents, order or script."""
    others = list(other_names)
    if asked.strip() == name.strip():
        return True
    tie = compare_names(asked, name, others)
    return (tie is not None and tie.code in SAME_NAMES) or any(
        _has_same_reading(asked, each) for each in (name, *others)
    )


def _has_same_reading(name: str, other: str) -> bool:
    """Return whether two names in different scripts have nearly the same reading in Latin letters."""
    if normalize.is_native(name) == normalize.is_native(other):
        return False
    one, two = (terms.reading(normalize.name_key(each)) for each in (name, other))
    return Levenshtein.normalized_similarity(one, two) >= NEAR_NAME_SIMILARITY


def word_sequence_similarity(words: tuple[str, ...], others: tuple[str, ...]) -> float:
    """Return the edit similarity of two names (0 to 1): the greater one of written order and sorted words."""
    return max(
        Levenshtein.normalized_similarity(" ".join(words), " ".join(others)),
        Levenshtein.normalized_similarity(" ".join(sorted(words)), " ".join(sorted(others))),
    )


def looks_abandoned(use: UsageFigures, now: datetime) -> bool:
    """Return whether there is no verified domain, no activity in a year and no active subscription."""
    return not use.has_verified_domain and not use.active_subscriptions and is_inactive(use, now)


def is_inactive(use: UsageFigures, now: datetime) -> bool:
    """Return whether there was no activity in a year; without any activity the account's creation date counts."""
    return now - (use.last_activity_at or use.created_at) > ABANDONED_AFTER


def usage_sort_key(score: float, use: UsageFigures) -> tuple[float, int, int, float]:
    """Return a key that sorts candidates by score, then by subscriptions, active users and recency, descending."""
    recency = use.last_activity_at.timestamp() if use.last_activity_at else 0.0
    return (-round(score, 3), -use.active_subscriptions, -use.active_users, -recency)
