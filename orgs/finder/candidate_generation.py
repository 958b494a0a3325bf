"""Candidate generation: retrieves organizations from PostgreSQL by two statements, each a union of b-tree look-ups.

The first statement finds ties: members, users at the domain, domains, and whole names. If these don't settle the query,
the second one finds variants of the name's words in the directory, and the organizations that have the rarest of them.
Both return the columns that ranking and cards need.
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

# A word's share is computed as if the directory had at least this size, because a small one says little.
_LEAST_DIRECTORY_SIZE: Final = 30_000
# Arms of the second statement that only retrieve organizations; similarity is computed when names are compared.
_RETRIEVAL_ONLY: Final = frozenset({"part", "joined"})


@dataclass(frozen=True)
class WordMatch:
    """A word of the directory that a query word may stand for: its probability, and how many organizations have it."""

    word: str
    quality: float
    organizations: int


@dataclass
class QueryWord:
    """One word of the query, and the words of the directory that it may stand for."""

    word: str
    organizations: int = 0
    share: float = 0.0  # of the directory's organizations; 0 if none has it
    country: str = ""  # the country of nearly all organizations with this word
    options: list[WordMatch] = field(default_factory=list)


@dataclass(frozen=True)
class Query:
    """The query: an email address, its domain, and a company name with its keys."""

    email: str
    domain: str  # "" if it can't be evidence
    name: str
    key: str
    terms: tuple[str, ...]

    @cached_property
    def joins(self) -> tuple[str, ...]:
        """The keys without spaces under which the name may be stored."""
        return spacing.keys(self.name) if self.key else ()

    @property
    def registrable(self) -> str:
        """The registrable domain of the email domain."""
        return normalize.registrable_domain(self.domain)

    @property
    def label(self) -> str:
        """The registrable domain without its public suffix."""
        return normalize.domain_label(self.domain)

    @property
    def within(self) -> list[str]:
        """The email domain and its parent domains, down to the registrable one."""
        return list(normalize.with_parents(self.domain))


@dataclass
class RetrievedOrganization:
    """An organization that a statement returned: its ties, and the columns that ranking and cards need."""

    pk: int
    values: list[Any]  # in the order of COLUMNS
    key: str
    country: str
    other_names: tuple[tuple[str, str], ...]  # name, key
    domains: tuple[tuple[str, str], ...]  # (name, status) of current domains
    former: tuple[tuple[str, str], ...]  # (name, used until) of former domains that the email domain equals or is below
    ties: list[tuple[str, ...]] = field(default_factory=list)
    word_score: float = 0.0

    @cached_property
    def organization(self) -> Organization:
        """The model instance with current domains and other names. It is only made for cards."""
        organization = Organization.from_db(connection.alias, COLUMNS, self.values)
        _attach(organization, "domains", [Domain(name=name, status=status) for name, status in self.domains])
        _attach(organization, "other_names", [OtherName(name=name) for name, _key in self.other_names])
        return organization

    def value(self, column: str) -> Any:
        """Return the value of a column of Organization."""
        return self.values[AT[column]]


def _attach(organization: Organization, relation: str, rows: list[Any]) -> None:
    """Fill the prefetch cache of a relation, so that reading it runs no query."""
    related = getattr(organization, relation).all()
    related._result_cache = rows
    related._prefetch_done = True
    organization.__dict__.setdefault("_prefetched_objects_cache", {})[relation] = related


def make_query(email: str, domain: str, name: str) -> Query:
    """Make a query; ``domain`` is "" if it can't be evidence."""
    key = normalize.name_key(name)
    return Query(email, domain, name, key, tuple(dict.fromkeys(terms.of_key(key)))[: statements.MOST_WORDS])


def generate_candidates(
    query: Query, also: Sequence[int] = ()
) -> tuple[dict[int, RetrievedOrganization], list[QueryWord]]:
    """Return candidates by primary key, and the query's words with their variants in the directory.

    It takes one round trip if the email's domain or the whole name settles the query (see _is_settled), else two.

    :param also: primary keys of organizations to return besides.
    """
    found: dict[int, RetrievedOrganization] = {}
    keys = list(query.joins)
    label = query.label
    if len(label) >= 3:
        keys += dict.fromkeys([label, label.replace("-", "")])
    values = {
        "email": query.email,
        "domain": query.domain or "-",
        "start": normalize.name_start(query.name),
        **_order_parameters(query),
        "label": label or "-",
        "keys": keys,
        "given": list(also),
    }
    for ties, _weight, *facts in statements.run(statements.TIES, values):
        one = _read(facts)
        one.ties = [tuple(tie.split(" ")) if " " in tie else (tie, "") for tie in ties]
        found[one.pk] = one
    query_words = [QueryWord(word) for word in query.terms]
    if _is_settled(found, query):
        for query_word in query_words:
            query_word.options.append(WordMatch(query_word.word, 1.0, 1))
        return found, query_words
    return _generate_by_words(query, found, query_words)


def _order_parameters(query: Query) -> dict[str, Any]:
    """Return the parameters that decide which names and domains of an organization are returned first."""
    return {"key": query.key, "registrable": query.registrable or "-", "within": query.within}


def _is_settled(found: Mapping[int, RetrievedOrganization], query: Query) -> bool:
    """Return whether the second statement is unnecessary: one owner of the domain, or a distinctive whole name."""
    on_domain = [one for one in found.values() if ("domain", "") in one.ties]
    if len(on_domain) == 1 and all(one is on_domain[0] or ("name", "") not in one.ties for one in found.values()):
        return True
    distinctive = len(query.key) >= 10 and " " in query.key
    joined = spacing.joined(query.key)
    return len(query.key) >= 6 and any(
        joined in map(spacing.joined, (one.key, *(key for _name, key in one.other_names)))
        for one in (found.values() if distinctive else on_domain)
    )


def _generate_by_words(
    query: Query, found: dict[int, RetrievedOrganization], query_words: list[QueryWord]
) -> tuple[dict[int, RetrievedOrganization], list[QueryWord]]:
    """Add candidates by the rarest words, and the variants of each word (the second round trip)."""
    readings = _readings(query)
    neighbours = list(spacing.neighbours(query.terms))
    words = list(query.terms)
    asked = words + [word for word in _label_words(query) if word not in words]
    values = {
        **_order_parameters(query),
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
            known.word_score = amount
            continue
        arm, place, word, country, organizations, size = option
        if int(place) > len(query_words) or arm in _RETRIEVAL_ONLY:
            continue
        query_word = query_words[int(place) - 1]
        if arm == "known":
            query_word.country, query_word.organizations = country, int(organizations)
            query_word.share = query_word.organizations / max(float(size), _LEAST_DIRECTORY_SIZE)
        elif arm == "spelling":
            amount = _misspelling_probability(query_word.word, word)
        if amount:
            query_word.options.append(WordMatch(word, amount, int(organizations)))
    return found, query_words


def _read(facts: list[Any]) -> RetrievedOrganization:
    """Convert the columns of a statement's row."""
    other_names, domains, *values = facts
    split = statements.SPLIT
    parts = sorted(each.split(split) for each in domains)
    return RetrievedOrganization(
        pk=values[AT["id"]],
        values=values,
        key=values[AT["name_key"]],
        country=values[AT["country"]],
        other_names=tuple(sorted((name, key) for name, _x, key in (each.partition(split) for each in other_names))),
        domains=tuple((name, status) for name, status, _until in parts if status != Domain.Status.FORMER),
        former=tuple((name, until) for name, status, until in parts if status == Domain.Status.FORMER),
    )


def _readings(query: Query) -> list[tuple[str, int]]:
    """Return Latin readings of words in other scripts, each with the index of its term."""
    places = {term: place for place, term in reversed(list(enumerate(query.terms)))}
    found: list[tuple[str, int]] = []
    for word in query.key.split():
        of_word = terms.of_word(word)
        for reading, at in terms.readings(word):
            if of_word and (place := places.get(of_word[min(at, len(of_word) - 1)])) is not None:
                found.append((reading, place))
    return found[:60]


def _label_words(query: Query) -> list[str]:
    """Return the parts of the email domain that may be words of the name."""
    label = query.label
    return [part for part in {label, *label.split("-")} if len(part) >= 3 and part.isascii()] if label else []


def _misspelling_probability(asked: str, word: str) -> float:
    """Return the probability that a misspelt word means ``word``; 0 if they differ by more than two edits."""
    edits = OSA.distance(asked, word)
    shorter = min(len(asked), len(word))
    if edits == 1:
        likely = {3: 0.3, 4: 0.5, 5: 0.65, 6: 0.8}.get(shorter, 0.88)
    elif edits == 2 and shorter >= 6:
        likely = 0.6 if shorter < 8 else 0.75
    else:
        return 0.0
    return likely if asked[0] == word[0] else likely - 0.1
