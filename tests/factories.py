"""Rows that tests start from, made by the product's own actions wherever there is one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.test import Client

from orgs.models import Domain, Member, Organization, OtherName
from provisioning import actions
from provisioning.models import User
from provisioning.people import links
from subscriptions import actions as subscriptions
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.rules.validation import Line

_numbers = itertools.count(1)


def an_organization(
    name: str = "Contoso",
    *,
    domains: Sequence[str] = (),
    administrators: Sequence[str] = (),
    members: Sequence[str] = (),
    other_names: Sequence[str] = (),
    partner: bool = False,
    country: str = "US",
    **fields: Any,
) -> Organization:
    """Return an organization with verified domains, full administrators and plain members."""
    people = len(administrators) + len(members)
    fields = {"user_count": people, **fields}
    organization = Organization(name=name, is_partner=partner, country=country, **fields)
    organization.save()
    for domain in domains:
        Domain(organization=organization, name=domain).save()
    for email in administrators:
        Member(organization=organization, email=email, role=Member.Role.FULL).save()
    for email in members:
        Member(organization=organization, email=email).save()
    for other in other_names:
        OtherName(organization=organization, name=other).save()
    return organization


def an_order(
    *,
    contact: str = "sam@partner.example.net",
    sold_to: str = "Partner Networks",
    customer: str = "Contoso",
    customer_email: str = "it@contoso.example.org",
    meetings: int = 0,
    calling: int = 0,
    lines: Sequence[Line] = (),
    number: str | None = None,
) -> Order:
    """Return an order that was placed: 250 Meetings licenses unless said otherwise."""
    if not meetings and not calling:
        meetings = 250
    lines = lines or [
        Line(service, count) for service, count in (("meetings", meetings), ("calling", calling)) if count
    ]
    order, _created = actions.place_order(
        number=number or f"T-{next(_numbers):06d}",
        sold_to=sold_to,
        contact_email=contact,
        customer_name=customer,
        customer_email=customer_email if customer else "",
        lines=lines,
    )
    return order


def an_own_order(*, contact: str = "kim@contoso.example.org", sold_to: str = "Contoso", **fields: Any) -> Order:
    """Return an order that a company placed for itself."""
    return an_order(contact=contact, sold_to=sold_to, customer="", **fields)


def a_mapped_order(
    *, contact: str = "kim@contoso.example.org", customer: Organization | None = None, **fields: Any
) -> Order:
    """Return an order that a company placed for itself, whose organizations are confirmed: services come next."""
    organization = customer or an_organization("Contoso", administrators=[contact])
    order = an_own_order(contact=contact, sold_to=organization.name, **fields)
    return actions.map_order(
        order=order,
        by=links.user_for(contact),
        audience="own",
        partner=None,
        customer=actions.Existing(organization.public_id),
    )


def line_rows(*lines: dict[str, Any], initial: int = 0) -> dict[str, str]:
    """Return the rows of the order desk's form; ``initial`` says how many of them the order had before."""
    facts = {"lines-TOTAL_FORMS": str(len(lines)), "lines-INITIAL_FORMS": str(initial)}
    for at, line in enumerate(lines):
        facts |= {f"lines-{at}-{name}": str(value) for name, value in ({"term_months": 12} | line).items()}
    return facts


def a_delegated_order(*, contact: str = "sam@partner.example.net", **fields: Any) -> Order:
    """Return an order whose partner lets the customer's administrator (customer_email) set up the services."""
    partner = an_organization("Partner Networks", administrators=[contact], partner=True)
    order = an_order(contact=contact, **fields)
    customer = an_organization(order.customer_name, administrators=[order.customer_email])
    return actions.map_order(
        order=order,
        by=links.user_for(contact),
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(customer.public_id),
        delegate_to=order.customer_email,
    )


def signed_in(email: str) -> Client:
    """Return a browser in which this person is signed in. (test_sign_in.py tests signing in.)"""
    client = Client()
    user: User = links.user_for(email)
    client.force_login(user)
    return client


def set_up_order(*, order: Order, plans: Mapping[str, Any]) -> Order:
    """Set an order up as the local driver does, without history and emails: what was asked for is there at once."""
    with transaction.atomic():
        local = {line.service: "local" for line in order.lines.all()}
        order, requests = subscriptions.request_set_up(
            order=order, plans=plans, drivers=local, requested_by="kim@contoso.example.org", requester=None
        )
        for request in requests:
            ProvisioningRequest.objects.filter(pk=request.pk).update(state="succeeded", next_try_at=None)
            subscriptions.start_subscription(order=order, request=request)
        subscriptions.finish_set_up(order)
        return order
