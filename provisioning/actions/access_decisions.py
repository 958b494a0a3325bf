"""What administrators decide: a request for rights, and the end of a right that a request gave. Nobody else does."""

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
    full_administrators_of,
    hold,
    is_full_administrator,
    release,
    tell,
)
from provisioning.actions.orders import lock
from provisioning.models import AccessRequest, Event, User
from subscriptions.models import Order


class NoLongerAnAdministrator(Exception):
    """Who was asked isn't a full administrator of the organization any more, so it isn't theirs to decide."""


class ReasonMissing(Exception):
    """Who declines, or takes a right back, has to say why."""


class OwnRight(Exception):
    """Nobody decides about themselves."""


@transaction.atomic
def decide(
    *, request: AccessRequest, by: User, approve: bool, reason: str = "", days: int = policies.FULL_LASTS_USUALLY
) -> AccessRequest:
    """Approve or decline a request, as one of the administrators who were asked. The first decision wins.

    Once the order desk looks into it, every full administrator may: declining is how they object.
    ``days``: how long a full right lasts, 0 until it is taken back; a right for one order lasts as the policies say.
    Returns the request as it is then: one that was decided, has expired or is no longer asked stays as it was, and so
    does one of an order that has closed.
    Approving gives the right and lets the order go on where it was. Raises Http404 for somebody who wasn't asked,
    NoLongerAnAdministrator, ReasonMissing.
    """
    order, request = locked_request(request)
    asked = request.approvers.filter(user=by).exists()
    if not asked and not (request.case and request.case.runs):
        raise Http404
    # Locked, so that nobody stops being an administrator between this line and the end.
    member = (
        Member.objects.select_for_update(no_key=True)
        .filter(full_administrators(), organization=request.organization, email=by.email)
        .first()
    )
    if member is None:
        raise NoLongerAnAdministrator
    if request.state is not State.OPEN or order.is_closed:
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
        release(order=order, by=by)
    _tell_everybody(request)
    return request


def approve_request(*, order: Order, request: AccessRequest, by: User, ends_at: datetime | None) -> None:
    """Write an approval of a locked request and give the right until then; a held order is left to ``release``."""
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
    """Take back the right that a request gave, as a full administrator of the organization: policies.taking_back.

    Returns the request as it is then: a right that is over already stays as it was. Raises Http404 for somebody who
    doesn't administer the organization, OwnRight, ReasonMissing, and orgs' LastAdministrator.
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
        tell(request, event="right_taken_back", part=contact)
    else:  # has no part in the order any more, and still has to know
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
    """Return the order, the request and the organization of a request, locked in this order, as they are now."""
    order = lock(request.order)
    found = (
        AccessRequest.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization", "requester", "decided_by")
        .get(pk=request.pk)
    )
    found.order = order
    # Two administrators who take each other's rights back do it one after the other.
    Organization.objects.select_for_update(no_key=True).get(pk=found.organization_id)
    return order, found


def facts_of(request: AccessRequest) -> dict[str, str]:
    """Return what the history says of a request."""
    return {
        "organization": str(request.organization.public_id),
        "name": request.organization.name,
        "shown_name": request.shown_name,
        "requester": request.requester.email,
        "right": request.right,
        "ends": request.right_ends_at.isoformat() if request.right_ends_at else "",
    }


def _stop(*, order: Order, request: AccessRequest, by: User) -> None:
    """Stop what rested on the right that was taken back, as policies.taking_back says; another right may carry it on.

    After the mapping there is nothing to write: who may set up is read from the right (access, Part.rests_on).
    """
    requester, organization = request.requester, request.organization
    holds = policies.taking_back(order_state=order.state) is policies.Consequence.HOLD
    carried_on = administers(order=order, user=requester, public_id=organization.public_id)
    if holds and not carried_on and contact_of(order, requester).exists():
        hold(order=order, by=by, organization=organization, shown_name=request.shown_name)
    # A full right may carry other orders of the own company too; their histories say why they stopped.
    running = [Order.State.MAPPED, Order.State.SETTING_UP]
    carried = request.carries.filter(ended_at=None, order__state__in=running).exclude(order=order)
    for part in carried.select_related("order"):
        facts = {**facts_of(request), "reason": request.taken_back_reason}
        history.record(order=part.order, kind=Event.Kind.RIGHT_TAKEN, by=by, facts=facts)


def _tell_everybody(request: AccessRequest) -> None:
    """Tell the person who asked, and the other administrators who were asked and still are administrators."""
    contact = contact_of(request.order, request.requester).first()
    approved = request.decision == AccessRequest.Decision.APPROVED
    if contact:
        tell(request, event="access_approved" if approved else "access_declined", part=contact)
    others = request.approvers.filter(user__email__in=full_administrators_of(request.organization))
    for part in others.exclude(user=request.decided_by).select_related("user", "order").order_by("pk"):
        tell(request, event="access_decided", part=part)
