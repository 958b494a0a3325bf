"""The directory of organizations: read and write them by external id, link, close, merge, end members, batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema, Status
from pydantic import Field, StringConstraints, ValidationError

from orgs import actions as orgs
from orgs.importing import records
from orgs.importing.records import REFUSED, Result
from orgs.importing.rows import external_id_problem
from orgs.models import Domain, Member, Organization, OtherName
from orgs.text import normalize
from provisioning.actions import directory
from provisioning.actions.merging import CannotMerge, merge_organizations
from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example, if_match
from provisioning.api.errors import Problem
from provisioning.api.etags import etag_of, is_unchanged, require_match
from provisioning.api.fields import Count, Moment, Short, Strict, Text
from provisioning.api.pagination import Paging, cursor_of, expanded, page_of, position_of
from provisioning.api.parser import strict_object
from provisioning.models import DirectoryBatch

router = Router(tags=["Directory"])

MOST_ROWS = 10_000
MOST_BATCH = 20_000_000  # bytes of a batch
MOST_RECORD = 256 * 1024  # bytes of one record
_MOST_MEMBERS = 1000  # that an organization shows; the list of members has them all
EXPANDABLE = frozenset({"members"})

Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00]*$")]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
# An external id, or id: and our own id of the organization.
Which = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00/]*$")]


class DomainIn(Strict):
    """A domain of an organization."""

    name: Short
    status: Literal["verified", "claimed", "former"] = "verified"
    used_until: Annotated[str, StringConstraints(max_length=10, pattern=r"^[^\x00]*$")] = Field(
        "", description="Of a former domain, if known: a year or a date, such as 2022 or 2022-06-30."
    )


class NameIn(Strict):
    """Another name that an organization is known by."""

    name: Text
    kind: Literal["former", "trading", "native", "translated", "acronym"] = "trading"


class MemberIn(Strict):
    """A person's account in an organization."""

    email: Email
    role: Literal["user", "provisioning", "full"] = "user"


class Record(Strict):
    """An organization as another system has it. What is left out is kept. A list that is sent is complete."""

    name: Text
    country: Annotated[str, StringConstraints(max_length=80, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="A code such as DE, or a name."
    )
    vertical: Short | None = None
    is_partner: bool | None = None
    origin: Literal["online_trial", "online_purchase", "partner_order", "direct_order"] | None = Field(
        None, description="How it came to be; only for a new organization."
    )
    status: Literal["open", "closed"] | None = None
    domains: Annotated[list[DomainIn], Field(max_length=1000)] | None = None
    other_names: Annotated[list[NameIn], Field(max_length=1000)] | None = None
    members: Annotated[list[MemberIn], Field(max_length=5000)] | None = None
    users: Count | None = Field(None, description="Users that other systems count.")
    active_users: Count | None = None
    active_subscriptions: Count | None = Field(None, description="Without those that were set up here.")
    last_activity: Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="A past date or time in ISO 8601."
    )


class BatchRecord(Record):
    """A line of a batch."""

    external_id: Text


class DomainOut(Schema):
    """A domain of an organization."""

    name: str
    status: str
    used_until: str


class NameOut(Schema):
    """Another name of an organization."""

    name: str
    kind: str


class MemberOut(Schema):
    """A member of an organization."""

    email: str
    role: str
    last_active_at: Moment | None


class Usage(Schema):
    """How an organization uses what it bought: what other systems report, combined with what is counted here."""

    users: int
    active_users: int
    active_subscriptions: int
    last_activity: Moment | None
    reported_active_subscriptions: int | None = Field(description="Subscriptions of other systems.")
    reported_at: Moment | None


class OrganizationOut(Schema):
    """An organization of the directory."""

    id: UUID
    external_id: str | None
    created_here: bool = Field(description="The wizard or the order desk made it, and no external id is linked yet.")
    name: str
    country: str
    vertical: str
    is_partner: bool
    origin: str
    status: Literal["open", "closed"]
    closed_at: Moment | None
    merged_into: UUID | None
    created_at: Moment
    domains: list[DomainOut]
    other_names: list[NameOut]
    usage: Usage
    members: list[MemberOut] | None = Field(
        description="The first 1,000 by address; in lists only with `expand=members`."
    )

    @classmethod
    def of(cls, row: Organization, *, members: Iterable[Member] | None) -> OrganizationOut:
        """Return a row as the API shows it."""
        return cls(
            id=row.public_id,
            external_id=row.external_id,
            created_here=row.external_id is None,
            name=row.name,
            country=row.country.code or "",
            vertical=row.vertical,
            is_partner=row.is_partner,
            origin=row.origin,
            status="closed" if row.closed_at else "open",
            closed_at=row.closed_at,
            merged_into=row.merge.kept.public_id if hasattr(row, "merge") else None,
            created_at=row.account_created_at,
            domains=[
                DomainOut(name=each.name, status=each.status, used_until=each.used_until) for each in row.domains.all()
            ],
            other_names=[NameOut(name=each.name, kind=each.kind) for each in row.other_names.all()],
            usage=Usage(
                users=row.user_count,
                active_users=row.active_user_count,
                active_subscriptions=row.active_subscription_count,
                last_activity=row.last_activity_at,
                reported_active_subscriptions=row.reported_subscription_count,
                reported_at=row.reported_at,
            ),
            members=None if members is None else [_member(each) for each in members],
        )


def _member(row: Member) -> MemberOut:
    return MemberOut(email=row.email, role=row.role, last_active_at=row.last_active_at)


class Organizations(Schema):
    """A page of organizations, in the order in which they were made."""

    data: list[OrganizationOut]
    next_cursor: str | None


class OrganizationFilter(Paging):
    """The parameters of the list. Several narrow it down together."""

    created_here: bool | None = Field(None, description="Only those without an external id, or only those with one.")
    external_id: Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")] = ""
    name: Short = Field("", description="The whole name, or another name, without regard to case and legal form.")
    domain: Short = Field("", description="A domain that it has, or had before.")
    email: Email = Field("", description="The address of a member.")
    is_partner: bool | None = None
    status: Literal["open", "closed", ""] = ""
    expand: Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z_,]*$")] = Field(
        "", description="`members` includes the members."
    )


class Members(Schema):
    """A page of members."""

    data: list[MemberOut]
    next_cursor: str | None


class Link(Strict):
    """The id that your system has for an organization that was made here."""

    external_id: ExternalId


class MergeInto(Strict):
    """Which organization is kept."""

    into: ExternalId = Field(description="Its external id, or `id:` and its id.")


class Counts(Schema):
    """Rows by what became of them, so far."""

    created: int
    updated: int
    unchanged: int
    refused: int


class OrganizationRowError(Schema):
    """Why a row was refused."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the record.")
    detail: str


class RowResult(Schema):
    """What became of one row."""

    line: int
    external_id: str
    outcome: Literal["created", "updated", "unchanged", "refused"]
    errors: list[OrganizationRowError]


class OrganizationBatch(Schema):
    """A batch, and how far it is."""

    id: UUID
    state: Literal["running", "finished"]
    rows: int
    done: int = Field(description="Rows that have a result.")
    counts: Counts
    created_at: Moment
    finished_at: Moment | None

    @classmethod
    def of(cls, row: DirectoryBatch) -> OrganizationBatch:
        """Return a row as the API shows it."""
        counts = directory.counts_of(row)
        return cls(
            id=row.public_id,
            state="finished" if row.finished_at else "running",
            rows=row.rows,
            done=counts.total(),
            counts=Counts(**{name: counts[name] for name in Counts.model_fields}),
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


class Report(Schema):
    """A page of results, in parts that are written together; inside a part by line."""

    data: list[RowResult]
    next_cursor: str | None


class ReportFilter(Schema):
    """The parameters of the report."""

    cursor: Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    outcome: Literal["created", "updated", "unchanged", "refused", ""] = ""


def _rows(*, members: bool) -> QuerySet[Organization]:
    rows = Organization.objects.select_related("merge__kept").prefetch_related(
        Prefetch("domains", Domain.objects.order_by("name")),
        Prefetch("other_names", OtherName.objects.order_by("name")),
    )
    return rows.prefetch_related(Prefetch("members", Member.objects.order_by("email"))) if members else rows


def _find(which: str) -> Organization:
    """Return an organization by its external id, or by ``id:`` and our id. Raises Problem where there is none."""
    rows = _rows(members=False)
    kind, _colon, text = which.partition(":")
    if kind == "id":
        try:
            found = rows.filter(public_id=UUID(text)).first()
        except ValueError:
            found = None
    else:
        found = None
    found = found or rows.filter(external_id=which).first()
    if found is None:
        raise Problem("not-found")
    return found


def _as_shown(row: Organization) -> OrganizationOut:
    return OrganizationOut.of(row, members=row.members.order_by("email")[:_MOST_MEMBERS])


def _shown(row: Organization, response: HttpResponse) -> OrganizationOut:
    shown = _as_shown(row)
    response["ETag"] = etag_of(shown)
    return shown


@router.put(
    "/organizations/{organization}",
    auth=Key("directory:write"),
    response={200: OrganizationOut, 201: OrganizationOut},
    operation_id="putOrganization",
    summary="Create or update an organization by its external id",
    openapi_extra=example(
        """curl -X PUT "$API/directory/organizations/C-1001" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"name": "Contoso GmbH", "country": "DE", "domains": [{"name": "contoso.example"}],
       "members": [{"email": "ada@contoso.example", "role": "full"}, {"email": "bob@contoso.example"}],
       "users": 120}'""",
        max_body=MOST_RECORD,
        parameters=[if_match()],
    ),
)
def put_organization(
    request: KeyedRequest, response: HttpResponse, organization: Which, record: Record
) -> Status[OrganizationOut]:
    """Write an organization as your system has it: 201 where it is new, 200 where it was there.

    What is left out is kept. A list that is sent is complete: what your system sent before and the list doesn't have
    is removed; what people entered here is kept. The same again changes nothing. `members` that are removed keep a
    right that a request of this product gave them. With `If-Match` it is refused (changed-meanwhile) where the
    organization changed since it was read.
    """
    external_id = organization
    if organization.startswith("id:"):
        external_id = _find(organization).external_id or ""
        if not external_id:
            raise Problem("no-external-id")
    with transaction.atomic():
        if "If-Match" in request.headers:
            row = Organization.objects.select_for_update(no_key=True).filter(external_id=external_id).first()
            if row is None:
                raise Problem("changed-meanwhile")
            require_match(request, etag_of(_as_shown(row)))
        [result] = records.upsert([(1, {"external_id": external_id, **record.model_dump(exclude_none=True)})])
    if result.outcome == REFUSED:
        raise _refused(result.errors)
    return Status(201 if result.outcome == "created" else 200, _shown(_find(result.external_id), response))


@router.get(
    "/organizations",
    auth=Key("directory:read", "directory:write"),
    response=Organizations,
    operation_id="listOrganizations",
    summary="List or find organizations",
    openapi_extra=example(
        'curl "$API/directory/organizations?created_here=true" -H "Authorization: Bearer $KEY"',
        'curl "$API/directory/organizations?domain=contoso.example&expand=members" -H "Authorization: Bearer $KEY"',
    ),
)
def list_organizations(request: KeyedRequest, filters: Query[OrganizationFilter]) -> Organizations:
    """Return organizations. `created_here=true` lists those that still need an external id."""
    members = "members" in expanded(filters.expand, EXPANDABLE)
    rows = _rows(members=members)
    if filters.created_here is not None:
        rows = rows.filter(external_id__isnull=filters.created_here)
    if filters.external_id:
        rows = rows.filter(external_id=filters.external_id)
    if filters.name:
        key = normalize.name_key(filters.name)
        own = Organization.objects.filter(name_key=key).values("pk")
        rows = rows.filter(pk__in=own.union(OtherName.objects.filter(name_key=key).values("organization_id")))
    if filters.domain:
        name = normalize.ascii_domain(filters.domain.strip().lower())
        rows = rows.filter(pk__in=Domain.objects.filter(name=name).values("organization_id"))
    if filters.email:
        email = normalize.email_key(filters.email)
        rows = rows.filter(pk__in=Member.objects.filter(email=email).values("organization_id"))
    if filters.is_partner is not None:
        rows = rows.filter(is_partner=filters.is_partner)
    if filters.status:
        rows = rows.filter(closed_at__isnull=filters.status == "open")
    page, cursor = page_of(rows, filters, newest_first=False)
    data = [
        OrganizationOut.of(each, members=list(each.members.all())[:_MOST_MEMBERS] if members else None) for each in page
    ]
    return Organizations(data=data, next_cursor=cursor)


@router.get(
    "/organizations/{organization}",
    auth=Key("directory:read", "directory:write"),
    response=OrganizationOut,
    operation_id="getOrganization",
    summary="Read an organization",
    openapi_extra=example(
        'curl "$API/directory/organizations/C-1001" -H "Authorization: Bearer $KEY"', not_modified=True
    ),
)
def get_organization(
    request: KeyedRequest, response: HttpResponse, organization: Which
) -> OrganizationOut | HttpResponseBase:
    """Return an organization by its external id, or by `id:` and our id, which webhooks and orders name.

    With `If-None-Match` and the ETag of before, 304 where it has not changed.
    """
    shown = _shown(_find(organization), response)
    if is_unchanged(request, response["ETag"]):
        return HttpResponseNotModified(headers={"ETag": response["ETag"]})
    return shown


def _refused(errors: Sequence[Sequence[str]]) -> Problem:
    detail = errors[0][1] if len(errors) == 1 else ""
    return Problem(
        "not-valid", detail=detail, errors=[{"pointer": pointer, "detail": sentence} for pointer, sentence in errors]
    )


@router.put(
    "/organizations/{organization}/external-id",
    auth=Key("directory:write"),
    response=OrganizationOut,
    operation_id="linkOrganization",
    summary="Link your id to an organization that was made here",
    openapi_extra=example(
        """curl -X PUT "$API/directory/organizations/id:$ORGANIZATION_ID/external-id" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"external_id": "C-2002"}'"""
    ),
)
def link_organization(
    request: KeyedRequest, response: HttpResponse, organization: Which, link: Link
) -> OrganizationOut:
    """Give an organization without an external id the one of your system. The same again changes nothing."""
    external_id = link.external_id.strip()
    if problem := external_id_problem(external_id):
        raise _refused([("/external_id", problem)])
    try:
        orgs.link_external_id(organization=_find(organization), external_id=external_id)
    except orgs.CannotChange as refused:
        raise Problem(refused.code) from None
    return _shown(_find(external_id), response)


@router.post(
    "/organizations/{organization}/close",
    auth=Key("directory:write"),
    response=OrganizationOut,
    operation_id="closeOrganization",
    summary="Close an organization",
    openapi_extra=example('curl -X POST "$API/directory/organizations/C-1001/close" -H "Authorization: Bearer $KEY"'),
)
def close_organization(request: KeyedRequest, response: HttpResponse, organization: Which) -> OrganizationOut:
    """Close an organization: nobody finds it any more, and its orders are kept. A second call changes nothing."""
    found = _find(organization)
    orgs.close_organization(organization=found)
    return _shown(_find(f"id:{found.public_id}"), response)


@router.post(
    "/organizations/{organization}/reopen",
    auth=Key("directory:write"),
    response=OrganizationOut,
    operation_id="reopenOrganization",
    summary="Open a closed organization again",
    openapi_extra=example('curl -X POST "$API/directory/organizations/C-1001/reopen" -H "Authorization: Bearer $KEY"'),
)
def reopen_organization(request: KeyedRequest, response: HttpResponse, organization: Which) -> OrganizationOut:
    """Open an organization again, unless it was merged into another one."""
    found = _find(organization)
    try:
        orgs.reopen_organization(organization=found)
    except orgs.CannotChange as refused:
        raise Problem(refused.code) from None
    return _shown(_find(f"id:{found.public_id}"), response)


@router.post(
    "/organizations/{organization}/merge",
    auth=Key("directory:write"),
    response=OrganizationOut,
    operation_id="mergeOrganization",
    summary="Merge an organization into another one",
    openapi_extra=example(
        """curl -X PUT "$API/directory/organizations/C-1002" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"name": "Contoso Germany"}'""",
        """curl -X POST "$API/directory/organizations/C-1002/merge" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"into": "C-1001"}'""",
    ),
)
def merge_organization(
    request: KeyedRequest, response: HttpResponse, organization: Which, merge: MergeInto
) -> OrganizationOut:
    """Move everything of an organization to the one that is kept, which is returned, and close it for good.

    Domains, names, members, orders and subscriptions move. Nobody gets an administrator's right by it.
    """
    gone = _find(organization)
    try:
        keep = _find(merge.into)
    except Problem:
        raise _refused([("/into", _("There is no organization with this id."))]) from None
    try:
        merge_organizations(keep=keep, gone=gone, by=None, name=request.auth.name)
    except CannotMerge:
        raise Problem("cannot-merge") from None
    return _shown(_find(f"id:{keep.public_id}"), response)


@router.get(
    "/organizations/{organization}/members",
    auth=Key("directory:read", "directory:write"),
    response=Members,
    operation_id="listMembers",
    summary="List the members of an organization",
    openapi_extra=example('curl "$API/directory/organizations/C-1001/members" -H "Authorization: Bearer $KEY"'),
)
def list_members(request: KeyedRequest, organization: Which, paging: Query[Paging]) -> Members:
    """Return all members of an organization, a page at a time."""
    page, cursor = page_of(_find(organization).members.all(), paging, newest_first=False)
    return Members(data=[_member(each) for each in page], next_cursor=cursor)


@router.delete(
    "/organizations/{organization}/members/{email}",
    auth=Key("directory:write"),
    response={204: None},
    operation_id="endMember",
    summary="End a membership",
    openapi_extra=example(
        'curl -X DELETE "$API/directory/organizations/C-1001/members/bob@contoso.example" '
        '-H "Authorization: Bearer $KEY"'
    ),
)
def end_member(request: KeyedRequest, organization: Which, email: Email) -> Status[None]:
    """End the membership of a person who left, with every right. The last full administrator can't be ended."""
    try:
        if not orgs.end_member(organization=_find(organization), email=email):
            raise Problem("not-found")
    except orgs.LastAdministrator:
        raise Problem("last-administrator") from None
    return Status(204, None)


@router.post(
    "/batches",
    auth=Key("directory:write"),
    response={202: OrganizationBatch},
    operation_id="startDirectoryBatch",
    summary="Create or update up to 10,000 organizations in the background",
    openapi_extra=example(
        """printf '%s\\n' '{"external_id": "C-1001", "name": "Contoso GmbH", "country": "DE"}' \\
  '{"external_id": "C-1003", "name": "Fabrikam", "domains": [{"name": "fabrikam.example"}]}' |
curl -X POST "$API/directory/batches" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/x-ndjson" --data-binary @-""",
        max_body=MOST_BATCH,
        requestBody={
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
    ),
)
def start_batch(request: KeyedRequest) -> Status[OrganizationBatch]:
    """Take NDJSON (`Content-Type: application/x-ndjson`): a record a line, as in *Create or update*, with
    `external_id`. The worker writes it; each row is written or refused by itself, and the report says which.

    Batches are written one after the other, in the order in which they came.
    """
    if request.content_type != "application/x-ndjson":
        raise _refused([("", _("Send NDJSON with “Content-Type: application/x-ndjson”: a JSON object a line."))])
    rows, refused = _lines(request.body)
    count = len(rows) + len(refused)
    if not 1 <= count <= MOST_ROWS:
        raise _refused([("", _("A batch has 1 to 10,000 rows; this one has %(count)s.") % {"count": count})])
    batch = directory.start_batch(rows=rows, refused=refused, made_by=request.auth.name)
    return Status(202, OrganizationBatch.of(batch))


def _lines(body: bytes) -> tuple[list[tuple[int, dict[str, Any]]], list[Result]]:
    """Return the records of NDJSON with their line numbers, and the results of lines that are none."""
    rows: list[tuple[int, dict[str, Any]]] = []
    refused: list[Result] = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip():
            continue
        if len(rows) + len(refused) > MOST_ROWS:
            break
        found: Any = None
        try:
            if len(line) > MOST_RECORD:
                raise ValueError
            found = strict_object(line)
            record = BatchRecord.model_validate(found).model_dump(exclude_none=True)
        except ValidationError as problem:
            errors = tuple((_pointer(each["loc"]), each["msg"]) for each in problem.errors()[:20])
            given = str(found.get("external_id", ""))[:64] if isinstance(found, dict) else ""
            refused.append(Result(number, given, REFUSED, errors))
        except (ValueError, RecursionError):
            sentence = _("A line is one JSON object in UTF-8 of at most 256 kB, without NUL and with each name once.")
            refused.append(Result(number, "", REFUSED, (("", sentence),)))
        else:
            rows.append((number, record))
    return rows, refused


def _pointer(place: Sequence[object]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


@router.get(
    "/batches/{batch_id}",
    auth=Key("directory:read", "directory:write"),
    response=OrganizationBatch,
    operation_id="getDirectoryBatch",
    summary="See how far a batch is",
    openapi_extra=example('curl "$API/directory/batches/$BATCH_ID" -H "Authorization: Bearer $KEY"'),
)
def get_batch(request: KeyedRequest, batch_id: UUID) -> OrganizationBatch:
    """Return the progress of a batch."""
    return OrganizationBatch.of(_batch(batch_id))


@router.get(
    "/batches/{batch_id}/rows",
    auth=Key("directory:read", "directory:write"),
    response=Report,
    operation_id="getDirectoryBatchRows",
    summary="Read what became of each row of a batch",
    openapi_extra=example(
        'curl "$API/directory/batches/$BATCH_ID/rows?outcome=refused" -H "Authorization: Bearer $KEY"'
    ),
)
def get_batch_rows(request: KeyedRequest, batch_id: UUID, filters: Query[ReportFilter]) -> Report:
    """Return the results of the rows that were written so far, at most 400 of them a page, for 30 days."""
    parts = _batch(batch_id).parts.filter(results__isnull=False).order_by("pk")
    if filters.outcome:
        parts = parts.filter(counts__has_key=filters.outcome)
    after = position_of(filters.cursor)
    found = list((parts.filter(pk__gt=after) if after is not None else parts)[:2])
    data = [_row_result(each) for part in found[:1] for each in part.results or () if filters.outcome in ("", each[2])]
    return Report(data=data, next_cursor=cursor_of(found[0].pk) if len(found) > 1 else None)


def _row_result(result: Sequence[Any]) -> RowResult:
    line, external_id, outcome, errors = result
    return RowResult(
        line=line,
        external_id=external_id,
        outcome=outcome,
        errors=[OrganizationRowError(pointer=pointer, detail=detail) for pointer, detail in errors],
    )


def _batch(batch_id: UUID) -> DirectoryBatch:
    found = DirectoryBatch.objects.filter(public_id=batch_id).first()
    if found is None:
        raise Problem("not-found")
    return found
