"""How far the set-up of an order is: each service with its state, and what a person can do about it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning import actions
from provisioning.fulfillment import transitions
from provisioning.pages.base import page, page_with_form, show
from provisioning.people.access import Access, May, access_to
from provisioning.rules.refusals import sentence
from provisioning.wizard.packs.base import installed
from subscriptions import packs
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.rules.validation import Refused
from subscriptions.summary import build_summary, documents

State = ProvisioningRequest.State


@page
def progress(request: HttpRequest, number: str) -> HttpResponse:
    """Show each service with what was asked for and its state. htmx asks for the list alone, again and again."""
    access = access_to(request.user, number)
    if not access.may(May.SEE_PROGRESS):
        if request.headers.get("HX-Request"):  # it is set up, cancelled or somebody else's: another page fits
            return HttpResponse(headers={"HX-Redirect": reverse("order", args=[number])})
        return redirect("order", number=number)
    context = _context(access)
    if request.headers.get("HX-Request"):
        return render(request, "parts/set_up/progress.html", {"order": access.order, "access": access, **context})
    return show(request, "pages/progress.html", access, **context)


@page_with_form
def stop(request: HttpRequest, number: str) -> HttpResponse:
    """Take back what is not set up yet: what that means is said first, and a button does it."""
    access = access_to(request.user, number)
    if not access.may(May.STOP_SET_UP):
        return redirect("order", number=number)
    if request.method == "POST":
        try:
            actions.stop_set_up(order=access.order, by=access.user)
        except Refused as refused:
            messages.warning(request, sentence(refused))
        else:
            messages.success(request, _("It is taken back. Your answers are kept: change them, and confirm again."))
        return redirect("order", number=number)
    lines = [line for line in _context(access)["lines"] if line["state"] in {State.WAITING, State.IN_PROGRESS}]
    if not lines:
        return redirect("order", number=number)
    return show(request, "pages/stop_set_up.html", access, lines=lines, begun=any(line["begun"] for line in lines))


def _context(access: Access) -> dict[str, Any]:
    """Return the lines with their states, as both pages show them."""
    order: Order = access.order
    seen = documents.seen_by(build_summary(order), access.user.email)
    requests = {each.line.service: each for each in transitions.current(order)}
    lines = [
        {
            "label": packs.label_of(line.service),
            "line": line,
            "rows": list(made.rows(seen.as_of)) if (made := line.made or line.asked) else [],
            "state": line.state or State.CANCELLED,
            "state_label": str(State(line.state or State.CANCELLED).label),
            "since": line.state_since,
            "request": requests.get(line.service),
            "begun": bool(requests.get(line.service) and requests[line.service].started_at),
            "unreachable": bool(requests.get(line.service) and requests[line.service].unreachable_since),
            "late": bool(requests.get(line.service) and requests[line.service].told_late_at),
        }
        for line in seen.lines
    ]
    return {
        "lines": lines,
        "answer_url": reverse("set_up", args=[order.number]) if access.may(May.SET_UP) else "",
        "may_stop": access.may(May.STOP_SET_UP)
        and any(line["state"] in {State.WAITING, State.IN_PROGRESS} for line in lines),
        "packs": installed(),
    }
