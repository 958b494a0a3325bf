"""Adds events to the history of an order. No other module does.

The database chains the events and refuses to change them. ``event_sentences`` turns them into sentences;
``verification`` checks the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from provisioning.integration import webhooks
from provisioning.models import Event, HistoryHead, User
from subscriptions.models import Order

# The API key on whose behalf this thread works.
_acting_key: ContextVar[str] = ContextVar("acting_key", default="")


@contextmanager
def acting_with_key(name: str) -> Iterator[None]:
    """Attribute what is recorded inside to the API key of this name ("" for none)."""
    token = _acting_key.set(name)
    try:
        yield
    finally:
        _acting_key.reset(token)


def record(
    *, order: Order, kind: Event.Kind, by: User | None = None, facts: Mapping[str, object] | None = None
) -> Event:
    """Add an event to an order's history, and its webhook, in the caller's transaction. Locks the order's row.

    ``by`` is the person who did it; None for commands and for what time causes. ``facts`` are JSON values: addresses,
    old and new values, a reason; ``key``, the API key of ``acting_with_key``, is added. A new kind needs a sentence in
    ``event_sentences.SENTENCES``.

    :raises TypeError: for a fraction: it can be written in several ways, so its hash could not be computed again.
    """
    facts = dict(facts or {})
    if key := _acting_key.get():
        facts["key"] = key
    _refuse_fractions(facts)
    event = Event.objects.create(order=order, kind=kind, by=by, facts=facts)
    webhooks.enqueue(event)
    return event


def head(order: Order) -> str:
    """Return the number of events of the order's history and the hash of the last: ``7:3fb2…``; "" before the first.

    A copy outside of this database shows later whether an event up to there was changed or removed
    (``verify_history NUMBER --expect HEAD``). Every email about the order has it in a header.
    """
    found = HistoryHead.objects.filter(order=order).first()
    return str(found) if found else ""


def _refuse_fractions(value: object) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r}: write it as text")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _refuse_fractions(part)
