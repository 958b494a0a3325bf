"""The order summary that page, PDF, email and webhook share: what was ordered and what was set up."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import prefetch_related_objects

from orgs.models import Organization
from subscriptions import packs
from subscriptions.models import Order, OrderLine, ProvisioningRequest
from subscriptions.presentation import Section
from subscriptions.summary import sections
from subscriptions.summary.facts import BoughtLine, Company, OrderFacts


@dataclass(frozen=True)
class OrderSummary(OrderFacts):
    """The facts of an order with their words. SetUpFacts by ``build_summary``; page, PDF, email and webhook show it."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """Everything to show, in order, in the active language."""
        return sections.of(self)

    @property
    def title(self) -> str:
        """What the summary is called, in the active language."""
        return sections.title(self)

    @property
    def lead(self) -> str:
        """The summary in a sentence, in the active language."""
        return sections.lead(self)


def build_summary(order: Order) -> OrderSummary:
    """Read the facts of an order as they are stored now, in as many queries whatever its size."""
    order = Order.objects.select_related("partner", "customer").get(pk=order.pk)
    one = [f"subscription__{name}" for each in packs.installed().values() for name in each.to_one]
    lines = packs.in_order(order.lines.select_related("subscription", *one))
    current = ProvisioningRequest.objects.filter(order=order, superseded_at=None) if order.mapped_at else ()
    requests = {request.line_id: request for request in current}
    for line in lines:
        prefetch_related_objects([line], *(f"subscription__{name}" for name in packs.of(line.service).to_many))
    own = order.audience == Order.Audience.OWN
    return OrderSummary(
        number=order.number,
        state=order.state,
        placed_at=order.placed_at,
        mapped_at=order.mapped_at,
        set_up_at=order.set_up_at,
        sold_to=order.sold_to,
        customer_name=order.customer_name,
        audience=order.audience,
        partner=_company(order.partner),
        customer=_company(order.customer),
        provisioning_administrator=order.provisioning_administrator,
        contact_email=order.contact_email,
        administrator_email=order.customer_email or order.delegated_to or (order.contact_email if own else ""),
        delegated_to=order.delegated_to,
        lines=tuple(_line(line, requests.get(line.pk)) for line in lines),
    )


def _company(organization: Organization | None) -> Company | None:
    if organization is None:
        return None
    return Company(str(organization.public_id), organization.name, organization.country.code or "")


def _said(request: ProvisioningRequest) -> str:
    """The other side's words for people: how far it is, or why it refuses. What failed is for the order desk only."""
    if request.state == ProvisioningRequest.State.REFUSED:
        return request.problem
    return request.description if request.is_open else ""


def _line(line: OrderLine, request: ProvisioningRequest | None) -> BoughtLine:
    pack = packs.of(line.service)
    asked = request and request.state != ProvisioningRequest.State.SUCCEEDED
    subscription = getattr(line, "subscription", None)
    return BoughtLine(
        service=line.service,
        product=line.product,
        licenses=line.licenses,
        term_months=line.term_months,
        starts_at=subscription.starts_at if subscription else None,
        ends_at=subscription.ends_at if subscription else None,
        made=pack.read(subscription) if subscription else None,
        asked=pack.preview(pack.plan_of(request.parameters)) if request and asked else None,
        state=request.state if request else "",
        state_since=request.state_since if request else None,
        description=_said(request) if request else "",
        number=line.number,
    )
