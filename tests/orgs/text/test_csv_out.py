"""CSV files that people open in a spreadsheet: no cell is a formula, and each cell stays one cell."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import pytest

from orgs.text.csv_out import csv_lines
from orgs.text.table_files import TableFile


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+49 30 1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "＋1",
        "－1",
        "＠A1",
        '=HYPERLINK("x";"y")',
    ],
)
def test_a_text_that_begins_like_a_formula_is_shown_as_text(text: str) -> None:
    [names, row] = list(csv.reader(csv_lines([text], [[text]])))
    assert names == row == [f"'{text}"]


def test_other_cells_are_as_they_are_and_can_be_read_back(tmp_path: Path) -> None:
    day = datetime.date(2026, 12, 24)
    rows = [[-5, "a;b,c", 'He said "no"', None, day], [2.5, "Größe =1", "a-b", "", "x@y.example"]]
    text = "".join(csv_lines(["amount", "one", "two", "three", "four"], rows, mark=True))
    assert '"a;b,c"' in text  # a spreadsheet that separates by semicolons keeps the cell whole
    path = tmp_path / "out.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with TableFile(path, others=True) as table:
        assert [list(row.values()) for _line, row in table] == [
            ["-5", "a;b,c", 'He said "no"', "", "2026-12-24"],
            ["2.5", "Größe =1", "a-b", "", "x@y.example"],
        ]
