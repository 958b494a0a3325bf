"""The building blocks of an order summary (sections, rows, tables), and localized dates and numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import formats
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from subscriptions.rules import time_zones

Kind = Literal["text", "number", "email", "url", "time", "flag"]
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


@dataclass(frozen=True)
class Row:
    """A term and its value; a value of several lines (an address) has line breaks in it."""

    term: str
    value: str
    kind: Kind = "text"

    @property
    def lines(self) -> tuple[str, ...]:
        """The value, line by line."""
        return tuple(self.value.split("\n"))

    @property
    def parts(self) -> tuple[str, str]:
        """An email address in two parts, between which a line may end."""
        local, at, domain = self.value.rpartition("@")
        return local + at, domain


class Cell(NamedTuple):
    """One value of a table, what its column holds, and what that is called."""

    value: str
    kind: Kind
    head: str


@dataclass(frozen=True)
class Table:
    """Things to compare; ``total`` is a last row, or empty. ``kinds`` says what each column holds."""

    caption: str
    head: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] = ()

    @property
    def head_cells(self) -> tuple[Cell, ...]:
        """The head, each cell with its kind."""
        return self._cells(self.head)

    @property
    def cells(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows, each cell with its kind."""
        return tuple(self._cells(row) for row in self.rows)

    @property
    def total_cells(self) -> tuple[Cell, ...]:
        """The last row, each cell with its kind."""
        return self._cells(self.total)

    def _cells(self, row: tuple[str, ...]) -> tuple[Cell, ...]:
        return tuple(Cell(*cell) for cell in zip(row, self.kinds, self.head, strict=bool(row)))


@dataclass(frozen=True)
class Section:
    """One heading with rows, sentences or a table below it; ``key`` names it for templates and tests."""

    key: str
    title: str
    rows: tuple[Row, ...] = ()
    sentences: tuple[str, ...] = ()
    table: Table | None = None


def moment(at: datetime, time_zone: str) -> str:
    """A moment as people write it, such as "21 November 2026, 14:05 CET"; the offset where a zone has no short name."""
    local = at.astimezone(ZoneInfo(time_zone))
    name = local.tzname() or ""
    written = formats.date_format(local, _("j F Y, H:i"))
    return f"{written} {name if name.isalpha() else time_zones.offset(time_zone, at)}"


def day(at: datetime, time_zone: str) -> str:
    """A day as people write it, such as "21 November 2026"."""
    return formats.date_format(at.astimezone(ZoneInfo(time_zone)), _("j F Y"))


def isolate_direction(name: str) -> str:
    """The name so that a sentence around it keeps its order: names written right to left are set apart (UAX #9)."""
    return f"\u2068{name}\u2069" if _RIGHT_TO_LEFT.search(name) else name


def number(amount: int) -> str:
    """A number as people write it, such as "1,250"."""
    return formats.number_format(amount, use_l10n=True, force_grouping=True)


def language() -> str:
    """The language that is active, by its code."""
    return get_language() or settings.LANGUAGE_CODE
