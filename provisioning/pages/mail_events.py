"""Where the mail service reports bounces and replies: signed JSON (Standard Webhooks), and stopping reminders."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from standardwebhooks import Webhook, WebhookVerificationError

from orgs.text import pasted_text
from orgs.text.normalize import email_key
from provisioning import actions
from provisioning.integration.returned_mail import MOST_SAID, Returned, mail_id
from provisioning.pages.base import reads_or_posts
from provisioning.people import links

MOST_EVENTS: Final = 1000


@csrf_exempt
@require_POST
def mail_events(request: HttpRequest) -> HttpResponse:
    """Note what a mail service reports: ``{"events": [{"type", "address", "message_id", "said"}]}``.

    ``type`` is "bounce" (for good) or "reply"; others are skipped. ``message_id`` and ``said`` may be missing. Safe to
    repeat. Answers how many events were noted; 404 without ``MAIL_EVENTS_SECRETS``, 401 for a wrong signature, 400
    for another body.
    """
    if not settings.MAIL_EVENTS_SECRETS:
        raise Http404
    if not _is_signed(request):
        return JsonResponse({"error": _("The signature doesn’t fit, or is older than five minutes.")}, status=401)
    try:
        events = json.loads(request.body)["events"]
        found = [one for event in events[:MOST_EVENTS] if (one := _read(event)) is not None]
    except (ValueError, KeyError, TypeError, RecursionError):
        wanted = '{"events": [{"type": "bounce", "address": "sam@example.com"}]}'
        return JsonResponse({"error": _("Send JSON like %(example)s.") % {"example": wanted}}, status=400)
    noted = sum(bool(actions.note_returned(one, trusted=True)) for one in found)
    return JsonResponse({"noted": noted, "skipped": len(events) - noted})


def _is_signed(request: HttpRequest) -> bool:
    headers = {name: request.headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    for secret in settings.MAIL_EVENTS_SECRETS:
        try:
            Webhook(secret).verify(request.body, headers)
        except (WebhookVerificationError, ValueError):  # ValueError: not JSON, which is only looked at when signed
            continue
        return True
    return False


def _read(event: dict[str, Any]) -> Returned | None:
    kind, address = event["type"], event["address"]
    if kind not in {"bounce", "reply"} or not isinstance(address, str):
        return None
    said = pasted_text.plain(str(event.get("said") or ""))[:MOST_SAID]
    return Returned(kind, email_key(pasted_text.plain(address)[:254]), mail_id(event.get("message_id")), said)


@csrf_exempt  # RFC 8058: mail programs post without a cookie; the link says whose reminders they are
@never_cache
@reads_or_posts
def reminders(request: HttpRequest, token: str) -> HttpResponse:
    """Stop the reminders of one order to one person, or start them again; GET asks."""
    link = links.find(token)
    if link is None:
        return render(request, "links/unknown.html", status=404)
    if request.method == "POST":
        actions.stop_reminders(part=link.part, stopped="start" not in request.POST)
        link.part.refresh_from_db()
    context = {"number": link.order.number, "stopped": link.part.reminders_stopped_at is not None}
    return render(request, "links/reminders.html", context)
