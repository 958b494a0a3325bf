"""The chart and the tables show what was measured."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

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


def test_figures_of_the_finders_readme_are_the_measured_ones(tmp_path: Path) -> None:
    measured = settings.BASE_DIR / "tests" / "bench" / "measured"
    readme = settings.BASE_DIR / "orgs" / "finder" / "README.md"
    shutil.copytree(measured, tmp_path / "measured")
    before, _marked, after = re.split(r"(<!-- measured -->\n.*<!-- /measured -->)", readme.read_text(), flags=re.S)
    (tmp_path / "README.md").write_text(f"{before}<!-- measured -->\nold\n<!-- /measured -->{after}")
    call_command("chart_matching", measured=tmp_path / "measured", readme=tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == readme.read_text()
    assert (tmp_path / "measured" / "matching.svg").read_text() == (measured / "matching.svg").read_text()


def test_chart_command_names_the_measured_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"peers\.json"):
        call_command("chart_matching", measured=tmp_path, readme=tmp_path / "README.md")
