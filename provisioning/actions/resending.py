"""Sending again what somebody waits for an answer to, and noting that an address can't be reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from orgs.models import Member, full_administrators
from orgs.text.normalize import email_key
from provisioning import history
from provisioning.actions.access_requests import email_about_request
from provisioning.actions.orders import lock, mail_link
from provisioning.models import AccessRequest, Event, Mail, User
from provisioning.people import links
from provisioning.people.access import access_to
from provisioning.people.pending_replies import Waiting
from subscriptions.models import Order

# What comes back came back within this time: mail servers give up after some days.
COMES_BACK: Final = timedelta(days=30)


@transaction.atomic
def send_again(*, order: Order, by: User) -> Waiting:
    """Send again what this person waits for: the new contact's link, the customer's administrator's, or the request.

    The link is the one they have, or a new one where that has expired. Returns what was waited for, as it was before:
    where it may not be sent again yet, nothing is sent. Raises Http404 for somebody who waits for nothing.
    """
    order = lock(order)
    waits = access_to(by, order.number).waits_for
    if waits is None:
        raise Http404
    if not waits.may_send_again:
        return waits
    if waits.part:
        mail_link(part=waits.part, link=links.current(part=waits.part), by=by)
    elif waits.request:
        history.record(order=order, kind=Event.Kind.ASKED_AGAIN, by=by, facts={"right": waits.request.right})
        _ask_again(waits.request)
    return waits


def _ask_again(request: AccessRequest) -> None:
    full = Member.objects.filter(full_administrators(), organization=request.organization_id)
    asked = request.approvers.filter(user__email__in=full.values("email"))
    for part in asked.select_related("user", "order").order_by("pk"):
        email_about_request(request, event="access_requested", part=part)


@transaction.atomic
def note_bounce(*, email: str, by: User | None = None, said: str = "") -> list[Order]:
    """Note that emails to this address come back: on each that went there lately, and in its order's history.

    ``said`` is the mail server's answer. Returns the orders; noting it twice is noting it once.
    """
    now = timezone.now()
    # The emails are locked before their orders, as provisioning.worker.tasks does.
    mails = Mail.objects.select_for_update(of=("self",)).select_related("order").order_by("order_id", "pk")
    back = list(mails.filter(to__iexact=email_key(email), sent_at__gt=now - COMES_BACK, bounced_at=None))
    newest = {mail.order: mail for mail in back}
    Mail.objects.filter(pk__in=[mail.pk for mail in back]).update(bounced_at=now, problem=said)
    for order, mail in newest.items():
        facts = {"mail": mail.event, "to": mail.to, "id": str(mail.public_id), "problem": said}
        history.record(order=order, kind=Event.Kind.MAIL_BOUNCED, by=by, facts=facts)
    return list(newest)
