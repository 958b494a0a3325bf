"""How far the set-up of an order is: each service with its state, and what a person can do about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning import actions
from provisioning.pages import service_states
from provisioning.pages.base import page, page_with_form, show
from provisioning.pages.service_states import ServiceState
from provisioning.people.access import Access, May, access_to
from provisioning.rules.refusals import sentence
from subscriptions.presentation import Row, Table, number
from subscriptions.rules.validation import Refused
from subscriptions.summary import OrderSummary, build_summary, documents
from subscriptions.summary.facts import BoughtLine

UNCHANGED = 204


@dataclass(frozen=True)
class Part:
    """A piece of the page that is replaced when it changes; ``mark`` says to the server what the browser has of it."""

    name: str
    html: str
    state: str = ""
    spoken: str = ""  # the sentence for screen readers when the state changes

    @property
    def mark(self) -> str:
        """The name, the state and a hash of what is shown."""
        return f"{self.name}:{self.state}:{hashlib.sha256(self.html.encode()).hexdigest()[:12]}"


@page
def progress(request: HttpRequest, number: str) -> HttpResponse:
    """Show each service with what was asked for and its state.

    htmx asks again and again, and says which parts it has: only those that changed are sent, and spoken of only where
    a state changed.
    """
    access = access_to(request.user, number)
    by_script = bool(request.headers.get("HX-Request"))
    if not access.may(May.SEE_PROGRESS):
        if by_script:  # it is set up, cancelled or somebody else's: another page fits
            return HttpResponse(headers={"HX-Redirect": reverse("order", args=[number])})
        return redirect("order", number=number)
    parts = list(_parts(access))
    if not by_script:
        return show(request, "pages/progress.html", access, parts=parts)
    seen = dict(mark.rpartition(":")[::2] for mark in request.GET.getlist("seen"))  # a hash by name and state
    known = {each.partition(":")[0] for each in seen}
    changed = [part for part in parts if seen.get(part.mark.rpartition(":")[0]) != part.mark.rpartition(":")[2]]
    if known != {part.name for part in parts}:  # another page than this one is shown
        return HttpResponse(headers={"HX-Redirect": reverse("progress", args=[number])})
    if not changed:
        return HttpResponse(status=UNCHANGED)
    spoken = [part.spoken for part in changed if part.spoken and f"{part.name}:{part.state}" not in seen]
    return render(request, "parts/set_up/progress_changes.html", {"parts": changed, "spoken": spoken})


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
    states = [state for state in _states(access) if state.is_open]
    if not states:
        return redirect("order", number=number)
    return show(request, "pages/stop_set_up.html", access, states=states, begun=any(state.begun for state in states))


def _states(access: Access) -> list[ServiceState]:
    requests = service_states.current_of([access.order.pk]).get(access.order.pk, [])
    return service_states.of_lines(access, requests)


def _parts(access: Access) -> Iterator[Part]:
    order, states = access.order, _states(access)
    access = replace(access, to_answer=any(state.is_to_answer for state in states))
    seen = documents.seen_by(build_summary(order), access.user.email)
    lines = {line.number: line for line in seen.lines}
    context: dict[str, Any] = {
        "order": order,
        "to_answer": [state for state in states if state.is_to_answer],
        "answers": service_states.who_answers(access),
        "may_answer": access.may(May.SET_UP),
        "may_ask": access.may(May.ASK_FOR_SET_UP),
        "may_take_over": access.may(May.TAKE_OVER),
        "may_stop": access.may(May.STOP_SET_UP) and any(state.is_open for state in states),
    }
    yield Part("what-to-do", render_to_string("parts/set_up/what_to_do.html", context))
    for state in states:
        rows, tables = _asked_for(lines[state.number], seen, state.label)
        html = render_to_string("parts/set_up/progress.html", {"entry": state, "rows": rows, "tables": tables})
        spoken = _("%(service)s: %(state)s") % {"service": state.label, "state": state.status}
        yield Part(state.key, html, state.state, spoken)
    yield Part("what-else", render_to_string("parts/set_up/what_else.html", context))


def _asked_for(line: BoughtLine, seen: OrderSummary, label: str) -> tuple[list[Row], list[Table]]:
    """Return what was bought and asked for, as rows, and tables of many things, named after the line."""
    rows = [Row(_("Product"), line.product), Row(_("Licenses"), number(line.licenses), "number")]
    made = line.made or line.asked
    if made is None:
        return rows, []
    tables = [
        replace(section.table, caption=f"{label}: {section.table.caption}")
        for section in made.sections(seen.as_of)
        if section.table
    ]
    return [*rows, *made.rows(seen.as_of)], tables
