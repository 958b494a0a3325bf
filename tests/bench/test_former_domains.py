"""What knowing former domains is worth, on the public questions that are asked from one. By path: a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orgs.finder.evaluation import benchmark
from orgs.models import Domain

# Without it there would be no database of the tests' own (the fixture below opens it for all of them at once).
pytestmark = pytest.mark.django_db

HERE = Path(__file__).parent
SAMPLE = HERE.parent.parent / "provisioning" / "local" / "demo" / "data"


@pytest.fixture(scope="module")
def figures(django_db_setup: None, django_db_blocker: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of the questions from an old domain without former domains, and with them as data."""
    asked = [each for each in benchmark.questions(HERE / "data" / "queries_dev.csv.xz")
             if each.email_kind == "old-domain"]  # fmt: skip
    with django_db_blocker.unblock(), benchmark.own_schema():
        directory = benchmark.load(SAMPLE / "orgs.csv.xz", SAMPLE / "known_aliases.csv.xz")
        before = benchmark.figures(benchmark.answer(directory, asked))
        for pk, name in {(directory.pks[each.expected], each.email.rpartition("@")[2]) for each in asked}:
            Domain(organization_id=pk, name=name, status=Domain.Status.FORMER).save()
        after = benchmark.figures(benchmark.answer(directory, asked))
    return before, after


def test_organization_whose_former_domain_is_known_is_among_the_first_five(figures: Any) -> None:
    _before, after = figures
    assert after["r_at_5"] == 1.0


def test_organization_whose_former_domain_is_known_comes_first(figures: Any) -> None:
    before, after = figures
    assert after["r_at_1"] >= 0.95 > before["r_at_1"]


def test_former_domain_gives_no_mark(figures: Any) -> None:
    before, after = figures
    assert after["best_match_share"] <= before["best_match_share"]
