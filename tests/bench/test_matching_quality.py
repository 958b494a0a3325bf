"""How good the finder is on the public questions, at the product's own thresholds. Asked for by path: some minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orgs.finder.evaluation import benchmark
from orgs.text import normalize

# Without it there would be no database of the tests' own (the fixture below opens it for all of them at once).
pytestmark = pytest.mark.django_db

HERE = Path(__file__).parent
SAMPLE = HERE.parent.parent / "provisioning" / "local" / "demo" / "data"


@pytest.fixture(scope="module")
def figures(django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    """The figures of one run."""
    with django_db_blocker.unblock(), benchmark.own_schema():
        directory = benchmark.load(SAMPLE / "orgs.csv.xz", SAMPLE / "known_aliases.csv.xz")
        answers = benchmark.answer(directory, benchmark.questions(HERE / "data" / "queries_dev.csv.xz"))
        siblings = benchmark.answer(directory, benchmark.questions(HERE / "data" / "siblings_dev.csv.xz"))
        return benchmark.figures(answers, siblings)


@pytest.fixture(scope="module")
def spaced(django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    """The figures of names whose spaces are elsewhere, one in three with a typing error."""
    with django_db_blocker.unblock(), benchmark.own_schema():
        directory = benchmark.load(SAMPLE / "orgs.csv.xz", SAMPLE / "known_aliases.csv.xz")
        asked = benchmark.questions_by_spacing(SAMPLE / "orgs.csv.xz", 1200)
        return benchmark.figures(benchmark.answer(directory, asked))


@pytest.fixture(scope="module")
def taken_out(django_db_setup: None, django_db_blocker: Any) -> dict[bool, float]:
    """The share of questions from free mail that are shown others, where their organization was never loaded."""
    files = (SAMPLE / "orgs.csv.xz", SAMPLE / "known_aliases.csv.xz")
    questions = benchmark.questions(HERE / "data" / "queries_dev.csv.xz")
    out = benchmark.taken_out(questions, files[0])
    made = benchmark.questions_taken_out(questions, *files, out, 4000)
    with django_db_blocker.unblock(), benchmark.own_schema():
        directory = benchmark.load(*files, without=out)
        answers = benchmark.answer(directory, [each for each in made if each.email.endswith("@gmail.com")])
    native = [bool(each.shown) for each in answers if normalize.is_native(each.question.name)]
    latin = [bool(each.shown) for each in answers if not normalize.is_native(each.question.name)]
    return {True: sum(native) / len(native), False: sum(latin) / len(latin)}


@pytest.mark.parametrize(
    ("figure", "least"),
    [("r_at_1", 0.92), ("r_at_5", 0.935), ("best_match_share", 0.70), ("best_match_precision", 0.998),
     ("siblings_listed", 0.99)],
)  # fmt: skip
def test_figure_is_at_least(figures: dict[str, Any], figure: str, least: float) -> None:
    assert figures[figure] >= least


@pytest.mark.parametrize(("figure", "most"), [("false_match_rate", 0.035), ("siblings_best_match", 0.03)])
def test_figure_is_at_most(figures: dict[str, Any], figure: str, most: float) -> None:
    assert figures[figure] <= most


def test_names_written_together_or_apart_are_found(spaced: dict[str, Any]) -> None:
    assert spaced["r_at_5"] >= 0.88


@pytest.mark.parametrize(("native", "most"), [(True, 0.06), (False, 0.12)])
def test_organizations_that_are_not_there_are_seldom_taken_for_others(
    taken_out: dict[bool, float], native: bool, most: float
) -> None:
    assert taken_out[native] <= most
