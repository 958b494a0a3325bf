"""What speaks for a candidate, how names are compared, and what the fitted weights must keep to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orgs.finder import comparison, evidence_rules, features, scoring
from orgs.finder.comparison import PreparedOrganization, PreparedQuery, Word
from orgs.finder.evidence_rules import Code, UsageFigures
from orgs.finder.similarity import acronym_score

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def asked(key: str, domain: str = "") -> PreparedQuery:
    """A question by its name key."""
    words = tuple(Word(word, comparison.idf(word), {}) for word in key.split())
    return PreparedQuery(key, words, domain, domain, domain.partition(".")[0], "", False, "", frozenset())


def known(pk: int, key: str, domain: str = "", *others: str) -> PreparedOrganization:
    """An organization by its name keys and domain."""
    known_as = tuple(comparison.name_of(each) for each in (key, *others))
    return PreparedOrganization(pk, known_as, ((domain, False),) if domain else (), "", 0.0)


@pytest.mark.parametrize(
    ("name", "other_names", "code"),
    [
        ("Contoso", (), Code.SAME_NAME),
        ("Contoso GmbH", (), Code.SAME_NAME_BUT_FORM),
        ("Fabrikam", ("Contoso AG",), Code.OTHER_NAME),
        ("Contosso", (), Code.NEAR_NAME),
        ("Northwind", (), None),
    ],
)
def test_names_are_tied_by_the_strongest_reason(name: str, other_names: tuple[str, ...], code: Code | None) -> None:
    found = evidence_rules.compare_names("Contoso", name, other_names)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("subscriptions", "days", "age", "verified", "abandoned"),
    [
        (0, 400, 500, False, True),
        (0, None, 500, False, True),
        (0, None, 1, False, False),
        (1, 400, 500, False, False),
        (0, 300, 500, False, False),
        (0, 400, 500, True, False),
    ],
)
def test_abandoned_means_an_old_account_without_domain_activity_or_subscription(
    subscriptions: int, days: int | None, age: int, verified: bool, abandoned: bool
) -> None:
    last = None if days is None else NOW - timedelta(days=days)
    use = UsageFigures(subscriptions, 0, last, verified, NOW - timedelta(days=age))
    assert evidence_rules.looks_abandoned(use, NOW) is abandoned


def test_use_decides_before_recency() -> None:
    used = UsageFigures(2, 0, NOW - timedelta(days=300), has_verified_domain=True, created_at=NOW)
    recent = UsageFigures(0, 0, NOW, has_verified_domain=True, created_at=NOW)
    assert evidence_rules.usage_sort_key(1.0, used) < evidence_rules.usage_sort_key(1.0, recent)
    assert evidence_rules.usage_sort_key(1.1, recent) < evidence_rules.usage_sort_key(1.0, used)


def test_same_name_on_the_same_domain_is_ranked_first_and_marked() -> None:
    question = asked("contoso research", "contoso.com")
    described = features.compute_features(
        question,
        [known(1, "northwind", "contoso.com"), known(2, "contoso research", "contoso.com"), known(3, "contoso")],
    )
    ranked = scoring.rank(described, scoring.weights().ranker)
    assert ranked[0].known.pk == 2
    assert scoring.first_probability(question, ranked, scoring.weights().mark) >= scoring.weights().best_from


def test_nobody_is_marked_on_a_domain_alone() -> None:
    question = asked("quite different", "contoso.com")
    ranked = scoring.rank(
        features.compute_features(question, [known(1, "contoso", "contoso.com")]), scoring.weights().ranker
    )
    assert scoring.first_probability(question, ranked, scoring.weights().mark) == 0.0


def test_domain_tie_is_always_shown_and_a_stranger_by_name_is_not() -> None:
    fitted = scoring.weights()
    tied = asked("quite different", "contoso.com")
    ranked = scoring.rank(features.compute_features(tied, [known(1, "contoso", "contoso.com")]), fitted.ranker)
    assert scoring.answer_probability(tied, ranked, fitted.gate) == 1.0
    stranger = asked("university northwind")
    ranked = scoring.rank(features.compute_features(stranger, [known(1, "university contoso")]), fitted.ranker)
    assert scoring.answer_probability(stranger, ranked, fitted.gate) < fitted.shown_from


def test_every_weight_belongs_to_a_feature_that_exists() -> None:
    question = asked("contoso", "contoso.com")
    described = features.compute_features(question, [known(1, "contoso", "contoso.com")])
    ranked = scoring.rank(described, {})
    fitted = scoring.weights()
    assert set(fitted.ranker) == set(described[0][1])
    assert set(fitted.gate) == set(scoring.gate_features(question, ranked))
    assert set(fitted.mark) == set(scoring.mark_features(question, ranked))


@pytest.mark.parametrize(
    ("short", "name", "least"),
    [("dlnr", "department of land and natural resources", 0.8), ("ibm", "international business machines", 1.0)],
)
def test_initials_stand_for_a_name(short: str, name: str, least: float) -> None:
    assert acronym_score(short, comparison.name_of(name)) >= least


def test_unlike_letters_stand_for_nothing() -> None:
    assert acronym_score("xyz", comparison.name_of("international business machines")) == 0.0
