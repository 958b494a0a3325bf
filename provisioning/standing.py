"""Where an order stands for one person: the page that fits, and how far it is."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from provisioning import drafts
from provisioning.access import Access, May, Role
from provisioning.models import AccessRequest
from provisioning.steps import SETUP, applicable, readable
from subscriptions.models import Order

State = Order.State


def page_of(access: Access) -> str:
    """Return the address of the page that fits the order's state and the person's part in it."""
    order = access.order
    if access.role is Role.APPROVER:
        return reverse("access_request", args=[order.number, access.request.public_id])
    if access.may(May.READ_SUMMARY):
        return reverse("summary", args=[order.number])
    if order.state == State.CANCELLED:
        return reverse("cancelled", args=[order.number])
    if order.is_closed:
        return reverse("closed", args=[order.number])
    if access.role in {Role.FORMER_CONTACT, Role.FORMER_DELEGATE}:
        name = "handed_over" if access.role is Role.FORMER_CONTACT else "taken_over"
        return reverse(name, args=[order.number])
    if access.may(May.ASK_FOR_SET_UP):
        return reverse("held", args=[order.number])
    if access.may(May.TAKE_OVER):
        return reverse("delegated", args=[order.number])
    if access.may(May.SET_UP):
        return reverse("set_up", args=[order.number])
    if order.state == State.HELD and last_request(access):
        return reverse("held", args=[order.number])
    return reverse("find", args=[order.number])


def last_request(access: Access) -> AccessRequest | None:
    """Return the last request for rights that this person made for the order, or the one that their part rests on."""
    asked = access.order.access_requests.filter(requester=access.user).select_related(
        "organization", "order", "desk_case"
    )
    return asked.order_by("-pk").first() or access.part.rests_on


def progress(order: Order) -> dict[str, int]:
    """Return how many steps of the set-up are answered, of how many."""
    entries = drafts.load(order.pk).steps.get("set_up", {})
    kept = readable(SETUP, {name: entry["answer"] for name, entry in entries.items()})
    answers: dict[str, Any] = {"order": {"services": [line.service for line in order.lines.all()]}, **kept}
    names = [step.name for step in applicable(SETUP, answers)]
    return {"done": sum(name in kept for name in names), "of": len(names)}
