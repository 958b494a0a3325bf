"""Asking an organization's administrators for rights, and their decision: nobody else ever gives any."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from orgs import budgets
from orgs.actions import add_member
from orgs.cards import is_shared
from orgs.models import Member, Organization
from orgs.normalize import email_domain, email_key, registrable_domain
from provisioning import emails, history, links
from provisioning.access import UNMAPPED
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.models import AccessRequest, Event, Part, User
from subscriptions.models import Order

# How long a request waits for a decision.
LASTS: Final = timedelta(days=14)
# Requests in a day. Whoever has an order can find any organization by its domain: its administrators' mailboxes are
# no target, and an organization that the person belongs to hears as much from its own people as they like to ask.
PER_ORDER: Final = 5
FROM_OUTSIDE: Final = 10
A_DAY: Final = timedelta(days=1)
# Who chooses differently and comes back within this time asks nothing new: the administrators have the email.
COMES_BACK: Final = timedelta(hours=1)

State = AccessRequest.State


class OrganizationGone(Exception):
    """The organization that was chosen is no longer in the directory, or no longer what it was chosen as."""


class AskedTooOften(Exception):
    """This order has asked, or these administrators were asked by strangers, as often as is possible in a day."""


class NoLongerAnAdministrator(Exception):
    """Who was asked isn't a full administrator of the organization any more, so it isn't theirs to decide."""


class ReasonMissing(Exception):
    """Who declines has to say why."""


def is_full_administrator(*, email: str, public_id: UUID | str) -> bool:
    """Say whether this address is a full administrator of that organization."""
    return Member.objects.filter(
        organization__public_id=public_id, email=email_key(email), role=Member.Role.FULL
    ).exists()


def administers(*, order: Order, user: User, public_id: UUID | str) -> bool:
    """Say whether this person may tie this order to that organization: by a full right, or one for this order."""
    return (
        is_full_administrator(email=user.email, public_id=public_id)
        or order.access_requests.filter(
            requester=user,
            organization__public_id=public_id,
            right=AccessRequest.Right.PROVISIONING,
            decision=AccessRequest.Decision.APPROVED,
        ).exists()
    )


@transaction.atomic
def ask_administrators(
    *, order: Order, by: User, organization: UUID, right: str = AccessRequest.Right.FULL
) -> AccessRequest:
    """Hold the order and ask the full administrators of this organization for a right; an open request is asked once.

    Says the same whether anybody could be asked: names and addresses are theirs. Raises Refused for an order that is
    mapped, cancelled or closed, OrganizationGone, AskedTooOften (then nothing is changed).
    """
    order = lock(order)
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    target = Organization.objects.filter(public_id=organization).first()
    if target is None:
        raise OrganizationGone
    facts = {"organization": str(target.public_id), "name": target.name}
    if order.state != Order.State.HELD:
        order.state = Order.State.HELD
        order.save(update_fields=["state"])
        history.record(order=order, kind=Event.Kind.HELD, by=by, facts=facts)
    last = order.access_requests.filter(organization=target, requester=by, right=right).order_by("-pk").first()
    if last and last.state is State.OPEN:
        return last
    end_requests(order)
    if last and last.state is State.ENDED and timezone.now() - last.asked_at < COMES_BACK:
        last.ended_at = None
        last.save(update_fields=["ended_at"])
        return last
    limits = {f"requests:order:{order.number}": PER_ORDER}
    if not _is_of(by, target):
        limits[f"requests:organization:{target.pk}"] = FROM_OUTSIDE
    if not budgets.spend(limits, A_DAY):
        raise AskedTooOften
    now = timezone.now()
    request = AccessRequest.objects.create(
        order=order, organization=target, requester=by, right=right, asked_at=now, expires_at=now + LASTS
    )
    history.record(order=order, kind=Event.Kind.ASKED, by=by, facts={**facts, "right": request.right})
    for email in _administrators(target):
        part = Part.objects.create(
            order=order, user=links.user_for(email), role=Part.Role.APPROVER, access_request=request
        )
        tell(request, event="access_requested", part=part)
    return request


@transaction.atomic
def decide(*, request: AccessRequest, by: User, approve: bool, reason: str = "") -> AccessRequest:
    """Approve or decline a request, as one of the administrators who were asked. The first decision wins.

    Returns the request as it is then: one that was decided, has expired or is no longer asked stays as it was, and so
    does one of an order that has closed.
    Approving gives the right and lets the order go on where it was. Raises Http404 for somebody who wasn't asked,
    NoLongerAnAdministrator, ReasonMissing.
    """
    order = lock(request.order)
    request = (
        AccessRequest.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization", "requester")
        .get(pk=request.pk)
    )
    if not request.approvers.filter(user=by).exists():
        raise Http404
    # Locked, so that nobody stops being an administrator between this line and the end.
    member = Member.objects.select_for_update(no_key=True).filter(organization=request.organization, email=by.email)
    if not member.filter(role=Member.Role.FULL).exists():
        raise NoLongerAnAdministrator
    if request.state is not State.OPEN or order.is_closed:
        return request
    reason = reason.strip()
    if not approve and not reason:
        raise ReasonMissing
    request.decision = AccessRequest.Decision.APPROVED if approve else AccessRequest.Decision.DECLINED
    request.decided_at, request.decided_by, request.reason = timezone.now(), by, reason
    request.save(update_fields=["decision", "decided_at", "decided_by", "reason"])
    facts = {
        "organization": str(request.organization.public_id),
        "name": request.organization.name,
        "requester": request.requester.email,
        "right": request.right,
        "reason": reason,
    }
    kind = Event.Kind.APPROVED if approve else Event.Kind.DECLINED
    history.record(order=order, kind=kind, by=by, facts=facts)
    if approve:
        _give(request)
        release(order=order, by=by)
    _tell_everybody(request)
    return request


@transaction.atomic
def release(*, order: Order, by: User) -> Order:
    """Let a held order go on: the request was approved, or the person chose differently and asks no longer."""
    order = lock(order)
    if order.state == Order.State.HELD:
        refuse_closed(order)
        order.state = Order.State.PLACED
        order.save(update_fields=["state"])
        history.record(order=order, kind=Event.Kind.RELEASED, by=by)
        end_requests(order)
    return order


def _is_of(user: User, organization: Organization) -> bool:
    """Say whether this person is a member, or has an address at a domain of the organization."""
    domain = email_domain(user.email)
    names = [domain, registrable_domain(domain)] if domain and not is_shared(domain) else []
    return (
        organization.members.filter(email=user.email).exists() or organization.domains.filter(name__in=names).exists()
    )


def _give(request: AccessRequest) -> None:
    """Give a full right to the person; a right for one order is the approved request itself (``administers``)."""
    if request.right == AccessRequest.Right.FULL:
        add_member(organization=request.organization, email=request.requester.email, role=Member.Role.FULL)


def _administrators(organization: Organization) -> list[str]:
    full = organization.members.filter(role=Member.Role.FULL)
    return list(full.order_by("pk").values_list("email", flat=True))


def _tell_everybody(request: AccessRequest) -> None:
    """Tell the person who asked, and the other administrators who were asked and still are administrators."""
    contact = request.order.parts.filter(user=request.requester, role=Part.Role.CONTACT, ended_at=None).first()
    approved = request.decision == AccessRequest.Decision.APPROVED
    if contact:
        tell(request, event="access_approved" if approved else "access_declined", part=contact)
    others = request.approvers.filter(user__email__in=_administrators(request.organization))
    for part in others.exclude(user=request.decided_by).select_related("user", "order").order_by("pk"):
        tell(request, event="access_decided", part=part)


def tell(request: AccessRequest, *, event: str, part: Part) -> None:
    """Queue one of the emails about a request, to the person who has this part."""
    facts = {
        "requester": request.requester.email,
        "organization": request.organization.name,
        "right": request.right,
        "until": request.expires_at.isoformat(),
        "reason": request.reason,
        "decision": request.decision,
        # The person who asked learns what was decided, never by whom.
        "decided_by": request.decided_by.email if request.decided_by and event == "access_decided" else "",
    }
    emails.queue(order=request.order, event=event, to=part.user.email, link=links.current(part=part), **facts)
