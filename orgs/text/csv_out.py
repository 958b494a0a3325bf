"""Writes CSV for spreadsheets: the one function for every CSV file that the product hands out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK: Final = "\ufeff"


class _Echo:
    """A file whose ``write`` returns the text, so that rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def safe_cell(value: object) -> object:
    """Return the value; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    See OWASP, *CSV injection*. Numbers stay numbers, also negative ones; None is an empty cell.
    """
    text = value if isinstance(value, str) else str(value) if not isinstance(value, int | float | None) else None
    return f"'{text}" if text is not None and text.startswith(_FORMULA) else value


def csv_lines(columns: Iterable[str], rows: Iterable[Iterable[object]], *, mark: bool = False) -> Iterator[str]:
    """Yield the lines of a CSV file, each with its line end: the names of the columns, then the rows.

    Texts are in quotes, so that a separator of another country's spreadsheet doesn't split a cell.

    :param mark: whether the file begins with a byte order mark, by which Excel knows UTF-8. For files that people
        download; programs that read a stream do without it.
    """
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_NONNUMERIC)
    if mark:
        yield BYTE_ORDER_MARK
    yield writer.writerow([safe_cell(name) for name in columns])
    for row in rows:
        yield writer.writerow([safe_cell(cell) for cell in row])
