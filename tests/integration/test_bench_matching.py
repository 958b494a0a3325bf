"""Measuring the finder: every peer has its row, and what cannot be compared is left out with a sentence."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from orgs import benchmark

pytestmark = pytest.mark.django_db

SAMPLE = settings.BASE_DIR / "provisioning" / "local" / "data"
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


@pytest.fixture
def no_splink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which Splink is not installed."""
    monkeypatch.setitem(sys.modules, "splink", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)


@pytest.mark.usefixtures("no_splink")
def test_peers_have_their_rows_and_a_missing_splink_is_said(bench: Bench) -> None:
    peers, said = bench("--peers")
    assert list(peers) == [
        "the older rule alone",
        "trigram, nearest five names",
        "rapidfuzz (token_sort_ratio) over all names",
        "domain and trigram together, rescored",
    ]
    together = peers["domain and trigram together, rescored"]
    assert together["r_at_1"] > peers["trigram, nearest five names"]["r_at_1"] > 0.5
    assert together["r_at_1"] >= together["r_at_1_cut"] > peers["trigram, nearest five names"]["r_at_1_cut"]
    assert together["false_match_rate"] == 1.0
    assert said.startswith("Splink is left out: it is not installed")
    assert "tests/bench/requirements.txt" in said


@pytest.mark.usefixtures("no_splink")
def test_speed_of_the_peers_is_measured_in_the_same_run(bench: Bench) -> None:
    measured, said = bench("--scale", "500", "--json")
    times = measured["latency_ms"]
    assert {"finder, whole call", "SELECT by primary key", "trigram, nearest five", "rapidfuzz over all names"} < set(
        times
    )
    assert 0 < times["domain and trigram, rescored"]["p50"] <= times["domain and trigram, rescored"]["p99"]
    assert "Splink" not in times
    assert said.count("Splink is left out") == 1


def test_splink_links_the_questions_where_it_is_installed(bench: Bench) -> None:
    pytest.importorskip("splink", reason="Splink is not installed (tests/bench/requirements.txt)")
    peers, said = bench("--peers")
    assert "left out" not in said
    everything = peers["Splink, all that it links"]
    at_threshold = peers["Splink, from a match probability of 0.1"]
    assert everything["r_at_5"] >= everything["r_at_1"] >= at_threshold["r_at_1"] > 0.6
    assert at_threshold["false_match_rate"] <= everything["false_match_rate"]
    assert everything["latency_ms"]["batch"] > 0
    measured, _said = bench("--scale", "500", "--json")
    assert measured["latency_ms"]["Splink"]["questions"] == 340
