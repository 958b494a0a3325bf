"""The types of what the API takes and answers. Every text and number is bounded, so that the database can keep it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from django.conf import settings
from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from subscriptions.actions import end_of_day

# Text without NUL, which PostgreSQL can't keep. Halves of characters are refused by the parser of the body.
Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
Short = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
# As the addresses of pages have it.
OrderNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9])?$")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


# Of answers: RFC 3339 in UTC, with a Z.
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Strict(Schema):
    """A body: exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


_EARLIEST, _LATEST = 1900, 9000  # years: within them, no zone leads out of what PostgreSQL and Python know


def _as_moment(value: object, *, end: bool = False) -> datetime:
    """Return the moment of an RFC 3339 date-time, or of a day in the vendor's time zone: its beginning, or its end."""
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError(_NO_MOMENT)
    try:
        found = datetime.fromisoformat(value)
        day = date.fromisoformat(value) if len(value) == 10 else None
    except ValueError as error:
        raise ValueError(_NO_MOMENT) from error
    if not _EARLIEST <= found.year <= _LATEST or (day is None and found.tzinfo is None):
        raise ValueError(_NO_MOMENT)
    if day is None:
        return found
    return end_of_day(day) if end else datetime.combine(day, time(), ZoneInfo(settings.TIME_ZONE))


_NO_MOMENT = "Enter a date such as 2026-12-24, or a time with its offset such as 2026-12-24T17:00:00Z."
_SCHEMA = WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]})
DayOrMoment = Annotated[datetime, BeforeValidator(_as_moment), _SCHEMA]
EndOfDayOrMoment = Annotated[datetime, BeforeValidator(partial(_as_moment, end=True)), _SCHEMA]
