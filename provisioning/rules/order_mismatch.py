"""Compares the chosen organizations with the companies that the order names, to warn about a difference."""

from __future__ import annotations

from collections.abc import Iterable

from orgs.finder.evidence_rules import is_same_company
from provisioning.rules.plan import Plan, Which
from subscriptions.models import Order


def order_mismatch_name(
    order: Order, *, audience: str, which: Which, name: str, other_names: Iterable[str] = ()
) -> str:
    """Return the company that the order names as ``which`` where an organization of these names isn't it; else "".

    The one who bought it is the partner of an order for a customer; the one it is for is the end customer where the
    order has one, and for the own company whoever bought it.
    """
    end_customer = order.customer_name or (order.sold_to if audience == "own" else "")
    named = order.sold_to if which == "partner" else end_customer
    return "" if not named or is_same_company(named, name, other_names) else named


def order_mismatch_names(order: Order, plan: Plan) -> list[str]:
    """Return the companies that the order names, instead of which this plan has others."""
    named = []
    for each in plan.organizations:
        others = [other.name for other in each.row.other_names.all()] if each.row else []
        named.append(
            order_mismatch_name(order, audience=plan.audience, which=each.which, name=each.name, other_names=others)
        )
    return [name for name in named if name]
