"""Setting up the services of a mapped order: who does it, when, and the one write that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from provisioning import emails, history
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.actions.planning import plan_set_up
from provisioning.fulfillment import transitions
from provisioning.models import Event, Part, User
from provisioning.people.access import May, access_to
from subscriptions import actions as subscriptions
from subscriptions.models import Order


@transaction.atomic
def postpone(*, order: Order, by: User) -> Order:
    """Note that the set-up is to be done later; the order stays as it is.

    Raises Refused when the order has closed, or Http404 for somebody who may not set it up.
    """
    order = lock(order)
    refuse_closed(order)
    if order.state == Order.State.MAPPED:
        access_to(by, order.number).require(May.SET_UP)
        history.record(order=order, kind=Event.Kind.POSTPONED, by=by)
    return order


def reserve(*, order: Order, wanted: Mapping[str, Any]) -> None:
    """Reserve the unique values (site names) of the order's answers, until the order is set up, closed or cancelled.

    ``wanted`` is by service. Raises SiteNameTaken where somebody else has it, else Refused; nothing is changed then.
    """
    subscriptions.reserve_for_order(order=order, wanted=wanted)


@transaction.atomic
def take_over(*, order: Order, by: User) -> Order:
    """Take the set-up back from the customer; what they answered stays.

    Raises Refused when it is done already, or the order has closed, or Http404 for somebody who may not take it over.
    """
    order = lock(order)
    if order.state not in {Order.State.MAPPED, Order.State.SETTING_UP}:
        raise too_late(order)
    refuse_closed(order)
    if order.delegated_to:
        access_to(by, order.number).require(May.TAKE_OVER)
        history.record(order=order, kind=Event.Kind.TAKEN_OVER, by=by, facts={"from": order.delegated_to})
        emails.queue(order=order, event="setup_taken_over", to=order.delegated_to)
        order.parts.filter(role=Part.Role.DELEGATE, ended_at=None).update(ended_at=timezone.now())
        order.delegated_to = ""
        order.save(update_fields=["delegated_to"])
    return order


@transaction.atomic
def set_up(*, order: Order, by: User, plans: Mapping[str, Any], seal: str | None = None) -> Order:
    """Ask each service's driver for what was bought, all of it or nothing; once: a second call finds it asked for.

    What the local driver sets up is set up when this returns. ``plans`` are by service, as
    ``subscriptions.actions.request_set_up`` wants them; ``seal`` is that of the page that
    was confirmed (None: there was none). Raises PlanChanged, SiteNameTaken, Refused for plans that don't fit the order
    and for an order that isn't mapped or has closed, or Http404 for somebody who may not set it up: whose right to do
    so is over, or who has no part in the order.
    """
    order = lock(order)
    if order.state == Order.State.SET_UP or (
        order.state == Order.State.SETTING_UP and not subscriptions.lines_to_ask_for(order)
    ):
        return order
    if order.state not in {Order.State.MAPPED, Order.State.SETTING_UP}:
        raise too_late(order)
    refuse_closed(order)
    access_to(by, order.number).require(May.SET_UP)
    end_requests(order)
    plan_set_up(order=order, by=by, plans=plans).confirmed(seal)
    return transitions.request_lines(order=order, by=by, plans=plans)


def stop_set_up(*, order: Order, by: User) -> Order:
    """Take back every request of an order that is not set up yet; what was begun outside is deleted there.

    Raises Refused where there is none, or Http404 for somebody who may not.
    """
    with transaction.atomic():
        order = lock(order)
        access_to(by, order.number).require(May.STOP_SET_UP)
        return transitions.take_requests_back(order=order, by=by)
