"""Files of orders: planned and applied in the background, with progress and a report of each row."""

from __future__ import annotations

from typing import Any, Final, Literal, cast
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema, Status
from pydantic import Field

from orgs.text.table_files import FileRefused
from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example
from provisioning.api.errors import Problem
from provisioning.api.fields import Moment
from provisioning.api.pagination import Paging, page_of
from provisioning.bulk import batches, files, report
from provisioning.models import OrderBatch

router = Router(tags=["Order batches"])

# The forms of a file by its media type, as the endings of files.
_ENDINGS: Final = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/csv": "csv",
}
Outcome = Literal["new", "unchanged", "corrected", "refused"]


class Outcomes(Schema):
    """Rows by what applying them does."""

    new: int
    unchanged: int
    corrected: int
    refused: int


class Results(Schema):
    """Rows by what became of them. *changed*: the order was changed after the plan was made, so nothing was done."""

    done: int
    refused: int
    changed: int


class Batch(Schema):
    """A file of orders, and how far it is."""

    id: UUID
    state: Literal["planning", "planned", "applying", "applied"]
    rows: int
    planned: int
    applied: int
    outcomes: Outcomes
    results: Results
    created_at: Moment
    planned_at: Moment | None
    applied_at: Moment | None

    @classmethod
    def of(cls, batch: OrderBatch) -> Batch:
        """Return a batch as the API shows it."""
        counts = batches.progress(batch)
        return cls(
            id=batch.public_id,
            state=cast(Literal["planning", "planned", "applying", "applied"], batch.state),
            rows=counts["total"],
            planned=counts["planned"],
            applied=counts["applied"],
            outcomes=Outcomes(**{name: counts[f"outcome_{name}"] for name in Outcomes.model_fields}),
            results=Results(**{name: counts[f"result_{name}"] for name in Results.model_fields}),
            created_at=batch.created_at,
            planned_at=batch.planned_at,
            applied_at=batch.applied_at,
        )


class RowError(Schema):
    """Why a row is refused: the sentence of the order form, and where in the order."""

    pointer: str
    detail: str


class Change(Schema):
    """A field that is corrected."""

    field: str
    before: Any
    after: Any


class Warning(Schema):  # noqa: A001 - its name in the OpenAPI document
    """What looks wrong although it is possible: same_customer, free_mail, twice, equal_lines, date_kept."""

    kind: str
    detail: str


class Suggestion(Schema):
    """The organization that the finder suggests for the customer, or for the buyer where there is no customer."""

    id: UUID
    name: str
    country: str
    best: bool
    because: list[str]


class Row(Schema):
    """An order of the file: what applying it does, and what became of it."""

    line: int = Field(description="Where the order begins: the line of a CSV file, else its place in the list.")
    number: str | None
    outcome: Outcome | None
    result: Literal["done", "refused", "changed"] | None
    errors: list[RowError]
    changes: list[Change]
    warnings: list[Warning]
    suggestion: Suggestion | None = Field(None, description="Only for keys with the scope match:read.")


class Rows(Schema):
    """A page of rows."""

    data: list[Row]
    next_cursor: str | None


class RowFilter(Paging):
    """The parameters of the rows."""

    outcome: Outcome | Literal[""] = ""


@router.post(
    "",
    auth=Key("orders:write"),
    response={202: Batch},
    operation_id="startOrderBatch",
    summary="Place and correct up to 10,000 orders in the background",
    openapi_extra=example(
        """curl -X POST "$API/orders/batches?dry_run=true" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '[{"number": "CRM-2001", "sold_to": "Partner Networks", "contact_email": "sam@partner.example",
        "customer": {"name": "Contoso", "email": "it@contoso.example"},
        "lines": [{"service": "meetings", "licenses": 250, "term_months": 24}]}]'""",
        max_body=files.MAX_BYTES,
        requestBody={
            "required": True,
            "content": {media: {"schema": {}} for media in ("application/json", "application/yaml", "text/csv")},
        },
    ),
)
def start_batch(request: KeyedRequest, dry_run: bool = False) -> Status[Batch]:
    """Take a list of orders as JSON, YAML or CSV. Each row is planned; without `dry_run` the plan is applied then.

    A row places an order, corrects the one that has its number, changes nothing, or is refused; the others are applied
    anyway. The same file again changes nothing. Of a dry run, *Apply a batch* does exactly what the rows say.
    """
    ending = _ENDINGS.get(request.content_type or "")
    if ending is None:
        raise _refused(_("Send a Content-Type of application/json, application/yaml or text/csv."))
    try:
        batch = batches.create(
            name=f"orders.{ending}", content=request.body, key_name=request.auth.name, apply=not dry_run
        )
    except FileRefused as error:
        raise _refused(str(error)) from error
    return Status(202, Batch.of(batch))


@router.get(
    "/{batch_id}",
    auth=Key("orders:read", "orders:write"),
    response=Batch,
    operation_id="getOrderBatch",
    summary="See how far a batch of orders is",
    openapi_extra=example('curl "$API/orders/batches/$BATCH_ID" -H "Authorization: Bearer $KEY"'),
)
def get_batch(request: KeyedRequest, batch_id: UUID) -> Batch:
    """Return the progress of a batch."""
    return Batch.of(_batch(batch_id))


@router.post(
    "/{batch_id}/apply",
    auth=Key("orders:write"),
    response={202: Batch},
    operation_id="applyOrderBatch",
    summary="Apply a batch that was a dry run",
    openapi_extra=example('curl -X POST "$API/orders/batches/$BATCH_ID/apply" -H "Authorization: Bearer $KEY"'),
)
def apply_batch(request: KeyedRequest, batch_id: UUID) -> Status[Batch]:
    """Apply the plan as its rows say. A row whose order was changed since says so. Asked for twice, it is done once."""
    return Status(202, Batch.of(batches.start_applying(_batch(batch_id), key_name=request.auth.name)))


@router.get(
    "/{batch_id}/rows",
    auth=Key("orders:read", "orders:write"),
    response=Rows,
    operation_id="getOrderBatchRows",
    summary="Read what each row of a batch does, and what became of it",
    openapi_extra=example('curl "$API/orders/batches/$BATCH_ID/rows?outcome=refused" -H "Authorization: Bearer $KEY"'),
)
def get_batch_rows(request: KeyedRequest, batch_id: UUID, filters: Query[RowFilter]) -> Rows:
    """Return the rows in the order of the file."""
    rows = _batch(batch_id).rows.all()
    if filters.outcome:
        rows = rows.filter(outcome=filters.outcome)
    page, cursor = page_of(rows, filters, newest_first=False)
    with_suggestion = "match:read" in request.auth.scopes
    data = [Row(**report.as_json(row, with_suggestion=with_suggestion)) for row in page]
    return Rows(data=data, next_cursor=cursor)


@router.get(
    "/{batch_id}/report.csv",
    auth=Key("orders:read", "orders:write"),
    operation_id="getOrderBatchReport",
    summary="Download the report of a batch as CSV",
    openapi_extra=example(
        'curl "$API/orders/batches/$BATCH_ID/report.csv" -H "Authorization: Bearer $KEY"',
        responses={200: {"description": "The report", "content": {"text/csv": {"schema": {"type": "string"}}}}},
    ),
)
def get_batch_report(request: KeyedRequest, batch_id: UUID) -> StreamingHttpResponse:
    """Return every row as CSV, without formulas. The suggestion is there for keys with the scope match:read."""
    lines = report.csv_report(_batch(batch_id), with_suggestion="match:read" in request.auth.scopes)
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")


def _batch(batch_id: UUID) -> OrderBatch:
    found = OrderBatch.objects.filter(public_id=batch_id).first()
    if found is None:
        raise Problem("not-found")
    return found


def _refused(sentence: str) -> Problem:
    return Problem("not-valid", detail=sentence, errors=[{"pointer": "", "detail": sentence}])
