"""The decisions of administrators: on a request for a right, and to take back a right that a request gave."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from orgs import policies
from orgs.actions import give_full_right, take_full_right_back
from orgs.models import Member, Organization, full_administrators
from provisioning import emails, history
from provisioning.actions.access_requests import (
    Right,
    State,
    administers,
    contact_of,
    email_about_request,
    full_administrators_of,
    hold,
    is_full_administrator,
    release_held_order,
)
from provisioning.actions.orders import lock
from provisioning.models import AccessRequest, Event, User
from subscriptions.models import Order


class NoLongerAnAdministrator(Exception):
    """The person who was asked is no longer a full administrator of the organization, so they can't decide."""


class ReasonMissing(Exception):
    """The reason is missing: declining, and taking a right back, need one."""


class OwnRight(Exception):
    """The right is the person's own: nobody decides about themselves."""


@transaction.atomic
def decide(
    *, request: AccessRequest, by: User, approve: bool, reason: str = "", days: int = policies.FULL_LASTS_USUALLY
) -> AccessRequest:
    """Approve or decline a request, as one of the administrators who were asked. The first decision wins.

    Once the order desk has begun to give the right, every full administrator can decide; they object by declining.
    ``days`` is how long a full right lasts (0: until it is taken back); ``orgs.policies`` limits a right for one order.
    Approving gives the right, and a held order continues where it was.
    Returns the request afterwards. A request that was decided, has expired or ended is not changed, nor one of a closed
    order. Raises Http404 for somebody who wasn't asked, NoLongerAnAdministrator, ReasonMissing.
    """
    order, request = locked_request(request)
    asked = request.approvers.filter(user=by).exists()
    if not asked and not (request.case and request.case.runs):
        raise Http404
    # The lock keeps the administrators' rights as they are until the transaction ends.
    member = (
        Member.objects.select_for_update(no_key=True)
        .filter(full_administrators(), organization=request.organization, email=by.email)
        .first()
    )
    if member is None:
        raise NoLongerAnAdministrator
    if request.state is not State.OPEN or order.is_stopped:
        return request
    reason = reason.strip()
    if not approve and not reason:
        raise ReasonMissing
    request.reason = reason
    if approve:
        right: policies.RightAsked = "full" if request.right == Right.FULL else "provisioning"
        ends_at = policies.right_ends_at(right=right, now=timezone.now(), days=days, givers_end=member.given_until)
        approve_request(order=order, request=request, by=by, ends_at=ends_at)
    else:
        request.decision, request.decided_at = AccessRequest.Decision.DECLINED, timezone.now()
        request.decided_by = by
        request.save(update_fields=["decision", "decided_at", "decided_by", "reason"])
    kind = Event.Kind.APPROVED if approve else Event.Kind.DECLINED
    history.record(order=order, kind=kind, by=by, facts={**facts_of(request), "reason": reason})
    if approve:
        release_held_order(order=order, by=by)
    _email_decision(request)
    return request


def approve_request(*, order: Order, request: AccessRequest, by: User, ends_at: datetime | None) -> None:
    """Approve a locked request and give the right until ``ends_at``. The caller releases a held order (``release``)."""
    request.decision, request.decided_at = AccessRequest.Decision.APPROVED, timezone.now()
    request.decided_by, request.right_ends_at = by, ends_at
    if request.right == Right.FULL:
        member = give_full_right(
            organization=request.organization, email=request.requester.email, request=request.public_id, until=ends_at
        )
        request.right_ends_at = member.given_until
    request.save(update_fields=["decision", "decided_at", "decided_by", "reason", "right_ends_at"])
    if order.state in {Order.State.MAPPED, Order.State.SETTING_UP}:
        contact_of(order, request.requester).update(rests_on=request)


@transaction.atomic
def take_right_back(*, request: AccessRequest, by: User, reason: str) -> AccessRequest:
    """Take back the right that a request gave, as a full administrator of the organization (``policies.taking_back``).

    Returns the request afterwards; a right that has ended is not changed. Raises Http404 for somebody who doesn't
    administer the organization, OwnRight, ReasonMissing, and LastAdministrator of orgs.actions.
    """
    order, request = locked_request(request)
    organization = request.organization
    if not is_full_administrator(email=by.email, public_id=organization.public_id):
        raise Http404
    own = request.requester_id == by.pk
    if own and request.right_stands:
        raise OwnRight
    if not policies.may_take_back_right(is_full_administrator=True, is_own_right=own, stands=request.right_stands):
        return request
    reason = reason.strip()
    if not reason:
        raise ReasonMissing
    if request.right == Right.FULL:
        take_full_right_back(organization=organization, email=request.requester.email, request=request.public_id)
    request.taken_back_at, request.taken_back_by, request.taken_back_reason = timezone.now(), by, reason
    request.save(update_fields=["taken_back_at", "taken_back_by", "taken_back_reason"])
    history.record(order=order, kind=Event.Kind.RIGHT_TAKEN, by=by, facts={**facts_of(request), "reason": reason})
    _stop(order=order, request=request, by=by)
    contact = contact_of(order, request.requester).first()
    if contact:
        email_about_request(request, event="right_taken_back", part=contact)
    else:  # they no longer have a part in the order
        emails.queue(
            order=order,
            event="right_taken_back",
            to=request.requester.email,
            organization=request.shown_name,
            right=request.right,
            reason=reason,
        )
    return request


def locked_request(request: AccessRequest) -> tuple[Order, AccessRequest]:
    """Lock the order, the request and its organization, in this sequence. Returns the order and the request, reread."""
    order = lock(request.order)
    found = (
        AccessRequest.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization", "requester", "decided_by")
        .get(pk=request.pk)
    )
    found.order = order
    # Serializes two administrators who take each other's rights back.
    Organization.objects.select_for_update(no_key=True).get(pk=found.organization_id)
    return order, found


def facts_of(request: AccessRequest) -> dict[str, str]:
    """Return the facts of a request for an event of the history."""
    return {
        "organization": str(request.organization.public_id),
        "name": request.organization.name,
        "shown_name": request.shown_name,
        "requester": request.requester.email,
        "right": request.right,
        "ends": request.right_ends_at.isoformat() if request.right_ends_at else "",
    }


def _stop(*, order: Order, request: AccessRequest, by: User) -> None:
    """Hold the order if it rested on the right that was taken back, unless another right suffices (``policies``).

    After the mapping the order is not changed: permission to set up is read from the right (``Part.rests_on``).
    """
    requester, organization = request.requester, request.organization
    holds = policies.taking_back(order_state=order.state) is policies.Consequence.HOLD
    carried_on = administers(order=order, user=requester, public_id=organization.public_id)
    if holds and not carried_on and contact_of(order, requester).exists():
        hold(order=order, by=by, organization=organization, shown_name=request.shown_name)
    # A full right may have been used for other orders of the same company; their histories get the event too.
    running = [Order.State.MAPPED, Order.State.SETTING_UP]
    carried = request.carries.filter(ended_at=None, order__state__in=running).exclude(order=order)
    for part in carried.select_related("order"):
        facts = {**facts_of(request), "reason": request.taken_back_reason}
        history.record(order=part.order, kind=Event.Kind.RIGHT_TAKEN, by=by, facts=facts)


def _email_decision(request: AccessRequest) -> None:
    """Email the requester, and the other administrators who were asked and still are full administrators."""
    contact = contact_of(request.order, request.requester).first()
    approved = request.decision == AccessRequest.Decision.APPROVED
    if contact:
        email_about_request(request, event="access_approved" if approved else "access_declined", part=contact)
    others = request.approvers.filter(user__email__in=full_administrators_of(request.organization))
    for part in others.exclude(user=request.decided_by).select_related("user", "order").order_by("pk"):
        email_about_request(request, event="access_decided", part=part)
