"""Tying an order to its organizations: the point of no return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orgs import policies
from orgs.actions import create_organization
from orgs.models import Member, Organization
from orgs.normalize import email_key
from provisioning import emails, history, links
from provisioning.access import UNMAPPED, provisioner_of
from provisioning.actions.asking import (
    OrganizationGone,
    administers,
    carrying_right,
    contact_of,
    is_full_administrator,
)
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.models import Event, Part, User
from subscriptions.models import Order

Audience = Literal["customer", "own"]


@dataclass(frozen=True)
class Existing:
    """An organization of the directory, by its public id."""

    public_id: UUID


@dataclass(frozen=True)
class New:
    """An organization to be made; ``administrator_email`` becomes its first full administrator."""

    name: str
    vertical: str
    country: str
    administrator_email: str


Choice = Existing | New


class MappingRefused(Exception):
    """An administrators' rule stands in the way; ``refusal`` says which."""

    def __init__(self, refusal: policies.Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotAnAdministrator(Exception):
    """The set-up can be given to an administrator of the customer organization only."""


@transaction.atomic
def map_order(
    *,
    order: Order,
    by: User,
    audience: Audience,
    partner: Choice | None,
    customer: Choice,
    delegate_to: str = "",
) -> Order:
    """Tie the order to its organizations, making those that are new; once: a second call finds it done.

    ``delegate_to`` is the customer's administrator who sets up the services, or "". Nobody becomes administrator of an
    organization that exists. Raises MappingRefused, NotAnAdministrator, OrganizationGone, or Refused for an order
    that was cancelled or has closed; then nothing is changed.
    """
    order = lock(order)
    if order.state in {Order.State.MAPPED, Order.State.SET_UP}:
        return order
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    existing = isinstance(customer, Existing)
    full = isinstance(customer, Existing) and is_full_administrator(email=by.email, public_id=customer.public_id)
    administrator = full or (
        isinstance(customer, Existing) and administers(order=order, user=by, public_id=customer.public_id)
    )
    provisioner = provisioner_of(order, audience)
    own_use = audience == "own" or is_own_company(order=order, by=by, partner=partner, customer=customer)
    refusal = policies.may_provision(
        provisioner=provisioner,
        audience="own" if own_use else audience,
        existing=existing,
        is_administrator=administrator,
    )
    if refusal:
        raise MappingRefused(refusal)
    if (
        delegate_to
        and isinstance(customer, Existing)
        and not is_full_administrator(email=delegate_to, public_id=customer.public_id)
    ):
        raise NotAnAdministrator
    order.audience = audience
    order.partner = _organization(partner, origin="direct_order", is_partner=True) if partner else None
    order.customer = _organization(
        customer, origin="partner_order" if audience == "customer" else "direct_order", is_partner=False
    )
    order.provisioning_administrator = policies.must_ask_for_access(
        provisioner=provisioner, audience=audience, existing=existing, is_administrator=administrator
    ) or (administrator and not full)
    order.state = Order.State.MAPPED
    order.mapped_at = timezone.now()
    order.delegated_to = email_key(delegate_to) if delegate_to else ""
    if audience == "customer" and isinstance(customer, New) and not order.customer_email:
        order.customer_email = email_key(customer.administrator_email)
    order.save()
    end_requests(order)
    if own_use and isinstance(customer, Existing):
        carried = carrying_right(order=order, user=by, public_id=customer.public_id)
        contact_of(order, by).update(rests_on=carried)
    history.record(
        order=order,
        kind=Event.Kind.MAPPED,
        by=by,
        facts={
            "partner": str(order.partner.public_id) if order.partner else None,
            "customer": str(order.customer.public_id),
            "new": [name for name, choice in (("partner", partner), ("customer", customer)) if isinstance(choice, New)],
        },
    )
    if order.delegated_to:
        _delegate(order=order, by=by)
    return order


def is_own_company(*, order: Order, by: User, partner: Choice | None, customer: Choice) -> bool:
    """Say whether what is called a customer is the person's own company: saying so can't go round its administrators.

    It is where the partner is its own customer; and where the order names no customer, so that only the person says
    that there is one, and they are a user of that organization.
    """
    if not isinstance(customer, Existing):
        return False
    if isinstance(partner, Existing) and partner.public_id == customer.public_id:
        return True
    users = Member.objects.filter(organization__public_id=customer.public_id, email=by.email, role=Member.Role.USER)
    return not order.customer_name and users.exists()


def _organization(choice: Choice, *, origin: str, is_partner: bool) -> Organization:
    if isinstance(choice, New):
        return create_organization(
            name=choice.name,
            vertical=choice.vertical,
            country=choice.country,
            administrator_email=choice.administrator_email,
            is_partner=is_partner,
            origin=origin,
        )
    organizations = Organization.objects.filter(public_id=choice.public_id)
    if is_partner:
        organizations = organizations.filter(is_partner=True)
    organization = organizations.first()
    if organization is None:
        raise OrganizationGone
    return organization


def _delegate(*, order: Order, by: User) -> None:
    part = Part.objects.create(order=order, user=links.user_for(order.delegated_to), role=Part.Role.DELEGATE)
    link = links.issue(part=part)
    emails.queue(order=order, event="setup_delegated", to=part.user.email, link=link)
    history.record(order=order, kind=Event.Kind.DELEGATED, by=by, facts={"to": part.user.email})
