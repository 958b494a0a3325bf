"""The regressions of fit_matching find what tells the right one."""

from __future__ import annotations

import random

import pytest

from orgs.finder.evaluation.logistic_regression import Case, Choice, fit_gate, fit_ranker

CHANCE = random.Random(5)


def candidate(*, right: bool) -> dict[str, float]:
    """A candidate of which one number tells whether it is right, one the contrary, and one nothing."""
    return {
        "tells": (1.0 if right else 0.0) + CHANCE.uniform(-0.7, 0.7),
        "contrary": (0.0 if right else 1.0) + CHANCE.uniform(-0.7, 0.7),
        "nothing": CHANCE.uniform(0, 1),
    }


@pytest.fixture(scope="module")
def choices() -> list[Choice]:
    """Questions with one right candidate of four."""
    return [Choice([candidate(right=place == at % 4) for place in range(4)], at % 4) for at in range(400)]


def right_first(choices: list[Choice], weights: dict[str, float]) -> float:
    def place(choice: Choice) -> int:
        scores = [sum(weights[name] * value for name, value in each.items()) for each in choice.candidates]
        return scores.index(max(scores))

    return sum(place(choice) == choice.right for choice in choices) / len(choices)


def test_ranker_learns_which_number_tells_the_right_candidate(choices: list[Choice]) -> None:
    weights = fit_ranker(choices)
    assert weights["tells"] > 2
    assert weights["contrary"] < -2
    assert abs(weights["nothing"]) < 1
    assert right_first(choices, weights) > 0.9


def test_what_may_never_speak_against_a_candidate_weighs_nothing_instead(choices: list[Choice]) -> None:
    weights = fit_ranker(choices, never_negative={"tells", "contrary"})
    assert weights["tells"] > 2
    assert weights["contrary"] == 0
    assert set(weights) == {"tells", "contrary", "nothing"}


def test_question_that_counts_nothing_teaches_nothing(choices: list[Choice]) -> None:
    wrong = [Choice(choice.candidates, (choice.right + 1) % 4, 0.0) for choice in choices]
    assert fit_ranker([*choices, *wrong]) == pytest.approx(fit_ranker(choices), abs=0.01)


def test_gate_learns_a_probability() -> None:
    cases = [
        Case({"always": 1.0, "score": at / 100}, CHANCE.random() < at / 100) for at in range(100) for _ in range(10)
    ]
    weights = fit_gate(cases, penalty=0.01)
    assert weights["score"] > 3
    # Even chances in the middle, as they were made.
    assert -weights["always"] / weights["score"] == pytest.approx(0.5, abs=0.1)
