"""The list of events: what webhooks say, for systems that ask instead of listening."""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field, StringConstraints

from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example
from provisioning.api.errors import Problem
from provisioning.api.fields import Moment
from provisioning.integration import endpoints, webhooks
from provisioning.integration.endpoints import EndpointRefused
from provisioning.models import WebhookMessage

router = Router(tags=["Events"])


class Event(Schema):
    """What happened to an order. The same message goes out as a webhook, with ``id`` as its ``webhook-id``."""

    id: UUID
    position: int = Field(description="Its place in the list; it never changes.")
    type: str
    timestamp: Moment
    data: dict[str, Any]

    @classmethod
    def of(cls, message: WebhookMessage) -> Event:
        """Return a message as the list has it."""
        said = json.loads(message.body)
        return cls(
            id=message.public_id,
            position=message.position or 0,
            type=message.type,
            timestamp=said["timestamp"],
            data=said["data"],
        )


class Events(Schema):
    """A part of the list, the earliest first."""

    data: list[Event]
    next: int = Field(description="Send it as `after` for what comes next, at once or later.")
    has_more: bool = Field(description="There are more events already.")


class Filter(Schema):
    """The parameters of the list."""

    after: Annotated[str, StringConstraints(pattern=r"^(\d{1,18}|[0-9a-fA-F-]{36})?$")] = Field(
        "", description="`next` of the part before, or the `id` of an event; without it, the list begins at its start."
    )
    types: Annotated[str, StringConstraints(max_length=1000)] = Field(
        "", description="Only these types, with commas between them; `order.*` is every type that begins with `order.`."
    )
    order: Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9._-]*$")] = Field(
        "", description="Only events of the order with this number."
    )
    limit: int = Field(100, ge=1, le=1000, description="At most so many events.")


def types_of(text: str, *, parameter: str) -> list[str]:
    """Return types of events that are written with commas between them; [] for every type.

    :raises Problem: there is no event of such a type.
    """
    try:
        return endpoints.check_types([each.strip() for each in text.split(",") if each.strip()], webhooks.ALL_TYPES)
    except EndpointRefused as refused:
        raise Problem("not-valid", errors=[{"parameter": parameter, "detail": str(refused.sentence)}]) from None


def starting_point(text: str) -> int | UUID:
    """Return the place or the id of an event, as it stands in an address. Raises Problem where it is neither."""
    if not text or text.isdecimal():
        return int(text or 0)
    try:
        return UUID(text)
    except ValueError:
        raise _no_such_event() from None


def _no_such_event() -> Problem:
    return Problem("not-valid", errors=[{"parameter": "after", "detail": str(_("There is no event with this id."))}])


@router.get(
    "",
    auth=Key("events:read"),
    response=Events,
    operation_id="listEvents",
    summary="List what happened since the last call",
    openapi_extra=example(
        'curl "$API/events?after=0&types=order.*,subscription.provisioned" -H "Authorization: Bearer $KEY"'
    ),
)
def list_events(request: KeyedRequest, filters: Query[Filter]) -> Events:
    """Return events in the order in which they were committed, also where no webhook endpoint is set up.

    Whoever stores `next` and sends it as `after` the next time reads every event once and misses none.
    """
    after = starting_point(filters.after)
    try:
        found = webhooks.events(after=after, types=types_of(filters.types, parameter="types"), order=filters.order)
    except WebhookMessage.DoesNotExist:
        raise _no_such_event() from None
    rows = list(found[: filters.limit + 1])
    page = rows[: filters.limit]
    last = page[-1].position if page else webhooks.place_of(after)
    return Events(data=[Event.of(each) for each in page], next=last or 0, has_more=len(rows) > filters.limit)
