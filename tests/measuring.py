"""Runs bench_matching on some hundred real organizations: what the tests of measuring share."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from orgs.finder.evaluation import benchmark

SAMPLE = settings.BASE_DIR / "provisioning" / "local" / "demo" / "data"
QUESTIONS = settings.BASE_DIR / "tests" / "bench" / "data" / "queries_dev.csv.xz"

Bench = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run bench_matching on 400 real organizations and the questions about them; what it prints, what it says."""
    organizations = list(benchmark.read(SAMPLE / "orgs.csv.xz"))
    asked = [row for row in benchmark.read(QUESTIONS) if not row["expected_org_id"]][:40]
    wanted = [row for row in benchmark.read(QUESTIONS) if row["expected_org_id"]][:300]
    ids = {row["expected_org_id"] for row in wanted}
    kept = [row for row in organizations if row["org_id"] in ids]
    kept += [row for row in organizations if row["org_id"] not in ids][:100]
    for name, rows in (("organizations", kept), ("questions", wanted + asked)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def run(*more: str) -> tuple[dict[str, Any], str]:
        out, err = StringIO(), StringIO()
        files = ["--organizations", f"{tmp_path}/organizations.csv", "--queries", f"{tmp_path}/questions.csv"]
        call_command("bench_matching", *files, *more, stdout=out, stderr=err)
        return json.loads(out.getvalue()), err.getvalue()

    return run
