"""Scores examples out of fold, chooses the two thresholds from the scores, and reports the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orgs.finder import scoring
from orgs.finder.evaluation.examples import Example

FALSE_MATCHES: Final = 0.0335  # share of unanswerable questions that may show candidates: 22 of 670
BEST_SURE: Final = 0.9984  # precision of the mark, at least
SIBLINGS_MARKED: Final = 0.024  # share of sibling questions that may be marked
# Probabilities that are tried for the mark.
MARKS: Final = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99, 0.993, 0.995, 0.998)


def is_first(right: int, ranked: Sequence[scoring.Scored]) -> bool:
    """Return whether the right organization is ranked first."""
    return bool(ranked) and ranked[0].known.pk == right


@dataclass
class Prediction:
    """The scores of an example by weights that were fitted without its fold."""

    example: Example
    ranked: list[scoring.Scored]
    shown: float  # probability that the right one is among the candidates
    right: float  # probability that the first candidate is the right one


@dataclass
class LeftOutPrediction:
    """The score of a question whose organization was left out of the directory, by weights of the other folds."""

    native: bool
    free: bool
    shown: float
    tied: bool  # another organization has the email's domain, so it is right to show it


def predict(
    example: Example, ranker: Mapping[str, float], gate: Mapping[str, float], marks: Mapping[str, float]
) -> Prediction:
    """Score an example."""
    ranked = scoring.rank(example.found, ranker)
    return Prediction(
        example,
        ranked,
        scoring.answer_probability(example.asked, ranked, gate),
        scoring.first_probability(example.asked, ranked, marks),
    )


def predict_left_out(example: Example, ranker: Mapping[str, float], gate: Mapping[str, float]) -> LeftOutPrediction:
    """Score a question whose organization was left out."""
    ranked = scoring.rank(example.found, ranker)
    tied = any(each.tied for each in ranked)
    return LeftOutPrediction(
        example.asked.is_native, not example.asked.domain, scoring.answer_probability(example.asked, ranked, gate), tied
    )


def choose_shown_from(predictions: Sequence[Prediction]) -> float:
    """Return the lowest gate probability at which at most FALSE_MATCHES of unanswerable questions show candidates."""
    none = sorted(
        (each.shown for each in predictions if not each.example.right and not each.example.sibling), reverse=True
    )
    cut = none[int(len(none) * FALSE_MATCHES)] + 1e-4 if none else 0.5
    return round(max(cut, 0.05), 4)


def choose_best_from(predictions: Sequence[Prediction], shown_from: float) -> float:
    """Return the probability from which the first candidate is marked: the most marks at BEST_SURE precision."""
    best, best_share = 0.9999, 0.0
    for sure in MARKS:
        share, precision, siblings = _mark_figures(predictions, shown_from, sure)
        if precision >= BEST_SURE and siblings <= SIBLINGS_MARKED and share > best_share:
            best, best_share = sure, share
    return best


def _mark_figures(predictions: Sequence[Prediction], shown_from: float, sure: float) -> tuple[float, float, float]:
    answerable = [each for each in predictions if each.example.right]
    marked = [each for each in answerable if each.right >= sure and each.shown >= shown_from]
    right = sum(is_first(each.example.right, each.ranked) for each in marked)
    siblings = [each.right >= sure for each in predictions if each.example.sibling]
    return (
        len(marked) / max(len(answerable), 1),
        right / max(len(marked), 1),
        sum(siblings) / max(len(siblings), 1),
    )


def share(flags: Sequence[bool]) -> float:
    """Return the share of true flags, rounded to four digits; 0 without flags."""
    return round(sum(flags) / max(len(flags), 1), 4)


def report(predictions: Sequence[Prediction], shown_from: float, sure: float) -> dict[str, Any]:
    """Return the figures of predictions out of fold."""
    answerable = [each for each in predictions if each.example.right]
    none = [each for each in predictions if not each.example.right and not each.example.sibling]
    siblings = [each for each in predictions if each.example.sibling]

    def right_in(first: int, each: Prediction) -> bool:
        pks = [scored.known.pk for scored in each.ranked[:first]]
        return each.shown >= shown_from and each.example.right in pks

    marks = _mark_figures(predictions, shown_from, sure)
    return {
        "r_at_1": share([right_in(1, each) for each in answerable]),
        "r_at_5": share([right_in(5, each) for each in answerable]),
        "r_at_1_without_gate": share([is_first(each.example.right, each.ranked) for each in answerable]),
        "false_match_rate": share([each.shown >= shown_from for each in none]),
        "siblings_listed": share([each.shown >= shown_from for each in siblings]),
        "best_match_share": round(marks[0], 4),
        "best_match_precision": round(marks[1], 4),
        "siblings_best_match": round(marks[2], 4),
        "thresholds": {"shown_from": shown_from, "best_from": sure},
    }


def report_left_out(predictions: Sequence[LeftOutPrediction], shown_from: float) -> dict[str, float]:
    """Return the share of left-out questions that show candidates, by script and kind of email address."""
    groups = (("other_script", True), ("latin", False))
    mails = (("free_mail", True), ("own_domain", False))
    return {
        f"{script}_taken_out_{mail}_shown": share(
            [each.shown >= shown_from for each in predictions if (each.native, each.free) == kind and not each.tied]
        )
        for script, native in groups
        for mail, free in mails
        if (kind := (native, free))
    }
