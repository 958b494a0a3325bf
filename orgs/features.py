"""What speaks for and against an organization as numbers with names a person understands. Plain Python."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from rapidfuzz.distance import JaroWinkler, Levenshtein

from orgs import normalize, terms
from orgs.frequency import SHARES

_COGNATES: Final = (("ph", "f"), ("th", "t"), ("ch", "c"), ("ck", "c"), ("qu", "c"), ("k", "c"), ("y", "i"), ("z", "c"))
_DOUBLE: Final = re.compile(r"(.)\1")
_FUNCTION_WORDS: Final = frozenset(
    """
    a an the of and for in on at to by with from de du des la le les l d et en au aux pour par sur der die das
    dem den fur und zu zur zum im am bei von vom mit di del della delle dello dei degli da e ed per su nel nella
    el los las y para con do dos no na nos o os em van het voor te ter og av til ved i och att pa ja w z we ze
    se v u s za va es kod je si ad al
    """.split()
)
_NAMES_COMPARED: Final = 4
FULL_FEATURES: Final = 20  # candidates that are looked at closely


@dataclass(frozen=True)
class Word:
    """A word of the question: how much it tells (idf), and what it is known as in the directory, with how sure."""

    word: str
    idf: float
    known_as: Mapping[str, float]
    country: str = ""  # where nearly all organizations with this word are


@dataclass(frozen=True)
class Asked:
    """The question as it is compared."""

    key: str
    words: tuple[Word, ...]
    domain: str
    registrable: str
    label: str
    country: str  # of the email domain's ending, "" where it has none
    is_native: bool
    readings: str  # the name in Latin letters, where it is in another script
    script_countries: frozenset[str]  # where the script of the name is written

    @cached_property
    def worth(self) -> float:
        """How much all the words tell."""
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
        """For each word that a word of the question may stand for: which one, and how sure."""
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
        """The question's name as if it were an organization's."""
        return Name(self.key, tuple(self.key.split()))


@dataclass(frozen=True)
class Name:
    """One name of an organization, as it is compared."""

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
        """How much each of the distinct terms tells."""
        return tuple(idf(term) for term in self.distinct)

    @cached_property
    def worth(self) -> float:
        """How much they tell together."""
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
    """A name by its key; the same object each time, as much of comparing is the same each time."""
    return Name(key, terms.of_key(key))


@dataclass(frozen=True)
class Known:
    """An organization as it is compared."""

    pk: int
    names: tuple[Name, ...]  # the first is its own, the others are other names
    domains: tuple[tuple[str, bool], ...]  # name, claimed
    country: str
    by_words: float


def idf(term: str) -> float:
    """How much a word of an organization's name tells: rare words much, "university" little. 0.5 to about 10."""
    if term in _FUNCTION_WORDS:
        return 0.5
    share = SHARES.get(term)
    if share is None:
        return 9.0 if len(term) > 1 else 6.0
    return max(0.5, -math.log(share))


# What a look at the names gives: see compare().
@dataclass
class Likeness:
    """How alike the asked name and one name of an organization are."""

    same: float  # the same key
    same_words: float  # the same words in another order
    asked_covered: float  # share of the asked words' worth that the name has
    name_covered: float  # share of the name's words' worth that was asked
    edits: float  # letters that are the same, in order
    asked_missing: float  # worth of the most telling asked word that the name has not
    name_missing: float  # worth of the most telling word of the name that was not asked
    numbers_differ: float
    first_word: float  # the first words are the same

    @property
    def total(self) -> float:
        """For choosing the name that is most alike."""
        return 2 * self.same + self.same_words + self.asked_covered + self.name_covered + self.edits


def compare(asked: Asked, name: Name) -> Likeness:
    """Compare the asked name with one name: word by word with what is known about words, then letter by letter."""
    words, stands_for = asked.words, asked.stands_for
    got = [0.0] * len(words)
    theirs, idfs = name.distinct, name.idfs
    had = [0.0] * len(theirs)
    for at, term in enumerate(theirs):
        for place, quality in stands_for.get(term, ()):
            if quality > got[place]:
                got[place] = quality
            if quality > had[at]:
                had[at] = quality
    open_terms = [(at, term) for at, term in enumerate(theirs) if had[at] < 0.8]
    for place, word in enumerate(words):
        if got[place] >= 0.8:
            continue
        mine = word.word
        for at, term in open_terms:
            # What is misspelt, abbreviated or written by ear begins or ends the same.
            if mine[0] == term[0] or mine[-2:] == term[-2:]:
                quality = alike(mine, term)
                if quality > got[place]:
                    got[place] = quality
                if quality > had[at]:
                    had[at] = quality
    _join(words, theirs, got, had)
    asked_part = [word.idf * share for word, share in zip(words, got, strict=True)]
    name_part = [worth * share for worth, share in zip(idfs, had, strict=True)]
    return Likeness(
        same=float(asked.key == name.key),
        same_words=float(asked.sorted_words == name.sorted_terms),
        asked_covered=sum(asked_part) / asked.worth,
        name_covered=sum(name_part) / name.worth,
        edits=max(
            Levenshtein.normalized_similarity(asked.key, name.key),
            Levenshtein.normalized_similarity(asked.sorted_key, name.sorted_key),
        ),
        asked_missing=max((word.idf - part for word, part in zip(words, asked_part, strict=True)), default=0.0) / 9,
        name_missing=max((worth - part for worth, part in zip(idfs, name_part, strict=True)), default=0.0) / 9,
        numbers_differ=float(asked.numbers != name.numbers),
        first_word=float(bool(theirs) and bool(words) and (had[0] >= 0.8 and got[0] >= 0.8)),
    )


@lru_cache(maxsize=262144)
def alike(word: str, term: str) -> float:
    """How likely two different Latin words are the same: misspelt, abbreviated, or written by ear. 0 to 0.9."""
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
        common = _begin_alike(mine, other)
        if common >= 5 and common >= 0.6 * max(len(mine), len(other)):
            best = max(best, 0.7)
    if best < 0.55 and len(short) >= 4 and terms.sound(word) and terms.sound(word) == terms.sound(term):
        best = 0.55
    return best


def _begin_alike(word: str, other: str) -> int:
    """How many letters two words begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))


@lru_cache(maxsize=65536)
def _cognate(word: str) -> str:
    """A word as it may be written in another language of Latin letters: "polytechnic" and "politecnica" begin alike."""
    for written, plain in _COGNATES:
        word = word.replace(written, plain)
    return _DOUBLE.sub(r"\1", word)


def _join(words: Sequence[Word], theirs: Sequence[str], got: list[float], had: list[float]) -> None:
    """Words that one side writes together and the other apart: "Port Harcourt", "Portharcourt"."""
    for place in range(len(words) - 1):
        if got[place] < 0.8 or got[place + 1] < 0.8:
            joined = words[place].word + words[place + 1].word
            for at, term in enumerate(theirs):
                if term == joined:
                    got[place] = got[place + 1] = had[at] = 0.95
    for at in range(len(theirs) - 1):
        if had[at] < 0.8 or had[at + 1] < 0.8:
            joined = theirs[at] + theirs[at + 1]
            for place, word in enumerate(words):
                if word.word == joined:
                    had[at] = had[at + 1] = got[place] = 0.95


def sounds_like(asked: Asked, name: Name) -> float:
    """How alike two names are read aloud, where one of them is in another script; 0 where both are Latin."""
    if name.key.isascii() == (not asked.readings):
        return 0.0
    mine, other = asked.readings or asked.joined, name.reading
    return Levenshtein.normalized_similarity(mine, other, score_cutoff=0.6)


def acronym(asked: str, name: Name) -> float:
    """How well a short word stands for a name: 1 for its initials, less for letters in the right order. 0 to 1."""
    if not asked.isascii() or not name.key.isascii() or not 2 <= len(asked) <= 8 or len(name.terms) < 2:
        return 0.0
    if name.initials == asked:
        return 1.0
    long = "".join(term[0] for term in name.terms if len(term) > 3)
    if long == asked:
        return 0.95
    # Each letter begins a word, or goes on in the word of the letter before it.
    return _in_order(asked, name.terms)


def _in_order(asked: str, words: Sequence[str]) -> float:
    """The share of words that a short form's letters begin, if all letters are found in order; else 0."""
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


def quick(asked: Asked, known: Known) -> tuple[float, list[Name]]:
    """A first guess from words alone, for choosing what is looked at closely: how near, and the nearest names."""
    guesses: list[tuple[float, int]] = []
    stands_for = asked.stands_for
    short = asked.joined if len(asked.key) <= 8 else ""
    for place, name in enumerate(known.names):
        guess = 3.0 if name.key == asked.key else 0.0
        if short and not guess:
            guess = 1.5 * acronym(short, name)
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


def domain_ties(asked: Asked, known: Known) -> dict[str, float]:
    """How the email's domain and the organization's domains hang together: one of these, the strongest."""
    found = dict.fromkeys(
        ("domain_same", "domain_sub", "domain_parent", "domain_sibling", "domain_other_ending", "domain_similar"), 0.0
    )
    found["domain_is_a_name"] = found["domain_is_initials"] = found["domain_in_name"] = 0.0
    if not asked.domain:
        return found
    for name, _claimed in known.domains:
        if name == asked.domain:
            found["domain_same"] = 1.0
        elif asked.domain.endswith("." + name):
            found["domain_sub"] = 1.0
        elif name.endswith("." + asked.domain):
            found["domain_parent"] = 1.0
        elif normalize.registrable_domain(name) == asked.registrable:
            found["domain_sibling"] = 1.0
        elif normalize.domain_label(name) == asked.label:
            found["domain_other_ending"] = 1.0
        else:
            near = JaroWinkler.normalized_similarity(normalize.domain_label(name), asked.label)
            found["domain_similar"] = max(found["domain_similar"], near if near >= 0.8 else 0.0)
    label = asked.label.replace("-", "")
    if len(label) >= 3:
        for each in known.names:
            joined, initials = each.joined, each.initials
            if label == joined or (len(label) >= 4 and joined.startswith(label)):
                found["domain_is_a_name"] = 1.0
            elif label == initials:
                found["domain_is_initials"] = 1.0
            parts = [part for part in asked.label.split("-") if len(part) >= 4]
            found["domain_in_name"] = max(
                found["domain_in_name"],
                max((float(part in term or term in part) for part in parts for term in each.terms if len(term) >= 4),
                    default=0.0),
            )  # fmt: skip
    return found


def _their_domain(asked: Asked, known: Known) -> dict[str, float]:
    """What the organization's own domains say about the asked name: written out, as initials, as one of its words."""
    found = {"their_domain_is_asked": 0.0, "their_domain_is_initials": 0.0, "their_domain_has_word": 0.0}
    joined = asked.readings or asked.joined
    for name, _claimed in known.domains:
        label = normalize.domain_label(name).replace("-", "")
        if len(label) < 3:
            continue
        if label == joined or (len(label) >= 5 and (joined.startswith(label) or label.startswith(joined))):
            found["their_domain_is_asked"] = 1.0
        found["their_domain_is_initials"] = max(found["their_domain_is_initials"], acronym(label, asked.as_name))
        inside = sum(word.idf for word in asked.words if len(word.word) >= 4 and word.word in label)
        found["their_domain_has_word"] = max(found["their_domain_has_word"], inside / asked.worth)
    return found


def describe(asked: Asked, found: Iterable[Known], must: Container[int] = ()) -> list[tuple[Known, dict[str, float]]]:
    """The candidates worth a close look (and those with the primary keys ``must``), each with its features by name."""
    found = list(found)
    ties = {known.pk: domain_ties(asked, known) for known in found}
    guesses: dict[int, float] = {}
    nearest: dict[int, list[Name]] = {}
    for known in found:
        guess, nearest[known.pk] = quick(asked, known)
        guesses[known.pk] = guess + _strength(ties[known.pk])
    found.sort(key=lambda known: (known.pk not in must, -guesses[known.pk], -known.by_words, known.pk))
    first = found[: FULL_FEATURES + sum(known.pk in must for known in found)]
    on_domain = sum(1 for each in ties.values() if each["domain_same"] or each["domain_sub"])
    on_label = sum(1 for each in ties.values() if each["domain_other_ending"])
    worth = min(asked.worth, 40.0)
    hinted = {word.country for word in asked.words if word.country}
    joined = asked.joined.replace("-", "")
    described: list[tuple[Known, dict[str, float]]] = []
    for known in first:
        close = nearest[known.pk]
        likeness = [(compare(asked, name), place) for place, name in enumerate(close)]
        best, place = max(likeness, key=lambda pair: (pair[0].total, -pair[1]))
        own = likeness[0][0]
        tie = ties[known.pk]
        tied = max(tie["domain_same"], tie["domain_sub"], tie["domain_parent"], tie["domain_sibling"])
        country = float(bool(asked.country) and asked.country == known.country)
        cover = best.asked_covered * best.name_covered
        words_country = float(known.country in hinted)
        begins = [name for name in known.names if name.key and asked.key.startswith(name.key + " ")]
        begun = [name for name in known.names if asked.key and name.key.startswith(asked.key + " ")]
        is_short = float(len(joined) <= 8 and best.asked_covered < 0.5)
        short = max((acronym(joined, name) for name in known.names), default=0.0) if len(joined) <= 8 else 0.0
        longer = max(
            (acronym(name.joined, asked.as_name) for name in known.names if len(name.joined) <= 8),
            default=0.0,
        )
        described.append(
            (
                known,
                {
                    **tie,
                    "domain_alone": tied / (1 + math.log(max(on_domain, 1))),
                    "other_ending_alone": tie["domain_other_ending"] / max(on_label, 1),
                    "name_same": best.same * (place == 0),
                    "other_name_same": best.same * (place > 0),
                    "same_words": best.same_words,
                    "asked_covered": best.asked_covered,
                    "name_covered": best.name_covered,
                    "both_covered": cover,
                    "both_covered_squared": cover * cover,
                    "any_name_covers": max(each.asked_covered for each, _place in likeness),
                    "own_name_covered": own.asked_covered * own.name_covered,
                    "edits": best.edits,
                    "country_of_words_same": words_country,
                    "country_of_words_differs": float(bool(hinted) and not words_country),
                    "name_begins_asked": float(bool(begins)),
                    "asked_begins_name": float(bool(begun)),
                    **_their_domain(asked, known),
                    "long_ending": tie["domain_other_ending"] * (len(asked.label) >= 7),
                    "short_ending": tie["domain_other_ending"] * (len(asked.label) <= 4),
                    "domain_is_a_name_and_covered": tie["domain_is_a_name"] * cover,
                    "worth_covered": cover * worth / 40,
                    "ending_and_missing": tie["domain_other_ending"] * best.asked_missing,
                    "reads_the_same": max(sounds_like(asked, name) for name in close),
                    "short_form": short,
                    "short_form_tied": short * tied,
                    "asked_is_short": is_short * tied,
                    "short_form_of_asked": longer,
                    "asked_missing": best.asked_missing,
                    "name_missing": best.name_missing,
                    "numbers_differ": best.numbers_differ,
                    "first_word": best.first_word,
                    "by_other_name": float(place > 0),
                    "country_same": country,
                    "country_differs": float(bool(asked.country) and not country),
                    "script_country": _script_country(asked, known.country),
                    "native": float(asked.is_native) * cover,
                    "tied_and_covered": tied * cover,
                    "tied_and_missing": tied * best.asked_missing,
                    "ending_and_covered": tie["domain_other_ending"] * cover,
                },
            )
        )
    return described


def _strength(tie: Mapping[str, float]) -> float:
    return (
        2.0 * max(tie["domain_same"], tie["domain_sub"], tie["domain_parent"], tie["domain_sibling"])
        + 0.8 * tie["domain_other_ending"]
        + 0.3 * tie["domain_is_a_name"]
        + 0.2 * tie["domain_similar"]
    )


_SCRIPTS: Final = (
    (re.compile(r"[\u3040-\u30ff]"), {"JP"}),
    (re.compile(r"[\uac00-\ud7a3]"), {"KR", "KP"}),
    (re.compile(r"[\u4e00-\u9fff]"), {"CN", "TW", "HK", "JP", "MO", "SG"}),
    (re.compile(r"[\u0e00-\u0e7f]"), {"TH"}),
    (re.compile(r"[\u0370-\u03ff]"), {"GR", "CY"}),
    (re.compile(r"[\u0590-\u05ff]"), {"IL"}),
    (re.compile(r"[\u0400-\u04ff]"), {"RU", "UA", "BY", "BG", "RS", "KZ", "KG", "MK", "MN", "TJ", "UZ", "ME", "BA"}),
    (re.compile(r"[\u0600-\u06ff]"), {"EG", "SA", "IR", "IQ", "DZ", "MA", "TN", "SY", "LB", "JO", "AE", "KW", "QA",
                                      "BH", "OM", "YE", "LY", "SD", "PS", "PK", "AF", "MR"}),
)  # fmt: skip


def script_countries(name: str) -> frozenset[str]:
    """The countries where names are written in the script of this one; empty for Latin."""
    return next((frozenset(countries) for script, countries in _SCRIPTS if script.search(name)), frozenset())


def _script_country(asked: Asked, country: str) -> float:
    """1 where the script of the asked name is written in that country, -1 where it is not, 0 for Latin."""
    if not asked.is_native:
        return 0.0
    return 1.0 if country in asked.script_countries else -1.0
