"""Turns what was asked and what was looked up into what the features compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import OSA

from orgs.finder import comparison, domain_ties
from orgs.finder.candidate_generation import Found, Question, Slot
from orgs.finder.comparison import Asked, Known
from orgs.text import abbreviations, legal_forms, normalize, terms

# Two-letter endings that say nothing about a country.
_ENDINGS_OF_ALL: Final = frozenset({"io", "ai", "co", "tv", "me", "cc", "fm", "la", "ws", "eu"})
_ABBREVIATED: Final = 0.95  # how sure a word is that is a short or long form of another
_FORMS: Final = tuple(sorted(word for word in {*legal_forms.WORDS, "company", "limited"} if len(word) >= 3))


def domain_country(domain: str) -> str:
    """The country that a domain's ending stands for, two capital letters; "" where it stands for none."""
    ending = domain.rpartition(".")[2]
    return "" if len(ending) != 2 or ending in _ENDINGS_OF_ALL else {"uk": "GB"}.get(ending, ending.upper())


def question_input(question: Question, slots: Sequence[Slot]) -> Asked:
    """The question as the features compare it."""
    native = normalize.is_native(question.name)
    words = tuple(
        comparison.Word(
            slot.word,
            _worth(slot),
            _known_as(slot),
            slot.country,
            slot.organizations > 2,
        )
        for slot in slots[: len(question.terms)]
    )
    return Asked(
        key=question.key,
        words=words,
        domain=question.domain,
        registrable=question.registrable,
        label=question.label,
        country=domain_country(question.domain),
        is_native=native,
        readings=terms.reading(question.key) if native else "",
        script_countries=domain_ties.script_countries(question.name) if native else frozenset(),
        joins=frozenset(question.joins),
    )


def _known_as(slot: Slot) -> dict[str, float]:
    """What a word of the question may be in the directory, and how sure; its short or long forms always."""
    found = {option.word: option.quality for option in sorted(slot.options, key=lambda each: each.quality)}
    for word in abbreviations.of(slot.word) if found or slot.word in abbreviations.LONG else ():
        found[word] = max(found.get(word, 0.0), _ABBREVIATED)
    return found


def _worth(slot: Slot) -> float:
    """How much a word of the question tells: little for pieces that nobody has, and for misspelt legal forms."""
    worth = comparison.idf(slot.word)
    if slot.share:
        worth = max(0.5, min(worth, -math.log(slot.share)))
    if not slot.word.isascii():
        return worth if slot.options else 0.3 * worth
    if not slot.organizations and 3 <= len(slot.word) <= 12:
        for form in _FORMS:
            most = 1 if len(form) < 6 else 2
            if OSA.distance(slot.word, form, score_cutoff=most) <= most:
                return 1.0
    return worth


def organization_input(found: Found) -> Known:
    """An organization as the features compare it."""
    keys = [found.key, *(key for _name, key in found.other_names)]
    return Known(
        pk=found.pk,
        names=tuple(comparison.name_of(key) for key in keys),
        domains=tuple((name, status == "claimed") for name, status in found.domains),
        country=found.country,
        by_words=found.by_words,
    )
