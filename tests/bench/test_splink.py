"""Splink beside the finder, where it is installed (tests/bench/requirements.txt)."""

from __future__ import annotations

import pytest

from tests.measuring import Bench, bench

__all__ = ["bench"]

pytestmark = pytest.mark.django_db


def test_splink_links_the_questions(bench: Bench) -> None:
    peers, said = bench("--peers")
    assert "left out" not in said
    everything = peers["Splink, all that it links"]
    at_threshold = peers["Splink, from a match probability of 0.1"]
    assert everything["r_at_5"] >= everything["r_at_1"] >= at_threshold["r_at_1"] > 0.6
    assert at_threshold["false_match_rate"] <= everything["false_match_rate"]
    assert everything["latency_ms"]["batch"] > 0
    measured, _said = bench("--scale", "500", "--json")
    assert measured["latency_ms"]["Splink"]["questions"] == 340
