"""The chart and the tables show what was measured, and nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from orgs.finder.evaluation import chart

TIMES = {"p50": 0.5, "p95": 6.0, "p99": 20.0}
FINDER = {"finder, whole call": TIMES, "finder, in the database": TIMES}
SMALL = {"organizations": 100_000, "latency_ms": FINDER}
LARGE = {
    "organizations": 1_000_000,
    "latency_ms": {
        **FINDER,
        "trigram, nearest five": {"p50": 400.0, "p95": 900.0, "p99": 990.0},
        "Splink": {"batch": 31.4, "questions": 1000},
    },
}
QUALITY = {"r_at_1": 0.92, "r_at_5": 0.935, "false_match_rate": 0.034}


def test_chart_has_a_row_for_every_size_and_every_peer_and_dark_colours() -> None:
    drawn = chart.svg([LARGE, SMALL])
    root = ElementTree.fromstring(drawn)  # noqa: S314 — our own
    assert len(re.findall(r"<circle", drawn)) == 6
    assert "prefers-color-scheme:dark" in drawn
    assert root.get("viewBox", "").startswith("0 0 390 ")
    assert ">31 (batch of 1,000)<" in drawn
    assert drawn.index("100,000") < drawn.index("whole call, 1,000,000") < drawn.index(">trigram")


def test_no_line_of_the_chart_crosses_a_word() -> None:
    drawn = chart.svg([LARGE, SMALL])
    lines = {
        float(y) for path in re.findall(r'class="grid" d="([^"]+)"', drawn) for y in re.findall(r"M\S+ (\S+?)v", path)
    }
    words = {float(y) for y in re.findall(r'<text x="\S+" y="(\S+?)"', drawn)}
    assert lines
    assert not [(line, word) for line in lines for word in words if line - 3 < word < line + 12 + 9]


def test_tables_have_the_measured_figures() -> None:
    peer = {"r_at_1": 0.5, "r_at_5": 0.6, "false_match_rate": 1.0, "r_at_1_cut": 0.41}
    text = chart.markdown(QUALITY, {"another": peer}, [LARGE, SMALL])
    assert "| this finder, at its own thresholds | .920 | .935 | 3.4 % | .920 |" in text
    assert "| another | .500 | .600 | 100.0 % | .410 |" in text
    assert "| milliseconds: p50 / p95 / p99 | 100,000 | 1,000,000 |" in text
    assert "| trigram, nearest five | – | 400 / 900 / 990 |" in text
    assert "| Splink | – | 31 (batch of 1,000) |" in text
