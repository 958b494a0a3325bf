"""Administrators' rules, as plain functions: they answer with a code, never with a sentence."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Final, Literal

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


# Rights that were given by a request

RightAsked = Literal["full", "provisioning"]

# A right for one order ends when its services are set up, at the latest after this time.
PROVISIONING_LASTS: Final = timedelta(days=90)
# How long a full right lasts, in days, as the administrator who gives it chooses; 0 is until it is taken back.
FULL_LASTS: Final = (30, 90, 365, 0)
FULL_LASTS_USUALLY: Final = 365
# What the order desk gives where no administrator can be reached.
DESK_LASTS: Final = timedelta(days=30)


def right_ends_at(
    *, right: RightAsked, now: datetime, days: int = FULL_LASTS_USUALLY, givers_end: datetime | None = None
) -> datetime | None:
    """When a right that is given now ends; None: not before it is taken back.

    ``givers_end`` is when the right of the administrator who gives it ends: nobody gives more than they have.
    """
    chosen = PROVISIONING_LASTS if right == "provisioning" else timedelta(days=days) if days else None
    ends = [each for each in (now + chosen if chosen else None, givers_end) if each]
    return min(ends) if ends else None


class Consequence(enum.StrEnum):
    """What becomes of an order when the right it rests on is taken back."""

    HOLD = "hold"  # not mapped yet: it waits for an administrator again
    END_SET_UP = "end_set_up"  # mapped: the person sees the set-up no longer; an administrator decides anew, or acts
    NONE = "none"  # set up, cancelled, or held anyway: only the right goes


def taking_back(*, order_state: str) -> Consequence:
    """What taking back a right does to the order that it was given for.

    Before the mapping nothing is tied to the organization, so the order is held as it was before the right. After it
    the order stays with the organization, whose administrators ended the set-up by this person: their answers stay, and
    nobody sets anything up before an administrator gives the right anew.
    """
    return {"placed": Consequence.HOLD, "mapped": Consequence.END_SET_UP}.get(order_state, Consequence.NONE)


def may_take_back_right(*, is_full_administrator: bool, is_own_right: bool, stands: bool) -> bool:
    """Whether somebody may take back a right that a request gave: an administrator there, never one's own."""
    return is_full_administrator and not is_own_right and stands


def desk_may_look_into(*, state: str) -> bool:
    """Whether the order desk may begin to give a right itself: only while no administrator has answered.

    ``state`` is what the request is now. A declined request stays declined: nobody overrules an administrator.
    """
    return state in {"open", "expired"}
