"""Telling the vendor's systems what happens to an order: Standard Webhooks, each a row before it is sent.

``tell`` writes the rows in the transaction of what they tell. ``send_next`` sends one, from any number of processes
and machines: it claims the row by a lease, so that nothing is locked while the receiver answers; a killed worker's row
is repeated, with the same id, when its lease is over. The messages of one order arrive in order: one isn't sent before
the one before it was accepted; the orders don't wait for each other.

A message that isn't accepted is tried again for three days (``pause_after``) and then given up, which the order desk
sees. The later ones of its order go on waiting for it: a receiver may rely on having been told what came before. The
desk sends it again, or skips it.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django import app
from standardwebhooks import Webhook as Signer

from provisioning.integration.http_client import Limits, NoAnswer, request
from provisioning.models import Event, Webhook, WebhookReceiver
from subscriptions.models import Order, Subscription
from subscriptions.summary import build_summary

log = logging.getLogger(__name__)

# What is told, and which of the event's facts it says. None of them is a person.
SUBSCRIPTION = ("id", "line", "service", "product", "licenses")
TYPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    Event.Kind.PLACED: ("order.placed", ()),
    Event.Kind.CORRECTED: ("order.corrected", ("changes",)),
    Event.Kind.HANDED_OVER: ("order.handed_over", ()),
    Event.Kind.TAKEN_BACK: ("order.taken_back", ()),
    Event.Kind.HELD: ("order.held", ("organization",)),
    Event.Kind.RELEASED: ("order.released", ()),
    Event.Kind.MAPPED: ("order.mapped", ("partner", "customer", "new")),
    Event.Kind.DELEGATED: ("order.delegated", ()),
    Event.Kind.TAKEN_OVER: ("order.taken_over", ()),
    Event.Kind.POSTPONED: ("order.postponed", ()),
    Event.Kind.SET_UP: ("order.set_up", ()),
    Event.Kind.CANCELLED: ("order.cancelled", ()),
    Event.Kind.CLOSED: ("order.closed", ()),
    Event.Kind.EXTENDED: ("order.extended", ()),
    Event.Kind.SETTING_UP: ("order.setting_up", ()),
    Event.Kind.REQUESTED: ("subscription.requested", SUBSCRIPTION),
    Event.Kind.PROVISIONED: ("subscription.provisioned", SUBSCRIPTION),
    Event.Kind.PROVISIONING_REFUSED: ("subscription.refused", (*SUBSCRIPTION, "code")),
    Event.Kind.PROVISIONING_FAILED: ("subscription.failed", (*SUBSCRIPTION, "code")),
}

FOR = timedelta(days=3)
# Longer than a request takes (http_client.Limits): whoever has a message for longer has died, or sleeps.
LEASE = timedelta(seconds=30)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=6)
_GONE = 410


def enqueue(event: Event) -> None:
    """Write down what the vendor's systems are told of this event, if anything, and wake a worker."""
    if not settings.WEBHOOK_URL or event.kind not in TYPES:
        return
    with transaction.atomic():
        # Held until the end of the transaction: the rows of an order get their numbers in the order of its events.
        order = Order.objects.select_for_update(no_key=True, of=("self",)).get(pk=event.order_id)
        for kind, data in _messages(event, order):
            said = {"type": kind, "timestamp": event.at.astimezone(UTC).isoformat(), "data": data}
            body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
            Webhook.objects.create(order=order, type=kind, body=body, created_at=event.at)
        wake()


def enqueue_once(*, order: Order, kind: str, key: str, data: Mapping[str, object]) -> None:
    """Write a message that is no event of the history; the same ``key`` again writes nothing.

    :param order: locked by the caller, so that the messages of an order keep their order.
    """
    if not settings.WEBHOOK_URL:
        return
    at = timezone.now()
    said = {"type": kind, "timestamp": at.astimezone(UTC).isoformat(), "data": data}
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    Webhook.objects.get_or_create(
        public_id=uuid5(NAMESPACE_URL, key), defaults={"order": order, "type": kind, "body": body, "created_at": at}
    )
    wake()


def wake() -> None:
    """Wake a worker, in this transaction."""
    app.configure_task("provisioning.tasks.send_webhooks", allow_unknown=False).defer()


def send_next(*, limits: Limits = Limits()) -> bool:  # noqa: B008 - it can't be changed
    """Try the message that is due and has waited longest, and note the outcome; False where none is due.

    The note is written after the receiver accepted it: a worker killed between the two leaves the message to another
    one, which repeats it with the same id. Who comes back after its lease finds another claim, and notes nothing.
    """
    if not settings.WEBHOOK_URL or is_off():
        return False
    row = _claim()
    if row is None:
        return False
    now = timezone.now()
    after = None
    try:
        status, after, _body = request(
            "POST",
            settings.WEBHOOK_URL,
            row.body.encode(),
            _headers(row, now),
            allow=settings.OUTGOING_ALLOW_PRIVATE,
            limits=limits,
        )
    except NoAnswer as problem:
        status, said = 0, str(problem)
    else:
        said = f"Answered {status}."
    _note(row.pk, row.fence, tried_at=now, status=status, said=said, after=after)
    return True


def _claim() -> Webhook | None:
    with transaction.atomic():
        row = due().select_for_update(skip_locked=True, of=("self",)).first()
        if row is None:
            return None
        row.fence += 1
        Webhook.objects.filter(pk=row.pk).update(fence=row.fence, lease_until=Now() + LEASE)
        return row


def _note(pk: int, fence: int, *, tried_at: datetime, status: int, said: str, after: int | None) -> None:
    """Write down what became of a try, unless somebody else has the message by now."""
    with transaction.atomic():
        row = Webhook.objects.select_for_update(of=("self",)).filter(pk=pk, fence=fence).first()
        if row is None:
            return
        row.lease_until = None
        row.tries += 1
        row.first_tried_at = row.first_tried_at or tried_at
        row.problem = said
        if 200 <= status < 300:
            row.accepted_at, row.given_up_at, row.problem = timezone.now(), None, ""
        else:
            log.warning("Webhook %s was not accepted (try %s): %s", row.public_id, row.tries, row.problem)
            _later(row, after)
        if status == _GONE:
            WebhookReceiver.objects.get_or_create(url=settings.WEBHOOK_URL)
        row.save()


def due() -> QuerySet[Webhook]:
    """Those that may be sent now: of each order the first that is open, if its time has come; the longest due first."""
    earlier = Webhook.objects.filter(Webhook.OPEN, order=OuterRef("order"), pk__lt=OuterRef("pk"))
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    ready = Webhook.objects.filter(Webhook.OPEN, free, given_up_at=None, next_try_at__lte=timezone.now())
    return ready.filter(~Exists(earlier)).order_by("next_try_at", "pk")


def is_off() -> bool:
    """Whether the receiver said that it wants no more messages."""
    return WebhookReceiver.objects.filter(url=settings.WEBHOOK_URL).exists()


def send_again(rows: QuerySet[Webhook]) -> int:
    """Begin anew with the tries of these, also of those that were accepted; returns how many."""
    with transaction.atomic():
        count = rows.update(**_AFRESH, accepted_at=None, skipped_at=None, next_try_at=timezone.now())
        wake()
    return count


def skip(rows: QuerySet[Webhook]) -> int:
    """Never send those of these that are open, so that the later ones of their orders go on; returns how many."""
    with transaction.atomic():
        count = rows.filter(Webhook.OPEN).update(**_TAKEN_AWAY, skipped_at=timezone.now(), given_up_at=None)
        wake()
    return count


def turn_on(receivers: QuerySet[WebhookReceiver]) -> None:
    """Write to these again; everything that waited begins anew with its tries."""
    with transaction.atomic():
        receivers.delete()
        Webhook.objects.filter(Webhook.OPEN).update(**_AFRESH, next_try_at=timezone.now())
        wake()


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
    """Those of Standard Webhooks 1.0; every secret signs, so that a receiver changes to the new one when it likes."""
    signed = [Signer(secret).sign(str(row.public_id), now, row.body) for secret in settings.WEBHOOK_SECRETS]
    return {
        "Content-Type": "application/json",
        "User-Agent": "subscription-provisioning",
        "webhook-id": str(row.public_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }


def _messages(event: Event, order: Order) -> Iterator[tuple[str, dict[str, object]]]:
    """The type and the data of each message that tells of this event."""
    kind, names = TYPES[event.kind]
    which = {"id": str(order.public_id), "number": order.number, "state": order.state}
    data: dict[str, object] = {"order": which}
    data |= {name: event.facts[name] for name in names if name in event.facts}
    if "changes" in data:
        data["changed"] = sorted(data.pop("changes"))  # type: ignore[call-overload]  # a dict: which, not from what to what
    if event.kind == Event.Kind.PROVISIONED:
        data |= _term(order, str(event.facts["id"]))
    if event.kind != Event.Kind.SET_UP:
        yield kind, data
        return
    yield kind, data | {"summary": build_summary(order).as_dict()}


def _term(order: Order, request: str) -> dict[str, object]:
    """From when until when the subscription of a request's line runs, and for which organization."""
    rows = Subscription.objects.select_related("organization")
    found = rows.get(line__order=order, line__requests__public_id=request)
    return {
        "organization": str(found.organization.public_id),
        "starts_at": found.starts_at.astimezone(UTC).isoformat(),
        "ends_at": found.ends_at.astimezone(UTC).isoformat(),
    }
