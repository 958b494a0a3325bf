"""Every change of a provisioning request, each in one transaction with the order locked first.

A change writes the request, an event of the order's history (which is also a webhook), and what follows from it: the
subscription starts when its request succeeds, and the order is set up when all of its lines are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import uuid_utils.compat as uuid
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from orgs.names.normalize import email_key
from provisioning import emails, history
from provisioning.fulfillment.drivers import driver_of
from provisioning.fulfillment.outcomes import Done, Failed, Job, Outcome, Refused, Running, Unreachable
from provisioning.models import Event, User
from subscriptions import actions as subscriptions
from subscriptions.models import AbandonedInstance, Order, OrderLine, ProvisioningRequest
from subscriptions.rules.validation import Problem
from subscriptions.rules.validation import Refused as NotAllowed
from subscriptions.summary import documents

State = ProvisioningRequest.State

# An other side that is away is asked for so long; then the order desk has to mend it.
KEEP_TRYING: Final = timedelta(days=3)
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=15)
# How often an operation in progress is asked for, where the other side says nothing.
POLL: Final = timedelta(seconds=5)
LONGEST_POLL: Final = timedelta(hours=1)


def database_now() -> datetime:
    """Return the time of the database: the clocks of the hosts may differ, and leases compare times of several."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found


def job_of(request: ProvisioningRequest, instance: AbandonedInstance | None = None) -> Job:
    """Return what a driver needs to know of a request, or of an instance of it that is to be deleted."""
    line, order = request.line, request.order
    customer = order.customer
    return Job(
        instance_id=str(instance.instance_id if instance else request.instance_id),
        request_id=str(request.public_id),
        order=order.number,
        service=line.service,
        product=line.product,
        licenses=line.licenses,
        term_months=line.term_months,
        organization_id=str(customer.public_id) if customer else "",
        organization_name=customer.name if customer else "",
        parameters=request.parameters,
        requested_by="" if instance else str(request.requester or ""),
        operation=instance.operation if instance else request.operation,
        external=instance.external if instance else request.external,
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
    later = [request for request in requests if request.driver != "local"]
    if later and not Event.objects.filter(order=order, kind=Event.Kind.SETTING_UP).exists():
        history.record(order=order, kind=Event.Kind.SETTING_UP, by=by)
    for request in requests:
        if request.driver == "local":
            _succeeded(order, request, Done())
        else:
            history.record(order=order, kind=Event.Kind.REQUESTED, by=by, facts=_facts(request))
    follow(order)
    if later:
        wake()
        documents.issue(order)
    return order


def wake() -> None:
    """Wake a worker for what is due, after this transaction."""
    emails.wake_task("provision")


def record(request: ProvisioningRequest, outcome: Outcome) -> bool:
    """Write down what a driver answered to the claim that ``request`` was read with; False where it came too late.

    Somebody else has the request by then, or a person decided otherwise. What the late call may have made is
    abandoned, so that it is deleted, unless it is the instance that is still wanted.
    """
    with transaction.atomic():
        order = _lock(request.order_id)
        now = ProvisioningRequest.objects.select_for_update(of=("self",)).select_related("line").get(pk=request.pk)
        now.order = order
        if now.fence != request.fence:
            wanted = now.instance_id == request.instance_id and (now.is_open or now.state == State.SUCCEEDED)
            if not wanted and not isinstance(outcome, Refused):
                abandon(now, request.instance_id, reason="late", external=_external(outcome) or request.external)
            return False
        now.lease_until = None
        before = now.state
        try:
            with transaction.atomic():
                _apply(order, now, outcome)
        except NotAllowed as refused:  # set up outside, and no longer possible here
            problem = f"It was set up outside, but can't be written down here: {refused.problem}."
            _ended(order, now, Failed("conflict_here", problem, abandon=True, answer=outcome.answer), database_now())
        follow(order)
        if now.state != before and order.state == Order.State.SETTING_UP:
            documents.issue(order)  # so that downloading it writes nothing
        return True


def report(*, request: ProvisioningRequest, outcome: Outcome, by: User | None = None) -> bool:
    """Apply what the vendor's system reports of a request; False where the request is over, and nothing is changed."""
    with transaction.atomic():
        order = _lock(request.order_id)
        now = ProvisioningRequest.objects.select_for_update(of=("self",)).select_related("line").get(pk=request.pk)
        now.order = order
        if not now.is_open or order.state != Order.State.SETTING_UP:
            return False
        now.fence += 1
        now.lease_until = None
        _apply(order, now, outcome, by=by)
        follow(order)
        return True


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
        raise NotAllowed(Problem.REASON)
    with transaction.atomic():
        order, now = _locked_current(request, {State.FAILED, State.WAITING, State.IN_PROGRESS})
        now.fence += 1
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
            services = ",".join(request.line.service for request in late)
            for email in sorted({email_key(order.contact_email), email_key(order.delegated_to)} - {""}):
                emails.queue(order=order, event="set_up_late", to=email, services=services)
            found += 1
    return found


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


def take_back(*, order: Order, by: User) -> Order:
    """Take back every request that is open, so that its answers can be changed; what was begun is deleted outside.

    :raises Refused: there is none, or the order isn't being set up.
    """
    with transaction.atomic():
        order = _lock(order.pk)
        if order.state != Order.State.SETTING_UP:
            raise NotAllowed(Problem.NOT_BEING_SET_UP)
        taken = [request for request in current(order) if request.is_open]
        if not taken:
            raise NotAllowed(Problem.NOT_BEING_SET_UP)
        for request in taken:
            _cancel(request)
            history.record(order=order, kind=Event.Kind.SET_UP_TAKEN_BACK, by=by, facts=_facts(request))
        if not current(order).exclude(state=State.CANCELLED).exists():
            subscriptions.back_to_mapped(order)
        documents.issue(order)
        wake()
        return order


def cancel_all(order: Order) -> None:
    """Cancel the requests of an order that is being cancelled (locked by the caller), and undo what was made."""
    for request in current(order):
        if request.state == State.SUCCEEDED:
            subscriptions.end_subscription(request.line)
            _cancel(request, made=True)
        else:
            _cancel(request)
    wake()


def abandon(request: ProvisioningRequest, instance_id: Any, *, reason: str, external: Mapping[str, Any]) -> None:
    """Have an instance deleted that may exist and that nobody wants; noting it again begins anew."""
    if request.driver == "local":
        return
    row, created = AbandonedInstance.objects.get_or_create(
        instance_id=instance_id,
        defaults={
            "request": request,
            "reason": reason,
            "external": dict(external),
            "next_try_at": database_now(),
        },
    )
    if not created and row.deleted_at:
        row.deleted_at, row.is_deleting, row.next_try_at = None, False, database_now()
        row.fence += 1
        row.save()


def record_deletion(instance: AbandonedInstance, outcome: Outcome) -> bool:
    """Write down how the deletion of an abandoned instance is going; False where the claim is over."""
    with transaction.atomic():
        now = AbandonedInstance.objects.select_for_update(of=("self",)).get(pk=instance.pk)
        if now.fence != instance.fence:
            return False
        moment = database_now()
        now.lease_until, now.answer = None, outcome.answer
        if isinstance(outcome, Done):
            now.deleted_at, now.next_try_at, now.is_deleting = moment, None, False
            wake()
        elif isinstance(outcome, Running):
            now.is_deleting, now.operation, now.attempts = True, outcome.operation, 0
            now.external = dict(outcome.external) or now.external
            now.next_try_at = moment + _until_next_poll(outcome)
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
    """Let the order (locked by the caller) follow from its lines: when the last has succeeded, it is set up."""
    if order.state != Order.State.SETTING_UP or not subscriptions.finish_set_up(order):
        return
    requests = list(current(order))
    history.record(order=order, kind=Event.Kind.SET_UP, by=_user(requests))
    document, _summary, _code = documents.issue(order)
    emails.wake("make_pdfs", document.pk)
    for email in sorted(_told(order, requests)):
        emails.queue(order=order, event="set_up_confirmation", to=email)


def pause_after(attempts: int, asked: int | None = None) -> timedelta:
    """Return how long to wait after so many calls without a usable answer: 2, 4, 8 … seconds, up to 15 minutes.

    ``asked``: seconds that the other side asked for; the longer counts. Jitter of ±20 % keeps lines apart.
    """
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    pause *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    return pause if asked is None else max(pause, min(timedelta(seconds=asked), LONGEST_POLL))


def _apply(order: Order, request: ProvisioningRequest, outcome: Outcome, by: User | None = None) -> None:
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
        deadline = request.deadline_at or now + POLL
        request.next_try_at = (
            deadline if request.driver == "callback" else min(now + _until_next_poll(outcome), deadline)
        )
        request.save()
    elif isinstance(outcome, Done):
        _succeeded(order, request, outcome, by=by)
    else:
        _ended(order, request, outcome, now, by=by)


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
        abandon(request, request.instance_id, reason="no usable answer", external=request.external)
        request.instance_id, request.operation, request.external = uuid.uuid7(), "", {}
    request.next_try_at = now + pause_after(request.attempts, outcome.after)
    request.save()


def _ended(
    order: Order, request: ProvisioningRequest, outcome: Refused | Failed, now: datetime, by: User | None = None
) -> None:
    refused = isinstance(outcome, Refused)
    request.state = State.REFUSED if refused else State.FAILED
    request.state_since, request.next_try_at, request.deadline_at = now, None, None
    request.problem_code, request.problem, request.description = outcome.code, outcome.sentence, ""
    request.problem_field = outcome.field if isinstance(outcome, Refused) else ""
    request.save()
    if outcome.abandon:
        abandon(request, request.instance_id, reason=outcome.code, external=request.external)
    kind = Event.Kind.PROVISIONING_REFUSED if refused else Event.Kind.PROVISIONING_FAILED
    facts = _facts(request) | {"problem": outcome.sentence, "code": outcome.code}
    history.record(order=order, kind=kind, by=by, facts=facts)
    documents.issue(order)
    if refused:
        # Whoever sets the services up; others see it on their pages.
        to = email_key(order.delegated_to or order.contact_email)
        emails.queue(order=order, event="set_up_refused", to=to, service=request.line.service)


def _succeeded(
    order: Order, request: ProvisioningRequest, outcome: Done, by: User | None = None, reason: str = ""
) -> None:
    """Start the subscription, and make the rows of what was set up."""
    request.state, request.state_since = State.SUCCEEDED, database_now()
    request.next_try_at = request.deadline_at = None
    request.attempts, request.description = 0, outcome.description
    request.problem = request.problem_code = request.problem_field = ""
    request.external = dict(outcome.external) or request.external
    request.save()
    subscriptions.start_subscription(order=order, request=request)
    facts = _facts(request) | ({"reason": reason} if reason else {})
    history.record(order=order, kind=Event.Kind.PROVISIONED, by=by, facts=facts)


def _cancel(request: ProvisioningRequest, *, made: bool = False) -> None:
    began = made or request.started_at is not None
    external = request.external
    request.state, request.state_since = State.CANCELLED, database_now()
    request.next_try_at = request.lease_until = request.deadline_at = None
    request.fence += 1
    request.save()
    if began:
        abandon(request, request.instance_id, reason="cancelled", external=external)


def _locked_current(request: ProvisioningRequest, states: Iterable[str]) -> tuple[Order, ProvisioningRequest]:
    order = _lock(request.order_id)
    now = ProvisioningRequest.objects.select_for_update(of=("self",)).select_related("line").get(pk=request.pk)
    now.order = order
    if now.superseded_at or now.state not in set(states) or order.state != Order.State.SETTING_UP:
        raise NotAllowed(Problem.NOT_BEING_SET_UP)
    return order, now


def _lock(pk: int) -> Order:
    return Order.objects.select_for_update(of=("self",), no_key=True).select_related("customer", "partner").get(pk=pk)


def _until_next_poll(outcome: Running) -> timedelta:
    return min(timedelta(seconds=outcome.after), LONGEST_POLL) if outcome.after else POLL


def _external(outcome: Outcome) -> Mapping[str, Any]:
    return outcome.external if isinstance(outcome, Done | Running) else {}


def _facts(request: ProvisioningRequest) -> dict[str, Any]:
    line: OrderLine = request.line
    return {"service": line.service, "product": line.product, "licenses": line.licenses, "id": str(request.public_id)}


def _told(order: Order, requests: Iterable[ProvisioningRequest]) -> set[str]:
    """The contact, the customer's administrator, whoever set it up: each once."""
    people = [order.contact_email, order.customer_email, order.delegated_to]
    people += [request.requested_by for request in requests]
    return {email_key(email) for email in people} - {""}


def _user(requests: Iterable[ProvisioningRequest]) -> User | None:
    """The person who confirmed last."""
    last = max(requests, key=lambda each: each.pk, default=None)
    return User.objects.filter(email=last.requested_by).first() if last else None


__all__ = [
    "abandon",
    "cancel_all",
    "current",
    "database_now",
    "follow",
    "job_of",
    "mark_done",
    "note_late",
    "record",
    "record_deletion",
    "report",
    "request_lines",
    "retry",
    "take_back",
    "wake",
]
