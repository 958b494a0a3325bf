"""The query and an organization's names, prepared for comparison. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from orgs.text import terms
from orgs.text.word_frequency import SHARES

_FUNCTION_WORDS: Final = frozenset(
    """
    a an the of and for in on at to by with from de du des la le les l d et en au aux pour par sur der die das
    dem den fur und zu zur zum im am bei von vom mit di del della delle dello dei degli da e ed per su nel nella
    el los las y para con do dos no na nos o os em van het voor te ter og av til ved i och att pa ja w z we ze
    se v u s za va es kod je si ad al
    """.split()
)


@dataclass(frozen=True)
class Word:
    """A word of the query: its inverse document frequency (idf), and probabilities of words that it may stand for."""

    word: str
    idf: float
    known_as: Mapping[str, float]
    country: str = ""  # the country of nearly all organizations with this word
    is_usual: bool = False  # more than two organizations have it, so it is unlikely to be a misspelling


@dataclass(frozen=True)
class PreparedQuery:
    """The query, prepared for comparison."""

    key: str
    words: tuple[Word, ...]
    domain: str
    registrable: str
    label: str
    country: str  # of the email domain's top-level domain, "" if it has none
    is_native: bool
    readings: str  # the name in Latin letters, "" if it is in Latin script
    script_countries: frozenset[str]  # countries that use the script of the name
    joins: frozenset[str] = frozenset()  # keys without spaces, see orgs.text.spacing

    @cached_property
    def worth(self) -> float:
        """The sum of the words' idf."""
        return sum(word.idf for word in self.words) or 1.0

    @cached_property
    def sorted_words(self) -> list[str]:
        """The words in alphabetical order."""
        return sorted(word.word for word in self.words)

    @cached_property
    def sorted_key(self) -> str:
        """The key with its words in alphabetical order."""
        return " ".join(sorted(self.key.split()))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The words that are numbers."""
        return frozenset(word.word for word in self.words if word.word.isdigit())

    @cached_property
    def stands_for(self) -> dict[str, list[tuple[int, float]]]:
        """(index of the query's word, probability) by each word that it may stand for."""
        found: dict[str, list[tuple[int, float]]] = {}
        for place, word in enumerate(self.words):
            for other, quality in {**word.known_as, word.word: 1.0}.items():
                found.setdefault(other, []).append((place, quality))
        return found

    @cached_property
    def joined(self) -> str:
        """The key without spaces."""
        return self.key.replace(" ", "")

    @cached_property
    def as_name(self) -> Name:
        """The query's name as a Name."""
        return Name(self.key, tuple(self.key.split()))


@dataclass(frozen=True)
class Name:
    """One name of an organization, prepared for comparison."""

    key: str
    terms: tuple[str, ...]

    @cached_property
    def reading(self) -> str:
        """The name in Latin letters, without spaces."""
        return terms.reading(self.key)

    @cached_property
    def distinct(self) -> tuple[str, ...]:
        """Each term once, in order."""
        return tuple(dict.fromkeys(self.terms))

    @cached_property
    def idfs(self) -> tuple[float, ...]:
        """The idf of each distinct term."""
        return tuple(idf(term) for term in self.distinct)

    @cached_property
    def worth(self) -> float:
        """The sum of the distinct terms' idf."""
        return sum(self.idfs) or 1.0

    @cached_property
    def sorted_terms(self) -> list[str]:
        """The distinct terms in alphabetical order."""
        return sorted(self.distinct)

    @cached_property
    def sorted_key(self) -> str:
        """The key with its words in alphabetical order."""
        return " ".join(sorted(self.key.split()))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The terms that are numbers."""
        return frozenset(term for term in self.distinct if term.isdigit())

    @cached_property
    def joined(self) -> str:
        """The key without spaces."""
        return self.key.replace(" ", "")

    @cached_property
    def initials(self) -> str:
        """The first letters of the terms."""
        return "".join(term[0] for term in self.terms)


@lru_cache(maxsize=65536)
def name_of(key: str) -> Name:
    """Return the Name of a key. It is cached, because its properties are expensive."""
    return Name(key, terms.of_key(key))


@dataclass(frozen=True)
class PreparedOrganization:
    """An organization, prepared for comparison."""

    pk: int
    names: tuple[Name, ...]  # its own name, then its other names
    domains: tuple[tuple[str, bool], ...]  # (name, whether it is claimed)
    country: str
    word_score: float


def idf(term: str) -> float:
    """Return the inverse document frequency of a term, 0.5 to about 10: high for rare words."""
    if term in _FUNCTION_WORDS:
        return 0.5
    share = SHARES.get(term)
    if share is None:
        return 9.0 if len(term) > 1 else 6.0
    return max(0.5, -math.log(share))
