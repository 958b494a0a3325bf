"""Where an order stands for one person: the page that fits, and how far it is."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.actions import drafts
from provisioning.models import AccessRequest, Part
from provisioning.people.access import Access, May, Role
from provisioning.templatetags.display import masked
from provisioning.wizard.steps import SETUP, applicable_steps, loadable_answers
from subscriptions.models import Order

State = Order.State


def page_of(access: Access) -> str:
    """Return the address of the page that fits the order's state and the person's part in it."""
    order = access.order
    if access.role is Role.APPROVER:
        return reverse("access_request", args=[order.number, access.request.public_id])
    if access.may(May.SEE_PROGRESS):
        return reverse("progress", args=[order.number])
    if access.may(May.READ_SUMMARY):
        return reverse("summary", args=[order.number])
    if order.state == State.CANCELLED:
        return reverse("cancelled", args=[order.number])
    if order.is_closed:
        return reverse("closed", args=[order.number])
    if order.is_on_hold:
        return reverse("on_hold", args=[order.number])
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


def subjects(order: Order) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what can be asked about, by step: ("step", the whole step) and ("step.field", label) of each field."""
    entries = drafts.draft_of(order).steps.get("set_up", {})
    kept = loadable_answers(SETUP, {name: entry["answer"] for name, entry in entries.items()})
    answers: dict[str, Any] = {"order": {"services": [line.service for line in order.lines.all()]}, **kept}
    found = []
    for step in applicable_steps(SETUP, answers):
        if step.name in {"subscription", "review"}:
            continue
        form = getattr(step.form, "form", step.form)  # rows of a form, or one
        fields = [
            (f"{step.name}.{name}", str(field.label))
            for name, field in form.base_fields.items()
            if field.label and not field.widget.is_hidden
        ]
        found.append((str(step.label), [(step.name, _("The whole step")), *fields]))
    return found


def answered(order: Order) -> list[dict[str, Any]]:
    """Return what is answered of the set-up, by step: title, step, rows (label, value), by (address) and at."""
    entries = drafts.draft_of(order).steps.get("set_up", {})
    return [
        {
            "title": step.label,
            "step": step.name,
            "rows": entries[step.name]["display"],
            "by": entries[step.name]["by"],
            "at": drafts.changed_at(entries[step.name]),
        }
        for step in SETUP
        if step.name in entries and entries[step.name]["display"]
    ]


def chain(access: Access) -> list[dict[str, Any]]:
    """Return everybody who had the order, the first one first: who (masked unless they are the reader or typed by
    them), since and until (None: still).
    """
    parts = Part.objects.filter(order=access.order, role=Part.Role.CONTACT).select_related("user", "given_by")
    own = access.user
    return [
        {
            "who": part.user.email
            if part.user_id == own.pk or (part.given_by and part.given_by.user_id == own.pk)
            else masked(part.user.email),
            "you": part.user_id == own.pk,
            "since": part.since_at,
            "until": part.ended_at,
        }
        for part in parts.order_by("pk")
    ]


def progress(order: Order) -> dict[str, int]:
    """Return how many steps of the set-up are answered, of how many."""
    entries = drafts.draft_of(order).steps.get("set_up", {})
    kept = loadable_answers(SETUP, {name: entry["answer"] for name, entry in entries.items()})
    answers: dict[str, Any] = {"order": {"services": [line.service for line in order.lines.all()]}, **kept}
    names = [step.name for step in applicable_steps(SETUP, answers)]
    return {"done": sum(name in kept for name in names), "of": len(names)}
