"""Requests for rights to an organization's administrators. Their decisions are in ``access_decisions``."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from orgs import rate_limits
from orgs.finder.cards import is_shared
from orgs.models import Member, Organization, full_administrators
from orgs.text.normalize import email_domain, email_key, registrable_domain
from provisioning import emails, history
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.models import AccessRequest, DeskCase, Event, Part, User
from provisioning.people import links
from provisioning.people.access import UNMAPPED, May, access_to
from subscriptions.models import Order

# A request that nobody decided expires after this time.
LASTS: Final = timedelta(days=14)
# Requests in a day. Whoever has an order can find any organization by its domain, so the emails to its administrators
# are limited, except those of its own people.
PER_ORDER: Final = 5
FROM_OUTSIDE: Final = 10
A_DAY: Final = timedelta(days=1)
# Who chooses another organization and returns within this time continues the old request: it was emailed already.
COMES_BACK: Final = timedelta(hours=1)

State = AccessRequest.State
Right = AccessRequest.Right


class OrganizationGone(Exception):
    """The chosen organization is no longer in the directory, or no longer a partner."""


class AskedTooOften(Exception):
    """The daily limit of requests is reached, for this order or for strangers to this organization."""


def is_full_administrator(*, email: str, public_id: UUID | str) -> bool:
    """Say whether this address is a full administrator of that organization."""
    return Member.objects.filter(
        full_administrators(), organization__public_id=public_id, email=email_key(email)
    ).exists()


def administers(*, order: Order, user: User, public_id: UUID | str) -> bool:
    """Say whether this person may map this order to that organization: by a full right, or a right for this order."""
    return (
        is_full_administrator(email=user.email, public_id=public_id)
        or _rights_for(order=order, user=user, public_id=public_id) is not None
    )


def carrying_right(*, order: Order, user: User, public_id: UUID | str) -> AccessRequest | None:
    """Return the request that gave the right by which this person may map this order to that organization.

    None for a full administrator whose right no request gave.
    """
    full = Member.objects.filter(full_administrators(), organization__public_id=public_id, email=user.email).first()
    if full:
        return AccessRequest.objects.filter(public_id=full.given_by).first() if full.given_by else None
    return _rights_for(order=order, user=user, public_id=public_id)


def contact_of(order: Order, user: User) -> QuerySet[Part]:
    """Return this person's current part as the order's contact: one row or none."""
    return order.parts.filter(user=user, role=Part.Role.CONTACT, ended_at=None)


def _rights_for(*, order: Order, user: User, public_id: UUID | str) -> AccessRequest | None:
    """Return the approved request that gives this person a right for this order, while that right lasts."""
    lasting = Q(right_ends_at=None) | Q(right_ends_at__gt=timezone.now())
    given = order.access_requests.filter(
        lasting,
        requester=user,
        organization__public_id=public_id,
        right=Right.PROVISIONING,
        decision=AccessRequest.Decision.APPROVED,
        taken_back_at=None,
    )
    return given.order_by("-pk").first()


@transaction.atomic
def ask_administrators(
    *,
    order: Order,
    by: User,
    organization: UUID,
    right: str = Right.PROVISIONING,
    shown_name: str = "",
) -> AccessRequest:
    """Hold the order and ask the full administrators of this organization for a right; an open request is asked once.

    ``shown_name`` is the organization's name as the person saw it. Says the same whether anybody could be asked: names
    and addresses are theirs. Raises Refused for an order that is mapped, cancelled or closed,
    OrganizationGone, AskedTooOften (then nothing is changed).
    """
    order = lock(order)
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    target = Organization.objects.filter(public_id=organization, closed_at=None).first()
    if target is None:
        raise OrganizationGone
    if order.state != Order.State.HELD:
        hold(order=order, by=by, organization=target, shown_name=shown_name)
    return _ask(order=order, by=by, target=target, right=right, shown_name=shown_name)


@transaction.atomic
def ask_for_set_up(*, order: Order, by: User) -> AccessRequest | None:
    """Ask anew for the right to set up a mapped order, by its contact whose right has ended or was taken back.

    None where they became an administrator another way and just go on. Raises Http404 for somebody whose right stands,
    or who never needed one.
    """
    access = access_to(by, order.number, lock=True)
    access.require(May.ASK_FOR_SET_UP)
    customer = _customer_of(access.order)
    if administers(order=access.order, user=by, public_id=customer.public_id):
        carried = carrying_right(order=access.order, user=by, public_id=customer.public_id)
        contact_of(access.order, by).update(rests_on=carried)
        end_requests(access.order)
        return None
    return _ask(order=access.order, by=by, target=customer, right=Right.PROVISIONING, shown_name=customer.name)


@transaction.atomic
def ask_for_full_right(*, order: Order, by: User) -> AccessRequest:
    """Ask the customer's full administrators for full rights, once the order is set up: nothing waits for it.

    Raises Http404 for somebody who didn't set it up as provisioning administrator, or is a full administrator there.
    """
    access = access_to(by, order.number, lock=True)
    access.require(May.ASK_FOR_FULL_RIGHT)
    customer = _customer_of(access.order)
    if is_full_administrator(email=by.email, public_id=customer.public_id):
        raise Http404
    return _ask(order=access.order, by=by, target=customer, right=Right.FULL, shown_name=customer.name)


@transaction.atomic
def release_held_order(*, order: Order, by: User) -> Order:
    """Let a held order go on: the request was approved, or the person chose differently and asks no longer."""
    order = lock(order)
    if order.state == Order.State.HELD:
        refuse_closed(order)
        order.state = Order.State.PLACED
        order.save(update_fields=["state"])
        history.record(order=order, kind=Event.Kind.RELEASED, by=by)
        end_requests(order)
    return order


def is_at_domain_of(user: User, organization: Organization) -> bool:
    """Say whether this person has an address at a domain that the organization has now: it may have sold others."""
    domain = email_domain(user.email)
    names = [domain, registrable_domain(domain)] if domain and not is_shared(domain) else []
    return organization.domains.current().filter(name__in=names).exists()


def _is_of(user: User, organization: Organization) -> bool:
    """Say whether this person is a member, or has an address at a domain of the organization."""
    return organization.members.filter(email=user.email).exists() or is_at_domain_of(user, organization)


def hold(*, order: Order, by: User, organization: Organization, shown_name: str) -> None:
    """Hold a locked order until an administrator of this organization decides."""
    order.state = Order.State.HELD
    order.save(update_fields=["state"])
    facts = {"organization": str(organization.public_id), "name": organization.name, "shown_name": shown_name}
    history.record(order=order, kind=Event.Kind.HELD, by=by, facts=facts)


def full_administrators_of(organization: Organization) -> list[str]:
    """Return the addresses of an organization's full administrators, the first one first."""
    full = Member.objects.filter(full_administrators(), organization=organization)
    return list(full.order_by("pk").values_list("email", flat=True))


def email_about_request(request: AccessRequest, *, event: str, part: Part) -> None:
    """Queue an email about a request to the person who has this part, with the part's link."""
    approver = part.role == Part.Role.APPROVER
    facts = {
        "requester": request.requester.email,
        # The requester gets the name that they were shown: they may not be allowed to read the organization's own.
        "organization": request.organization.name if approver else request.shown_name,
        "right": request.right,
        "until": request.expires_at.isoformat(),
        "objections": request.case.waits_until.isoformat() if request.case and request.case.waits_until else "",
        "ends": request.right_ends_at.isoformat() if request.right_ends_at else "",
        "reason": request.taken_back_reason or request.reason,
        "decision": request.decision,
        "after_set_up": "yes" if request.after_set_up else "",
        # The requester learns the decision, not who decided.
        "decided_by": request.decided_by.email if request.decided_by and approver else "",
    }
    emails.queue(order=request.order, event=event, to=part.user.email, link=links.current(part=part), **facts)


def _ask(*, order: Order, by: User, target: Organization, right: str, shown_name: str) -> AccessRequest:
    """Make the request and email the administrators, unless it is asked already; ``order`` is locked."""
    last = order.access_requests.filter(organization=target, requester=by, right=right).order_by("-pk").first()
    if last and last.state is State.OPEN:
        return last
    if last and last.case and last.case.runs:  # the order desk has prolonged it, so it counts as open
        return last
    end_requests(order)
    if last and last.state is State.ENDED and timezone.now() - last.asked_at < COMES_BACK:
        last.ended_at = None
        last.save(update_fields=["ended_at"])
        return last
    limits = {f"requests:order:{order.number}": PER_ORDER}
    if not _is_of(by, target):
        limits[f"requests:organization:{target.pk}"] = FROM_OUTSIDE
    if not rate_limits.spend(limits, A_DAY):
        raise AskedTooOften
    now = timezone.now()
    request = AccessRequest.objects.create(
        order=order,
        organization=target,
        requester=by,
        right=right,
        shown_name=shown_name,
        asked_at=now,
        expires_at=now + LASTS,
    )
    if last:  # help that was asked for and not begun moves to the new request
        DeskCase.objects.filter(request=last, begun_at=None).update(request=request)
    facts = {"organization": str(target.public_id), "name": target.name, "shown_name": shown_name, "right": right}
    history.record(order=order, kind=Event.Kind.ASKED, by=by, facts=facts)
    for email in full_administrators_of(target):
        if email == by.email:  # nobody is asked about themselves
            continue
        user = links.user_for(email)
        part = Part.objects.create(order=order, user=user, role=Part.Role.APPROVER, access_request=request)
        email_about_request(request, event="access_requested", part=part)
    return request


def _customer_of(order: Order) -> Organization:
    if order.customer is None:
        raise Http404
    return order.customer
