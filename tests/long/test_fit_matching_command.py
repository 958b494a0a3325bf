"""``fit_matching`` on small files: it writes weights that the finder can read, and prints figures out of fold."""

from __future__ import annotations

import csv
import json
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from orgs.finder import scoring

pytestmark = pytest.mark.django_db

PLACES = "Aachen Bergen Cadiz Delft Espoo Fulda Gouda Halle Izmir Jena Kassel Lucca Mainz Narva Oslo Porto".split()
TRADES = ("Brewery", "Bakery", "Printing")


def table(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_fit_writes_weights_the_finder_reads_and_prints_figures(tmp_path: Path) -> None:
    there = [(place, trade, f"{place}-{trade}.example".lower()) for place in PLACES for trade in TRADES]
    header = ("query_company_name", "query_email", "expected_org_id", "kind", "email_kind")
    organizations = table(
        tmp_path / "orgs.csv",
        ("org_id", "name", "country", "domain"),
        *((domain, f"{place} {trade}", "", domain) for place, trade, domain in there),
    )
    names = table(
        tmp_path / "names.csv",
        ("org_id", "alias", "provenance"),
        *((domain, f"{place[:2]}{trade[0]} {at}", "trading") for at, (place, trade, domain) in enumerate(there)),
    )
    queries = table(
        tmp_path / "queries.csv",
        header,
        *((f"{place} {trade} GmbH", f"it@{domain}", domain, "legal-suffix", "corp") for place, trade, domain in there),
        *((f"{trade} {place}", "x@gmail.com", domain, "alias", "free") for place, trade, domain in there),
        *((f"{place} Shipyard", "x@gmail.com", "", "none", "free") for place in PLACES),
    )
    siblings = table(
        tmp_path / "siblings.csv", header, ("Aachen Shipyard", "x@aachen-bakery.example", "", "none", "corp")
    )
    out, output = StringIO(), tmp_path / "weights.toml"
    call_command(
        "fit_matching", organizations=organizations, other_names=names, queries=queries, siblings=siblings,
        output=output, stdout=out, stderr=StringIO(),
    )  # fmt: skip
    figures = json.loads(out.getvalue())
    assert figures["r_at_1"] > 0.9
    assert figures["r_at_1_by_other_name"] == 1
    assert figures["false_match_rate"] < 0.1
    assert figures["siblings_listed"] == 1
    fitted = tomllib.loads(output.read_text())
    assert set(fitted) == {"thresholds", "ranker", "gate", "mark"}
    assert fitted["thresholds"] == figures["thresholds"]
    assert set(fitted["ranker"]) == set(scoring.weights().ranker)
    assert min(fitted["ranker"][name] for name in ("name_same", "same_words", "edits")) >= 0
