"""What the order desk keeps with an order: notes, who looks after it, and a hold with its reason."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orgs.text.normalize import email_key
from provisioning import history
from provisioning.actions.deadlines import email_more_time
from provisioning.actions.orders import lock, refuse_closed, too_late
from provisioning.models import Event, User
from subscriptions.models import UNFINISHED, Order
from subscriptions.rules import validation
from subscriptions.rules.validation import Problem, Refused


@transaction.atomic
def put_on_hold(*, order: Order, by: User | None, reason: str, message: str = "") -> Order:
    """Stop an unfinished order until the desk releases it; twice is once. Nobody but the desk can do anything with it.

    Every answer is kept, and the set-up-by date doesn't pass meanwhile. Its people read it when they open the order.

    :param reason: for the order desk and the history, up to 500 characters.
    :param message: what the people of the order read besides, up to 500 characters; "" for nothing.
    :raises Refused: REASON, MESSAGE; CLOSED, CANCELLED, ALREADY_SET_UP or BEING_SET_UP.
    """
    order = lock(order)
    reason = validation.clean_note(reason, Problem.REASON)
    message = validation.clean_note(message, Problem.MESSAGE, required=False)
    if order.state not in UNFINISHED:
        raise too_late(order)
    if order.is_on_hold:
        return order
    refuse_closed(order)
    order.on_hold_at, order.hold_reason, order.hold_message = timezone.now(), reason, message
    order.save(update_fields=["on_hold_at", "hold_reason", "hold_message"])
    facts = {"reason": reason, "message": message}
    history.record(order=order, kind=Event.Kind.ON_HOLD, by=by, facts=facts)
    return order


@transaction.atomic
def end_hold(*, order: Order, by: User | None) -> Order:
    """Let an order that the desk holds go on where it was; twice is once.

    Its set-up-by date, and an open request for rights, have as much time left as they had when it was put on hold.
    Whoever must act gets an email.

    :raises Refused: CANCELLED.
    """
    order = lock(order)
    if order.state == Order.State.CANCELLED:
        raise Refused(Problem.CANCELLED)
    if order.on_hold_at is None:
        return order
    now = timezone.now()
    held_for, since = now - order.on_hold_at, order.on_hold_at
    waiting = order.access_requests.filter(decision="", ended_at=None, expires_at__gt=since)
    waiting.update(expires_at=F("expires_at") + held_for)
    old = order.closes_at
    order.closes_at, order.date_set_at = old + held_for, now
    order.on_hold_at, order.hold_reason, order.hold_message = None, "", ""
    order.save(update_fields=["closes_at", "date_set_at", "on_hold_at", "hold_reason", "hold_message"])
    facts = {"from": old.isoformat(), "to": order.closes_at.isoformat()}
    history.record(order=order, kind=Event.Kind.HOLD_RELEASED, by=by, facts=facts)
    email_more_time(order, reopened=True)
    return order


@transaction.atomic
def add_note(*, order: Order, by: User | None, text: str, unless_noted_since: datetime | None = None) -> Event:
    """Add a note for the order desk, of up to 2,000 characters. It is part of the history: it can't be changed.

    :param unless_noted_since: the same note that was added after this time isn't added again.
    :raises Refused: NOTE where it is empty or too long.
    """
    text, order = validation.clean_note(text, Problem.NOTE, longest=2000), lock(order)
    if unless_noted_since is not None:
        same = order.events.filter(kind=Event.Kind.NOTED, by=by, at__gt=unless_noted_since, facts={"text": text})
        if found := same.first():
            return found
    return history.record(order=order, kind=Event.Kind.NOTED, by=by, facts={"text": text})


@transaction.atomic
def set_desk_owner(*, order: Order, by: User | None, owner: str) -> Order:
    """Name the operator who looks after an order, or nobody (""); the same again changes nothing.

    :raises Refused: OWNER where the address isn't that of an operator who can sign in.
    """
    order, owner = lock(order), email_key(owner)
    if owner and not User.objects.filter(email=owner, is_staff=True, is_active=True).exists():
        raise Refused(Problem.OWNER)
    if order.desk_owner == owner:
        return order
    facts = {"from": order.desk_owner, "to": owner}
    order.desk_owner = owner
    order.save(update_fields=["desk_owner"])
    history.record(order=order, kind=Event.Kind.OWNER, by=by, facts=facts)
    return order
