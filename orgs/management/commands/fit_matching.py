"""Fit the finder's three regressions and its thresholds, and write orgs/finder/weights.toml."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import django
from django.core.management.base import BaseCommand, CommandError

from orgs.finder import candidate_generation, feature_inputs, features, scoring
from orgs.finder.cards import is_shared
from orgs.finder.comparison import Asked, Known
from orgs.finder.evaluation import benchmark, fitting
from orgs.finder.evaluation.fitting import Case, Choice
from orgs.text import normalize
from orgs.text.table_files import FileRefused

FOLDS: Final = 5
FALSE_MATCHES: Final = 0.0335  # of the 670 public questions without an answer: 22
BEST_SURE: Final = 0.9984
SIBLINGS_MARKED: Final = 0.024
# How much what is made counts beside the questions themselves. Organizations that were left out of the directory as it
# was loaded and are asked for; for the mark, the right one taken out of what was found; and
# questions asked again from free mail.
OUT: Final = {  # by whether it is in another script, and from free mail
    (True, True): 0.055,
    (True, False): 0.03,
    (False, True): 0.08,
    (False, False): 0.02,
}
OUT_QUESTIONS: Final = 4000
OUT_FOR_THE_MARK: Final = 0.1
FREE_MAIL: Final = 0.1
# Names with their spaces elsewhere, with and without a typing error: see benchmark.questions_by_spacing.
SPACING: Final = 0.1
SPACINGS: Final = 1200
# The public questions never contain a name that the directory has as another name: without such questions the ranker
# would learn that the same name speaks against an organization. Made from the directory itself.
OTHER_NAME: Final = 0.15
OTHER_NAMES: Final = 6000
SIBLING: Final = 3.0
# Whatever the questions say: a name that is nearer speaks for an organization.
NEVER_AGAINST: Final = frozenset({"name_same", "same_words", "edits"})
# Where the mark may begin.
MARKS: Final = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99, 0.993, 0.995, 0.998)
_TRAINED_ON: Final = 12  # candidates of a question

Described = list[tuple[Known, dict[str, float]]]


@dataclass
class Example:
    """One question, looked up and described: as it is, and what is made from it."""

    question: benchmark.Question
    right: int  # primary key, 0 where the organization is not there
    fold: int
    sibling: bool
    asked: Asked
    found: Described
    free: Described  # asked from free mail

    @property
    def out(self) -> Described:
        """What is found with the right one taken out of the directory."""
        return [(known, values) for known, values in self.found if known.pk != self.right] if self.right else []


class Command(BaseCommand):
    """Looks every question up, fits out of fold, fixes the thresholds, and fits once more on everything."""

    help = "Fit the organization finder's weights and thresholds on questions with known answers (some minutes)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The files that bench_matching takes, and where to write."""
        parser.add_argument("--organizations", type=Path, required=True)
        parser.add_argument("--other-names", type=Path, required=True)
        parser.add_argument("--queries", type=Path, required=True)
        parser.add_argument("--siblings", type=Path, required=True)
        parser.add_argument("--output", type=Path, default=scoring.WEIGHTS)

    def handle(self, **options: Any) -> None:
        """Fit, or say which file can't be read."""
        try:
            self._fit(**options)
        except FileRefused as error:
            raise CommandError(str(error)) from error

    def _fit(self, **options: Any) -> None:
        with benchmark.own_schema():
            directory = benchmark.load(options["organizations"], options["other_names"])
            self.stderr.write("Looking up …")
            examples = [
                *(look_up(question, directory) for question in benchmark.questions(options["queries"])),
                *(look_up(question, directory, sibling=True) for question in benchmark.questions(options["siblings"])),
            ]
            made = benchmark.questions_by_other_name(options["organizations"], options["other_names"], OTHER_NAMES)
            by_other_name = [look_up(question, directory, also_free=False) for question in made]
            made = benchmark.questions_by_spacing(options["organizations"], SPACINGS)
            by_spacing = [look_up(question, directory, also_free=False) for question in made]
        out = self._taken_out(**options)
        self.stderr.write("Fitting …")
        some = (examples, by_other_name, by_spacing, out)
        with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=django.setup) as pool:
            of_folds = list(pool.map(_fit, *([_without(fold, each) for fold in range(FOLDS)] for each in some)))
            ranker, gate, marks = pool.submit(_fit, *some).result()
        judged = [judge(example, *of_folds[example.fold]) for example in examples]
        shown_from = threshold(judged)
        best_from = mark(judged, shown_from)
        write(options["output"], {"ranker": ranker, "gate": gate, "mark": marks}, shown_from, best_from)
        figures = report(judged, shown_from, best_from)
        for title, free in (("r_at_1_by_other_name", False), ("r_at_1_by_other_name_free_mail", True)):
            asked = [each for each in by_other_name if bool(each.asked.domain) != free]
            ranked = [scoring.rank(each.found, of_folds[each.fold][0]) for each in asked]
            figures[title] = _share([_is_first(each.right, found) for each, found in zip(asked, ranked, strict=True)])
        figures |= report_taken_out([judge_out(each, *of_folds[each.fold][:2]) for each in out], shown_from)
        spaced = [judge(each, *of_folds[each.fold]) for each in by_spacing]
        figures["r_at_5_by_spacing"] = report(spaced, shown_from, best_from)["r_at_5"]
        self.stdout.write(json.dumps(figures, indent=2))

    def _taken_out(self, **options: Any) -> list[Example]:
        """Questions for organizations that a second directory was loaded without: its words don't know them either."""
        files = (options["organizations"], options["other_names"])
        questions = benchmark.questions(options["queries"])
        out = benchmark.taken_out(questions, files[0])
        made = benchmark.questions_taken_out(questions, *files, out, OUT_QUESTIONS)
        with benchmark.own_schema():
            directory = benchmark.load(*files, without=out)
            return [look_up(question, directory, also_free=False) for question in made]


def look_up(
    question: benchmark.Question, directory: benchmark.Directory, *, sibling: bool = False, also_free: bool = True
) -> Example:
    """Ask the database, and describe what was found, ``also_free`` as from free mail too."""
    domain = normalize.email_domain(question.email)
    looked_up = candidate_generation.make_question(
        normalize.email_key(question.email), "" if is_shared(domain) else domain, question.name
    )
    found, slots = candidate_generation.generate_candidates(looked_up)
    asked = feature_inputs.question_input(looked_up, slots)
    known = [feature_inputs.organization_input(each) for each in found.values()]
    by_name = [each for each in known if each.by_words or any(arm == "name" for arm, _detail in found[each.pk].ties)]
    right = directory.pks.get(question.expected, 0)
    free = dataclasses.replace(asked, domain="", registrable="", label="", country="")
    return Example(
        question=question,
        right=right,
        fold=int(hashlib.md5((question.expected or question.email + question.name).encode()).hexdigest(), 16) % FOLDS,  # noqa: S324
        sibling=sibling,
        asked=asked,
        found=features.describe(asked, known),
        free=features.describe(free, by_name) if also_free and right and asked.domain else [],
    )


def _without(fold: int, examples: Sequence[Example]) -> list[Example]:
    return [each for each in examples if each.fold != fold]


def _fit(
    examples: Sequence[Example],
    by_other_name: Sequence[Example],
    by_spacing: Sequence[Example],
    out: Sequence[Example],
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    fitted = [each for each in examples if not each.sibling]
    choices = [
        choice
        for each in fitted
        for choice in (_choice(each.found, each.right, 1.0), _choice(each.free, each.right, FREE_MAIL))
        if choice
    ]
    # For the ranker only: the gate always shows the same name.
    choices += [choice for each in by_other_name if (choice := _choice(each.found, each.right, OTHER_NAME))]
    choices += [choice for each in by_spacing if (choice := _choice(each.found, each.right, SPACING))]
    ranker = fitting.fit_ranker(choices, never_against=NEVER_AGAINST)
    cases: list[Case] = []
    for each in fitted:
        cases += _cases(each.asked, each.found, ranker, each.right, 1.0)
    for each in by_spacing:
        cases += _cases(each.asked, each.found, ranker, each.right, SPACING)
    for each in out:
        cases += _cases(each.asked, each.found, ranker, 0, OUT[each.asked.is_native, not each.asked.domain])
    marked = [
        case
        for each in examples
        for case in (
            *_first(each.asked, each.found, ranker, each.right, SIBLING if each.sibling else 1.0),
            *_first(each.asked, each.out, ranker, 0, OUT_FOR_THE_MARK),
        )
    ]
    return ranker, fitting.fit_gate(cases), fitting.fit_gate(marked)


def _first(asked: Asked, described: Described, ranker: Mapping[str, float], right: int, counts: float) -> list[Case]:
    ranked = scoring.rank(described, ranker)
    if not ranked:
        return []
    return [Case(scoring.mark_features(asked, ranked), _is_first(right, ranked), counts)]


def _is_first(right: int, ranked: Sequence[scoring.Scored]) -> bool:
    """Whether the right one is there and comes first."""
    return bool(ranked) and ranked[0].known.pk == right


def _choice(described: Described, right: int, counts: float) -> Choice | None:
    place = next((place for place, (known, _features) in enumerate(described) if known.pk == right), None)
    if place is None:
        return None
    rows = [values for _known, values in described]
    others = [values for at, values in enumerate(rows) if at != place][: _TRAINED_ON - 1]
    return Choice([rows[place], *others], 0, counts)


def _cases(asked: Asked, described: Described, ranker: Mapping[str, float], right: int, counts: float) -> list[Case]:
    ranked = scoring.rank(described, ranker)
    if not ranked or any(each.tied for each in ranked):
        return []
    show = bool(right) and any(each.known.pk == right for each in ranked[:5])
    return [Case(scoring.gate_features(asked, ranked), show, counts)]


@dataclass
class Judged:
    """What weights that never saw the question make of it."""

    example: Example
    ranked: list[scoring.Scored]
    shown: float
    right: float  # how likely the first one is


@dataclass
class JudgedOut:
    """What weights that never saw the question make of one whose organization was left out of the directory."""

    native: bool
    free: bool
    shown: float
    tied: bool  # another organization has the domain: showing it is right


def judge(
    example: Example, ranker: Mapping[str, float], gate: Mapping[str, float], marks: Mapping[str, float]
) -> Judged:
    """Rank and gate an example, and what is made from it."""
    ranked = scoring.rank(example.found, ranker)
    return Judged(
        example,
        ranked,
        scoring.shown(example.asked, ranked, gate),
        scoring.is_right(example.asked, ranked, marks),
    )


def judge_out(example: Example, ranker: Mapping[str, float], gate: Mapping[str, float]) -> JudgedOut:
    """Rank and gate a question whose organization was left out."""
    ranked = scoring.rank(example.found, ranker)
    tied = any(each.tied for each in ranked)
    return JudgedOut(
        example.asked.is_native, not example.asked.domain, scoring.shown(example.asked, ranked, gate), tied
    )


def report_taken_out(judged: Sequence[JudgedOut], shown_from: float) -> dict[str, float]:
    """How many of those whose organization was left out are shown others, by script and by mail."""
    groups = (("other_script", True), ("latin", False))
    mails = (("free_mail", True), ("own_domain", False))
    return {
        f"{script}_taken_out_{mail}_shown": _share(
            [each.shown >= shown_from for each in judged if (each.native, each.free) == kind and not each.tied]
        )
        for script, native in groups
        for mail, free in mails
        if (kind := (native, free))
    }


def threshold(judged: Sequence[Judged]) -> float:
    """The lowest cut of the gate that keeps false matches at the goal."""
    none = sorted((each.shown for each in judged if not each.example.right and not each.example.sibling), reverse=True)
    cut = none[int(len(none) * FALSE_MATCHES)] + 1e-4 if none else 0.5
    return round(max(cut, 0.05), 4)


def mark(judged: Sequence[Judged], shown_from: float) -> float:
    """How likely the first one must be right to be marked, for most marks at the goal's precision."""
    best, best_share = 0.9999, 0.0
    for sure in MARKS:
        share, precision, siblings = _marks(judged, shown_from, sure)
        if precision >= BEST_SURE and siblings <= SIBLINGS_MARKED and share > best_share:
            best, best_share = sure, share
    return best


def _marks(judged: Sequence[Judged], shown_from: float, sure: float) -> tuple[float, float, float]:
    answerable = [each for each in judged if each.example.right]
    marked = [each for each in answerable if each.right >= sure and each.shown >= shown_from]
    right = sum(_is_first(each.example.right, each.ranked) for each in marked)
    siblings = [each.right >= sure for each in judged if each.example.sibling]
    return (
        len(marked) / max(len(answerable), 1),
        right / max(len(marked), 1),
        sum(siblings) / max(len(siblings), 1),
    )


def _share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / max(len(flags), 1), 4)


def report(judged: Sequence[Judged], shown_from: float, sure: float) -> dict[str, Any]:
    """The out-of-fold figures."""
    answerable = [each for each in judged if each.example.right]
    none = [each for each in judged if not each.example.right and not each.example.sibling]
    siblings = [each for each in judged if each.example.sibling]

    def right_in(first: int, each: Judged) -> bool:
        pks = [scored.known.pk for scored in each.ranked[:first]]
        return each.shown >= shown_from and each.example.right in pks

    marks = _marks(judged, shown_from, sure)
    return {
        "r_at_1": _share([right_in(1, each) for each in answerable]),
        "r_at_5": _share([right_in(5, each) for each in answerable]),
        "r_at_1_without_gate": _share([_is_first(each.example.right, each.ranked) for each in answerable]),
        "false_match_rate": _share([each.shown >= shown_from for each in none]),
        "siblings_listed": _share([each.shown >= shown_from for each in siblings]),
        "best_match_share": round(marks[0], 4),
        "best_match_precision": round(marks[1], 4),
        "siblings_best_match": round(marks[2], 4),
        "thresholds": {"shown_from": shown_from, "best_from": sure},
    }


def write(path: Path, fitted: Mapping[str, Mapping[str, float]], shown_from: float, best_from: float) -> None:
    """Write the weights, heaviest first, so that a person can read what counts."""
    lines = ["# Made by: manage.py fit_matching. What each feature means: orgs/features.py.", "", "[thresholds]"]
    lines += [f"shown_from = {shown_from}", f"best_from = {best_from}"]
    for title, weights in fitted.items():
        lines += ["", f"[{title}]"]
        lines += [
            f"{name} = {value:.4f}"
            for name, value in sorted(weights.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
        ]
    path.write_text("\n".join(lines) + "\n")
