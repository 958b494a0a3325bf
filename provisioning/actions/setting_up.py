"""Setting up the services of a mapped order: who does it, when, and the one write that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language

from provisioning import emails, history
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.actions.planning import plan_set_up
from provisioning.models import Event, Part, User
from provisioning.people.access import May, access_to
from subscriptions import actions as subscriptions
from subscriptions.models import Order
from subscriptions.summary import documents


@transaction.atomic
def postpone(*, order: Order, by: User) -> Order:
    """Note that the set-up is to be done later; the order stays as it is."""
    order = lock(order)
    refuse_closed(order)
    if order.state == Order.State.MAPPED:
        history.record(order=order, kind=Event.Kind.POSTPONED, by=by)
    return order


def reserve(*, order: Order, wanted: Mapping[str, Any]) -> None:
    """Keep for the order what its answers want and only one can have (site names), as long as it can be set up.

    ``wanted`` is by service. Raises SiteNameTaken where somebody else has it, else Refused; nothing is changed then.
    """
    subscriptions.reserve_for_order(order=order, wanted=wanted)


@transaction.atomic
def take_over(*, order: Order, by: User) -> Order:
    """Take the set-up back from the customer; what they answered stays.

    Raises Refused when it is done already, or the order has closed.
    """
    order = lock(order)
    if order.state != Order.State.MAPPED:
        raise too_late(order)
    refuse_closed(order)
    if order.delegated_to:
        history.record(order=order, kind=Event.Kind.TAKEN_OVER, by=by, facts={"from": order.delegated_to})
        emails.queue(order=order, event="setup_taken_over", to=order.delegated_to)
        order.parts.filter(role=Part.Role.DELEGATE, ended_at=None).update(ended_at=timezone.now())
        order.delegated_to = ""
        order.save(update_fields=["delegated_to"])
    return order


@transaction.atomic
def set_up(*, order: Order, by: User, plans: Mapping[str, Any], seal: str | None = None) -> Order:
    """Make what was bought, all of it or nothing, and tell everybody; once: a second call finds it done.

    ``plans`` are by service, as ``subscriptions.actions.set_up_order`` wants them; ``seal`` is that of the page that
    was confirmed (None: there was none). Raises PlanChanged, SiteNameTaken, Refused for plans that don't fit the order
    and for an order that isn't mapped or has closed, or Http404 for somebody who may not set it up: whose right to do
    so is over, or who has no part in the order.
    """
    order = lock(order)
    if order.state == Order.State.SET_UP:
        return order
    if order.state != Order.State.MAPPED:
        raise too_late(order)
    refuse_closed(order)
    access_to(by, order.number).require(May.SET_UP)
    end_requests(order)
    plan = plan_set_up(order=order, by=by, plans=plans).confirmed(seal)
    order = subscriptions.set_up_order(order=order, plans=plans)
    history.record(order=order, kind=Event.Kind.SET_UP, by=by)
    document, _summary, _code = documents.issue(order)
    # First the one that this person is about to ask for, then what the emails carry, and all others.
    emails.wake_for_pdfs("make_pdf", document, reader=by.email, language=get_language() or settings.LANGUAGE_CODE)
    emails.wake_for_pdfs("make_pdfs", document)
    for email in plan.emails:
        emails.queue(order=order, event=email.event, to=email.to)
    return order
