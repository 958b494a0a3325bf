"""Administrators' rules, as plain functions: they answer with a code, never with a sentence."""

from __future__ import annotations

import enum
from typing import Literal

Provisioner = Literal["partner", "customer"]
Audience = Literal["customer", "own"]


class Refusal(enum.StrEnum):
    """Why somebody may not go on, as a code that the forms word."""

    ASK_CUSTOMER_ADMINISTRATOR = "ask_customer_administrator"  # a customer, for the own company
    ASK_CURRENT_ADMINISTRATOR = "ask_current_administrator"  # a partner, for the partner's own use


def may_provision(
    *, provisioner: Provisioner, audience: Audience, existing: bool, is_administrator: bool
) -> Refusal | None:
    """Whether this person may map the order to this organization now; None means yes.

    The first seed's three rules for an administrator who is new to an existing organization. A new organization has
    no administrator to ask, and an administrator need not ask anybody.
    """
    if not existing or is_administrator or audience == "customer":
        return None
    if provisioner == "partner":
        return Refusal.ASK_CURRENT_ADMINISTRATOR
    return Refusal.ASK_CUSTOMER_ADMINISTRATOR


def must_ask_for_access(
    *, provisioner: Provisioner, audience: Audience, existing: bool, is_administrator: bool
) -> bool:
    """Whether this person may go on but is told to ask the customer's administrator for access (a partner)."""
    return existing and not is_administrator and audience == "customer" and provisioner == "partner"
