"""Every write to orders, provisioning requests and subscriptions. Each function locks the rows that it changes.

``rules.validation`` validates orders; an action that is not allowed raises ``Refused`` with a code. Permissions are
checked in provisioning.people.access; events, links and emails belong to provisioning.actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Lower
from django.utils import timezone

from orgs.actions import record_subscription
from orgs.models import Organization
from subscriptions import packs
from subscriptions.models import Location, Order, OrderLine, ProvisioningRequest, SiteName, Subscription
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules import deadlines, validation
from subscriptions.rules.validation import Line, Problem, Refused, SiteNameTaken

__all__ = [
    "Line",
    "LocationPlan",
    "Problem",
    "Refused",
    "SiteNameTaken",
    "SitePlan",
    "cancel_order",
    "clean_lines",
    "correct_order",
    "database_now",
    "end_of_day",
    "extend_order",
    "move_to_organization",
    "place_order",
    "products",
    "require_correctable",
    "reserve_for_order",
]


def database_now() -> datetime:
    """Return the time of the database: the clocks of the hosts may differ, and leases compare times of several."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found


def place_order(
    *,
    number: str | None,
    sold_to: str,
    contact_email: str,
    customer_name: str = "",
    customer_email: str = "",
    lines: Sequence[Line],
    set_up_by: datetime | None = None,
) -> tuple[Order, bool]:
    """Place an order, once: the same number again returns the order that is there, unchanged, and False.

    :param number: the vendor's number; None or "" takes the next of our own ("PO-100001").
    :param set_up_by: when it closes unless it is set up; None: so many days from now as its products have.
    :raises Refused: with the code of the first thing that can't be so.
    """
    number = validation.clean_number(number) if number else None
    given = {
        "sold_to": sold_to,
        "contact_email": contact_email,
        "customer_name": customer_name,
        "customer_email": customer_email,
    }
    facts = {name: validation.CLEAN[name](value) for name, value in given.items()}
    cleaned = clean_lines(lines)
    now = timezone.now()
    closes_at = set_up_by or now + timedelta(days=_days_for(cleaned))
    if not deadlines.is_valid_date(closes_at, now=now):
        raise Refused(Problem.SET_UP_BY)
    while True:
        wanted = number or _next_number()
        if existing := Order.objects.filter(number=wanted).first():
            if number:
                return existing, False
            continue  # somebody used one of our numbers by hand
        try:
            # The unique number decides between two at once: the second waits here, and then finds the first's order.
            with transaction.atomic():
                order = Order.objects.create(
                    number=wanted, placed_at=now, date_set_at=now, closes_at=closes_at, **facts
                )
                OrderLine.objects.bulk_create(_line_of(order, line) for line in cleaned)
        except IntegrityError:
            if not Order.objects.filter(number=wanted).exists():
                raise
        else:
            return order, True


def correct_order(
    *,
    order: Order,
    sold_to: str | None = None,
    contact_email: str | None = None,
    customer_name: str | None = None,
    customer_email: str | None = None,
    lines: Sequence[Line] | None = None,
) -> Order:
    """Change the given values of an order; None leaves a value unchanged. ``lines`` are all lines that it then has.

    Everything may be corrected until the organizations are confirmed; then only who bought it and the lines, until
    the order is set up; then nothing.

    :raises Refused: ALREADY_MAPPED, ALREADY_SET_UP, CLOSED or CANCELLED where it is too late, or what the rules say.
    """
    with transaction.atomic():
        order = _locked(order)
        early = {"contact_email": contact_email, "customer_name": customer_name, "customer_email": customer_email}
        require_correctable(order, early)
        for name, value in {"sold_to": sold_to, **early}.items():
            if value is not None:
                setattr(order, name, validation.CLEAN[name](value))
        order.save(update_fields=["sold_to", *early])
        if lines is not None:
            _replace_lines(order, clean_lines(lines, order=order))
        return order


def clean_lines(
    lines: Sequence[Line], *, order: Order | None = None, existing: Sequence[tuple[int, str]] = ()
) -> tuple[Line, ...]:
    """Return the lines that an order would have, in the order of their numbers, each with its number and product.

    :param order: the one that they are to be the lines of; None for a new one. A line without a number is the next of
        its lines of this service.
    :param existing: instead of ``order``, (number, service) of its lines.
    :raises Refused: with ``at`` where it is about one line.
    """
    once = [service for service, each in packs.installed().items() if not each.several_lines]
    if order is not None:
        existing = list(order.lines.values_list("number", "service"))
    return validation.clean_lines(lines, products(), once=once, existing=existing)


def require_correctable(order: Order, early: Mapping[str, str | None]) -> None:
    """Raise Refused where it is too late to correct this order.

    :param early: the new contact and customer, which can't be changed once the organizations are confirmed; None for
        what stays as it is.
    """
    _require_open(order)
    if order.is_closed:
        raise Refused(Problem.CLOSED)
    if order.state == Order.State.MAPPED and any(
        value is not None and value.strip() != getattr(order, name) for name, value in early.items()
    ):
        raise Refused(Problem.ALREADY_MAPPED)


def cancel_order(*, order: Order) -> Order:
    """Cancel an order that is not set up; cancelling it again finds it done.

    :raises Refused: ALREADY_SET_UP.
    """
    with transaction.atomic():
        order = _locked(order)
        if order.state == Order.State.CANCELLED:
            return order
        if order.state == Order.State.SET_UP:
            raise Refused(Problem.ALREADY_SET_UP)
        order.state = Order.State.CANCELLED
        order.cancelled_at = timezone.now()
        order.save(update_fields=["state", "cancelled_at"])
        for each in packs.installed().values():
            each.release(order)
        return order


def extend_order(*, order: Order, closes_at: datetime) -> Order:
    """Give an order that is not set up a later set-up-by date; one that has closed is open again, where it was.

    :raises Refused: CANCELLED, ALREADY_SET_UP; SET_UP_BY for a date that can't be; NOT_LATER for one that isn't later.
    """
    with transaction.atomic():
        order = _locked(order)
        _require_open(order)
        now = timezone.now()
        if not deadlines.is_valid_date(closes_at, now=now):
            raise Refused(Problem.SET_UP_BY)
        if closes_at <= order.closes_at:
            raise Refused(Problem.NOT_LATER)
        order.closes_at, order.date_set_at = closes_at, now
        order.save(update_fields=["closes_at", "date_set_at"])
        return order


def reserve_for_order(*, order: Order, wanted: Mapping[str, Any]) -> None:
    """Reserve unique values of a mapped order's answers until it closes: all of them, or none.

    :param wanted: by service, in the shape that its pack says.
    :raises Refused: somebody else has it, or the order can't be set up now.
    """
    with transaction.atomic():
        order = _locked(order)
        if order.state not in {Order.State.SETTING_UP}:
            _require_open(order)
        if order.state not in {Order.State.MAPPED, Order.State.SETTING_UP} or order.is_closed:
            raise Refused(Problem.CLOSED if order.is_closed else Problem.NOT_MAPPED)
        if order.is_on_hold:
            raise Refused(Problem.ON_HOLD)
        for service, what in wanted.items():
            packs.of(service).reserve(order, what)


def move_to_organization(*, gone: Organization, keep: Organization) -> int:
    """Move orders, subscriptions, site names and locations of an organization to another one, for a merge of the two.

    The caller has locked the orders and both organizations. A location whose name ``keep`` has too stays registered
    under ``gone``: its name was set up outside, and nothing renames it. Returns the number of subscriptions.
    """
    Order.objects.filter(partner=gone).update(partner=keep)
    Order.objects.filter(customer=gone).update(customer=keep)
    # Names of one shape belong to one organization at any moment, so they can't be moved one by one.
    names = list(SiteName.objects.filter(organization=gone))
    SiteName.objects.filter(organization=gone).delete()
    for name in names:
        name.organization = keep
    SiteName.objects.bulk_create(names)
    taken = Location.objects.filter(organization=keep).annotate(lowered=Lower("name")).values("lowered")
    moving = Location.objects.filter(organization=gone).annotate(lowered=Lower("name")).exclude(lowered__in=taken)
    Location.objects.filter(pk__in=list(moving.values_list("pk", flat=True))).update(organization=keep)
    return Subscription.objects.filter(organization=gone).update(organization=keep)


def request_set_up(
    *, order: Order, plans: Mapping[str, Any], drivers: Mapping[str, str], requested_by: str, requester: int | None
) -> tuple[Order, list[ProvisioningRequest]]:
    """Create a provisioning request for each line of a confirmed order that has none: all, or none.

    Lines that are being set up, or are, stay as they are; a plan for them is ignored. Whoever comes second, even at
    the same moment, finds nothing left to ask for.

    :param plans: by service, for all of its lines together, in the shape that its pack says (``SitePlan`` rows, a
        ``LocationPlan``, …). The pack splits it: each request has its own line's part as ``parameters``.
    :param drivers: the name of each service's driver.
    :raises SiteNameTaken: another order has one of the names.
    :raises Refused: the order can't be set up now, or not like this.
    """
    with transaction.atomic():
        order = _locked(order)
        if order.state == Order.State.SET_UP:
            return order, []
        if order.state == Order.State.CANCELLED:
            raise Refused(Problem.CANCELLED)
        if order.is_closed:
            raise Refused(Problem.CLOSED)
        if order.is_on_hold:
            raise Refused(Problem.ON_HOLD)
        if order.state not in {Order.State.MAPPED, Order.State.SETTING_UP} or order.customer is None:
            raise Refused(Problem.NOT_MAPPED)
        lines = lines_to_ask_for(order)
        if not lines:
            return order, []
        _check(order, lines, plans)
        parts = split_plans(lines=lines, plans=plans, given=given_parts(order))
        for service in packs.bought_of(lines):
            packs.of(service).reserve_plan(order, plans[service])
        now = database_now()
        ProvisioningRequest.objects.filter(line__in=lines, superseded_at=None).update(superseded_at=now)
        made = ProvisioningRequest.objects.bulk_create(
            ProvisioningRequest(
                order=order,
                line=line,
                driver=drivers[line.service],
                parameters=packs.of(line.service).parameters(parts[line.pk]),
                requested_by=requested_by,
                requester=requester,
                next_try_at=now,
            )
            for line in lines
        )
        if order.state == Order.State.MAPPED:
            order.state = Order.State.SETTING_UP
            order.save(update_fields=["state"])
        return order, made


def lines_to_ask_for(order: Order) -> list[OrderLine]:
    """Return the lines without a request, or whose request was refused or cancelled, in the order of PACKS."""
    if order.state not in {Order.State.SETTING_UP, Order.State.SET_UP}:
        return packs.in_order(order.lines.all())  # there is no request yet
    current = ProvisioningRequest.objects.filter(line=OuterRef("pk"), superseded_at=None)
    open_or_done = current.exclude(state__in=ProvisioningRequest.TO_ANSWER)
    return packs.in_order(order.lines.filter(~Exists(open_or_done)))


def given_parts(order: Order) -> dict[str, list[Any]]:
    """Return the parts of plans of the lines that are being set up, or are, by service, in the order of the lines."""
    found: dict[str, list[Any]] = {}
    if order.state == Order.State.SETTING_UP:
        rows = ProvisioningRequest.objects.filter(order=order, superseded_at=None).select_related("line")
        for request in rows.exclude(state__in=ProvisioningRequest.TO_ANSWER).order_by("line__number"):
            service = request.line.service
            found.setdefault(service, []).append(packs.of(service).plan_of(request.parameters))
    return found


def split_plans(
    *, lines: Iterable[OrderLine], plans: Mapping[str, Any], given: Mapping[str, Sequence[Any]]
) -> dict[int, Any]:
    """Return the part of its service's plan that is a line's, by the line's primary key.

    A service without a plan is left out.

    :param lines: those that are to be asked for.
    :param given: as ``given_parts`` returns it: other lines keep what they were given.
    :raises Refused: a plan takes away what another line was given.
    """
    found: dict[int, Any] = {}
    for service, bought in packs.bought_of(lines).items():
        if plans.get(service) is not None:
            licenses = [line.licenses for line in bought.lines]
            parts = packs.of(service).split(plans[service], licenses, given.get(service, ()))
            found |= {line.pk: part for line, part in zip(bought.lines, parts, strict=True)}
    return found


def request_again(request: ProvisioningRequest) -> ProvisioningRequest:
    """Create a new request with the same parameters and a new instance; the former one stays."""
    with transaction.atomic():
        now = database_now()
        ProvisioningRequest.objects.filter(pk=request.pk).update(superseded_at=now)
        return ProvisioningRequest.objects.create(
            order=request.order,
            line=request.line,
            driver=request.driver,
            parameters=request.parameters,
            requested_by=request.requested_by,
            requester=request.requester,
            requested_at=request.requested_at,  # people wait since then, and are told once that it takes longer
            told_late_at=request.told_late_at,
            next_try_at=now,
        )


def start_subscription(*, order: Order, request: ProvisioningRequest) -> Subscription:
    """Start the subscription of a line that was set up, with the rows that its pack makes of what was asked for."""
    if order.customer is None:
        raise Refused(Problem.NOT_MAPPED)
    pack = packs.of(request.line.service)
    subscription = _subscribe(order.customer, request.line, database_now())
    pack.create_rows(subscription, pack.plan_of(request.parameters))
    record_subscription(order.customer, 1)
    return subscription


def finish_set_up(order: Order) -> bool:
    """Set a locked order to *set up* if all of its lines are; return whether it is."""
    succeeded = ProvisioningRequest.objects.filter(
        line=OuterRef("pk"), superseded_at=None, state=ProvisioningRequest.State.SUCCEEDED
    )
    if order.state != Order.State.SETTING_UP or order.lines.filter(~Exists(succeeded)).exists():
        return False
    order.state = Order.State.SET_UP
    order.set_up_at = database_now()
    order.save(update_fields=["state", "set_up_at"])
    return True


def back_to_mapped(order: Order) -> None:
    """Set a locked order whose requests were all cancelled back to *mapped*."""
    order.state = Order.State.MAPPED
    order.save(update_fields=["state"])


def end_subscriptions(order: Order) -> None:
    """End the subscriptions of an order (locked by the caller) that is cancelled while other lines are being set up."""
    with transaction.atomic():
        # All of them before the organization's row: note_ended_subscriptions has the same order.
        found = list(
            Subscription.objects.select_for_update(of=("self",))
            .filter(line__order=order)
            .select_related("organization")
            .order_by("pk")
        )
        for subscription in found:
            if subscription.is_counted:
                record_subscription(subscription.organization, -1)
            subscription.is_counted, subscription.ends_at = False, database_now()
            subscription.save(update_fields=["is_counted", "ends_at"])


def note_ended_subscriptions() -> int:
    """Subtract ended subscriptions from their organizations' counts, once each; return how many."""
    with transaction.atomic():
        ended = Subscription.objects.select_for_update(of=("self",), skip_locked=True)
        ended = ended.filter(is_counted=True, ends_at__lte=timezone.now()).select_related("organization")
        found = list(ended.order_by("organization_id", "pk"))
        for subscription in found:
            record_subscription(subscription.organization, -1)
        Subscription.objects.filter(pk__in=[each.pk for each in found]).update(is_counted=False)
    return len(found)


def _check(order: Order, lines: Sequence[OrderLine], plans: Mapping[str, Any]) -> None:
    """Raise Refused unless each service has a plan that is one for its lines, and nothing else has a plan."""
    if {service for service, plan in plans.items() if plan} - {line.service for line in lines}:
        raise Refused(Problem.UNASKED)
    asked = packs.bought_of(lines)
    bought = asked if order.state == Order.State.MAPPED else packs.bought_of(order.lines.all())
    for service in asked:
        if service not in packs.installed():
            raise Refused(Problem.SERVICE)
        packs.of(service).check(plans.get(service), bought[service].licenses)


def products() -> dict[str, str]:
    """The services there are, and what a line's product is called where the order doesn't say (not translated)."""
    return {service: each.product for service, each in packs.installed().items()}


def _locked(order: Order) -> Order:
    """Lock the order's row until the transaction ends, and return its current state."""
    rows = Order.objects.select_for_update(of=("self",), no_key=True)  # as everywhere: a stronger lock could deadlock
    return rows.select_related("customer", "partner").get(pk=order.pk)


def _require_open(order: Order) -> None:
    if order.state == Order.State.CANCELLED:
        raise Refused(Problem.CANCELLED)
    if order.state == Order.State.SETTING_UP:
        raise Refused(Problem.BEING_SET_UP)
    if order.state == Order.State.SET_UP:
        raise Refused(Problem.ALREADY_SET_UP)


def end_of_day(day: date) -> datetime:
    """Return the last moment of a day in the vendor's time zone: until when an order is open whose date is a day."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=ZoneInfo(settings.TIME_ZONE))


def _days_for(lines: Sequence[Line]) -> int:
    bought = [(line.service, line.product) for line in lines]
    return deadlines.days_for(bought, default=settings.SET_UP_DAYS, by_product=settings.SET_UP_DAYS_BY_PRODUCT)


def _next_number() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('subscriptions_order_number')")
        return f"PO-{cursor.fetchone()[0]}"


def _line_of(order: Order, line: Line) -> OrderLine:
    return OrderLine(
        order=order,
        number=cast(int, line.number),  # clean_lines gave it one
        service=line.service,
        product=line.product,
        licenses=line.licenses,
        term_months=line.term_months,
    )


def _replace_lines(order: Order, lines: Sequence[Line]) -> None:
    """Let a locked order have these lines; a line is the one of its number.

    What was asked for is kept: a line with a request is not deleted, and not made one of another service or product.
    """
    wanted = {line.number: line for line in lines}
    asked = Exists(ProvisioningRequest.objects.filter(line=OuterRef("pk")))
    had = {line.number: line for line in order.lines.annotate(was_asked=asked)}
    for number, old in had.items():
        new = wanted.get(number)
        is_other = new is None or (old.service, old.product) != (new.service, new.product)
        if is_other and old.was_asked:
            OrderLine.objects.filter(pk=old.pk).update(removed_at=timezone.now())
        elif new is None:
            old.delete()
        else:
            old.service, old.product, old.licenses, old.term_months = (
                new.service,
                new.product,
                new.licenses,
                new.term_months,
            )
            old.save(update_fields=["service", "product", "licenses", "term_months"])
            del wanted[number]
    OrderLine.objects.bulk_create(_line_of(order, line) for line in wanted.values())


def _subscribe(customer: Organization, line: OrderLine, now: datetime) -> Subscription:
    return Subscription.objects.create(
        line=line,
        organization=customer,
        starts_at=now,
        ends_at=validation.add_months(now, line.term_months),
    )
