"""The types of what the API takes and answers. Every text and number is bounded, so that the database can keep it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

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
