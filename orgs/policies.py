"""Rules about rights as plain functions. They return codes; the callers word them."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Final, Literal

Provisioner = Literal["partner", "customer"]
Audience = Literal["customer", "own"]


class Refusal(enum.StrEnum):
    """Why a person may not continue. Forms have a sentence for each code."""

    ASK_CUSTOMER_ADMINISTRATOR = "ask_customer_administrator"  # a customer ordering for their own company
    ASK_CURRENT_ADMINISTRATOR = "ask_current_administrator"  # a partner ordering for their own use


def may_provision(
    *, provisioner: Provisioner, audience: Audience, existing: bool, is_administrator: bool
) -> Refusal | None:
    """Return why this person may not map the order to this organization now; None if they may.

    These are the specification's three rules for an administrator who is new to an existing organization. A new
    organization has no administrator to ask, and its own administrators needn't ask.
    """
    if not existing or is_administrator or audience == "customer":
        return None
    if provisioner == "partner":
        return Refusal.ASK_CURRENT_ADMINISTRATOR
    return Refusal.ASK_CUSTOMER_ADMINISTRATOR


def must_ask_for_access(
    *, provisioner: Provisioner, audience: Audience, existing: bool, is_administrator: bool
) -> bool:
    """Return whether a partner may continue, with the advice to ask the customer's administrator for access."""
    return existing and not is_administrator and audience == "customer" and provisioner == "partner"


# Rights that were given by a request

RightAsked = Literal["full", "provisioning"]

# A right for one order ends when its services are set up, and at the latest after this time.
PROVISIONING_LASTS: Final = timedelta(days=90)
# Days for which a full right lasts, as the administrator chooses; 0: until it is taken back.
FULL_LASTS: Final = (30, 90, 365, 0)
FULL_LASTS_USUALLY: Final = 365
# How long a right lasts that the order desk gives because no administrator could be reached.
DESK_LASTS: Final = timedelta(days=30)


def right_ends_at(
    *, right: RightAsked, now: datetime, days: int = FULL_LASTS_USUALLY, givers_end: datetime | None = None
) -> datetime | None:
    """Return when a right that is given now ends; None if it has no end.

    :param days: for a full right; 0 for no end.
    :param givers_end: when the right of the administrator who gives it ends. It is never exceeded.
    """
    chosen = PROVISIONING_LASTS if right == "provisioning" else timedelta(days=days) if days else None
    ends = [each for each in (now + chosen if chosen else None, givers_end) if each]
    return min(ends) if ends else None


class Consequence(enum.StrEnum):
    """The effect on an order of taking back the right that it was placed or set up with."""

    HOLD = "hold"  # not mapped yet: it is held for an administrator again
    END_SET_UP = "end_set_up"  # mapped: the person loses access to the set-up until an administrator agrees again
    NONE = "none"  # set up, cancelled or held: only the right ends


def taking_back(*, order_state: str) -> Consequence:
    """Return the effect of taking back a right on the order that it was given for.

    Before the mapping nothing belongs to the organization, so the order is held again. After it the order stays mapped:
    the person's answers are kept, and they can't set up services before an administrator gives the right again.
    """
    return {"placed": Consequence.HOLD, "mapped": Consequence.END_SET_UP}.get(order_state, Consequence.NONE)


def may_take_back_right(*, is_full_administrator: bool, is_own_right: bool, stands: bool) -> bool:
    """Return whether a person may take back a right by request: full administrators may, except for their own right.

    :param stands: whether the right is in force.
    """
    return is_full_administrator and not is_own_right and stands


def desk_may_change_role(*, before: str, after: str) -> bool:
    """Return whether the order desk may change a member's role so by itself: it may only lower one.

    A higher role is given by the organization's administrators, or by a request that two operators look into.
    """
    strength = ("user", "provisioning", "full")
    return strength.index(after) < strength.index(before)


def desk_may_look_into(*, state: str) -> bool:
    """Return whether the order desk may start to give a right itself: only while no administrator has answered.

    :param state: the request's state. A declined request stays declined; nobody overrules an administrator.
    """
    return state in {"open", "expired"}
