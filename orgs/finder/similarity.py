"""Similarity of two names: by words and the words they may stand for, and by edit distance. Plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import Levenshtein

from orgs.finder.comparison import Name, PreparedOrganization, PreparedQuery
from orgs.text import terms

_COGNATES: Final = (("ph", "f"), ("th", "t"), ("ch", "c"), ("ck", "c"), ("qu", "c"), ("k", "c"), ("y", "i"), ("z", "c"))
_DOUBLE: Final = re.compile(r"(.)\1")
_NAMES_COMPARED: Final = 4
_WRITTEN_TOGETHER: Final = 0.95  # probability that words are the same if only their spaces differ
_MOST_JOINED: Final = 5


@dataclass
class NameSimilarity:
    """The similarity of the query's name and one name of an organization; all fields are about 0 to 1."""

    same: float  # the same key
    same_words: float  # the same words in another order
    asked_covered: float  # share of the query words' idf that the name has
    name_covered: float  # share of the name's idf that the query has
    edits: float  # normalized Levenshtein similarity, the best of several forms
    asked_missing: float  # greatest idf of a query word that the name lacks
    name_missing: float  # greatest idf of a word of the name that the query lacks
    numbers_differ: float
    first_word: float  # the first words are the same
    known_missing: float  # as asked_missing, only for words that are in the directory
    asked_exact: float  # share of the query words' idf that the name has in the same spelling
    asked_likened: float  # share of idf that is covered only if a common word is a misspelling of another

    @property
    def total(self) -> float:
        """A sum for choosing the most similar name."""
        return 2 * self.same + self.same_words + self.asked_covered + self.name_covered + self.edits


def name_similarity(asked: PreparedQuery, name: Name) -> NameSimilarity:
    """Compare the query's name with one name, by words and by edit distance."""
    words, stands_for = asked.words, asked.stands_for
    same = asked.key == name.key or name.joined in asked.joins
    got = [0.0] * len(words)
    theirs, idfs = name.distinct, name.idfs
    had = [0.0] * len(theirs)
    for at, term in enumerate(theirs):
        for place, quality in stands_for.get(term, ()):
            if quality > got[place]:
                got[place] = quality
            if quality > had[at]:
                had[at] = quality
    exact = sum(word.idf for word in words if word.word in theirs)
    before = list(got)
    open_terms = [(at, term) for at, term in enumerate(theirs) if had[at] < 0.8]
    for place, word in enumerate(words):
        if got[place] >= 0.8:
            continue
        mine = word.word
        for at, term in open_terms:
            # Misspellings and abbreviations have the same first letter or the same last two.
            if mine[0] == term[0] or mine[-2:] == term[-2:]:
                quality = word_similarity(mine, term)
                if quality > got[place]:
                    got[place] = quality
                if quality > had[at]:
                    had[at] = quality
    _join([word.word for word in words], theirs, got, had)
    _join(theirs, [word.word for word in words], had, got)
    if same:
        got, had = [max(each, _WRITTEN_TOGETHER) for each in got], [max(each, _WRITTEN_TOGETHER) for each in had]
    asked_part = [word.idf * share for word, share in zip(words, got, strict=True)]
    name_part = [worth * share for worth, share in zip(idfs, had, strict=True)]
    return NameSimilarity(
        same=float(same),
        same_words=float(asked.sorted_words == name.sorted_terms),
        asked_covered=sum(asked_part) / asked.worth,
        name_covered=sum(name_part) / name.worth,
        edits=max(
            Levenshtein.normalized_similarity(asked.key, name.key),
            Levenshtein.normalized_similarity(asked.sorted_key, name.sorted_key),
            Levenshtein.normalized_similarity(asked.joined, name.joined),
        ),
        asked_missing=max((word.idf - part for word, part in zip(words, asked_part, strict=True)), default=0.0) / 9,
        name_missing=max((worth - part for worth, part in zip(idfs, name_part, strict=True)), default=0.0) / 9,
        numbers_differ=float(asked.numbers != name.numbers),
        asked_exact=exact / asked.worth,
        asked_likened=sum(
            word.idf * (now - was) for word, now, was in zip(words, got, before, strict=True) if word.is_usual
        )
        / asked.worth,
        known_missing=max(
            (word.idf - part for word, part in zip(words, asked_part, strict=True) if word.word in word.known_as),
            default=0.0,
        )
        / 9,
        first_word=float(bool(theirs) and bool(words) and (had[0] >= 0.8 and got[0] >= 0.8)),
    )


@lru_cache(maxsize=262144)
def word_similarity(word: str, term: str) -> float:
    """Return the probability (0 to 0.95) that two Latin words mean the same: misspelt, abbreviated, or phonetic."""
    if len(word) < 3 or len(term) < 3 or not word.isascii() or not term.isascii():
        return 0.0
    short, long = (word, term) if len(word) <= len(term) else (term, word)
    best = 0.0
    if long.startswith(short):
        best = 0.45 + 0.4 * len(short) / len(long)
    near = Levenshtein.normalized_similarity(word, term, score_cutoff=0.6)
    if near:
        best = max(best, near * 0.95 if near >= 0.75 else near * 0.7)
    if best < 0.7 and len(short) >= 5:
        mine, other = _cognate(word), _cognate(term)
        common = _common_prefix(mine, other)
        if common >= 5 and common >= 0.6 * max(len(mine), len(other)):
            best = max(best, 0.7)
    if best < 0.55 and len(short) >= 4 and terms.sound(word) and terms.sound(word) == terms.sound(term):
        best = 0.55
    return best


def _common_prefix(word: str, other: str) -> int:
    """Return the length of the common prefix of two words."""
    return next((at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))


@lru_cache(maxsize=65536)
def _cognate(word: str) -> str:
    """Return a word in a spelling that Latin languages share, so that "polytechnic" and "politecnica" have a prefix."""
    for written, plain in _COGNATES:
        word = word.replace(written, plain)
    return _DOUBLE.sub(r"\1", word)


def _join(apart: Sequence[str], together: Sequence[str], had: list[float], got: list[float]) -> None:
    """Match words that one side writes together and the other apart: "Port Harcourt", "Portharcourt"; also misspelt."""
    for at, long in enumerate(together):
        if got[at] >= 0.8 or len(long) < 2:
            continue
        for start in range(len(apart) - 1):
            if apart[start][:1] != long[0] and apart[start + 1][-2:] != long[-2:]:
                continue
            joined = apart[start]
            for end in range(start + 1, min(start + _MOST_JOINED, len(apart))):
                joined += apart[end]
                if len(joined) > len(long) + 2:
                    break
                quality = _written_together(joined, long)
                if quality > got[at]:
                    got[at] = quality
                    for place in range(start, end + 1):
                        had[place] = max(had[place], quality)


def _written_together(joined: str, long: str) -> float:
    """Return the probability that joined words equal one word of the other side."""
    if joined == long:
        return _WRITTEN_TOGETHER
    if len(long) < 7:
        return 0.0
    near = Levenshtein.normalized_similarity(joined, long, score_cutoff=0.84)
    return 0.95 * near if near else 0.0


def reading_similarity(asked: PreparedQuery, name: Name) -> float:
    """Return the similarity of two names in Latin letters if one of them is in another script, else 0."""
    if name.key.isascii() == (not asked.readings):
        return 0.0
    mine, other = asked.readings or asked.joined, name.reading
    return Levenshtein.normalized_similarity(mine, other, score_cutoff=0.6)


def acronym_score(asked: str, name: Name) -> float:
    """Return how well a short word abbreviates a name: 1 for its initials, less for letters in order. 0 to 1."""
    if not asked.isascii() or not name.key.isascii() or not 2 <= len(asked) <= 8 or len(name.terms) < 2:
        return 0.0
    if name.initials == asked:
        return 1.0
    long = "".join(term[0] for term in name.terms if len(term) > 3)
    if long == asked:
        return 0.95
    # Each letter begins a word, or continues in the word of the letter before it.
    return _in_order(asked, name.terms)


def _in_order(asked: str, words: Sequence[str]) -> float:
    """Return the share of words that begin with one of the letters if all letters are found in order, else 0."""
    begun, at, inside = 0, -1, 0
    for letter in asked:
        following = next((i for i in range(at + 1, len(words)) if words[i][0] == letter), None)
        if following is not None and (following <= at + 2 or at < 0):
            at, inside = following, 1
            begun += 1
        elif at >= 0 and (place := words[at].find(letter, inside)) >= 0:
            inside = place + 1
        else:
            return 0.0
    return 0.9 * begun / max(len(words), len(asked)) if begun >= 2 else 0.0


def estimate_similarity(asked: PreparedQuery, known: PreparedOrganization) -> tuple[float, list[Name]]:
    """Return a fast estimate of the similarity for the preselection, and the most similar names."""
    guesses: list[tuple[float, int]] = []
    stands_for, joins, whole = asked.stands_for, asked.joins, asked.joined
    short = asked.joined if len(asked.key) <= 8 else ""
    for place, name in enumerate(known.names):
        guess = 3.0 if name.joined in joins or name.key == asked.key else 0.0
        if not guess and len(whole) >= 7:
            guess = 2 * Levenshtein.normalized_similarity(whole, name.joined, score_cutoff=0.84)
        if short and not guess:
            guess = 1.5 * acronym_score(short, name)
        got: dict[int, float] = {}
        hit = 0.0
        for term, value in zip(name.distinct, name.idfs, strict=True):
            if found := stands_for.get(term):
                best = 0.0
                for at, quality in found:
                    if quality > got.get(at, 0.0):
                        got[at] = quality
                    if quality > best:
                        best = quality
                hit += value * best
        if got:
            covered = sum(asked.words[at].idf * quality for at, quality in got.items()) / asked.worth
            guess = max(guess, covered + hit / name.worth)
        guesses.append((-guess, place))
    guesses.sort()
    own = [known.names[0]] if known.names else []
    nearest = [known.names[place] for _guess, place in guesses[:_NAMES_COMPARED] if place]
    return -guesses[0][0] if guesses else 0.0, [*own, *nearest]
