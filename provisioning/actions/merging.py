"""Merging two organizations that are the same one: the directory's rows, and everything that orders have with them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from orgs import merging
from orgs.merging import CannotMerge
from orgs.models import Organization, OrganizationMerge
from provisioning import history
from provisioning.actions.access_requests import email_about_request, full_administrators_of
from provisioning.models import AccessRequest, Event, Part, User
from provisioning.people import links
from subscriptions.actions import move_to_organization
from subscriptions.models import Order

__all__ = ["CannotMerge", "merge_organizations"]

_TRIES = 3


class _MoreOrders(Exception):
    """An order was mapped to the organization while its orders were being locked."""


def merge_organizations(
    *, keep: Organization, gone: Organization, by: User | None, name: str = ""
) -> OrganizationMerge:
    """Merge ``gone`` into ``keep`` in one transaction; the same two again find it done.

    What moves: domains, names, members (``orgs.merging``: nobody gets an administrator's right by it), orders,
    subscriptions with their sites and locations, and requests for rights. An open request is asked of the full
    administrators of ``keep``. ``gone`` is closed for good and found by nobody; searches for its names find ``keep``.
    Each order has it in its history.

    :param name: who merges where it is no person, such as the name of a system's key.
    :raises CannotMerge: they are the same row, or one of them is closed.
    """
    for attempt in range(_TRIES):
        try:
            with transaction.atomic():
                return _merge(keep=keep, gone=gone, by=by, name=name)
        except _MoreOrders:
            if attempt == _TRIES - 1:
                raise CannotMerge from None
    raise CannotMerge


def _merge(*, keep: Organization, gone: Organization, by: User | None, name: str) -> OrganizationMerge:
    of_gone = Order.objects.filter(
        Q(partner=gone) | Q(customer=gone) | Q(access_requests__organization=gone)
    ).values_list("pk", flat=True)
    # Orders are locked before organizations, as in every other action.
    locked = list(
        Order.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=list(of_gone)).order_by("pk")
    )
    keep, gone = merging.lock_pair(keep, gone)
    if not set(of_gone) <= {order.pk for order in locked}:
        raise _MoreOrders
    earlier = OrganizationMerge.objects.filter(kept=keep, gone=gone).exists()
    merge = merging.merge_directory_entries(keep=keep, gone=gone, by=by.email if by else name)
    if earlier:
        return merge
    subscriptions = move_to_organization(gone=gone, keep=keep)
    facts = {"from": gone.name, "to": keep.name, "gone": str(gone.public_id), "kept": str(keep.public_id)}
    for order in locked:
        history.record(order=order, kind=Event.Kind.MERGED, by=by, facts=facts)
    for request in AccessRequest.objects.filter(organization=gone).select_related("order", "requester"):
        request.organization = keep
        request.save(update_fields=["organization"])
        if request.state is AccessRequest.State.OPEN and not request.order.is_closed:
            _ask(request)
    merge.moved = {**merge.moved, "orders": [order.number for order in locked], "subscriptions": subscriptions}
    merge.save(update_fields=["moved"])
    return merge


def _ask(request: AccessRequest) -> None:
    """Ask those full administrators who were not asked for this request yet."""
    asked = set(request.approvers.values_list("user__email", flat=True))
    for email in full_administrators_of(request.organization):
        if email in asked or email == request.requester.email:
            continue
        part = Part.objects.create(
            order=request.order,
            user=links.user_for(email),
            role=Part.Role.APPROVER,
            since_at=timezone.now(),
            access_request=request,
        )
        email_about_request(request, event="access_requested", part=part)
