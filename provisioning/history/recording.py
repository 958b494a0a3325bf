"""The history of an order: the one place that adds an event to it.

The database chains the events and refuses to change them; ``story`` tells them in words; ``chain`` checks them.
"""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.integration import webhooks
from provisioning.models import Event, HistoryHead, User
from subscriptions.models import Order


def record(
    *, order: Order, kind: Event.Kind, by: User | None = None, facts: Mapping[str, object] | None = None
) -> Event:
    """Add an event to an order's history, in the caller's transaction; it locks the order's row until that ends.

    ``by`` is who did it, None for the order desk's scripts and for the clock; ``facts`` are what it was about, in
    values that JSON holds (addresses of people, from what to what, a reason). A new kind needs its sentence in
    ``story.SENTENCES``, which can name any of its facts.

    :raises TypeError: for a number that isn't whole: it has no one way to be written, so no hash to be found again.
    """
    facts = dict(facts or {})
    _refuse_fractions(facts)
    event = Event.objects.create(order=order, kind=kind, by=by, facts=facts)
    webhooks.enqueue(event)
    return event


def head(order: Order) -> str:
    """Return how long the order's history is, and the hash of its last event: ``7:3fb2…``, or "" before the first.

    Who has it, outside of this database, can later tell whether anything up to there was changed or cut off
    (``verify_history NUMBER --expect HEAD``). Every email about the order carries it.
    """
    found = HistoryHead.objects.filter(order=order).first()
    return str(found) if found else ""


def _refuse_fractions(value: object) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r}: write it as text")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _refuse_fractions(part)
