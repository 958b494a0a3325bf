"""Where an order stands for one person: the page that fits, and its line in *My orders*."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning import drafts
from provisioning.access import Access, May, Role, orders_of
from provisioning.models import AccessRequest, Draft, User
from provisioning.steps import SETUP, applicable, readable
from provisioning.templatetags.look import day
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
    if access.may(May.TAKE_OVER):
        return reverse("delegated", args=[order.number])
    if access.may(May.SET_UP):
        return reverse("set_up", args=[order.number])
    if order.state == State.HELD and last_request(access):
        return reverse("held", args=[order.number])
    return reverse("find", args=[order.number])


def last_request(access: Access) -> AccessRequest | None:
    """Return the last request for rights that this person made for the order."""
    asked = access.order.access_requests.filter(requester=access.user).select_related("organization")
    return asked.order_by("-pk").first()


def progress(order: Order) -> dict[str, int]:
    """Return how many steps of the set-up are answered, of how many."""
    entries = drafts.load(order.pk).steps.get("set_up", {})
    kept = readable(SETUP, {name: entry["answer"] for name, entry in entries.items()})
    answers: dict[str, Any] = {"order": {"services": [line.service for line in order.lines.all()]}, **kept}
    names = [step.name for step in applicable(SETUP, answers)]
    return {"done": sum(name in kept for name in names), "of": len(names)}


def tasks(user: User) -> list[dict[str, Any]]:
    """Return the lines of *My orders*: what is to be done, by whom, and the button; in a few queries for them all."""
    found = orders_of(user)
    orders = [access.order.pk for access in found]
    started = set(Draft.objects.filter(order__in=orders).exclude(steps={}).values_list("order_id", flat=True))
    asked = {
        each.order_id: each for each in AccessRequest.objects.filter(order__in=orders, requester=user).order_by("pk")
    }
    return [_task(access, access.order.pk in started, asked.get(access.order.pk)) for access in found]


def _task(access: Access, started: bool, asked: AccessRequest | None) -> dict[str, Any]:
    order, url = access.order, reverse("order", args=[access.order.number])
    title = order.customer_name or order.sold_to
    if access.role is Role.APPROVER:
        title, url = access.request.organization.name, page_of(access)
    elif order.customer and access.role in {Role.CONTACT, Role.DELEGATE}:
        title = order.customer.name  # who no longer has the order need not know what became of it
    return {"order": order, "title": title, "url": url, **_words(access, started, asked)}


def _words(access: Access, started: bool, asked: AccessRequest | None) -> dict[str, str]:
    order = access.order
    if access.role is Role.APPROVER:
        return _words_of_request(access)
    if order.state == State.CANCELLED:
        return _line("ended", _("Cancelled"), "", _("Open"))
    if order.is_closed:
        words = _line("problem", _("There is a problem"), "", _("See what to do"))
        return {**words, "note": _("The order closed on %(day)s.") % {"day": day(order.closes_at)}}
    if order.state == State.SET_UP:
        if access.may(May.READ_SUMMARY):
            return _line("done", _("Completed"), "", _("Open the order summary"))
        return _line("done", _("Completed"), "", _("Open"))
    if access.role is Role.FORMER_CONTACT:
        return _line("waiting", _("Handed over"), _("somebody else"), _("See who has it"))
    if access.role is Role.FORMER_DELEGATE:
        return _line("waiting", _("In progress"), _("the partner"), _("Open"))
    if order.state == State.HELD:
        if asked and asked.state in {AccessRequest.State.DECLINED, AccessRequest.State.EXPIRED}:
            declined = asked.state == AccessRequest.State.DECLINED
            status = _("Your request was declined") if declined else _("Nobody has answered")
            return _line("problem", status, "", _("See what to do"))
        return _line("waiting", _("Waiting for an administrator"), _("an administrator"), _("Open"))
    if access.may(May.TAKE_OVER):
        return _line("waiting", _("Waiting for the customer"), order.delegated_to, _("See progress"))
    if order.state == State.MAPPED:
        return _line("next", _("In progress"), "", _("Set up the services"))
    status = _("In progress") if started else _("Not started")
    return _line("next", status, "", _("Continue") if started else _("Start"))


def _words_of_request(access: Access) -> dict[str, str]:
    """An approver's line: the request, and nothing else of the order."""
    state = access.request.state
    if access.may(May.DECIDE):
        words = _line("next", _("Waiting for your decision"), "", _("Review the request"))
        who = {"who": access.request.requester.email}
        return {**words, "note": _("%(who)s asks for rights and can’t go on without them.") % who}
    if state in {AccessRequest.State.APPROVED, AccessRequest.State.DECLINED}:
        return _line("done", access.request.get_decision_display(), "", _("Open"))
    return _line("ended", _("Nothing to decide any more"), "", _("Open"))


def _line(state: str, status: str, owner: str, button: str) -> dict[str, str]:
    return {"state": state, "status": status, "owner": owner, "button": button}
