"""Notes what came back by email: bounces and replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.db import transaction

from provisioning import history
from provisioning.actions.orders import lock
from provisioning.actions.resending import note_bounce
from provisioning.integration.returned_mail import Returned
from provisioning.models import Event, Mail
from subscriptions.models import Order

# Replies to one email that are noted; further ones are left out.
MOST_REPLIES: Final = 20


@transaction.atomic
def note_returned(found: Returned, *, trusted: bool) -> list[Order]:
    """Note a bounce or a reply, once; return the orders that it concerns.

    Anybody can write to the mailbox. So what isn't ``trusted`` (signed by the mail service) has to name an email of
    ours by its Message-ID, which only its receiver knows, and come from, or be about, the address that it went to.
    """
    found = replace(found, address=_storable(found.address), said=_storable(found.said))
    mail = Mail.objects.select_related("order").filter(public_id=found.mail).first() if found.mail else None
    if mail is not None and mail.to.lower() != found.address:
        mail = None
    if found.kind == "bounce" and (trusted or mail is not None):
        return note_bounce(email=found.address, said=found.said)
    if mail is None:
        return []
    order = lock(mail.order)
    facts = {"mail": mail.event, "to": mail.to, "id": str(mail.public_id), "text": found.said}
    noted = list(order.events.filter(kind=Event.Kind.REPLIED, facts__id=facts["id"]).values_list("facts", flat=True))
    if facts not in noted and len(noted) < MOST_REPLIES:
        history.record(order=order, kind=Event.Kind.REPLIED, facts=facts)
    return [order]


def _storable(text: str) -> str:
    """Return a text as the database can keep it: one that it refuses would be tried, and fail, again and again."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
