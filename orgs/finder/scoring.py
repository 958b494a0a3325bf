"""Three logistic regressions over named features.

The ranker orders the candidates, the gate decides whether to show them, and the mark decides whether the first one is
marked *Best match*. ``manage.py fit_matching`` writes their weights to ``weights.toml``. Plain Python.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from orgs.finder.comparison import PreparedOrganization, PreparedQuery

WEIGHTS: Final = Path(__file__).with_name("weights.toml")
TIES: Final = ("domain_same", "domain_sub", "domain_parent", "domain_sibling")
# Features that the gate doesn't use, because an organization with the email's domain is always shown.
_RANKER_ONLY: Final = frozenset(
    {*TIES, "domain_alone", "tied_and_missing", "tied_and_covered", "short_form_tied", "asked_is_short"}
)


@dataclass(frozen=True)
class Weights:
    """The weights of the three regressions by feature, and two thresholds."""

    ranker: Mapping[str, float]
    gate: Mapping[str, float]
    mark: Mapping[str, float]
    shown_from: float  # probability that the answer is in the directory at all
    best_from: float  # probability that the first one is it, for the mark


@dataclass(frozen=True)
class Scored:
    """A candidate with its features and its score."""

    known: PreparedOrganization
    features: Mapping[str, float]
    score: float

    @property
    def tied(self) -> bool:
        """Whether the email's domain ties it to the organization."""
        return any(self.features[name] for name in TIES)

    @property
    def same_name(self) -> bool:
        """Whether one of its names equals the query's."""
        return bool(self.features["name_same"])


@cache
def weights() -> Weights:
    """Return the weights in use."""
    with WEIGHTS.open("rb") as file:
        read = tomllib.load(file)
    return Weights(read["ranker"], read["gate"], read["mark"], **read["thresholds"])


def rank(
    described: Sequence[tuple[PreparedOrganization, Mapping[str, float]]], ranker: Mapping[str, float]
) -> list[Scored]:
    """Return the candidates by score, best first; equal scores by primary key."""
    scored = [
        Scored(known, features, sum(ranker.get(name, 0.0) * value for name, value in features.items() if value))
        for known, features in described
    ]
    return sorted(scored, key=lambda each: (-each.score, each.known.pk))


def gate_features(asked: PreparedQuery, ranked: Sequence[Scored]) -> dict[str, float]:
    """Return the gate's features: those of the first candidate, its lead over the second, and the kind of query."""
    first = ranked[0]
    second = ranked[1] if len(ranked) > 1 else None
    margin = min(first.score - second.score, 6.0) if second else 6.0
    worth = sum(word.idf for word in asked.words) or 1e-9
    unknown = sum(word.idf for word in asked.words if not word.known_as) / worth
    free = float(not asked.domain)
    native = float(asked.is_native)
    features = first.features
    cover = features["both_covered"]
    untied = not any(features[name] for name in TIES) and not features["domain_other_ending"]
    return {
        **{name: value for name, value in features.items() if name not in _RANKER_ONLY},
        "always": 1.0,
        "score": first.score / 5,
        "ahead_by": margin / 3,
        "only_one": float(second is None),
        "hardly_ahead": float(margin < 0.5),
        "second_covered": second.features["both_covered"] if second else 0.0,
        "free_mail": free,
        "other_script": native,
        "free_mail_and_other_script": native * free,
        "asked_worth": worth / 40,
        "asked_words": len(asked.words) / 5,
        "one_word": float(len(asked.words) == 1),
        "domain_unknown": float(bool(asked.domain) and untied),
        "unknown_words": unknown,
        "unknown_and_missing": unknown * features["asked_missing"],
        "free_mail_and_covered": free * cover,
        "free_mail_and_same": free * features["name_same"],
        "free_mail_and_missing": free * features["asked_missing"],
        "free_mail_and_name_missing": free * features["name_missing"],
        "free_mail_score": free * first.score / 5,
        "other_script_and_covered": native * cover,
        "ending_score": features["domain_other_ending"] * first.score / 5,
    }


def answer_probability(asked: PreparedQuery, ranked: Sequence[Scored], gate: Mapping[str, float]) -> float:
    """Return the probability that the right organization is among the candidates.

    It is 1 if a domain ties one of them to the email, or one has exactly this name, because a person who types the
    name expects to see it.
    """
    if not ranked:
        return 0.0
    if any(each.tied or each.same_name for each in ranked):
        return 1.0
    return sigmoid(sum(gate.get(name, 0.0) * value for name, value in gate_features(asked, ranked).items() if value))


def softmax_of_first(ranked: Sequence[Scored]) -> float:
    """Return the softmax of the first candidate's score."""
    if not ranked:
        return 0.0
    return 1 / sum(math.exp(min(each.score - ranked[0].score, 0.0)) for each in ranked)


def mark_features(asked: PreparedQuery, ranked: Sequence[Scored]) -> dict[str, float]:
    """Return the mark's features: the gate's, the domain ties, and the softmax of the first score."""
    first = ranked[0].features
    tied = float(ranked[0].tied)
    cover = first["both_covered"]
    return {
        **gate_features(asked, ranked),
        # Without the kind of domain tie: the questions have too few subdomains to fit it.
        **{name: first[name] for name in _RANKER_ONLY.difference(TIES)},
        "first_is_right": softmax_of_first(ranked),
        "tied": tied,
        "alone_on_domain": float(first["domain_alone"] >= 1),
        "alone_on_domain_and_covered": float(first["domain_alone"] >= 1) * cover,
        "alone_on_domain_and_edits": float(first["domain_alone"] >= 1) * first["edits"],
        "alone_on_domain_and_missing": float(first["domain_alone"] >= 1) * first["asked_missing"],
        "alone_on_domain_and_reads": float(first["domain_alone"] >= 1) * first["reads_the_same"],
        "tied_and_name_missing": tied * first["name_missing"],
        "tied_and_native": tied * float(asked.is_native),
    }


def _is_named(features: Mapping[str, float]) -> bool:
    """Return whether there is evidence besides the domain. A candidate is never marked on a domain alone."""
    names = (features["any_name_covers"], features["edits"], features["reads_the_same"], features["short_form"])
    domains = (features["their_domain_is_asked"], features["their_domain_is_initials"])
    return max(*names, *domains, features["short_form_of_asked"]) >= 0.4


def first_probability(asked: PreparedQuery, ranked: Sequence[Scored], mark: Mapping[str, float]) -> float:
    """Return the probability that the first candidate is the right one."""
    if not ranked or not _is_named(ranked[0].features):
        return 0.0
    return sigmoid(sum(mark.get(name, 0.0) * value for name, value in mark_features(asked, ranked).items() if value))


def sigmoid(value: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
