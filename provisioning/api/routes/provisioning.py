"""The vendor's systems report how provisioning requests are going."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Router, Schema
from pydantic import Field, StringConstraints

from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example
from provisioning.api.errors import Problem
from provisioning.api.fields import Moment, Strict
from provisioning.fulfillment import transitions
from provisioning.fulfillment.outcomes import Done, Failed, Outcome, Rejected
from provisioning.fulfillment.outcomes import Running as Going
from subscriptions.models import ProvisioningRequest

State = Annotated[str, Field(json_schema_extra={"enum": list(ProvisioningRequest.State.values)})]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Id = Annotated[str, StringConstraints(max_length=500)]


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
    since: Moment
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
            state=row.state,
            since=row.state_since,
            description=row.description,
            ids=row.external,
            problem=problem if row.problem_code else None,
        )


router = Router(tags=["Provisioning"])


@router.put(
    "/{request_id}",
    auth=Key("provisioning:write"),
    response=Request,
    operation_id="reportProvisioning",
    summary="Report how a provisioning request is going",
    openapi_extra=example(
        """curl -X PUT "$API/provisioning/$REQUEST_ID" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"state": "running", "description": "Step 2 of 5", "after": 3600}'"""
    ),
)
def report(request: KeyedRequest, request_id: UUID, report: Report) -> Request:
    """Answer a webhook *provisioning.requested*. The same report again is answered alike, and changes nothing."""
    found = ProvisioningRequest.objects.filter(public_id=request_id, driver="callback").first()
    if found is None:
        raise Problem("not-found")
    now = transitions.report(request=found, outcome=_outcome(report))
    if now is None:
        raise Problem("over")
    return Request.of(now)


def _outcome(report: Report) -> Outcome:
    if isinstance(report, Running):
        return Going(description=report.description, longest=report.after)
    if isinstance(report, Succeeded):
        return Done(report.description, report.ids)
    if isinstance(report, RefusedByPerson):
        return Rejected(report.field, report.sentence)
    return Failed(report.code, report.sentence)
