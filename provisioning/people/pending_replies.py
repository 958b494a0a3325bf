"""The email whose answer somebody waits for: when it was sent, whether it came back, when it may be sent again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from provisioning.models import AccessRequest, Event, Mail, Part, User

# Limits for sending again, for one person and one order, so that nobody can flood a mailbox.
PAUSE: Final = timedelta(minutes=10)
A_DAY: Final = 5

AGAIN = (Event.Kind.LINK_SENT, Event.Kind.ASKED_AGAIN)


@dataclass(frozen=True)
class Waiting:
    """What somebody waits for: that a person opens their link (``part``), or that a request is decided (``request``).

    ``came_back``: the person's mailbox can't be reached. It is always False for a request, because it would reveal
    whether anybody was asked.
    """

    last_at: datetime
    again_at: datetime
    part: Part | None = None
    request: AccessRequest | None = None
    came_back: bool = False

    @property
    def may_send_again(self) -> bool:
        """Say whether it may be sent again now."""
        return self.again_at <= timezone.now()


def for_part(part: Part, *, by: User) -> Waiting:
    """Return what ``by`` waits for from the person who has this part."""
    mails = Mail.objects.filter(link__part=part).order_by("-created_at", "-pk")
    newest = mails.first()
    last_at = newest.created_at if newest else part.since_at
    return Waiting(last_at, _again_at(part.order_id, by, last_at), part=part, came_back=bool(newest and newest.failed))


def for_request(request: AccessRequest) -> Waiting:
    """Return what the requester waits for. It is the same whether or not anybody was asked."""
    times = Event.objects.filter(order=request.order_id, kind=Event.Kind.ASKED_AGAIN, at__gte=request.asked_at)
    last_at = max([request.asked_at, *times.values_list("at", flat=True)])
    return Waiting(last_at, _again_at(request.order_id, request.requester, last_at), request=request)


def unreachable(orders: Iterable[int]) -> dict[tuple[int, str], Part]:
    """Return the parts in these orders whose people can't be reached by email, by order and role. One query."""
    mails = Mail.objects.filter(link__part__order__in=orders, link__part__ended_at=None)
    newest = mails.order_by("link__part", "-created_at", "-pk").distinct("link__part").select_related("link__part")
    parts = [mail.link.part for mail in newest if mail.failed and mail.link]
    return {(part.order_id, part.role): part for part in parts}


def _again_at(order: int, by: User, last_at: datetime) -> datetime:
    """Return when it may be sent again: after PAUSE, and at most A_DAY times in 24 hours."""
    begin = timezone.now() - timedelta(days=1)
    sent = list(
        Event.objects.filter(order=order, by=by, kind__in=AGAIN, at__gt=begin)
        .order_by("at")
        .values_list("at", flat=True)
    )
    full = sent[-A_DAY] + timedelta(days=1) if len(sent) >= A_DAY else last_at
    return max(full, last_at + PAUSE)
