"""Messages about orders to other systems, in the format of Standard Webhooks; each is a row.

``enqueue`` writes the message of an event in the event's transaction, and a delivery for each endpoint that receives
its type. Messages are written also where nobody receives them: ``GET /api/v1/events`` lists them.
``deliveries`` sends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from procrastinate.contrib.django import app

from provisioning.integration import endpoints
from provisioning.models import Event, Webhook, WebhookEndpoint, WebhookMessage
from subscriptions.models import Order, Subscription
from subscriptions.summary import build_summary

# The types of messages, and the facts of the event that each contains. None of them names a person.
SUBSCRIPTION = ("id", "line", "service", "product", "licenses")
TYPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    Event.Kind.PLACED: ("order.placed", ()),
    Event.Kind.CORRECTED: ("order.corrected", ("changes",)),
    Event.Kind.HANDED_OVER: ("order.handed_over", ()),
    Event.Kind.TAKEN_BACK: ("order.taken_back", ()),
    Event.Kind.HELD: ("order.held", ("organization",)),
    Event.Kind.RELEASED: ("order.released", ()),
    Event.Kind.MAPPED: ("order.mapped", ("partner", "customer", "new")),
    Event.Kind.DELEGATED: ("order.delegated", ()),
    Event.Kind.TAKEN_OVER: ("order.taken_over", ()),
    Event.Kind.POSTPONED: ("order.postponed", ()),
    Event.Kind.SET_UP: ("order.set_up", ()),
    Event.Kind.CANCELLED: ("order.cancelled", ()),
    Event.Kind.CLOSED: ("order.closed", ()),
    Event.Kind.EXTENDED: ("order.extended", ()),
    Event.Kind.SETTING_UP: ("order.setting_up", ()),
    Event.Kind.REQUESTED: ("subscription.requested", SUBSCRIPTION),
    Event.Kind.PROVISIONED: ("subscription.provisioned", SUBSCRIPTION),
    Event.Kind.PROVISIONING_REFUSED: ("subscription.refused", (*SUBSCRIPTION, "code")),
    Event.Kind.PROVISIONING_FAILED: ("subscription.failed", (*SUBSCRIPTION, "code")),
}

# Messages that are no events of the history, and the message that tries an endpoint.
PROVISIONING_TYPES: Final = ("provisioning.requested", "provisioning.cancelled")
TEST: Final = "webhook.test"
ALL_TYPES: Final = (*(kind for kind, _facts in TYPES.values()), *PROVISIONING_TYPES)

# Messages that get their place in the list of events in one statement.
_MOST_NUMBERED: Final = 10_000
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('number webhook messages'))"
_UNNUMBERED: Final = "position IS NULL AND order_id IS NOT NULL"
_NUMBER: Final = f"""
    UPDATE provisioning_webhookmessage m SET position = last.position + next.nth
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS nth FROM provisioning_webhookmessage
          WHERE {_UNNUMBERED} ORDER BY id LIMIT {_MOST_NUMBERED}) next,
         (SELECT coalesce(max(position), 0) AS position FROM provisioning_webhookmessage) last
    WHERE m.id = next.id
"""  # noqa: S608 - names of ours only


def enqueue(event: Event) -> None:
    """Write the messages of an event, if it has any, and their deliveries, and wake a worker."""
    if event.kind not in TYPES:
        return
    with transaction.atomic():
        # Held until the end of the transaction: the rows of an order get their numbers in the order of its events.
        order = Order.objects.select_for_update(no_key=True, of=("self",)).get(pk=event.order_id)
        for kind, data in _messages(event, order):
            message = WebhookMessage(order=order, type=kind, body=_body(kind, event.at, data), created_at=event.at)
            message.save(force_insert=True)
            _deliver(message, endpoints.receivers_of(kind))


def enqueue_once(*, order: Order, kind: str, key: str, data: Mapping[str, object]) -> None:
    """Write a message that is no event of the history; the same ``key`` again writes nothing.

    :param order: locked by the caller, so that the messages of an order keep their order.
    """
    now = timezone.now()
    message, created = WebhookMessage.objects.get_or_create(
        public_id=uuid5(NAMESPACE_URL, key),
        defaults={"order": order, "type": kind, "body": _body(kind, now, data), "created_at": now},
    )
    if created:
        _deliver(message, endpoints.receivers_of(kind))


def enqueue_test(endpoint: WebhookEndpoint) -> Webhook:
    """Write a test message for one endpoint, whatever its filter says, and return its delivery."""
    now = timezone.now()
    data = {"endpoint": {"id": str(endpoint.public_id), "name": endpoint.name}}
    with transaction.atomic():
        message = WebhookMessage.objects.create(type=TEST, body=_body(TEST, now, data), created_at=now)
        [delivery] = _deliver(message, [endpoint])
    return delivery


def wake() -> None:
    """Wake a worker, in this transaction."""
    app.configure_task("provisioning.tasks.send_webhooks", allow_unknown=False).defer()


def number() -> None:
    """Give messages that have been committed their places in the list of events.

    Ids are given before a commit, so an id may become visible after a higher one. A place is given after the commit,
    by one process at a time: whoever has read the list up to a place has missed nothing before it.
    """
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT FROM provisioning_webhookmessage WHERE {_UNNUMBERED})")  # noqa: S608
            if not cursor.fetchone()[0]:
                return
            cursor.execute(_LOCK)
            cursor.execute(_NUMBER)
            if cursor.rowcount < _MOST_NUMBERED:
                return


def events(*, after: int | UUID = 0, types: Sequence[str] = (), order: str = "") -> QuerySet[WebhookMessage]:
    """Return the messages after a place or a message, in their order.

    :param after: the ``position`` or the id of the last message that was read; 0 for the first.
    :param types: types or beginnings such as ``order.*``; none for every type.
    :param order: the number of an order, or "".
    :raises WebhookMessage.DoesNotExist: there is no message with this id.
    """
    number()
    found = WebhookMessage.objects.filter(position__gt=place_of(after)).order_by("position")
    if types:
        wanted = Q()
        for each in types:
            wanted |= Q(type__startswith=each[:-1]) if each.endswith("*") else Q(type=each)
        found = found.filter(wanted)
    return found.filter(order__number=order) if order else found


def place_of(event: int | UUID) -> int:
    """Return the place of an event in the list, given as a place or an id. Raises WebhookMessage.DoesNotExist."""
    if isinstance(event, int):
        return event
    found = WebhookMessage.objects.values_list("position", flat=True)
    return found.get(public_id=event, order__isnull=False) or 0


def _body(kind: str, at: datetime, data: Mapping[str, object]) -> str:
    said = {"type": kind, "timestamp": at.astimezone(UTC).isoformat(), "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _deliver(message: WebhookMessage, to: Sequence[WebhookEndpoint]) -> list[Webhook]:
    """Write the deliveries of a message, and wake a worker where there are any."""
    if not to:
        return []
    rows = Webhook.objects.bulk_create(
        Webhook(message=message, endpoint=each, order_id=message.order_id, created_at=message.created_at) for each in to
    )
    wake()
    return rows


def _messages(event: Event, order: Order) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the type and the data of each message about this event."""
    kind, names = TYPES[event.kind]
    which = {"id": str(order.public_id), "number": order.number, "state": order.state}
    data: dict[str, object] = {"order": which}
    data |= {name: event.facts[name] for name in names if name in event.facts}
    if "changes" in data:
        data["changed"] = sorted(data.pop("changes"))  # type: ignore[call-overload]  # a dict: which, not from what to what
    if event.kind == Event.Kind.PROVISIONED:
        data |= _term(order, str(event.facts["id"]))
    if event.kind != Event.Kind.SET_UP:
        yield kind, data
        return
    yield kind, data | {"summary": build_summary(order).as_dict()}


def _term(order: Order, request: str) -> dict[str, object]:
    """From when until when the subscription of a request's line runs, and for which organization."""
    rows = Subscription.objects.select_related("organization")
    found = rows.get(line__order=order, line__requests__public_id=request)
    return {
        "organization": str(found.organization.public_id),
        "starts_at": found.starts_at.astimezone(UTC).isoformat(),
        "ends_at": found.ends_at.astimezone(UTC).isoformat(),
    }
