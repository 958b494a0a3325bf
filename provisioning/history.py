"""The history of an order: the one place that adds an event to it."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.models import Event, User
from subscriptions.models import Order


def record(
    *, order: Order, kind: Event.Kind, by: User | None = None, facts: Mapping[str, object] | None = None
) -> Event:
    """Add an event to an order's history, in the caller's transaction.

    ``by`` is who did it, None for the order desk's scripts and for the clock; ``facts`` are what it was about, in
    values that JSON holds (addresses of people, from what to what, a reason).
    """
    return Event.objects.create(order=order, kind=kind, by=by, facts=dict(facts or {}))
