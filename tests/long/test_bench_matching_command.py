"""Measuring the finder: every peer has its row, and what cannot be compared is left out with a sentence."""

from __future__ import annotations

import sys

import pytest

from tests.measuring import Bench, bench

__all__ = ["bench"]

pytestmark = pytest.mark.django_db


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
