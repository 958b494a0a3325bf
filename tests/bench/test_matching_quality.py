"""How good the finder is on the public questions, at the product's own thresholds. Asked for by path: some minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orgs.finder.evaluation import benchmark

# Without it there would be no database of the tests' own (the fixture below opens it for all of them at once).
pytestmark = pytest.mark.django_db

HERE = Path(__file__).parent
SAMPLE = HERE.parent.parent / "provisioning" / "local" / "data"


@pytest.fixture(scope="module")
def figures(django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    """The figures of one run."""
    with django_db_blocker.unblock(), benchmark.own_schema():
        directory = benchmark.load(SAMPLE / "orgs.csv.xz", SAMPLE / "known_aliases.csv.xz")
        answers = benchmark.answer(directory, benchmark.questions(HERE / "data" / "queries_dev.csv.xz"))
        siblings = benchmark.answer(directory, benchmark.questions(HERE / "data" / "siblings_dev.csv.xz"))
        return benchmark.figures(answers, siblings)


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
