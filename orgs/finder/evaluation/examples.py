"""Training examples: questions with known answers, their candidates and the candidates' features."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Final

from orgs.finder import candidate_generation, feature_inputs, features
from orgs.finder.cards import is_shared
from orgs.finder.comparison import PreparedOrganization, PreparedQuery
from orgs.finder.evaluation import benchmark
from orgs.text import normalize

FOLDS: Final = 5

Described = list[tuple[PreparedOrganization, dict[str, float]]]


@dataclass
class Example:
    """A question that was looked up, with the features of its candidates."""

    question: benchmark.Question
    right: int  # primary key of the right organization, 0 if it is not in the directory
    fold: int
    sibling: bool
    asked: PreparedQuery
    found: Described
    free: Described  # the same question from a free-mail address

    @property
    def out(self) -> Described:
        """The candidates without the right one, [] if there is no right one."""
        return [(known, values) for known, values in self.found if known.pk != self.right] if self.right else []


def look_up(
    question: benchmark.Question, directory: benchmark.Directory, *, sibling: bool = False, also_free: bool = True
) -> Example:
    """Generate the candidates of a question and compute their features.

    :param sibling: whether the question is about an organization that is not in the directory but whose domain is.
    :param also_free: compute the features for a free-mail address too.
    """
    domain = normalize.email_domain(question.email)
    looked_up = candidate_generation.make_query(
        normalize.email_key(question.email), "" if is_shared(domain) else domain, question.name
    )
    found, query_words = candidate_generation.generate_candidates(looked_up)
    asked = feature_inputs.query_input(looked_up, query_words)
    known = [feature_inputs.organization_input(each) for each in found.values()]
    by_name = [each for each in known if each.word_score or any(arm == "name" for arm, _detail in found[each.pk].ties)]
    right = directory.pks.get(question.expected, 0)
    free = dataclasses.replace(asked, domain="", registrable="", label="", country="")
    return Example(
        question=question,
        right=right,
        fold=int(hashlib.md5((question.expected or question.email + question.name).encode()).hexdigest(), 16) % FOLDS,  # noqa: S324
        sibling=sibling,
        asked=asked,
        found=features.compute_features(asked, known),
        free=features.compute_features(free, by_name) if also_free and right and asked.domain else [],
    )
