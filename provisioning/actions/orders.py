"""The order desk's acts: place, correct, resend and cancel an order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from orgs.text.normalize import email_key
from provisioning import emails, history
from provisioning.actions import drafts
from provisioning.fulfillment import transitions
from provisioning.models import Event, Link, Part, User
from provisioning.people import links
from subscriptions import actions as subscriptions
from subscriptions.models import Order, OrderLine
from subscriptions.rules import validation
from subscriptions.rules.validation import Line, Problem, Refused


def lock(order: Order) -> Order:
    """Return the order as it is now, its row locked until the transaction ends."""
    return Order.objects.select_for_update(no_key=True).get(pk=order.pk)


def too_late(order: Order) -> Refused:
    """Return the refusal of something that this order's state no longer (or not yet) allows."""
    problems = {
        Order.State.CANCELLED.value: Problem.CANCELLED,
        Order.State.SET_UP.value: Problem.ALREADY_SET_UP,
        Order.State.MAPPED.value: Problem.ALREADY_MAPPED,
        Order.State.SETTING_UP.value: Problem.BEING_SET_UP,
    }
    return Refused(problems.get(order.state, Problem.NOT_MAPPED))


def refuse_closed(order: Order) -> None:
    """Raise Refused for an order whose set-up-by date has passed, or that is on hold, until the desk mends that."""
    if order.is_closed:
        raise Refused(Problem.CLOSED)
    if order.is_on_hold:
        raise Refused(Problem.ON_HOLD)


def end_requests(order: Order) -> None:
    """No longer ask administrators for rights that this order needed; what they decided stays."""
    order.access_requests.filter(decision="", ended_at=None).update(ended_at=timezone.now())


@transaction.atomic
def place_order(
    *,
    number: str | None,
    sold_to: str,
    contact_email: str,
    customer_name: str = "",
    customer_email: str = "",
    lines: Sequence[Line],
    set_up_by: datetime | None = None,
    by: User | None = None,
) -> tuple[Order, bool]:
    """Place an order and send its contact the welcome email; the same number twice is one order.

    Returns the order and whether it was placed now. ``number`` None: the next one is given. ``set_up_by`` None: so many
    days from now as its products have.

    :raises Refused: with the code of the first thing that can't be so.
    """
    order, created = subscriptions.place_order(
        number=number,
        sold_to=sold_to,
        contact_email=contact_email,
        customer_name=customer_name,
        customer_email=customer_email,
        lines=lines,
        set_up_by=set_up_by,
    )
    if created:
        user = links.user_for(order.contact_email)
        part = Part.objects.create(order=order, user=user, role=Part.Role.CONTACT)
        facts = {"contact": user.email, "set_up_by": order.closes_at.isoformat()}
        history.record(order=order, kind=Event.Kind.PLACED, by=by, facts=facts)
        _send_link(part=part, by=by)
    return order, created


def differing_facts(
    *,
    order: Order,
    sold_to: str,
    contact_email: str,
    customer_name: str = "",
    customer_email: str = "",
    lines: Sequence[Line],
    set_up_by: datetime | None = None,
) -> list[str]:
    """Return which of these facts (the names of arguments) an order that was placed before doesn't have.

    A contact, and a date, that it had once are no difference: others may have it now, and the desk gives more time.

    :raises Refused: a value that can't be one.
    """
    given = {"sold_to": sold_to, "customer_name": customer_name, "customer_email": customer_email}
    found = [name for name, value in given.items() if validation.CLEAN[name](value) != getattr(order, name)]
    contact = validation.CLEAN["contact_email"](contact_email)
    had_it = order.parts.filter(role=Part.Role.CONTACT, user__email=contact)
    if contact != order.contact_email and not had_it.exists():
        found.append("contact_email")
    cleaned = validation.clean_lines(lines, subscriptions.products())
    if sorted(_facts_of(line) for line in cleaned) != sorted(_facts_of(line) for line in order.lines.all()):
        found.append("lines")
    if set_up_by is not None and set_up_by != order.closes_at:
        placed = order.events.filter(kind=Event.Kind.PLACED).values_list("facts", flat=True).first() or {}
        if datetime.fromisoformat(placed.get("set_up_by", order.closes_at.isoformat())) != set_up_by:
            found.append("set_up_by")
    return found


@transaction.atomic
def correct_order(
    *,
    order: Order,
    sold_to: str | None = None,
    contact_email: str | None = None,
    customer_name: str | None = None,
    customer_email: str | None = None,
    lines: Sequence[Line] | None = None,
    by: User | None = None,
) -> Order:
    """Correct what is given and leave what is None; another contact gets the welcome email, and the old link ends.

    ``lines`` are all that the order then has; a line is the one of its number, or else the next of its service.

    :raises Refused: CANCELLED, CLOSED, ALREADY_SET_UP or ALREADY_MAPPED where it is too late, or what the rules say.
    """
    before = lock(order)
    before_lines = _lines_of(before)
    order = subscriptions.correct_order(
        order=before,
        sold_to=sold_to,
        contact_email=contact_email,
        customer_name=customer_name,
        customer_email=customer_email,
        lines=lines,
    )
    changes: dict[str, list[object]] = {
        name: [getattr(before, name), getattr(order, name)]
        for name in ("sold_to", "contact_email", "customer_name", "customer_email")
        if getattr(before, name) != getattr(order, name)
    }
    if lines is not None and before_lines != _lines_of(order):
        changes["lines"] = [before_lines, _lines_of(order)]
    if not changes:
        return order
    history.record(order=order, kind=Event.Kind.CORRECTED, by=by, facts={"changes": changes})
    if {"customer_name", "customer_email"} & changes.keys():
        # What was found for another customer isn't confirmed for this one.
        kept = {"intent", "partner", "partner-new", "partner-check"}
        drafts.begin_again(order=order, flow="find", but_for=kept)
    if "contact_email" in changes:
        # The former contact no longer has the order, also where it was handed over: the order desk decides.
        current = order.parts.select_related("user").get(role=Part.Role.CONTACT, ended_at=None)
        if current.user.email != email_key(order.contact_email):
            current.ended_at = timezone.now()
            current.save(update_fields=["ended_at"])
            drafts.begin_again(order=order, flow="find", but_for={"customer-details"})
            end_requests(order)
            if order.state == Order.State.HELD:
                order.state = Order.State.PLACED
                order.save(update_fields=["state"])
            user = links.user_for(order.contact_email)
            part = Part.objects.create(order=order, user=user, role=Part.Role.CONTACT)
            _send_link(part=part, by=by)
    return order


@transaction.atomic
def resend_link(*, order: Order, by: User | None, unless_sent_since: datetime | None = None) -> Order:
    """Send a new link to the person who has to act: the customer's administrator after a delegation, or the contact.

    :param unless_sent_since: nothing is sent where somebody had a link sent after this time, so that a form that is
        sent twice sends once.

    :raises Refused: CANCELLED, CLOSED.
    """
    order = lock(order)
    if order.state == Order.State.CANCELLED:
        raise Refused(Problem.CANCELLED)
    refuse_closed(order)
    sent = (
        order.events.filter(kind=Event.Kind.LINK_SENT, by=by, at__gt=unless_sent_since) if unless_sent_since else None
    )
    if sent is not None and sent.exists():
        return order
    current = order.parts.filter(ended_at=None, access_request=None)
    parts = {part.role: part for part in current.select_related("user", "order")}
    part = parts.get(Part.Role.DELEGATE) or parts[Part.Role.CONTACT]
    _send_link(part=part, by=by)
    return order


@transaction.atomic
def cancel_order(*, order: Order, by: User | None) -> Order:
    """Cancel an order that is not set up; its links end, and say so. Cancelling twice is cancelling once.

    :raises Refused: ALREADY_SET_UP.
    """
    before = lock(order)
    if before.state == Order.State.SETTING_UP:
        transitions.cancel_all(before, by)
    order = subscriptions.cancel_order(order=before)
    if before.state == Order.State.CANCELLED:
        return order
    end_requests(order)
    history.record(order=order, kind=Event.Kind.CANCELLED, by=by)
    acting = order.parts.filter(ended_at=None, role__in=[Part.Role.CONTACT, Part.Role.DELEGATE])
    for email in sorted(set(acting.values_list("user__email", flat=True))):
        emails.queue(order=order, event="order_cancelled", to=email)
    return order


def _send_link(*, part: Part, by: User | None) -> None:
    """Make a new link for this part and mail it in the words that fit the part."""
    mail_link(part=part, link=links.issue(part=part), by=by)


def mail_link(*, part: Part, link: Link, by: User | None) -> None:
    """Mail a link to the person who has this part, in the words that fit it."""
    if part.role == Part.Role.DELEGATE:
        event = "setup_delegated"
    elif part.given_by_id:
        event = "order_handed_over"
    else:
        event = "order_placed"
    emails.queue(order=part.order, event=event, to=part.user.email, link=link)
    history.record(order=part.order, kind=Event.Kind.LINK_SENT, by=by, facts={"to": part.user.email})


def _lines_of(order: Order) -> list[list[object]]:
    return [list(_facts_of(line)) for line in order.lines.all()]


def _facts_of(line: Line | OrderLine) -> tuple[str, str, int, int, int | None]:
    return line.service, line.product, line.licenses, line.term_months, line.number
