"""What the API takes and answers, as the OpenAPI document describes it. Unknown fields are refused."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Schema
from ninja.parser import Parser
from pydantic import ConfigDict, Field, StringConstraints

from subscriptions.models import ProvisioningRequest

State = ProvisioningRequest.State
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Id = Annotated[str, StringConstraints(max_length=500)]


class Strict(Schema):
    """An object of exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Running(Strict):
    """The system is at it. The next report comes within ``after`` seconds, or what PROVISIONING_CALLBACK_HOURS says."""

    state: Literal["running"]
    description: Description = Field("", description="What people read of the progress.")
    after: int | None = Field(None, ge=1, le=30 * 24 * 3600, description="Seconds until the next report.")


class Succeeded(Strict):
    """It is set up."""

    state: Literal["succeeded"]
    ids: dict[Name, Id] = Field(default_factory=dict, max_length=20, description="Ids of your system, which are kept.")
    description: Description = ""


class RefusedByPerson(Strict):
    """Something that the person can mend: the step opens again, with the sentence at the field."""

    state: Literal["refused"]
    field: Annotated[str, StringConstraints(pattern=r"^(/[^/]*)*$", max_length=200)] = Field(
        "", description="A JSON pointer (RFC 6901) into the parameters; empty for all of it."
    )
    sentence: Sentence = Field(description="What the person reads.")


class FailedForDesk(Strict):
    """Something that only the order desk can mend."""

    state: Literal["failed"]
    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")] = Field(
        description="Letters, digits, - _ and . in your own words, for reports."
    )
    sentence: Sentence = Field(description="What the order desk reads.")


Report = Annotated[Running | Succeeded | RefusedByPerson | FailedForDesk, Field(discriminator="state")]


class ProblemOfRequest(Schema):
    """Why it was refused, or has failed."""

    code: str
    field: str
    sentence: str


class Request(Schema):
    """A provisioning request as it stands."""

    id: UUID
    order: str
    line: int
    service: str
    product: str
    licenses: int
    state: State
    since: datetime
    description: str
    ids: dict[str, Any]
    problem: ProblemOfRequest | None

    @classmethod
    def of(cls, row: ProvisioningRequest) -> Request:
        """Return a row as the API shows it."""
        problem = ProblemOfRequest(code=row.problem_code, field=row.problem_field, sentence=row.problem)
        return cls(
            id=row.public_id,
            order=row.order.number,
            line=row.line.number,
            service=row.line.service,
            product=row.line.product,
            licenses=row.line.licenses,
            state=State(row.state),
            since=row.state_since,
            description=row.description,
            ids=row.external,
            problem=problem if row.problem_code else None,
        )


class ProblemDetails(Schema):
    """RFC 9457. ``errors`` names the faults of a body, each with a JSON pointer."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class StrictParser(Parser):
    """Reads JSON that means one thing only, and that the database can keep."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the object. Raises ValueError for anything else."""
        found = json.loads(request.body.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        json.dumps(found, ensure_ascii=False).encode()  # half of a character can't be encoded
        return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) or any("\0" in text for pair in pairs for text in pair if isinstance(text, str)):
        raise ValueError("a name twice, or a NUL")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(name)
