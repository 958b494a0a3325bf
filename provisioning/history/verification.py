"""Checks an order's history: computes every hash again in Python, and finds the first broken event.

The chain proves that no event was changed, moved, removed or inserted without computing all later hashes again. The row
HistoryHead has the last hash, so a removed end is found too. Neither proves that the owner of the database didn't write
the whole chain and its head again. To find that, compare with a copy of the head from outside of the database: each
email about an order has one in its header ``X-Order-History``, and each export has one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC

from django.db import transaction

from provisioning.models import Event, HistoryHead
from subscriptions.models import Order

FIRST = "0" * 64  # the hash before the first event


@dataclass(frozen=True)
class Checked:
    """The result of a check: the order's number, its head (``7:3fb2…``), and the first problem, or ""."""

    number: str
    head: str
    problem: str = ""


def text_of(*, number: str, event: Event) -> str:
    """Return the text whose SHA-256 is the event's hash: a JSON object in PostgreSQL's format of a jsonb."""
    return _as_jsonb(
        {
            "order": number,
            "position": event.position,
            "previous": event.previous,
            "kind": event.kind,
            "at": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "who": event.who,
            "facts": event.facts,
        }
    )


def hash_of(*, number: str, event: Event) -> str:
    """Return the expected hash of the event: 64 hexadecimal digits."""
    return hashlib.sha256(text_of(number=number, event=event).encode()).hexdigest()


def check(order: Order, *, expect: str = "") -> Checked:
    """Check the history of one order, with the order's row locked.

    ``expect`` is a head from earlier, ``7:3fb2…`` or its hash alone. Events that were added since are no problem.
    """
    with transaction.atomic():
        Order.objects.select_for_update(no_key=True).get(pk=order.pk)
        events = list(Event.objects.filter(order=order).order_by("position"))
        found = HistoryHead.objects.filter(order=order).first()
    last = f"{len(events)}:{events[-1].hash}" if events else ""
    problem = next(_problems(order.number, events, found), "")
    if expect and not problem and not any(expect in {event.hash, f"{event.position}:{event.hash}"} for event in events):
        problem = (
            f"no event has the hash that was expected ({expect}): events were changed or cut off since it was noted"
        )
    return Checked(order.number, last, problem)


def _problems(number: str, events: Iterable[Event], head: HistoryHead | None) -> Iterator[str]:
    position, last = 0, FIRST
    for position, event in enumerate(events, start=1):
        named = f"event {event.position} ({event.kind}, {event.at:%Y-%m-%d %H:%M} UTC)"
        if event.position != position:
            yield f"event {position} is missing: {named} comes next"
        if event.hash != hash_of(number=number, event=event):
            yield f"{named} isn't what was written: its hash is another"
        if event.previous != last:
            yield f"{named} doesn't follow the event before it"
        last = event.hash
    if head is None:
        yield "there is no history at all" if not position else "what its history ends with is not known any more"
    elif (head.events, head.hash) != (position, last):
        yield f"events after {position} are missing: there were {head.events}"


def _as_jsonb(value: object) -> str:
    """Return a JSON value in PostgreSQL's format of a jsonb: keys by length, then bytes; ", " and ": " between."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{_as_jsonb(key)}: {_as_jsonb(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_jsonb, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
