"""The people of an order: who must act, who reads the summary, who can take the order back."""

from __future__ import annotations

from typing import Literal

from django.utils import timezone

from orgs.models import Member, full_administrators
from provisioning.models import Part, User
from provisioning.people.permissions import RULES, May, State
from subscriptions.models import Order


def who_must_act(order: Order) -> tuple[list[Part], list[Part]]:
    """Return the parts of the people who must act on an unfinished order, and of those who wait and could take over.

    The customer's administrator acts while the set-up is delegated; the administrators who were asked decide while a
    request is open. The contact waits then, also where no administrator could be asked: the contact must not learn
    that. Closed accounts are left out.
    """
    current = order.parts.filter(user__is_active=True).select_related("user", "order", "access_request")
    contact = list(current.filter(role=Part.Role.CONTACT, ended_at=None))
    if order.state == State.MAPPED and order.delegated_to:
        return list(current.filter(role=Part.Role.DELEGATE, ended_at=None)), contact
    if order.state in {State.HELD, State.MAPPED}:
        asked = order.access_requests.filter(decision="", ended_at=None, expires_at__gt=timezone.now()).first()
        if asked:
            full = Member.objects.filter(full_administrators(), organization=asked.organization_id)
            deciding = current.filter(access_request=asked, user__email__in=full.values("email"))
            return list(deciding.order_by("pk")), contact
    return contact, []


def readers_of_summary(order: Order) -> list[str]:
    """Return the addresses of the people who may read the order's summary once it is set up, sorted."""
    roles = [role for role, state in RULES if May.READ_SUMMARY in RULES[role, state]]
    current = order.parts.filter(ended_at=None, role__in=roles)
    return sorted(set(current.values_list("user__email", flat=True)))


def may_take_back(*, order: Order, user: User) -> bool:
    """Say whether this person handed the order over, directly or through others, to its current contact."""
    parts = {part.pk: part for part in Part.objects.filter(order=order, role=Part.Role.CONTACT)}
    part = next((part for part in parts.values() if part.ended_at is None), None)
    while part is not None and part.given_by_id:
        part = parts[part.given_by_id]
        if part.user_id == user.pk:
            return True
    return False


def provisioner_of(order: Order, audience: str) -> Literal["partner", "customer"]:
    """Say who provisions, in the terms of ``orgs.policies``: a partner, if one bought the order for a customer."""
    return "partner" if order.customer_name or audience == Order.Audience.CUSTOMER else "customer"
