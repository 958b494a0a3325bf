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

from provisioning.history import commitments
from provisioning.history.commitments import Keys
from provisioning.models import Event, HistoryHead, OperatorEvent, OperatorsLogHead, PersonKey, Scheme
from subscriptions.models import Order

FIRST = "0" * 64  # the hash before the first event
OPERATORS = "operators"  # the name of the operators' log, where an order has its number


@dataclass(frozen=True)
class Checked:
    """The result of a check: the order's number, its head (``7:3fb2…``), and the first problem, or ""."""

    number: str
    head: str
    problem: str = ""


def text_of(*, number: str, event: Event | OperatorEvent, keys: Keys | None = None) -> str:
    """Return the text whose SHA-256 is the event's hash: a JSON object in PostgreSQL's format of a jsonb.

    ``keys`` are the chain's (``commitments.keys_of``), read from the database where they are None. The text of an event
    from before the tokens from which an address was erased (``Scheme.VOUCHED``) has the hash that a later event has.
    """
    content = {
        "order": number,
        "position": event.position,
        "previous": event.previous,
        "kind": event.kind,
        "at": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "who": event.who,
        "facts": event.facts,
    }
    if event.scheme == Scheme.PLAIN:
        return _as_jsonb(content)
    if keys is None:
        keys = commitments.keys_of(event.order_id if isinstance(event, Event) else PersonKey.OPERATORS)
    content["who"] = commitments.committed(event.who, keys)
    content["facts"] = commitments.committed(event.facts, keys)
    return _as_jsonb({**content, "scheme": Scheme.COMMITTED.value})


def hash_of(*, number: str, event: Event | OperatorEvent, keys: Keys | None = None) -> str:
    """Return the expected hash of the event: 64 hexadecimal digits."""
    return hashlib.sha256(text_of(number=number, event=event, keys=keys).encode()).hexdigest()


def check(order: Order, *, expect: str = "") -> Checked:
    """Check the history of one order, with the order's row locked.

    ``expect`` is a head from earlier, ``7:3fb2…`` or its hash alone. Events that were added since are no problem.
    """
    with transaction.atomic():
        Order.objects.select_for_update(no_key=True).get(pk=order.pk)
        events = list(Event.objects.filter(order=order).order_by("position"))
        found = HistoryHead.objects.filter(order=order).first()
        keys = commitments.keys_of(order.pk)
    last = f"{len(events)}:{events[-1].hash}" if events else ""
    problem = next(_problems(order.number, events, found, keys), "")
    if not events and found is None:
        problem = "there is no history at all"
    if expect and not problem and not any(expect in {event.hash, f"{event.position}:{event.hash}"} for event in events):
        problem = (
            f"no event has the hash that was expected ({expect}): events were changed or cut off since it was noted"
        )
    return Checked(order.number, last, problem)


def check_operators_log() -> Checked:
    """Check the operators' log. The events are read in batches, up to the head of now."""
    with transaction.atomic():
        head = OperatorsLogHead.objects.select_for_update().first()
        keys = commitments.keys_of(PersonKey.OPERATORS)
    events = OperatorEvent.objects.filter(position__lte=head.events) if head else OperatorEvent.objects.all()
    in_order = events.order_by("position").iterator(chunk_size=1000)
    problem = "" if head is None and not events.exists() else next(_problems(OPERATORS, in_order, head, keys), "")
    return Checked(OPERATORS, str(head or ""), problem)


def _problems(
    number: str,
    events: Iterable[Event | OperatorEvent],
    head: HistoryHead | OperatorsLogHead | None,
    keys: Keys,
) -> Iterator[str]:
    position, last = 0, FIRST
    to_vouch_for: dict[int, tuple[str, str]] = {}
    for position, event in enumerate(events, start=1):
        named = f"event {event.position} ({event.kind}, {event.at:%Y-%m-%d %H:%M} UTC)"
        if event.position != position:
            yield f"event {position} is missing: {named} comes next"
        expected = hash_of(number=number, event=event, keys=keys)
        if event.scheme == Scheme.VOUCHED:
            to_vouch_for[position] = (expected, named)
        elif event.hash != expected:
            yield f"{named} isn't what was written: its hash is another"
        if event.previous != last:
            yield f"{named} doesn't follow the event before it"
        if event.kind == Event.Kind.PERSON_ERASED:
            for place, vouched in event.facts.get("events", {}).items():
                if to_vouch_for.get(int(place), ("",))[0] == vouched:
                    del to_vouch_for[int(place)]
        last = event.hash
    for _expected, named in to_vouch_for.values():
        yield f"{named} isn't what was written: no later event has the hash of what was left after an erasure"
    if head is None:
        yield "what its history ends with is not known any more"
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
