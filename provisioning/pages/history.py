"""An order's history: the page, its export, and sending again what somebody waits for."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from orgs.text.csv_out import csv_lines
from provisioning import actions, history
from provisioning.finder_gateway import response_padding
from provisioning.history import commitments, event_sentences, verification
from provisioning.history.event_sentences import Reader
from provisioning.pages.base import page, page_with_form, show
from provisioning.people.access import May, access_to
from subscriptions.models import Order


@page
def order_history(request: HttpRequest, number: str) -> HttpResponse:
    """What happened to the order, in words, as far as this person may know."""
    access = access_to(request.user, number)
    access.require(May.SEE_HISTORY)
    lines = _lines(access.order, access.reader)
    return show(request, "pages/history.html", access, lines=lines)


@page
def export_history(request: HttpRequest, number: str, form: str) -> HttpResponse:
    """The same as a file, JSON or CSV, with the hashes."""
    access = access_to(request.user, number)
    access.require(May.SEE_HISTORY)
    return exported(access.order, access.reader, form)


@page_with_form
@response_padding.pad_post_time
def send_again(request: HttpRequest, number: str) -> HttpResponse:
    """POST sends again what this person waits for, or says when it may be; GET leads back to the order."""
    access = access_to(request.user, number)
    if access.waits_for is None or request.method != "POST":
        return redirect("order", number=number)
    waits = actions.send_again(order=access.order, by=access.user)
    if not waits.may_send_again:
        at = timezone.localtime(waits.again_at)
        when = {"day": formats.date_format(at, _("j F Y")), "time": formats.date_format(at, "H:i")}
        messages.warning(
            request, _("It was sent a short time ago. You can send it again on %(day)s at %(time)s.") % when
        )
    elif waits.request:
        messages.success(request, _("The administrators get the request again."))
    else:
        messages.success(request, _("The link is on its way again."))
    return redirect("order", number=number)


def exported(order: Order, reader: Reader, form: str) -> HttpResponse:
    """Return an order's history as a file: what this reader may read of it; for the order desk, every event in full.

    An event's hash is the SHA-256 of its ``text`` (given to the order desk), which holds the hash before it. The text
    has tokens for email addresses; ``people`` has the address and the key of each token (``history.commitments``).
    """
    head = history.head(order)
    events = {event.position: event for event in order.events.select_related("by")}
    rows: list[dict[str, Any]] = []
    for line in event_sentences.sentences_for(events.values(), reader):
        row = {**asdict(line), "at": line.at.isoformat()}
        if reader.is_desk:
            event = events[line.position]
            row |= {
                "who": event.who,
                "facts": event.facts,
                "text": verification.text_of(number=order.number, event=event),
            }
        rows.append(row)
    name = f"history-{order.number}.{form}"
    if form == "json":
        told: dict[str, Any] = {"order": order.number, "head": head, "events": rows}
        if reader.is_desk:
            told["people"] = commitments.people_of(order.pk)
        content = json.dumps(told, ensure_ascii=False, indent=1)
        response = HttpResponse(content, content_type="application/json")
    else:
        cells = (
            [json.dumps(cell, ensure_ascii=False) if isinstance(cell, dict) else cell for cell in row.values()]
            for row in rows
        )
        lines = csv_lines(["order", *(rows[0] if rows else [])], ([order.number, *row] for row in cells))
        response = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Order-History"] = head
    return response


def _lines(order: Order, reader: Reader) -> list[event_sentences.Line]:
    return event_sentences.sentences_for(order.events.select_related("by").order_by("-position"), reader)
