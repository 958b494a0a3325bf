"""Looks up in PostgreSQL what may be the organization: two statements, each a union of b-tree look-ups.

The first finds ties (member, users at the domain, domains, names); the second, where the first has not settled it, what
the words of the name are known as and the organizations that have the rarest of them. Both bring the facts with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django.db import connection
from rapidfuzz.distance import OSA

from orgs.finder import statements
from orgs.finder.statements import AT, COLUMNS
from orgs.models import Domain, Organization, OtherName
from orgs.text import normalize, spacing, terms

# A directory smaller than this says little about how common a word is.
_A_DIRECTORY: Final = 30_000
# Arms that lead to organizations only: how alike the words are is seen when the names are compared.
_WHERE_TO_LOOK: Final = frozenset({"part", "joined"})


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
    share: float = 0.0  # of the directory's organizations; 0 where nobody has it
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

    @cached_property
    def joins(self) -> tuple[str, ...]:
        """The keys without spaces under which the directory may have the name."""
        return spacing.keys(self.name) if self.key else ()

    @property
    def registrable(self) -> str:
        """What somebody registered of the email domain."""
        return normalize.registrable_domain(self.domain)

    @property
    def label(self) -> str:
        """The registrable domain's name without its ending."""
        return normalize.domain_label(self.domain)

    @property
    def within(self) -> list[str]:
        """The domains that an address at the email domain is at: itself, and those above it."""
        return list(normalize.with_parents(self.domain))


@dataclass
class Found:
    """An organization that was looked up: its ties, and its facts as the ranking needs them."""

    pk: int
    values: list[Any]  # of COLUMNS
    key: str
    country: str
    other_names: tuple[tuple[str, str], ...]  # name, key
    domains: tuple[tuple[str, str], ...]  # name, status; only those that it has now
    former: tuple[tuple[str, str], ...]  # name, until when, of former domains that the email domain is, or is under
    ties: list[tuple[str, ...]] = field(default_factory=list)
    by_words: float = 0.0

    @cached_property
    def organization(self) -> Organization:
        """The row, with the domains that it has now and other names; made only for those that are shown."""
        organization = Organization.from_db(connection.alias, COLUMNS, self.values)
        _attach(organization, "domains", [Domain(name=name, status=status) for name, status in self.domains])
        _attach(organization, "other_names", [OtherName(name=name) for name, _key in self.other_names])
        return organization

    def value(self, column: str) -> Any:
        """One column of the row."""
        return self.values[AT[column]]


def _attach(organization: Organization, relation: str, rows: list[Any]) -> None:
    """Give an organization its related rows as a prefetch does, so that nobody asks for them again."""
    related = getattr(organization, relation).all()
    related._result_cache = rows
    related._prefetch_done = True
    organization.__dict__.setdefault("_prefetched_objects_cache", {})[relation] = related


def make_question(email: str, domain: str, name: str) -> Question:
    """The question as it is looked up; ``domain`` is "" where it can't be evidence."""
    key = normalize.name_key(name)
    return Question(email, domain, name, key, tuple(dict.fromkeys(terms.of_key(key)))[: statements.MOST_WORDS])


def generate_candidates(question: Question, also: Sequence[int] = ()) -> tuple[dict[int, Found], list[Slot]]:
    """What may be the organization (and ``also`` these), and what the question's words are known as.

    One round trip where the email's domain or the whole name settles it (see _is_settled), else two.
    """
    found: dict[int, Found] = {}
    keys = list(question.joins)
    label = question.label
    if len(label) >= 3:
        keys += dict.fromkeys([label, label.replace("-", "")])
    values = {
        "email": question.email,
        "domain": question.domain or "-",
        "start": normalize.name_start(question.name),
        **_asked_first(question),
        "label": label or "-",
        "keys": keys,
        "given": list(also),
    }
    for ties, _weight, *facts in statements.run(statements.TIES, values):
        one = _read(facts)
        one.ties = [tuple(tie.split(" ")) if " " in tie else (tie, "") for tie in ties]
        found[one.pk] = one
    slots = [Slot(word) for word in question.terms]
    if _is_settled(found, question):
        for slot in slots:
            slot.options.append(Option(slot.word, 1.0, 1))
        return found, slots
    return _by_words(question, found, slots)


def _asked_first(question: Question) -> dict[str, Any]:
    """Which of an organization's names and domains are brought first, and which former domains at all."""
    return {"key": question.key, "registrable": question.registrable or "-", "within": question.within}


def _is_settled(found: Mapping[int, Found], question: Question) -> bool:
    """Whether words would add nothing: one organization alone has the domain, or a whole name says enough."""
    on_domain = [one for one in found.values() if ("domain", "") in one.ties]
    if len(on_domain) == 1 and all(one is on_domain[0] or ("name", "") not in one.ties for one in found.values()):
        return True
    telling = len(question.key) >= 10 and " " in question.key
    joined = spacing.joined(question.key)
    return len(question.key) >= 6 and any(
        joined in map(spacing.joined, (one.key, *(key for _name, key in one.other_names)))
        for one in (found.values() if telling else on_domain)
    )


def _by_words(question: Question, found: dict[int, Found], slots: list[Slot]) -> tuple[dict[int, Found], list[Slot]]:
    """The second round trip: organizations by the rarest words, and what each word is known as."""
    readings = _readings(question)
    neighbours = list(spacing.neighbours(question.terms))
    words = list(question.terms)
    asked = words + [word for word in _label_words(question) if word not in words]
    values = {
        **_asked_first(question),
        "words": asked,
        "of_name": len(words),
        "sounds": [terms.sound(word) for word in asked],
        "readings": [reading for reading, _place in readings],
        "reading_slots": [place + 1 for _reading, place in readings],
        "heard": [terms.sound(reading) for reading, _place in readings],
        "neighbours": [word for word, _place in neighbours],
        "neighbour_slots": [place + 1 for _word, place in neighbours],
    }
    for option, amount, *facts in statements.run(statements.BY_WORDS, values):
        if option is None:
            one = _read(facts)
            known = found.setdefault(one.pk, one)
            known.by_words = amount
            continue
        arm, place, word, country, organizations, size = option
        if int(place) > len(slots) or arm in _WHERE_TO_LOOK:
            continue
        slot = slots[int(place) - 1]
        if arm == "known":
            slot.country, slot.organizations = country, int(organizations)
            slot.share = slot.organizations / max(float(size), _A_DIRECTORY)
        elif arm == "spelling":
            amount = _spelling(slot.word, word)
        if amount:
            slot.options.append(Option(word, amount, int(organizations)))
    return found, slots


def _read(facts: list[Any]) -> Found:
    """The facts of an organization as a statement brings them."""
    other_names, domains, *values = facts
    split = statements.SPLIT
    parts = sorted(each.split(split) for each in domains)
    return Found(
        pk=values[AT["id"]],
        values=values,
        key=values[AT["name_key"]],
        country=values[AT["country"]],
        other_names=tuple(sorted((name, key) for name, _x, key in (each.partition(split) for each in other_names))),
        domains=tuple((name, status) for name, status, _until in parts if status != Domain.Status.FORMER),
        former=tuple((name, until) for name, status, until in parts if status == Domain.Status.FORMER),
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
