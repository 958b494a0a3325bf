"""Fits the finder's three regressions and two thresholds on questions with known answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import django

from orgs.finder import scoring
from orgs.finder.comparison import PreparedQuery
from orgs.finder.evaluation import benchmark, logistic_regression
from orgs.finder.evaluation.examples import FOLDS, Described, Example, look_up
from orgs.finder.evaluation.logistic_regression import Case, Choice
from orgs.finder.evaluation.thresholds import (
    choose_best_from,
    choose_shown_from,
    is_first,
    predict,
    predict_left_out,
    report,
    report_left_out,
    share,
)

# Weights of generated questions relative to the given ones.
# Questions for organizations that were left out of the directory, by (other script, free mail).
LEFT_OUT: Final = {
    (True, True): 0.055,
    (True, False): 0.03,
    (False, True): 0.08,
    (False, False): 0.02,
}
LEFT_OUT_QUESTIONS: Final = 4000
LEFT_OUT_FOR_THE_MARK: Final = 0.1  # the given questions, with the right organization taken out of the candidates
FREE_MAIL: Final = 0.1  # the given questions, asked from free mail
# Names with spaces elsewhere, with and without a typing error: see benchmark.questions_by_spacing.
SPACING: Final = 0.1
SPACINGS: Final = 1200
# The given questions never contain a name that the directory has as another name. Without such questions the ranker
# would learn that an equal name is evidence against an organization. Generated from the directory.
OTHER_NAME: Final = 0.15
OTHER_NAMES: Final = 6000
SIBLING: Final = 3.0
# Features whose weight is never negative.
NEVER_NEGATIVE: Final = frozenset({"name_same", "same_words", "edits"})
_TRAINED_ON: Final = 12  # candidates of a question


def fit(
    *,
    organizations: Path,
    other_names: Path,
    queries: Path,
    siblings: Path,
    output: Path,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """Fit on all questions, write the weights to ``output``, and return figures out of fold.

    The files are those of ``bench_matching``. ``say`` gets progress messages. Each fold is scored with weights that
    were fitted on the other folds; the thresholds are chosen from these scores. Last, the weights are fitted on all.

    :raises FileRefused: a file can't be read.
    """
    with benchmark.own_schema():
        directory = benchmark.load(organizations, other_names)
        say("Looking up …")
        examples = [
            *(look_up(question, directory) for question in benchmark.questions(queries)),
            *(look_up(question, directory, sibling=True) for question in benchmark.questions(siblings)),
        ]
        generated = benchmark.questions_by_other_name(organizations, other_names, OTHER_NAMES)
        by_other_name = [look_up(question, directory, also_free=False) for question in generated]
        generated = benchmark.questions_by_spacing(organizations, SPACINGS)
        by_spacing = [look_up(question, directory, also_free=False) for question in generated]
    left_out = _left_out(organizations, other_names, queries)
    say("Fitting …")
    some = (examples, by_other_name, by_spacing, left_out)
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=django.setup) as pool:
        of_folds = list(pool.map(_fit, *([_without(fold, each) for fold in range(FOLDS)] for each in some)))
        ranker, gate, marks = pool.submit(_fit, *some).result()
    predictions = [predict(example, *of_folds[example.fold]) for example in examples]
    shown_from = choose_shown_from(predictions)
    best_from = choose_best_from(predictions, shown_from)
    write_weights(output, {"ranker": ranker, "gate": gate, "mark": marks}, shown_from, best_from)
    figures = report(predictions, shown_from, best_from)
    for title, free in (("r_at_1_by_other_name", False), ("r_at_1_by_other_name_free_mail", True)):
        asked = [each for each in by_other_name if bool(each.asked.domain) != free]
        ranked = [scoring.rank(each.found, of_folds[each.fold][0]) for each in asked]
        figures[title] = share([is_first(each.right, found) for each, found in zip(asked, ranked, strict=True)])
    figures |= report_left_out([predict_left_out(each, *of_folds[each.fold][:2]) for each in left_out], shown_from)
    spaced = [predict(each, *of_folds[each.fold]) for each in by_spacing]
    figures["r_at_5_by_spacing"] = report(spaced, shown_from, best_from)["r_at_5"]
    return figures


def _left_out(organizations: Path, other_names: Path, queries: Path) -> list[Example]:
    """Return examples for organizations that are missing from a second directory and from its search words."""
    questions = benchmark.questions(queries)
    out = benchmark.taken_out(questions, organizations)
    generated = benchmark.questions_taken_out(questions, organizations, other_names, out, LEFT_OUT_QUESTIONS)
    with benchmark.own_schema():
        directory = benchmark.load(organizations, other_names, without=out)
        return [look_up(question, directory, also_free=False) for question in generated]


def _without(fold: int, examples: Sequence[Example]) -> list[Example]:
    return [each for each in examples if each.fold != fold]


def _fit(
    examples: Sequence[Example],
    by_other_name: Sequence[Example],
    by_spacing: Sequence[Example],
    left_out: Sequence[Example],
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    fitted = [each for each in examples if not each.sibling]
    choices = [
        choice
        for each in fitted
        for choice in (_choice(each.found, each.right, 1.0), _choice(each.free, each.right, FREE_MAIL))
        if choice
    ]
    # For the ranker only: candidates with an equal name are shown whatever the gate says.
    choices += [choice for each in by_other_name if (choice := _choice(each.found, each.right, OTHER_NAME))]
    choices += [choice for each in by_spacing if (choice := _choice(each.found, each.right, SPACING))]
    ranker = logistic_regression.fit_ranker(choices, never_negative=NEVER_NEGATIVE)
    cases: list[Case] = []
    for each in fitted:
        cases += _cases(each.asked, each.found, ranker, each.right, 1.0)
    for each in by_spacing:
        cases += _cases(each.asked, each.found, ranker, each.right, SPACING)
    for each in left_out:
        cases += _cases(each.asked, each.found, ranker, 0, LEFT_OUT[each.asked.is_native, not each.asked.domain])
    marked = [
        case
        for each in examples
        for case in (
            *_first(each.asked, each.found, ranker, each.right, SIBLING if each.sibling else 1.0),
            *_first(each.asked, each.out, ranker, 0, LEFT_OUT_FOR_THE_MARK),
        )
    ]
    return ranker, logistic_regression.fit_gate(cases), logistic_regression.fit_gate(marked)


def _first(
    asked: PreparedQuery, described: Described, ranker: Mapping[str, float], right: int, counts: float
) -> list[Case]:
    ranked = scoring.rank(described, ranker)
    if not ranked:
        return []
    return [Case(scoring.mark_features(asked, ranked), is_first(right, ranked), counts)]


def _choice(described: Described, right: int, counts: float) -> Choice | None:
    place = next((place for place, (known, _features) in enumerate(described) if known.pk == right), None)
    if place is None:
        return None
    rows = [values for _known, values in described]
    others = [values for at, values in enumerate(rows) if at != place][: _TRAINED_ON - 1]
    return Choice([rows[place], *others], 0, counts)


def _cases(
    asked: PreparedQuery, described: Described, ranker: Mapping[str, float], right: int, counts: float
) -> list[Case]:
    ranked = scoring.rank(described, ranker)
    if not ranked or any(each.tied for each in ranked):
        return []
    show = bool(right) and any(each.known.pk == right for each in ranked[:5])
    return [Case(scoring.gate_features(asked, ranked), show, counts)]


def write_weights(path: Path, fitted: Mapping[str, Mapping[str, float]], shown_from: float, best_from: float) -> None:
    """Write the thresholds and weights as TOML, the greatest absolute weight first."""
    lines = ["# Made by: manage.py fit_matching. What each feature means: orgs/finder/features.py.", "", "[thresholds]"]
    lines += [f"shown_from = {shown_from}", f"best_from = {best_from}"]
    for title, weights in fitted.items():
        lines += ["", f"[{title}]"]
        lines += [
            f"{name} = {value:.4f}"
            for name, value in sorted(weights.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
        ]
    path.write_text("\n".join(lines) + "\n")
