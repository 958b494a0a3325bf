"""Tying an order to its organizations: the point of no return."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from orgs import merging
from orgs.actions import create_organization
from orgs.models import Member, Organization
from orgs.text.normalize import email_key
from provisioning import emails, history
from provisioning.actions.access_requests import carrying_right, contact_of
from provisioning.actions.orders import end_requests, lock, refuse_closed, too_late
from provisioning.actions.planning import Audience, Choice, Existing, NotAnAdministrator, is_own_company, plan_mapping
from provisioning.models import Event, Part, User
from provisioning.people import links
from provisioning.people.access import UNMAPPED
from provisioning.rules.order_mismatch import order_mismatch_names
from provisioning.rules.plan import DELEGATE, Plan, Right, Which
from subscriptions.models import Order


@transaction.atomic
def map_order(
    *,
    order: Order,
    by: User,
    audience: Audience,
    partner: Choice | None,
    customer: Choice,
    delegate_to: str = "",
    offered_to: str = "",
    seal: str | None = None,
) -> Order:
    """Tie the order to its organizations, making those that are new; once: a second call finds it done.

    ``delegate_to`` is the customer's administrator who sets up the services, or ""; ``offered_to`` who might have been
    chosen to, on a page; ``seal`` is that page's (None: there was none). Nobody becomes administrator of an
    organization that exists. Raises PlanChanged, MappingRefused, NotAnAdministrator, OrganizationGone, or Refused for
    an order that was cancelled or has closed; then nothing is changed.
    """
    order = lock(order)
    if order.state in {Order.State.MAPPED, Order.State.SETTING_UP, Order.State.SET_UP}:
        return order
    if order.state not in UNMAPPED:
        raise too_late(order)
    refuse_closed(order)
    offered_to = delegate_to or offered_to
    ids = [each.public_id for each in (partner, customer) if isinstance(each, Existing)]
    merging.refer_to(list(Organization.objects.filter(public_id__in=ids).values_list("pk", flat=True)))
    _keep_roles(customer, by.email, email_key(offered_to))
    plan = plan_mapping(
        order=order, by=by, audience=audience, partner=partner, customer=customer, offered_to=offered_to
    ).confirmed(seal, chosen={DELEGATE} if delegate_to else ())
    if delegate_to and not plan.holder_of(Right.DELEGATE):
        raise NotAnAdministrator
    order.audience = plan.audience
    order.partner = _organization(plan, "partner", origin="direct_order")
    customer_origin = "partner_order" if audience == "customer" else "direct_order"
    order.customer = _organization(plan, "customer", origin=customer_origin)
    order.provisioning_administrator = bool(plan.holder_of(Right.PROVISIONING))
    if links.note_opened(order=order, user=by):
        order.refresh_from_db(fields=["opened_at"])
    order.state = Order.State.MAPPED
    order.mapped_at = timezone.now()
    order.delegated_to = plan.holder_of(Right.DELEGATE)
    if audience == "customer" and not order.customer_email:
        order.customer_email = email_key(plan.holder_of(Right.FULL, "customer"))
    order.save()
    end_requests(order)
    own_use = audience == "own" or is_own_company(order=order, by=by, partner=partner, customer=customer)
    if own_use and isinstance(customer, Existing):
        carried = carrying_right(order=order, user=by, public_id=customer.public_id)
        contact_of(order, by).update(rests_on=carried)
    new = [each.which for each in plan.organizations if each.row is None]
    named = order_mismatch_names(order, plan)
    history.record(
        order=order,
        kind=Event.Kind.MAPPED,
        by=by,
        facts={
            "partner": str(order.partner.public_id) if order.partner else None,
            "customer": str(order.customer.public_id) if order.customer else None,
            "new": new,
            **({"not_as_ordered": named} if named else {}),
        },
    )
    if order.delegated_to:
        part = Part.objects.create(order=order, user=links.user_for(order.delegated_to), role=Part.Role.DELEGATE)
        history.record(order=order, kind=Event.Kind.DELEGATED, by=by, facts={"to": part.user.email})
        for email in plan.emails:
            emails.queue(order=order, event=email.event, to=email.to, link=links.issue(part=part))
    return order


def _keep_roles(customer: Choice, *emails: str) -> None:
    """Let nobody change, until the transaction ends, what these people are in the organization."""
    if isinstance(customer, Existing):
        members = Member.objects.select_for_update(of=("self",), no_key=True)
        list(members.filter(organization__public_id=customer.public_id, email__in=emails).order_by("pk"))


def _organization(plan: Plan, which: Which, *, origin: str) -> Organization | None:
    """Return the organization as planned, made where it is new."""
    planned = plan.organization(which)
    if planned is None or planned.row:
        return planned.row if planned else None
    return create_organization(
        name=planned.name,
        vertical=planned.vertical,
        country=planned.country,
        administrator_email=plan.holder_of(Right.FULL, which),
        is_partner=which == "partner",
        origin=origin,
    )
