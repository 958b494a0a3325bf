"""Handing an order to somebody else to complete, and taking it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from orgs import rate_limits
from orgs.text.normalize import email_key
from provisioning import emails, history
from provisioning.actions import drafts
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.models import Event, Part, User
from provisioning.people import links
from provisioning.people.access import UNMAPPED
from provisioning.people.order_people import may_take_back
from subscriptions.models import Order

# In a day: each is an email to an address that the person chooses.
MOST: Final = 10
A_DAY: Final = timedelta(days=1)


class HandedOverTooOften(Exception):
    """This order was handed over as often as is possible in a day."""


def is_handed_over_too_often(order: Order) -> bool:
    """Say whether this order can't be handed over again today."""
    return rate_limits.is_spent(_key(order), MOST, A_DAY)


def _key(order: Order) -> str:
    return f"hand-overs:order:{order.number}"


@transaction.atomic
def hand_over(*, order: Order, by: User, email: str) -> Order:
    """Give the order to the person with this address, who gets a link; ``by`` may take it back until it is mapped.

    Doing it twice is doing it once. Raises Refused once the organizations are confirmed or the order has closed,
    Http404 for somebody who doesn't have the order, HandedOverTooOften.
    """
    order = lock(order)
    current = _current_contact(order)
    if current.user.email == email_key(email):
        return order
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    if current.user_id != by.pk:
        raise Http404
    if not rate_limits.spend({_key(order): MOST}, A_DAY):
        raise HandedOverTooOften
    part = _pass_on(order=order, current=current, to=links.user_for(email), given_by=current)
    link = links.issue(part=part)
    emails.queue(order=order, event="order_handed_over", to=part.user.email, link=link)
    history.record(order=order, kind=Event.Kind.HANDED_OVER, by=by, facts={"to": part.user.email})
    return order


@transaction.atomic
def take_order_back(*, order: Order, by: User) -> Order:
    """Take back an order that this person had handed over.

    Raises Refused once the organizations are confirmed or the order has closed, Http404 for somebody who never handed
    it over.
    """
    order = lock(order)
    current = _current_contact(order)
    if current.user_id == by.pk:
        return order
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    if not may_take_back(order=order, user=by):
        raise Http404
    own = order.parts.filter(user=by, role=Part.Role.CONTACT).latest("pk")
    _pass_on(order=order, current=current, to=by, given_by=own.given_by)
    emails.queue(order=order, event="order_taken_back", to=current.user.email)
    history.record(order=order, kind=Event.Kind.TAKEN_BACK, by=by, facts={"from": current.user.email})
    return order


def _current_contact(order: Order) -> Part:
    return order.parts.select_related("user", "given_by").get(role=Part.Role.CONTACT, ended_at=None)


def _pass_on(*, order: Order, current: Part, to: User, given_by: Part | None) -> Part:
    """End one contact's part and begin the other's; what was found for one person isn't taken for the other's."""
    current.ended_at = timezone.now()
    current.save(update_fields=["ended_at"])
    order.contact_email = to.email
    order.state = Order.State.PLACED
    order.save(update_fields=["contact_email", "state"])
    end_requests(order)
    drafts.begin_again(order=order, flow="find", but_for={"customer-details"})
    return Part.objects.create(order=order, user=to, role=Part.Role.CONTACT, given_by=given_by)
