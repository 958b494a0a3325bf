"""Converts the query and the retrieved organizations to the input of the features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import OSA

from orgs.finder import comparison, domain_ties
from orgs.finder.candidate_generation import Query, QueryWord, RetrievedOrganization
from orgs.finder.comparison import PreparedOrganization, PreparedQuery
from orgs.text import abbreviations, legal_forms, normalize, terms

# Two-letter top-level domains that are used worldwide.
_WORLDWIDE_TLDS: Final = frozenset({"io", "ai", "co", "tv", "me", "cc", "fm", "la", "ws", "eu"})
_ABBREVIATED: Final = 0.95  # probability of a short or long form of a word
_FORMS: Final = tuple(sorted(word for word in {*legal_forms.WORDS, "company", "limited"} if len(word) >= 3))


def domain_country(domain: str) -> str:
    """Return the country code of a domain's top-level domain, "" if it has none."""
    ending = domain.rpartition(".")[2]
    return "" if len(ending) != 2 or ending in _WORLDWIDE_TLDS else {"uk": "GB"}.get(ending, ending.upper())


def query_input(query: Query, query_words: Sequence[QueryWord]) -> PreparedQuery:
    """Return the query, prepared for comparison."""
    native = normalize.is_native(query.name)
    words = tuple(
        comparison.Word(
            query_word.word,
            _idf(query_word),
            _known_as(query_word),
            query_word.country,
            query_word.organizations > 2,
        )
        for query_word in query_words[: len(query.terms)]
    )
    return PreparedQuery(
        key=query.key,
        words=words,
        domain=query.domain,
        registrable=query.registrable,
        label=query.label,
        country=domain_country(query.domain),
        is_native=native,
        readings=terms.reading(query.key) if native else "",
        script_countries=domain_ties.script_countries(query.name) if native else frozenset(),
        joins=frozenset(query.joins),
    )


def _known_as(query_word: QueryWord) -> dict[str, float]:
    """Return the words that a query word may stand for, with probabilities, including its short and long forms."""
    found = {option.word: option.quality for option in sorted(query_word.options, key=lambda each: each.quality)}
    for word in abbreviations.of(query_word.word) if found or query_word.word in abbreviations.LONG else ():
        found[word] = max(found.get(word, 0.0), _ABBREVIATED)
    return found


def _idf(query_word: QueryWord) -> float:
    """Return the idf of a query word: low for pieces that no organization has, and for misspelt legal forms."""
    worth = comparison.idf(query_word.word)
    if query_word.share:
        worth = max(0.5, min(worth, -math.log(query_word.share)))
    if not query_word.word.isascii():
        return worth if query_word.options else 0.3 * worth
    if not query_word.organizations and 3 <= len(query_word.word) <= 12:
        for form in _FORMS:
            most = 1 if len(form) < 6 else 2
            if OSA.distance(query_word.word, form, score_cutoff=most) <= most:
                return 1.0
    return worth


def organization_input(found: RetrievedOrganization) -> PreparedOrganization:
    """Return an organization, prepared for comparison."""
    keys = [found.key, *(key for _name, key in found.other_names)]
    return PreparedOrganization(
        pk=found.pk,
        names=tuple(comparison.name_of(key) for key in keys),
        domains=tuple((name, status == "claimed") for name, status in found.domains),
        country=found.country,
        word_score=found.word_score,
    )
