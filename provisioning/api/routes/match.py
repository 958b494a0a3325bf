"""Asking the finder which organizations an email address and a company name may belong to, as the vendor."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from ninja import Router, Schema
from pydantic import Field, StringConstraints

from orgs.finder.cards import Candidate as Card
from orgs.finder.matching import Result
from orgs.text import country_names, normalize
from provisioning.actions import directory
from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example
from provisioning.api.errors import Problem
from provisioning.api.fields import Moment, Short, Strict

router = Router(tags=["Match"])


class Question(Strict):
    """Whose organization is looked for. An email address, a company name, or both."""

    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00]*$")] = ""
    company_name: Short = ""
    country: Annotated[str, StringConstraints(max_length=80, pattern=r"^[^\x00]*$")] = Field(
        "", description="Where the company is: a code such as DE, or a name. Another country is evidence against."
    )
    partners: bool = Field(False, description="Find partners only.")
    limit: int = Field(10, ge=1, le=25, description="At most so many candidates.")


class Evidence(Schema):
    """One reason for or against a candidate, by its code, and the domain or name that it is about."""

    code: str
    about: str


class CandidateDomain(Schema):
    """A domain of a candidate."""

    name: str
    status: str


class CandidateUsage(Schema):
    """How a candidate uses what it bought."""

    users: int
    active_users: int
    active_subscriptions: int
    last_activity: Moment | None


class Candidate(Schema):
    """An organization that may be the one, as the order desk sees it."""

    id: UUID
    external_id: str | None
    name: str
    country: str
    is_partner: bool
    best: bool = Field(description="The finder is sure enough to mark it as the best match.")
    exact: bool = Field(description="The email address belongs to a member.")
    score: float = Field(description="For the order of this answer only; scores of two answers can't be compared.")
    tie: str = Field(description="The strongest reason, as a sentence.")
    reasons: list[str]
    warnings: list[str]
    evidence: list[Evidence]
    domains: list[CandidateDomain]
    usage: CandidateUsage
    origin: str
    created_at: Moment

    @classmethod
    def of(cls, card: Card) -> Candidate:
        """Return a card as the API shows it."""
        organization = card.organization
        return cls(
            id=organization.public_id,
            external_id=organization.external_id,
            name=organization.name,
            country=organization.country.code or "",
            is_partner=organization.is_partner,
            best=card.best,
            exact=card.exact,
            score=round(card.score, 3),
            tie=card.tie,
            reasons=list(card.reasons),
            warnings=list(card.warnings),
            evidence=[Evidence(code=str(each.code), about=each.about) for each in card.evidence],
            domains=[CandidateDomain(name=each.name, status=each.status) for each in organization.domains.all()],
            usage=CandidateUsage(
                users=organization.user_count,
                active_users=organization.active_user_count,
                active_subscriptions=organization.active_subscription_count,
                last_activity=organization.last_activity_at,
            ),
            origin=organization.origin,
            created_at=organization.account_created_at,
        )


class Answer(Schema):
    """The candidates, the best first. ``result`` is exact where the address belongs to a member of one."""

    result: Result
    candidates: list[Candidate]


@router.post(
    "",
    auth=Key("match:read"),
    response=Answer,
    operation_id="findCandidates",
    summary="Ask the finder which organization is meant",
    openapi_extra=example(
        """curl -X POST "$API/match" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"email": "it@contoso.example", "company_name": "Contoso", "country": "US"}'"""
    ),
)
def find_candidates(request: KeyedRequest, question: Question) -> Answer:
    """Return the organizations that the wizard would find, with everything that the order desk may see of them.

    Each question is logged with its key, and counts against the key's own limit of 10,000 an hour, never against that
    of a person or an order.
    """
    email, name = normalize.email_key(question.email), " ".join(question.company_name.split())
    if email and ("@" not in email or not normalize.email_domain(email)):
        raise _refused("/email", str(directory.ASK_AN_ADDRESS))
    if not email and not name:
        raise _refused("/company_name", str(directory.ASK_SOMETHING))
    country = country_names.find(question.country) if question.country else ""
    if question.country and not country:
        raise _refused("/country", country_names.problem(question.country))
    found = directory.match(
        email=email,
        company_name=name,
        country=country or "",
        partners=question.partners,
        limit=question.limit,
        asked_by=request.auth.name,
    )
    if found is None:
        raise Problem("too-many-requests", headers={"Retry-After": "3600"})
    return Answer(result=found.result, candidates=[Candidate.of(each) for each in found.candidates])


def _refused(pointer: str, sentence: str) -> Problem:
    return Problem("not-valid", detail=sentence, errors=[{"pointer": pointer, "detail": sentence}])
