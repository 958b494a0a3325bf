"""Lists a page at a time, by a cursor that stays right while rows are added; and ``expand``."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _
from ninja import Schema
from pydantic import Field, StringConstraints

from provisioning.api.errors import Problem

_NOT_A_CURSOR = _("This is no cursor: send what “next_cursor” of the page before said.")
_NOT_EXPANDABLE = _("Only these can be expanded: %(names)s.")

Cursor = Annotated[
    str,
    StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9_-]*$"),
    Field(description="`next_cursor` of the page before; none for the first page."),
]
Limit = Annotated[int, Field(ge=1, le=200, description="At most so many rows.")]
Expand = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[a-z_,]*$"),
    Field(description="What to include, with commas between the names."),
]


class Paging(Schema):
    """The parameters of a list. Other filters are subclasses."""

    cursor: Cursor = ""
    limit: Limit = 50


def page_of[T: Model](rows: QuerySet[T], paging: Paging, *, newest_first: bool = True) -> tuple[list[T], str | None]:
    """Return a page of rows by primary key, and the cursor of the next page or None.

    :raises Problem: the cursor is none.
    """
    after = position_of(paging.cursor)
    if after is not None:
        rows = rows.filter(pk__lt=after) if newest_first else rows.filter(pk__gt=after)
    found = list(rows.order_by("-pk" if newest_first else "pk")[: paging.limit + 1])
    page = found[: paging.limit]
    return page, cursor_of(page[-1].pk) if len(found) > paging.limit else None


def cursor_of(position: int) -> str:
    """Return the cursor of what comes after the row with this primary key."""
    return base64.urlsafe_b64encode(f"v1.{position}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> int | None:
    """Return the primary key that a cursor stands for; None for "". Raises Problem where it is none."""
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    version, _dot, position = text.partition(".")
    if version != "v1" or not position.isascii() or not position.isdecimal() or int(position) >= 2**63:
        raise Problem("not-valid", errors=[{"parameter": "cursor", "detail": str(_NOT_A_CURSOR)}])
    return int(position)


def expanded(expand: str, known: frozenset[str]) -> frozenset[str]:
    """Return the names of ``expand``. Raises Problem where one isn't among the known ones."""
    names = frozenset(expand.split(",")) - {""}
    if names - known:
        detail = str(_NOT_EXPANDABLE) % {"names": ", ".join(sorted(known))}
        raise Problem("not-valid", errors=[{"parameter": "expand", "detail": detail}])
    return names
