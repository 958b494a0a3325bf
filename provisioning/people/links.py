"""Links: pointers to an order, mailed to one address. The only file that sees a token.

A link is never a credential: opening it shows a page, and the one-time code that follows signs in. The token is derived
from the link's public id, so that a mail can be sent again with the same link after a killed worker, and the row keeps
its SHA-256 only.
"""

from __future__ import annotations

import base64
import enum
import hashlib
from datetime import datetime, timedelta

import uuid_utils.compat as uuid
from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orgs.text.normalize import email_key
from provisioning import emails, history
from provisioning.models import Event, Link, Mail, Part, User
from subscriptions.models import Order

SALT = "provisioning.links"
# Asking for the mail again: not more often than this, so that a script that clicks everything fills no mailbox.
PAUSE = timedelta(minutes=10)
MAILS_A_DAY = 5


class State(enum.StrEnum):
    """The states of a link. Each has a page with a next step."""

    OPEN = "open"
    EXPIRED = "expired"
    REPLACED = "replaced"
    CLOSED = "closed"  # the order is, and the link with it until somebody extends it
    ENDED = "ended"


def user_for(email: str) -> User:
    """Return the account of this address, and make it if there is none. Safe against races, also in a transaction."""
    key = email_key(email)
    found = User.objects.filter(email=key).first()
    if found:
        return found
    try:
        with transaction.atomic():
            return User.objects.create_user(key)
    except IntegrityError:  # made by somebody else between the two lines
        return User.objects.get(email=key)


def issue(*, part: Part) -> Link:
    """Make a new link for a part. It replaces the earlier one in the same transaction."""
    with transaction.atomic():
        Part.objects.select_for_update().get(pk=part.pk)
        now = timezone.now()
        part.links.filter(replaced_at=None).update(replaced_at=now)
        public_id = uuid.uuid7()
        return Link.objects.create(
            order=part.order,
            part=part,
            public_id=public_id,
            token_hash=_hash(_token(public_id, settings.SECRET_KEY)),
            issued_at=now,
            expires_at=now + timedelta(days=settings.LINK_DAYS),
        )


def url_for(link: Link) -> str:
    """Return the absolute address of a link, for its email; also after a change of SECRET_KEY."""
    for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        token = _token(link.public_id, secret)
        if _hash(token) == link.token_hash:
            return f"{settings.PUBLIC_URL}{reverse('link', args=[token])}"
    # The key that made it is gone: a link with an unknown token still has a page that says what to do.
    return f"{settings.PUBLIC_URL}{reverse('link', args=[_token(link.public_id, settings.SECRET_KEY)])}"


def find(token: str) -> Link | None:
    """Return the link of a token, or None."""
    found = Link.objects.select_related("order", "part__user", "part__access_request")
    return found.filter(token_hash=_hash(token)).first()


def state(link: Link) -> State:
    """What this link is now.

    A contact who handed the order over still opens it: they see its status. Who was given an order that was taken
    back, or whose set-up was taken over, does not.
    """
    if link.order.state == Order.State.CANCELLED:
        return State.ENDED
    part = link.part
    if part.ended_at is not None and not part.given.exists():
        return State.ENDED
    if link.order.is_closed:
        return State.CLOSED
    if link.replaced_at is not None:
        return State.REPLACED
    if link.expires_at <= timezone.now():
        return State.EXPIRED
    return State.OPEN


def note_opened(*, order: Order, user: User) -> bool:
    """Record when this person first came to the order, on their part and on the order; later visits change nothing.

    Returns whether something was recorded; ``order`` itself is not changed.
    """
    parts = Part.objects.filter(order=order, user=user, opened_at=None, ended_at=None, access_request=None)
    now = timezone.now()
    if not parts.update(opened_at=now):
        return False
    Order.objects.filter(pk=order.pk, opened_at=None).update(opened_at=now)
    return True


def current(*, part: Part) -> Link:
    """Return the part's current link; a new one where it has expired."""
    with transaction.atomic():
        Part.objects.select_for_update(of=("self",)).get(pk=part.pk)
        link = part.links.filter(replaced_at=None, expires_at__gt=timezone.now()).first()
        return link or issue(part=part)


def send_again(*, link: Link) -> datetime:
    """Mail the newest link of this link's part to its address, a new one where that has expired.

    Asked by somebody who has proved nothing, so it only ever writes to the address that the link was made for, and
    not more often than PAUSE and MAILS_A_DAY allow. Returns when the last mail was asked for.
    """
    with transaction.atomic():
        Order.objects.select_for_update(no_key=True).get(pk=link.order_id)  # before the part, like every action
        part = Part.objects.select_for_update(of=("self",)).select_related("order", "user").get(pk=link.part_id)
        now = timezone.now()
        mails = Mail.objects.filter(link__part=part, created_at__gt=now - timedelta(days=1)).order_by("-created_at")
        times = [mail.created_at for mail in mails]
        if times and (times[0] > now - PAUSE or len(times) >= MAILS_A_DAY):
            return times[0]
        newest = current(part=part)
        mail = emails.queue(order=part.order, event="link_again", to=part.user.email, link=newest)
        facts = {"to": part.user.email, "asked": "link"}
        history.record(order=part.order, kind=Event.Kind.LINK_SENT, facts=facts)
        return mail.created_at


def _token(public_id: object, secret: str) -> str:
    digest = salted_hmac(SALT, str(public_id), secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _hash(token: str) -> str:
    # Any text of the address becomes 64 ASCII characters before it is part of a query.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
