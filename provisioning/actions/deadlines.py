"""The set-up-by date of an order: reminders before it, what happens when it passes, and more time.

The rows are the truth. Whether an order is closed follows from its date alone (``Order.is_closed``); the sweep only
says so, once. What was said is a ``Reminder``, written with its emails in one transaction: killed at any point, nothing
is lost or said twice. A clock that jumps ahead skips what it jumped over; one that jumps back says nothing again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, QuerySet, Value, When
from django.utils import timezone

from provisioning import emails, history
from provisioning.actions.orders import lock
from provisioning.models import Event, Part, Reminder, User
from provisioning.people import links
from provisioning.people.order_people import who_must_act
from subscriptions import actions as subscriptions
from subscriptions.models import UNFINISHED, Order
from subscriptions.rules.deadlines import REMINDERS

# So many orders in one go; the next sweep, twenty seconds later, goes on.
AT_ONCE: Final = 500


def look_after_dates() -> int:
    """Say of every order what its date asks to be said now; return of how many. Safe to run at any time, by anybody."""
    due = list(_due(timezone.now()).order_by("closes_at").values_list("pk", flat=True)[:AT_ONCE])
    return sum(_look_after(pk) for pk in due)


def _due(now: datetime) -> QuerySet[Order]:
    """Return the orders of whose date something is to be said now, with ``stage``: days before it, or 0 once it passed.

    Of several stages that were reached only the last one counts, unless it was over when the order got its date.
    """
    stages = [(Reminder.CLOSED, now), *((days, now + timedelta(days=days)) for days in sorted(REMINDERS))]
    orders = Order.objects.filter(state__in=UNFINISHED, on_hold_at=None, closes_at__lte=stages[-1][1]).annotate(
        stage=Case(*(When(closes_at__lte=until, then=Value(days)) for days, until in stages)),
        reached_at=Case(
            *(When(closes_at__lte=until, then=F("closes_at") - timedelta(days=days)) for days, until in stages),
            output_field=DateTimeField(),
        ),
    )
    said = Reminder.objects.filter(order=OuterRef("pk"), closes_at=OuterRef("closes_at"), days__lte=OuterRef("stage"))
    return orders.filter(~Exists(said), date_set_at__lt=F("reached_at"))


@transaction.atomic
def _look_after(pk: int) -> bool:
    """Queue the reminder or the closing email that is due for an order. Skips a row that another worker has locked."""
    now = timezone.now()
    order = _due(now).select_for_update(skip_locked=True, no_key=True, of=("self",)).filter(pk=pk).first()
    if order is None:
        return False
    days: int = order.stage  # type: ignore[attr-defined]  # annotated
    Reminder.objects.create(order=order, closes_at=order.closes_at, days=days, at=now)
    if days == Reminder.CLOSED:
        _tell_closed(order)
    else:
        _remind(order, days)
    return True


def _remind(order: Order, days: int) -> None:
    acting, watching = ([part for part in parts if not part.reminders_stopped_at] for parts in who_must_act(order))
    for part in acting:
        _tell(order, "setup_reminder", part, role="decide" if part.access_request_id else "act")
    for part in watching:
        _tell(order, "setup_reminder", part, role="watch")
    told = [part.user.email for part in (*acting, *watching)]
    history.record(order=order, kind=Event.Kind.REMINDED, facts={"days": days, "to": told})


def stop_reminders(*, part: Part, stopped: bool) -> None:
    """Stop the reminders of a person's part in an order, or start them again; twice is once."""
    at = timezone.now() if stopped else None
    Part.objects.filter(pk=part.pk, reminders_stopped_at__isnull=stopped).update(reminders_stopped_at=at)


def _tell_closed(order: Order) -> None:
    """Tell the people who could have acted, and the order desk. A request that waits can't be decided; nobody asks."""
    acting, watching = who_must_act(order)
    for part in (*acting, *watching):
        if not part.access_request_id:
            _tell(order, "order_closed", part)
    if settings.ORDER_DESK_EMAIL:
        emails.queue(order=order, event="order_closed_unfinished", to=settings.ORDER_DESK_EMAIL)
    history.record(order=order, kind=Event.Kind.CLOSED, facts={"set_up_by": order.closes_at.isoformat()})


@transaction.atomic
def extend_order(*, order: Order, closes_at: datetime, reason: str = "", by: User | None = None) -> Order:
    """Give an order more time. A closed order continues where it was, and the person who must act gets a new link.

    A request for rights that was open when the order closed is open again for as long as it still had.

    :raises Refused: CANCELLED, ALREADY_SET_UP, SET_UP_BY or NOT_LATER.
    """
    before = lock(order)
    closed, old, now = before.is_closed, before.closes_at, timezone.now()
    order = subscriptions.extend_order(order=before, closes_at=closes_at)
    if closed:
        waiting = order.access_requests.filter(decision="", ended_at=None, expires_at__gt=old)
        waiting.update(expires_at=F("expires_at") + (now - old))
    facts = {"from": old.isoformat(), "to": closes_at.isoformat(), "reason": reason.strip(), "reopened": closed}
    history.record(order=order, kind=Event.Kind.EXTENDED, by=by, facts=facts)
    email_more_time(order, reopened=closed)
    return order


def email_more_time(order: Order, *, reopened: bool) -> None:
    """Tell whoever must act, and the contact who waits, until when there is time; each gets a link that works."""
    acting, watching = who_must_act(order)
    for part in acting:
        role = "decide" if part.access_request_id else "act"
        _tell(order, "order_extended", part, role=role, reopened=reopened)
    for part in watching:
        _tell(order, "order_extended", part, role="watch", reopened=reopened)


def _tell(order: Order, event: str, part: Part, *, role: str = "act", reopened: bool = False) -> None:
    link = links.current(part=part)
    emails.queue(order=order, event=event, to=part.user.email, link=link, role=role, reopened="yes" if reopened else "")
