"""Webhook endpoints: who receives webhooks, their secrets, test messages, deliveries, and sending again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from django.db.models import Q, QuerySet
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, Field, StringConstraints

from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example
from provisioning.api.errors import Problem
from provisioning.api.fields import Moment, Short, Strict
from provisioning.api.pagination import Paging, page_of
from provisioning.integration import deliveries, endpoints, webhooks
from provisioning.integration.endpoints import EndpointRefused
from provisioning.models import Webhook, WebhookEndpoint

router = Router(tags=["Webhook endpoints"])

Address = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
TypeName = Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")]
Types = Annotated[
    list[TypeName],
    Field(max_length=50, description="Types of events, or beginnings such as `order.*`. Empty: every event."),
]


class NewEndpoint(Strict):
    """An endpoint to be made."""

    url: Address = Field(description="An address of the public internet, with TLS.")
    types: Types = []
    name: Short = Field("", description="For people, up to 80 characters.")


class EndpointChange(Strict):
    """What is to be changed; what is left out stays as it is."""

    url: Address | None = None
    types: Types | None = None
    name: Short | None = None
    enabled: bool | None = Field(
        None, description="False: nothing is sent. True: what waited is sent, also after an answer 410."
    )


class Endpoint(Schema):
    """A receiver of webhooks."""

    id: UUID
    url: str
    name: str
    types: list[str]
    environment: bool = Field(description="It comes from the setting WEBHOOK_URL, and is changed there.")
    enabled: bool
    gone_at: Moment | None = Field(description="It answered 410: nothing is sent until it is enabled again.")
    previous_secret_until: Moment | None = Field(description="Until then the earlier secret also signs.")
    waiting: int = Field(description="Messages that are not accepted yet.")
    created_at: Moment

    @classmethod
    def of(cls, row: WebhookEndpoint, **more: str) -> Endpoint:
        """Return a row as the API shows it."""
        return cls(
            id=row.public_id,
            url=endpoints.address_of(row) or row.url,
            name=row.name,
            types=row.types,
            environment=row.environment,
            enabled=row.enabled,
            gone_at=row.gone_at if endpoints.is_gone(row) else None,
            previous_secret_until=row.previous_until,
            waiting=row.deliveries.filter(Webhook.OPEN).count(),
            created_at=row.created_at,
            **more,
        )


class EndpointWithSecret(Endpoint):
    """An endpoint with its new secret, which is not shown again."""

    secret: str


class Endpoints(Schema):
    """All endpoints."""

    data: list[Endpoint]


class Rotation(Strict):
    """How long the earlier secret also signs."""

    overlap_hours: int = Field(24, ge=0, le=720)


class Delivery(Schema):
    """A message on its way to an endpoint, and how the receiver answered last."""

    id: int
    event_id: UUID = Field(description="The `webhook-id`, and the `id` in the list of events.")
    type: str
    order: str | None
    state: str = Field(description="waiting, accepted, given_up or skipped")
    tries: int
    created_at: Moment
    last_try_at: Moment | None
    next_try_at: Moment | None
    accepted_at: Moment | None
    status: int | None = Field(description="The HTTP status of the last answer; null where there was none.")
    answer: str = Field(description="The beginning of the last answer.")
    milliseconds: int | None
    problem: str

    @classmethod
    def of(cls, row: Webhook) -> Delivery:
        """Return a row as the API shows it."""
        state = "accepted" if row.accepted_at else "skipped" if row.skipped_at else "waiting"
        state = "given_up" if row.given_up_at else state
        return cls(
            id=row.pk,
            event_id=row.message.public_id,
            type=row.message.type,
            order=row.order.number if row.order else None,
            state=state,
            tries=row.tries,
            created_at=row.created_at,
            last_try_at=row.tried_at,
            next_try_at=row.next_try_at if state == "waiting" else None,
            accepted_at=row.accepted_at,
            status=row.answer_status,
            answer=row.answer,
            milliseconds=row.milliseconds,
            problem=row.problem,
        )


class Deliveries(Schema):
    """A page of deliveries, the latest first."""

    data: list[Delivery]
    next_cursor: str | None


class DeliveryFilter(Paging):
    """The parameters of the list of deliveries."""

    state: Annotated[str, StringConstraints(pattern=r"^(waiting|accepted|given_up|skipped)?$")] = Field(
        "", description="waiting, accepted, given_up or skipped"
    )


class Range(Strict):
    """Which messages are sent again. At least one of `event_id`, `after` and `since` is needed."""

    event_id: UUID | None = Field(None, strict=False, description="This message.")
    after: int | None = Field(None, ge=0, le=2**63 - 1, description="Messages after this `position`.")
    since: AwareDatetime | None = Field(None, strict=False, description="Messages from this time on.")
    until: AwareDatetime | None = Field(None, strict=False, description="Messages before this time.")
    types: Types = []


class SentAgain(Schema):
    """How many messages are sent again, in the background."""

    count: int


def _find(endpoint_id: UUID) -> WebhookEndpoint:
    found = WebhookEndpoint.objects.filter(public_id=endpoint_id, deleted_at=None).first()
    if found is None:
        raise Problem("not-found")
    return found


def _problem(refused: EndpointRefused) -> Problem:
    sentence = str(refused.sentence)
    if not refused.field:
        return Problem("endpoint-of-environment")
    return Problem("not-valid", detail=sentence, errors=[{"pointer": f"/{refused.field}", "detail": sentence}])


@router.get(
    "",
    auth=Key("webhooks:write"),
    response=Endpoints,
    operation_id="listWebhookEndpoints",
    summary="List the webhook endpoints",
    openapi_extra=example('curl "$API/webhook-endpoints" -H "Authorization: Bearer $KEY"'),
)
def list_endpoints(request: KeyedRequest) -> Endpoints:
    """Return all endpoints, with that of the setting WEBHOOK_URL."""
    rows = WebhookEndpoint.objects.filter(deleted_at=None).order_by("pk")
    return Endpoints(data=[Endpoint.of(each) for each in rows])


@router.post(
    "",
    auth=Key("webhooks:write"),
    response={201: EndpointWithSecret},
    operation_id="createWebhookEndpoint",
    summary="Make a webhook endpoint",
    openapi_extra=example(
        """curl -X POST "$API/webhook-endpoints" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"url": "'"$RECEIVER"'", "types": ["order.*"], "name": "CRM"}'"""
    ),
)
def create_endpoint(request: KeyedRequest, new: NewEndpoint) -> Status[EndpointWithSecret]:
    """Make an endpoint and return its secret, which is not shown again. Messages from now on are sent to it."""
    try:
        row, secret = endpoints.make(
            url=new.url, types=new.types, name=new.name, known_types=webhooks.ALL_TYPES, made_by=request.auth.name
        )
    except EndpointRefused as refused:
        raise _problem(refused) from None
    return Status(201, EndpointWithSecret(**Endpoint.of(row).model_dump(), secret=secret))


@router.get(
    "/{endpoint_id}",
    auth=Key("webhooks:write"),
    response=Endpoint,
    operation_id="getWebhookEndpoint",
    summary="Read a webhook endpoint",
    openapi_extra=example('curl "$API/webhook-endpoints/$ENDPOINT_ID" -H "Authorization: Bearer $KEY"'),
)
def get_endpoint(request: KeyedRequest, endpoint_id: UUID) -> Endpoint:
    """Return an endpoint, without its secret."""
    return Endpoint.of(_find(endpoint_id))


@router.patch(
    "/{endpoint_id}",
    auth=Key("webhooks:write"),
    response=Endpoint,
    operation_id="changeWebhookEndpoint",
    summary="Change a webhook endpoint, or turn it off and on",
    openapi_extra=example(
        """curl -X PATCH "$API/webhook-endpoints/$ENDPOINT_ID" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"types": ["order.placed", "order.set_up"], "enabled": true}'"""
    ),
)
def change_endpoint(request: KeyedRequest, endpoint_id: UUID, change: EndpointChange) -> Endpoint:
    """Change what is named. Messages that wait go to the new address."""
    row = _find(endpoint_id)
    try:
        if (change.url, change.types, change.name) != (None, None, None):
            endpoints.change(row, url=change.url, types=change.types, name=change.name, known_types=webhooks.ALL_TYPES)
        if change.enabled is False:
            endpoints.turn_off(row)
        elif change.enabled:
            deliveries.turn_on([row])
    except EndpointRefused as refused:
        raise _problem(refused) from None
    row.refresh_from_db()
    return Endpoint.of(row)


@router.post(
    "/{endpoint_id}/rotate-secret",
    auth=Key("webhooks:write"),
    response=EndpointWithSecret,
    operation_id="rotateWebhookSecret",
    summary="Give an endpoint a new secret",
    openapi_extra=example(
        """curl -X POST "$API/webhook-endpoints/$ENDPOINT_ID/rotate-secret" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"overlap_hours": 48}'"""
    ),
)
def rotate_secret(request: KeyedRequest, endpoint_id: UUID, rotation: Rotation) -> EndpointWithSecret:
    """Return the new secret, which is not shown again. Both secrets sign until the overlap is over."""
    row = _find(endpoint_id)
    try:
        secret = endpoints.rotate(row, overlap=timedelta(hours=rotation.overlap_hours))
    except EndpointRefused as refused:
        raise _problem(refused) from None
    return EndpointWithSecret(**Endpoint.of(row).model_dump(), secret=secret)


@router.post(
    "/{endpoint_id}/test",
    auth=Key("webhooks:write"),
    response={202: Delivery},
    operation_id="testWebhookEndpoint",
    summary="Send a test message to an endpoint",
    openapi_extra=example('curl -X POST "$API/webhook-endpoints/$ENDPOINT_ID/test" -H "Authorization: Bearer $KEY"'),
)
def test_endpoint(request: KeyedRequest, endpoint_id: UUID) -> Status[Delivery]:
    """Send the message `webhook.test` in the background, whatever the filter says. The delivery has the answer."""
    return Status(202, Delivery.of(webhooks.enqueue_test(_find(endpoint_id))))


@router.get(
    "/{endpoint_id}/deliveries",
    auth=Key("webhooks:write"),
    response=Deliveries,
    operation_id="listWebhookDeliveries",
    summary="List the deliveries of an endpoint",
    openapi_extra=example(
        'curl "$API/webhook-endpoints/$ENDPOINT_ID/deliveries?state=given_up" -H "Authorization: Bearer $KEY"'
    ),
)
def list_deliveries(request: KeyedRequest, endpoint_id: UUID, filters: Query[DeliveryFilter]) -> Deliveries:
    """Return what was sent to an endpoint and how it answered, the latest first."""
    rows = _deliveries_of(_find(endpoint_id)).filter(
        {
            "waiting": Q(Webhook.OPEN, given_up_at=None),
            "accepted": Q(accepted_at__isnull=False),
            "given_up": Q(given_up_at__isnull=False),
            "skipped": Q(skipped_at__isnull=False),
        }.get(filters.state, Q())
    )
    page, cursor = page_of(rows, filters)
    return Deliveries(data=[Delivery.of(each) for each in page], next_cursor=cursor)


def _deliveries_of(endpoint: WebhookEndpoint) -> QuerySet[Webhook]:
    return endpoint.deliveries.select_related("message", "order")


@router.post(
    "/{endpoint_id}/redeliver",
    auth=Key("webhooks:write"),
    response={202: SentAgain},
    operation_id="redeliverWebhooks",
    summary="Send a message, or all of a range, to an endpoint again",
    openapi_extra=example(
        """curl -X POST "$API/webhook-endpoints/$ENDPOINT_ID/redeliver" \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"since": "2026-11-27T00:00:00Z", "types": ["order.*"]}'"""
    ),
)
def redeliver(request: KeyedRequest, endpoint_id: UUID, chosen: Range) -> Status[SentAgain]:
    """Send messages again in the background, in their order, also those that the endpoint never got.

    Its filter counts. One call sends at most 10,000 messages; they keep their `webhook-id`.
    """
    endpoint = _find(endpoint_id)
    if chosen.event_id is None and chosen.after is None and chosen.since is None:
        raise Problem("not-valid", errors=[{"pointer": "", "detail": str(deliveries.NAME_A_RANGE)}])
    try:
        types = endpoints.check_types(chosen.types, webhooks.ALL_TYPES)
    except EndpointRefused as refused:
        raise _problem(refused) from None
    messages = webhooks.events(after=chosen.after or 0, types=types)
    if chosen.event_id:
        messages = messages.filter(public_id=chosen.event_id)
        if not messages.exists():
            raise Problem("not-found")
    if chosen.since:
        messages = messages.filter(created_at__gte=chosen.since)
    if chosen.until:
        messages = messages.filter(created_at__lt=chosen.until)
    return Status(202, SentAgain(count=deliveries.send_range_again(endpoint, messages)))


@router.delete(
    "/{endpoint_id}",
    auth=Key("webhooks:write"),
    response={204: None},
    operation_id="deleteWebhookEndpoint",
    summary="Remove a webhook endpoint",
    openapi_extra=example('curl -X DELETE "$API/webhook-endpoints/$OLD_ENDPOINT_ID" -H "Authorization: Bearer $KEY"'),
)
def delete_endpoint(request: KeyedRequest, endpoint_id: UUID) -> Status[None]:
    """Send nothing to it any more. Its secrets are deleted."""
    try:
        endpoints.remove(_find(endpoint_id))
    except EndpointRefused as refused:
        raise _problem(refused) from None
    return Status(204, None)
