"""Every change of a provisioning request, each in one transaction with the order locked first.

A change writes the request, an event of the order's history (which is also a webhook), and what follows from it: the
subscription starts when its request succeeds, and the order is set up when all of its lines are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import uuid_utils.compat as uuid
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from orgs.text.normalize import email_key
from provisioning import emails, history
from provisioning.fulfillment.drivers import driver_of
from provisioning.fulfillment.outcomes import Done, Failed, Job, Outcome, Rejected, Running, Unreachable
from provisioning.models import Event, User
from subscriptions import actions as subscriptions
from subscriptions.actions import database_now
from subscriptions.models import AbandonedInstance, Order, OrderLine, ProvisioningRequest
from subscriptions.rules.validation import Problem, Refused
from subscriptions.summary import documents

State = ProvisioningRequest.State

# An other side that is away is asked for so long; then the order desk has to mend it.
KEEP_TRYING: Final = timedelta(days=3)
FIRST_PAUSE: Final = timedelta(seconds=2)
# An operation in progress is first asked for after this, then less and less often, where the other side says nothing.
FIRST_POLL: Final = timedelta(milliseconds=100)
LONGEST_POLL: Final = timedelta(hours=1)
# What fails within this time is told to the order desk in one email, and the next email comes so much later.
TELL_DESK_AFTER: Final = timedelta(minutes=1)
TELL_DESK_EVERY: Final = timedelta(minutes=15)
# After so many leases no call that was under way makes an instance any more.
SETTLE: Final = 3


def job_of(request: ProvisioningRequest, instance: AbandonedInstance | None = None) -> Job:
    """Return what a driver needs to know of a request, or of an instance of it that is to be deleted."""
    line, order = request.line, request.order
    customer = order.customer
    return Job(
        instance_id=str(instance.instance_id if instance else request.instance_id),
        request_id=str(request.public_id),
        order=order.number,
        line=line.number,
        service=line.service,
        product=line.product,
        licenses=line.licenses,
        term_months=line.term_months,
        organization_id=str(customer.public_id) if customer else "",
        organization_name=customer.name if customer else "",
        parameters=request.parameters,
        requested_by=str((instance.requester if instance else request.requester) or ""),
        operation=instance.operation if instance else request.operation,
        external=instance.external if instance else request.external,
        repeated=request.fence > 1,
    )


def request_lines(*, order: Order, by: User, plans: Mapping[str, Any]) -> Order:
    """Make a request for each line that none is open or succeeded for; what the local driver does is done at once.

    :param order: locked by the caller, mapped or being set up.
    :param plans: by service, in the shape that its pack says.
    :raises Refused: a plan does not fit its line, or something in it is no longer free.
    """
    order, requests = subscriptions.request_set_up(
        order=order,
        plans=plans,
        requested_by=by.email,
        requester=by.pk,
        drivers={line.service: driver_of(line.service).name for line in order.lines.all()},
    )
    if not requests:
        return order
    later = [request for request in requests if request.driver != "local"]
    if later and not Event.objects.filter(order=order, kind=Event.Kind.SETTING_UP).exists():
        history.record(order=order, kind=Event.Kind.SETTING_UP, by=by)
    for request in requests:
        if request.driver == "local":
            _succeeded(order, request, Done())
        else:
            history.record(order=order, kind=Event.Kind.REQUESTED, by=by, facts=_facts(request))
    follow(order)
    for _request in later:
        wake()
    if later:
        documents.issue(order)
    return order


def wake() -> None:
    """Wake a worker for what is due, after this transaction."""
    emails.wake_task("provision")


def lease() -> timedelta:
    """Return how long a claim holds: longer than any call takes, so whoever holds it longer has died, or sleeps."""
    return timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)


def record(request: ProvisioningRequest, outcome: Outcome) -> bool:
    """Write down what a driver answered to the claim that ``request`` was read with; False where it came too late.

    Somebody else has the request by then, or a person decided otherwise. What the late call may have made is
    abandoned, so that it is deleted, unless it is the instance that is still wanted.
    """
    with transaction.atomic():
        order, now = _locked_request(request)
        if now.fence != request.fence:
            wanted = now.instance_id == request.instance_id and (now.is_open or now.state == State.SUCCEEDED)
            if not wanted:
                abandon(now, request.instance_id, reason="late", external=_external(outcome) or request.external)
            return False
        _take(order, now, outcome)
        return True


def report(*, request: ProvisioningRequest, outcome: Outcome) -> ProvisioningRequest | None:
    """Apply what the vendor's system reports of a request, and return it as it is then.

    A report that was applied before changes nothing. None where the request is over, and ended in another way.
    """
    with transaction.atomic():
        order, now = _locked_request(request)
        if not now.is_open or order.state != Order.State.SETTING_UP:
            return now if _is_as_reported(now, outcome) else None
        now.fence += 1
        if isinstance(outcome, Running):  # a word in time: the deadline is that of the next one
            longest = outcome.longest or settings.PROVISIONING_CALLBACK_HOURS * 3600
            now.deadline_at, outcome = database_now() + timedelta(seconds=longest), replace(outcome, longest=longest)
        _take(order, now, outcome)
        return now


def _is_as_reported(now: ProvisioningRequest, outcome: Outcome) -> bool:
    """Say whether a request ended as this report says."""
    if isinstance(outcome, Done):
        return now.state == State.SUCCEEDED and dict(outcome.external) in ({}, now.external)
    if isinstance(outcome, Rejected):
        ended = (State.REFUSED, outcome.field, outcome.sentence)
        return (now.state, now.problem_field, now.problem) == ended
    if isinstance(outcome, Failed):
        return (now.state, now.problem_code, now.problem) == (State.FAILED, outcome.code, outcome.sentence)
    return False


def retry(*, request: ProvisioningRequest, by: User) -> None:
    """Ask again for what failed, as a new request. Raises Refused where it isn't failed any more."""
    with transaction.atomic():
        order, now = _locked_current(request, {State.FAILED})
        again = subscriptions.request_again(now)
        history.record(order=order, kind=Event.Kind.RETRIED, by=by, facts=_facts(again))
        documents.issue(order)
        wake()


def mark_done(*, request: ProvisioningRequest, by: User, reason: str) -> None:
    """Note that the order desk set it up by hand; ``reason`` goes into the history. Raises Refused."""
    reason = " ".join(reason.split())
    if not reason:
        raise Refused(Problem.REASON)
    with transaction.atomic():
        order, now = _locked_current(request, {State.FAILED, State.WAITING, State.IN_PROGRESS})
        now.fence += 1
        now.lease_until = None
        now.marked_done_reason = reason
        _succeeded(order, now, Done(), by=by, reason=reason)
        follow(order)
        documents.issue(order)


def note_late() -> int:
    """Tell people, once for a line, that its set-up takes longer than promised; return of how many orders."""
    found = 0
    for pk in set(_late().values_list("order_id", flat=True)):
        with transaction.atomic():
            order = _lock(pk)
            late = list(_late().filter(order=order).select_for_update(of=("self",)).select_related("line"))
            if not late:
                continue  # another worker was faster, or it is set up by now
            ProvisioningRequest.objects.filter(pk__in=[each.pk for each in late]).update(told_late_at=database_now())
            for request in late:
                history.record(order=order, kind=Event.Kind.LATE, facts=_facts(request))
            lines = ",".join(str(request.line.number) for request in late)
            for email in sorted({email_key(order.contact_email), email_key(order.delegated_to)} - {""}):
                emails.queue(order=order, event="set_up_late", to=email, lines=lines)
            found += 1
    return found


def tell_desk() -> int:
    """Tell the order desk what failed that only it can mend, in one email for all of it; return how many that are.

    It waits until the first of them has failed for ``TELL_DESK_AFTER``, so that what fails together is told together,
    and for ``TELL_DESK_EVERY`` since the email before.
    """
    if not settings.ORDER_DESK_EMAIL:
        return 0
    with transaction.atomic():
        untold = _failed().filter(told_desk_at=None)
        now = database_now()
        if not untold.filter(state_since__lte=now - TELL_DESK_AFTER).exists():
            return 0
        if _failed().filter(told_desk_at__gt=now - TELL_DESK_EVERY).exists():
            return 0
        found = list(untold.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("order"))
        if not found:
            return 0  # another worker tells it
        ProvisioningRequest.objects.filter(pk__in=[each.pk for each in found]).update(told_desk_at=now)
        emails.queue(order=found[0].order, event="set_up_failed", to=settings.ORDER_DESK_EMAIL, told=now.isoformat())
    return len(found)


def _failed() -> QuerySet[ProvisioningRequest]:
    """The requests that wait for the order desk, the one that has waited longest first."""
    failed = ProvisioningRequest.objects.filter(state=State.FAILED, superseded_at=None)
    return failed.filter(order__state=Order.State.SETTING_UP).order_by("state_since", "pk")


def _late() -> QuerySet[ProvisioningRequest]:
    """The requests of which people were promised more by now: open, or waiting for the order desk."""
    now = database_now()
    own = settings.PROVISIONING_PROMISED_MINUTES_BY_SERVICE
    late = Q(requested_at__lte=now - timedelta(minutes=settings.PROVISIONING_PROMISED_MINUTES))
    late &= ~Q(line__service__in=list(own))
    for service, minutes in own.items():
        late |= Q(line__service=service, requested_at__lte=now - timedelta(minutes=minutes))
    # Open or failed, in words that the partial indexes have.
    waiting = ProvisioningRequest.objects.filter(Q(next_try_at__isnull=False) | Q(state=State.FAILED))
    return waiting.filter(late, order__state=Order.State.SETTING_UP, superseded_at=None, told_late_at=None)


def take_requests_back(*, order: Order, by: User) -> Order:
    """Take back every request that is open, so that its answers can be changed; what was begun is deleted outside.

    :raises Refused: there is none, or the order isn't being set up.
    """
    with transaction.atomic():
        order = _lock(order.pk)
        if order.state != Order.State.SETTING_UP:
            raise Refused(Problem.NOT_BEING_SET_UP)
        taken = [request for request in _locked_current_ones(order) if request.is_open]
        if not taken:
            raise Refused(Problem.NOT_BEING_SET_UP)
        for request in taken:
            _cancel(request, by)
            history.record(order=order, kind=Event.Kind.SET_UP_TAKEN_BACK, by=by, facts=_facts(request))
        if not current(order).exclude(state=State.CANCELLED).exists():
            subscriptions.back_to_mapped(order)
        documents.issue(order)
        wake()
        return order


def cancel_all(order: Order, by: User | None) -> None:
    """Cancel the requests of an order that is being cancelled (locked by the caller), and undo what was made."""
    subscriptions.end_subscriptions(order)
    for request in _locked_current_ones(order):
        _cancel(request, by)
    wake()


def abandon(
    request: ProvisioningRequest,
    instance_id: Any,
    *,
    reason: str,
    external: Mapping[str, Any],
    after: datetime | None = None,
    requester: int | None = None,
) -> None:
    """Have an instance deleted that may exist and that nobody wants; noting it again begins anew.

    :param after: when to begin, if not now.
    :param requester: the account of who cancelled it; None: it follows from no person's action.
    """
    if request.driver == "local":
        return
    now = database_now()
    row, created = AbandonedInstance.objects.select_for_update(of=("self",)).get_or_create(
        instance_id=instance_id,
        defaults={
            "request": request,
            "reason": reason,
            "requester": requester,
            "external": dict(external),
            "next_try_at": after or now,
            "abandoned_at": now,
        },
    )
    if not created:  # a deletion that is under way may have come before what it should delete
        row.abandoned_at, row.next_try_at = now, after or now
        row.fence += 1
        row.lease_until = row.deleted_at = None
        row.is_deleting, row.operation, row.attempts = False, "", 0
        row.requester = requester or row.requester
        row.external = row.external or dict(external)
        row.save()
    wake()


def record_deletion(instance: AbandonedInstance, outcome: Outcome) -> bool:
    """Write down how the deletion of an abandoned instance is going; False where the claim is over."""
    with transaction.atomic():
        now = AbandonedInstance.objects.select_for_update(of=("self",)).get(pk=instance.pk)
        if now.fence != instance.fence:
            return False
        moment = database_now()
        now.lease_until, now.answer = None, outcome.answer
        if isinstance(outcome, Done):
            # A call that was under way may have made it after this deletion: it is deleted once more later.
            settled = now.abandoned_at + SETTLE * lease()
            now.deleted_at, now.next_try_at = now.deleted_at or moment, settled if moment < settled else None
            now.is_deleting, now.attempts = False, 0
            wake()
        elif isinstance(outcome, Running):  # also the second time: it was made after it had been deleted
            begun = now.is_deleting
            now.is_deleting, now.operation, now.attempts = True, outcome.operation, now.attempts + 1 if begun else 0
            now.deleted_at, now.external = None, dict(outcome.external) or now.external
            now.next_try_at = moment + _until_next_poll(outcome, FIRST_POLL * 2 ** min(now.attempts, 20))
        else:  # the platform must remember the instance, and goes on trying
            now.is_deleting = now.is_deleting and isinstance(outcome, Unreachable)
            now.attempts += 1
            now.next_try_at = moment + pause_after(now.attempts, getattr(outcome, "after", None))
        now.save()
        return True


def current(order: Order) -> Any:
    """Return the requests of an order that count, in the order of its lines."""
    return order.provisioning_requests.filter(superseded_at=None).select_related("line", "order").order_by("line", "pk")


def follow(order: Order) -> None:
    """Say that the order (locked by the caller) is set up, where the last of its lines has succeeded just now."""
    if order.state != Order.State.SET_UP:
        return
    requests = list(current(order))
    history.record(order=order, kind=Event.Kind.SET_UP, by=_user(requests))
    document, _summary, _code = documents.issue(order)
    if last := _last(requests):
        # First the one that this person is about to ask for, then what the emails carry, and all others.
        language = get_language() or settings.LANGUAGE_CODE
        emails.wake_for_pdfs("make_pdf", document, reader=last.requested_by, language=language)
    emails.wake_for_pdfs("make_pdfs", document)
    for email in sorted(_told(order, requests)):
        emails.queue(order=order, event="set_up_confirmation", to=email)


def pause_after(attempts: int, asked: int | None = None) -> timedelta:
    """Return how long to wait after so many calls without a usable answer: 2, 4, 8 … seconds, up to 15 minutes.

    ``asked``: seconds that the other side asked for; the longer counts. Jitter of ±20 % keeps lines apart.
    """
    longest = timedelta(seconds=settings.PROVISIONING_LONGEST_PAUSE_SECONDS)
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), longest)
    pause *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    return pause if asked is None else max(pause, min(timedelta(seconds=asked), LONGEST_POLL))


def _take(order: Order, request: ProvisioningRequest, outcome: Outcome) -> None:
    """Apply an outcome to a request (locked), and let the order follow."""
    request.lease_until = None
    before = request.state, order.state
    try:
        with transaction.atomic():
            _apply(order, request, outcome)
    except (Refused, IntegrityError) as refused:  # set up outside, and no longer possible here
        if not isinstance(outcome, Done):
            raise
        request.state, order.state = before
        why = refused.problem if isinstance(refused, Refused) else refused
        problem = f"It was set up outside, but can't be written down here: {why}."[:500]
        failed = Failed("conflict_here", problem, abandon=True, answer=outcome.answer)
        _ended(order, request, failed, database_now())
    follow(order)
    if request.state != before[0] and order.state == Order.State.SETTING_UP:
        documents.issue(order)  # so that downloading it writes nothing


def _apply(order: Order, request: ProvisioningRequest, outcome: Outcome) -> None:
    now = database_now()
    request.answer = outcome.answer
    if not isinstance(outcome, Unreachable):
        request.unreachable_since = None
    if isinstance(outcome, Running) and request.deadline_at and now >= request.deadline_at:
        outcome = Failed("too_late", "It was not finished in time.", abandon=True, answer=outcome.answer)
    if isinstance(outcome, Unreachable):
        _wait(order, request, outcome, now)
    elif isinstance(outcome, Running):
        if request.state != State.IN_PROGRESS:
            request.state, request.state_since = State.IN_PROGRESS, now
            longest = outcome.longest or settings.PROVISIONING_LONGEST_HOURS * 3600
            request.deadline_at = now + timedelta(seconds=longest)
        request.attempts, request.description, request.problem = 0, outcome.description, ""
        request.operation = outcome.operation or request.operation
        request.external = dict(outcome.external) or request.external
        pause = _until_next_poll(outcome, (now - request.state_since) / 4)
        deadline = request.deadline_at or now + pause
        request.next_try_at = deadline if request.driver == "callback" else min(now + pause, deadline)
        request.save()
    elif isinstance(outcome, Done):
        _succeeded(order, request, outcome)
    else:
        _ended(order, request, outcome, now)


def _wait(order: Order, request: ProvisioningRequest, outcome: Unreachable, now: datetime) -> None:
    """Try again later; after three days without a usable answer, or past the operation's deadline, it has failed."""
    request.unreachable_since = request.unreachable_since or now
    request.attempts += 1
    request.problem = outcome.sentence
    if now >= request.unreachable_since + KEEP_TRYING or (request.deadline_at and now >= request.deadline_at):
        may_exist = outcome.abandon or request.state == State.IN_PROGRESS
        _ended(order, request, Failed("unreachable", outcome.sentence, may_exist, outcome.answer), now)
        return
    if outcome.abandon:
        external = outcome.external or request.external
        abandon(request, request.instance_id, reason="no usable answer", external=external)
        request.instance_id, request.operation, request.external = uuid.uuid7(), "", {}
    pause = pause_after(request.attempts, outcome.after)
    request.next_try_at = min(now + pause, request.deadline_at) if request.deadline_at else now + pause
    request.save()


def _ended(order: Order, request: ProvisioningRequest, outcome: Rejected | Failed, now: datetime) -> None:
    refused = isinstance(outcome, Rejected)
    request.state = State.REFUSED if refused else State.FAILED
    request.state_since, request.next_try_at, request.deadline_at = now, None, None
    request.problem_code, request.problem, request.description = outcome.code, outcome.sentence, ""
    request.problem_field = outcome.field if isinstance(outcome, Rejected) else ""
    request.save()
    if outcome.abandon:
        abandon(request, request.instance_id, reason=outcome.code, external=request.external)
    kind = Event.Kind.PROVISIONING_REFUSED if refused else Event.Kind.PROVISIONING_FAILED
    facts = _facts(request) | {"problem": outcome.sentence, "code": outcome.code}
    history.record(order=order, kind=kind, facts=facts)
    documents.issue(order)
    if refused:
        # Whoever sets the services up; others see it on their pages.
        to = email_key(order.delegated_to or order.contact_email)
        emails.queue(order=order, event="set_up_refused", to=to, line=str(request.line.number))


def _succeeded(
    order: Order,
    request: ProvisioningRequest,
    outcome: Done,
    by: User | None = None,
    reason: str = "",
) -> None:
    """Start the subscription, and make the rows of what was set up."""
    request.state, request.state_since = State.SUCCEEDED, database_now()
    request.next_try_at = request.deadline_at = None
    request.attempts, request.description = 0, outcome.description
    request.problem = request.problem_code = request.problem_field = ""
    request.external = dict(outcome.external) or request.external
    request.save()
    subscriptions.start_subscription(order=order, request=request)
    subscriptions.finish_set_up(order)
    facts = _facts(request) | ({"reason": reason} if reason else {})
    history.record(order=order, kind=Event.Kind.PROVISIONED, by=by, facts=facts)


def _cancel(request: ProvisioningRequest, by: User | None) -> None:
    """Cancel a request of a locked order. While its start is being called, the deletion waits for the call's end."""
    began = request.started_at is not None or request.state == State.SUCCEEDED
    starting = request.lease_until if request.state == State.WAITING else None
    now = database_now()
    request.state, request.state_since = State.CANCELLED, now
    request.next_try_at = request.lease_until = request.deadline_at = None
    request.fence += 1
    request.save()
    if began:
        after = starting if starting and starting > now else None
        who = by.pk if by else request.requester
        abandon(request, request.instance_id, reason="cancelled", external=request.external, after=after, requester=who)


def _locked_current(request: ProvisioningRequest, states: Iterable[str]) -> tuple[Order, ProvisioningRequest]:
    order, now = _locked_request(request)
    if now.superseded_at or now.state not in set(states) or order.state != Order.State.SETTING_UP:
        raise Refused(Problem.NOT_BEING_SET_UP)
    return order, now


def _locked_request(request: ProvisioningRequest) -> tuple[Order, ProvisioningRequest]:
    """Return the order and the request as they are now, locked in this order."""
    order = _lock(request.order_id)
    rows = ProvisioningRequest.objects.select_for_update(of=("self",), no_key=True).select_related("line")
    now = rows.get(pk=request.pk)
    now.order = order
    return order, now


def _locked_current_ones(order: Order) -> list[ProvisioningRequest]:
    """Return the requests that count, locked: a claim at the same moment must not be overwritten."""
    return list(current(order).select_for_update(of=("self",), no_key=True))


def _lock(pk: int) -> Order:
    return Order.objects.select_for_update(of=("self",), no_key=True).select_related("customer", "partner").get(pk=pk)


def _until_next_poll(outcome: Running, usual: timedelta) -> timedelta:
    """Return how long to wait: what the other side asked for, else ``usual`` within our own limits."""
    if outcome.after:
        return min(timedelta(seconds=outcome.after), LONGEST_POLL)
    return max(FIRST_POLL, min(usual, timedelta(seconds=settings.PROVISIONING_POLL_SECONDS)))


def _external(outcome: Outcome) -> Mapping[str, Any]:
    return outcome.external if isinstance(outcome, Done | Running | Unreachable) else {}


def _facts(request: ProvisioningRequest) -> dict[str, Any]:
    """What the history says of a request."""
    line: OrderLine = request.line
    facts: dict[str, Any] = {"service": line.service, "line": line.number, "product": line.product}
    return facts | {"licenses": line.licenses, "id": str(request.public_id)}


def _told(order: Order, requests: Iterable[ProvisioningRequest]) -> set[str]:
    """The contact, the customer's administrator, whoever set it up: each once."""
    people = [order.contact_email, order.customer_email, order.delegated_to]
    people += [request.requested_by for request in requests]
    return {email_key(email) for email in people} - {""}


def _last(requests: Iterable[ProvisioningRequest]) -> ProvisioningRequest | None:
    return max(requests, key=lambda each: each.pk, default=None)


def _user(requests: Iterable[ProvisioningRequest]) -> User | None:
    """The person who confirmed last."""
    last = _last(requests)
    return User.objects.filter(email=last.requested_by).first() if last else None


__all__ = [
    "abandon",
    "cancel_all",
    "current",
    "database_now",
    "follow",
    "job_of",
    "lease",
    "mark_done",
    "note_late",
    "record",
    "record_deletion",
    "report",
    "request_lines",
    "retry",
    "take_requests_back",
    "tell_desk",
    "wake",
]
