"""What confirming will do, before it does it: the plan of a mapping, and of a set-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from orgs import policies
from orgs.models import Member, Organization
from orgs.text.normalize import email_key
from provisioning.actions.access_requests import OrganizationGone, administers, is_at_domain_of, is_full_administrator
from provisioning.models import User
from provisioning.people.order_people import provisioner_of
from provisioning.rules.plan import (
    DELEGATE,
    Plan,
    PlannedEmail,
    PlannedOrganization,
    PlannedRight,
    PlannedSubscription,
    Right,
    Which,
)
from subscriptions import packs
from subscriptions.actions import given_parts, lines_to_ask_for, split_plans
from subscriptions.models import Order, OrderLine

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
    """A rule about administrators forbids the mapping; ``refusal`` says which."""

    def __init__(self, refusal: policies.Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotAnAdministrator(Exception):
    """The set-up can be given to an administrator of the customer organization only."""


def plan_mapping(
    *, order: Order, by: User, audience: Audience, partner: Choice | None, customer: Choice, offered_to: str = ""
) -> Plan:
    """Return what confirming the organizations does; ``offered_to`` is who may set up the services instead, or "".

    Raises MappingRefused where a rule about administrators forbids it, or OrganizationGone.
    """
    chosen: list[tuple[Which, Choice]] = [("customer", customer)]
    if partner:
        chosen.insert(0, ("partner", partner))
    found = _existing(chosen)
    organizations = tuple(_planned(which, choice, found) for which, choice in chosen)
    full = isinstance(customer, Existing) and is_full_administrator(email=by.email, public_id=customer.public_id)
    administrator = full or (
        isinstance(customer, Existing) and administers(order=order, user=by, public_id=customer.public_id)
    )
    provisioner, existing = provisioner_of(order, audience), isinstance(customer, Existing)
    own_use = audience == "own" or is_own_company(order=order, by=by, partner=partner, customer=customer)
    refusal = policies.may_provision(
        provisioner=provisioner,
        audience="own" if own_use else audience,
        existing=existing,
        is_administrator=administrator,
    )
    if refusal:
        raise MappingRefused(refusal)
    rights = [PlannedRight(Right.CONTACT, email_key(order.contact_email))]
    for which, choice in chosen:
        if isinstance(choice, New):
            rights.append(PlannedRight(Right.FULL, choice.administrator_email, which))
    if policies.must_ask_for_access(
        provisioner=provisioner, audience=audience, existing=existing, is_administrator=administrator
    ) or (administrator and not full):
        rights.append(PlannedRight(Right.PROVISIONING, by.email, "customer"))
    emails = []
    if offered_to and (
        isinstance(customer, New) or is_full_administrator(email=offered_to, public_id=customer.public_id)
    ):
        delegate = email_key(offered_to)
        rights.append(PlannedRight(Right.DELEGATE, delegate, "customer", DELEGATE))
        emails.append(PlannedEmail("setup_delegated", delegate, DELEGATE))
    lines = packs.in_order(order.lines.all())
    return Plan(
        order=order.number,
        audience=audience,
        organizations=organizations,
        subscriptions=tuple(_subscription(line) for line in lines),
        rights=tuple(rights),
        emails=tuple(emails),
    )


def plan_set_up(*, order: Order, by: User, plans: Mapping[str, Any], lines: Iterable[OrderLine] | None = None) -> Plan:
    """Return what confirming the set-up does; ``plans`` are by service, as subscriptions.actions.set_up_order has them.

    ``lines`` are the order's, where the caller has read them. Raises Refused where the plans don't fit other lines.
    """
    customer = order.customer
    # The contact, the customer's administrator, and the person who set it up; each address once.
    told = {email_key(email) for email in (order.contact_email, order.customer_email, order.delegated_to, by.email)}
    lines = lines_to_ask_for(order) if lines is None else packs.in_order(lines)
    parts = split_plans(lines=lines, plans=plans, given=given_parts(order))
    return Plan(
        order=order.number,
        audience=order.audience,
        organizations=(_row("customer", customer),) if customer else (),
        subscriptions=tuple(_subscription(line, parts.get(line.pk)) for line in lines),
        rights=(),
        emails=tuple(PlannedEmail("set_up_confirmation", email) for email in sorted(told - {""})),
    )


def is_own_company(*, order: Order, by: User, partner: Choice | None, customer: Choice) -> bool:
    """Say whether what is called a customer is the person's own company: saying so can't go round its administrators.

    It is where the partner is its own customer, or the person has an address at a domain of it; and where the order
    names no customer, so that only the person says that there is one, and they are a user of that organization.
    """
    if not isinstance(customer, Existing):
        return False
    if isinstance(partner, Existing) and partner.public_id == customer.public_id:
        return True
    organization = Organization.objects.filter(public_id=customer.public_id).first()
    if organization is None:
        return False
    if is_at_domain_of(by, organization):
        return True
    return not order.customer_name and organization.members.filter(email=by.email, role=Member.Role.USER).exists()


def _existing(chosen: Iterable[tuple[Which, Choice]]) -> dict[UUID, Organization]:
    ids = [choice.public_id for _which, choice in chosen if isinstance(choice, Existing)]
    found = Organization.objects.filter(public_id__in=ids, closed_at=None) if ids else ()
    return {each.public_id: each for each in found}


def _planned(which: Which, choice: Choice, found: Mapping[UUID, Organization]) -> PlannedOrganization:
    if isinstance(choice, New):
        return PlannedOrganization(which, choice.name, choice.vertical, choice.country)
    row = found.get(choice.public_id)
    if row is None or (which == "partner" and not row.is_partner):
        raise OrganizationGone
    return _row(which, row)


def _row(which: Which, row: Organization) -> PlannedOrganization:
    return PlannedOrganization(which, row.name, row.vertical, row.country.code or "", row)


def _subscription(line: OrderLine, part: Any = None) -> PlannedSubscription:
    made = packs.of(line.service).preview(part) if part else None
    return PlannedSubscription(line.service, line.product, line.licenses, line.term_months, made, line.number)
