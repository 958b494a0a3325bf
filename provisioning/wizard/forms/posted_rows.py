"""The posted fields of a formset: count its rows, add one, remove one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict

MAX_ROWS = 100  # rows that are read of what was posted


def row_count(data: Mapping[str, Any], prefix: str) -> int:
    """Return how many rows were posted: by TOTAL_FORMS, or by the fields' names where that is no small number."""
    total = data.get(f"{prefix}-TOTAL_FORMS")
    if re.fullmatch(r"[0-9]{1,3}", str(total)):
        return int(str(total))
    pattern = re.compile(rf"{re.escape(prefix)}-([0-9]{{1,3}})-")
    return max((int(match[1]) + 1 for name in data if (match := pattern.match(name))), default=0)


def with_row_count(data: Any, prefix: str, count: int) -> Any:
    """Return a copy of the posted data (a QueryDict or dict) that says it has so many rows."""
    copied = data.copy()
    copied[f"{prefix}-TOTAL_FORMS"], copied[f"{prefix}-INITIAL_FORMS"] = str(count), "0"
    return copied


def with_row_added(
    data: Any, prefix: str, *, defaults: Mapping[str, str] | None = None, most: int = 50
) -> MultiValueDict[str, str]:
    """Return a copy of the posted data with one more row, unless there are ``most`` already.

    ``defaults`` are the new row's values by field name.
    """
    rows = _rows(data, prefix)
    if len(rows) < most:
        rows.append({name: [value] for name, value in (defaults or {}).items()})
    return _with_rows(data, prefix, rows)


def with_row_removed(data: Any, prefix: str, index: Any) -> MultiValueDict[str, str]:
    """Return a copy of the posted data without the row of this index (a number or its digits), the others moved up.

    The last row is emptied rather than removed. An index of no row changes nothing.
    """
    rows = _rows(data, prefix)
    if re.fullmatch(r"[0-9]{1,3}", str(index)) and int(str(index)) < len(rows):
        del rows[int(str(index))]
    return _with_rows(data, prefix, rows or [{}])


def _values(data: Any) -> dict[str, list[Any]]:
    if isinstance(data, MultiValueDict):
        return dict(data.lists())
    return {name: value if isinstance(value, list) else [value] for name, value in data.items()}


def _rows(data: Any, prefix: str) -> list[dict[str, list[Any]]]:
    rows: list[dict[str, list[Any]]] = [{} for _row in range(min(row_count(data, prefix), MAX_ROWS))]
    pattern = re.compile(rf"{re.escape(prefix)}-([0-9]{{1,3}})-(.+)", re.DOTALL)
    for name, values in _values(data).items():
        match = pattern.fullmatch(name)
        if match and int(match[1]) < len(rows):
            rows[int(match[1])][match[2]] = values
    return rows


def _with_rows(data: Any, prefix: str, rows: list[dict[str, list[Any]]]) -> MultiValueDict[str, str]:
    pattern = re.compile(rf"{re.escape(prefix)}-[0-9]+-")
    kept = MultiValueDict({name: values for name, values in _values(data).items() if not pattern.match(name)})
    for index, row in enumerate(rows):
        for name, values in row.items():
            kept.setlist(f"{prefix}-{index}-{name}", values)
    kept[f"{prefix}-TOTAL_FORMS"], kept[f"{prefix}-INITIAL_FORMS"] = str(len(rows)), "0"
    return kept
