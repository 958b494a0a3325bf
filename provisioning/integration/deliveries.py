"""Sends webhooks: each delivery of a message to an endpoint is a row.

``send_next`` sends one, from any number of processes and machines. It claims the row by a lease, so nothing is locked
while the receiver answers; a killed worker's row is repeated, with the same id, when its lease is over. An endpoint
gets the messages of one order in order: one isn't sent before the one before it was accepted. Orders don't wait for
each other, and endpoints don't wait for each other.

A message that isn't accepted is tried again for three days (``pause_after``) and then given up, which the order desk
sees. The later ones of its order and endpoint go on waiting for it: a receiver may rely on having been told what came
before. The desk sends it again, or skips it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from standardwebhooks import Webhook as Signer

from provisioning.integration import endpoints, webhooks
from provisioning.integration.http_client import Limits, NoAnswer, request
from provisioning.integration.sealing import Unreadable
from provisioning.models import Webhook, WebhookEndpoint, WebhookMessage

log = logging.getLogger(__name__)

FOR = timedelta(days=3)
# Longer than a request takes (http_client.Limits): a sender that has a message for longer has died, or sleeps.
LEASE = timedelta(seconds=30)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=6)
_GONE = 410
# Seconds. An endpoint whose last answer took longer is slow: one sender of each process doesn't wait for it.
_SLOW: Final = 3.0
_KEPT: Final = 1000  # bytes of an answer's body that are kept for the list of deliveries
NAME_A_RANGE: Final = _("Say which messages: event_id, after or since.")
# Messages that one call sends again, at most.
MOST_SENT_AGAIN: Final = 10_000


def send_next(*, limits: Limits = Limits(), slow_too: bool = True) -> bool:  # noqa: B008 - it can't be changed
    """Try the delivery that is due and has waited longest, and note the outcome; False where none is due.

    The note is written after the receiver accepted it: a worker killed between the two leaves the message to another
    one, which repeats it with the same id. Who comes back after its lease finds another claim, and notes nothing.

    :param slow_too: also to endpoints whose last answer took long; they come after the others.
    """
    row = _claim(slow_too=slow_too)
    if row is None:
        return False
    now, begun = timezone.now(), time.monotonic()
    status, after, body = 0, None, b""
    try:
        headers = _headers(row, now)
        status, after, body = request(
            "POST",
            endpoints.address_of(row.endpoint),
            row.message.body.encode(),
            headers,
            allow=settings.OUTGOING_ALLOW_PRIVATE,
            limits=limits,
            keep=_KEPT,
            keep_if_it_comes=True,
        )
        said = f"Answered {status}."
    except NoAnswer as problem:
        said = str(problem)
    except Unreadable:
        said = "The secret of this endpoint was encrypted under another SECRET_KEY: rotate the secret."
    _note_speed(row.endpoint, time.monotonic() - begun)
    _note(row, tried_at=now, status=status, said=said, after=after, answer=body, seconds=time.monotonic() - begun)
    return True


def _claim(*, slow_too: bool) -> Webhook | None:
    with transaction.atomic():
        rows = due() if slow_too else due().filter(endpoint__slow_at=None)
        row = rows.select_related("message", "endpoint").select_for_update(skip_locked=True, of=("self",)).first()
        if row is None:
            return None
        row.fence += 1
        Webhook.objects.filter(pk=row.pk).update(fence=row.fence, lease_until=Now() + LEASE)
        return row


def _note_speed(endpoint: WebhookEndpoint, seconds: float) -> None:
    """Note that an endpoint is slow, or that it no longer is. Slow ones take turns by this time."""
    if seconds >= _SLOW:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(slow_at=Now())
    elif endpoint.slow_at is not None:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(slow_at=None)


def _note(
    claimed: Webhook, *, tried_at: datetime, status: int, said: str, after: int | None, answer: bytes, seconds: float
) -> None:
    """Write down what became of a try, unless somebody else has the message by now."""
    with transaction.atomic():
        rows = Webhook.objects.select_for_update(of=("self",)).select_related("endpoint", "message")
        row = rows.filter(pk=claimed.pk, fence=claimed.fence).first()
        if row is None:
            return
        row.lease_until = None
        row.tries += 1
        row.tried_at = tried_at
        row.first_tried_at = row.first_tried_at or tried_at
        row.problem = said
        row.answer_status = status or None
        row.answer = answer.decode(errors="replace").replace("\0", "\ufffd")
        row.milliseconds = round(seconds * 1000)
        if 200 <= status < 300:
            row.accepted_at, row.given_up_at, row.problem = timezone.now(), None, ""
        else:
            log.warning("Webhook %s was not accepted (try %s): %s", row.message.public_id, row.tries, row.problem)
            _later(row, after)
        if status == _GONE:
            gone = {"url": settings.WEBHOOK_URL} if row.endpoint.environment else {}
            WebhookEndpoint.objects.filter(pk=row.endpoint_id).update(gone_at=timezone.now(), **gone)
        row.save()


def due() -> QuerySet[Webhook]:
    """Return the deliveries that may be sent now: of each order and endpoint the first that is open, if its time has
    come. Slow endpoints are last and take turns; otherwise the longest due is first.
    """  # fmt: skip
    earlier = Webhook.objects.filter(
        Webhook.OPEN, order=OuterRef("order"), endpoint=OuterRef("endpoint"), message__lt=OuterRef("message")
    )
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    reached = Q(endpoint__environment=False, endpoint__gone_at=None)
    if settings.WEBHOOK_URL:
        answers = Q(endpoint__gone_at=None) | ~Q(endpoint__url=settings.WEBHOOK_URL)
        reached |= Q(answers, endpoint__environment=True)
    ready = Webhook.objects.filter(
        Webhook.OPEN,
        free,
        reached,
        given_up_at=None,
        next_try_at__lte=timezone.now(),
        endpoint__enabled=True,
        endpoint__deleted_at=None,
    )
    return ready.filter(~Exists(earlier)).order_by(
        F("endpoint__slow_at").asc(nulls_first=True), "next_try_at", "message"
    )


def send_again(rows: QuerySet[Webhook]) -> int:
    """Begin anew with the tries of these, also of those that were accepted; returns how many."""
    with transaction.atomic():
        count = rows.filter(endpoint__deleted_at=None).update(
            **_AFRESH, accepted_at=None, skipped_at=None, next_try_at=timezone.now()
        )
        webhooks.wake()
    return count


def send_range_again(endpoint: WebhookEndpoint, messages: QuerySet[WebhookMessage]) -> int:
    """Send these messages to an endpoint, also those that it never got; return how many.

    Messages that its filter excludes are left out, and no more than MOST_SENT_AGAIN are sent.
    """
    chosen = [each for each in messages[:MOST_SENT_AGAIN] if endpoints.wants(endpoint, each.type)]
    with transaction.atomic():
        Webhook.objects.bulk_create(
            (
                Webhook(message=each, endpoint=endpoint, order_id=each.order_id, created_at=each.created_at)
                for each in chosen
            ),
            ignore_conflicts=True,
            batch_size=1000,
        )
        return send_again(Webhook.objects.filter(endpoint=endpoint, message__in=chosen))


def skip(rows: QuerySet[Webhook]) -> int:
    """Skip the open ones of these messages for good; later messages of their orders go on. Returns how many."""
    with transaction.atomic():
        count = rows.filter(Webhook.OPEN).update(**_TAKEN_AWAY, skipped_at=timezone.now(), given_up_at=None)
        webhooks.wake()
    return count


def turn_on(chosen: Sequence[WebhookEndpoint] | QuerySet[WebhookEndpoint]) -> None:
    """Write to these endpoints again; everything that waited begins anew with its tries."""
    with transaction.atomic():
        keys = [each.pk for each in chosen]
        WebhookEndpoint.objects.filter(pk__in=keys, deleted_at=None).update(enabled=True, gone_at=None)
        Webhook.objects.filter(Webhook.OPEN, endpoint__in=keys).update(**_AFRESH, next_try_at=timezone.now())
        webhooks.wake()


def pause_after(tries: int) -> timedelta:
    """How long a message waits after so many tries: 5 and 15 seconds, 45, 2 minutes …, never more than 6 hours."""
    pause: timedelta = _FIRST_PAUSE * 3 ** min(tries - 1, 20)
    return min(pause, _LONGEST_PAUSE)


# Who is sending one of these notes nothing any more.
_TAKEN_AWAY: dict[str, object] = {"fence": F("fence") + 1, "lease_until": None}
_AFRESH: dict[str, object] = _TAKEN_AWAY | {"tries": 0, "first_tried_at": None, "given_up_at": None, "problem": ""}


def _later(row: Webhook, after: int | None) -> None:
    """Say when it is tried again, not all at the same moment; or give it up, three days after the first try."""
    now = timezone.now()
    if row.first_tried_at and now >= row.first_tried_at + FOR:
        row.given_up_at = now
        return
    pause = pause_after(row.tries) * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
    if after is not None:
        pause = max(pause, min(timedelta(seconds=after), _LONGEST_PAUSE))
    row.next_try_at = min(now + pause, (row.first_tried_at or now) + FOR)


def _headers(row: Webhook, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks 1.0. Every secret signs, for a change of secrets.

    Raises Unreadable where the secret can't be decrypted.
    """
    public_id = str(row.message.public_id)
    signed = [Signer(each).sign(public_id, now, row.message.body) for each in endpoints.secrets_of(row.endpoint)]
    return {
        "Content-Type": "application/json",
        "User-Agent": "subscription-provisioning",
        "webhook-id": public_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }
