"""Roles, permissions, and the table of which role has which permission in which state of an order."""

from __future__ import annotations

import enum
from typing import Final

from subscriptions.models import Order


class Role(enum.StrEnum):
    """The role of a person in an order, as of now."""

    CONTACT = "contact"
    FORMER_CONTACT = "former_contact"
    DELEGATE = "delegate"
    FORMER_DELEGATE = "former_delegate"
    APPROVER = "approver"


class May(enum.StrEnum):
    """A permission on an order."""

    SEE = "see"  # that the order exists, and who has it
    FIND = "find"  # answer who the order is for, find and confirm the organizations
    HAND_OVER = "hand_over"
    TAKE_BACK = "take_back"
    SET_UP = "set_up"
    TAKE_OVER = "take_over"
    READ_SUMMARY = "read_summary"
    SEE_PROGRESS = "see_progress"  # of each service, while the order is being set up
    STOP_SET_UP = "stop_set_up"  # cancel the requests of services that are not set up yet
    DECIDE = "decide"  # on a request for rights in one's organization
    SEE_HISTORY = "see_history"  # as far as Access.reader may
    HAND_BACK = "hand_back"  # the set-up, to the customer from whom it was taken over
    DISCUSS = "discuss"  # ask and answer about fields of the set-up
    ASK_FOR_SET_UP = "ask_for_set_up"  # again, after the right for the set-up has ended
    ASK_FOR_FULL_RIGHT = "ask_for_full_right"  # once the order is set up


State = Order.State
UNMAPPED = frozenset({State.PLACED, State.HELD})

# Used instead of the state once the set-up-by date has passed, and while the order desk holds the order: nobody can do
# anything before the desk extends or releases it.
CLOSED: Final = "closed"

# Permissions that a role has in every state of an order. An approver reads one request, and no history.
ALWAYS: dict[Role, frozenset[May]] = {
    Role.CONTACT: frozenset({May.SEE, May.SEE_HISTORY}),
    Role.FORMER_CONTACT: frozenset({May.SEE, May.SEE_HISTORY}),
    Role.DELEGATE: frozenset({May.SEE, May.SEE_HISTORY}),
    Role.FORMER_DELEGATE: frozenset({May.SEE, May.SEE_HISTORY}),
    Role.APPROVER: frozenset({May.SEE}),
}

# Permissions by role and by the order's state, besides those of ALWAYS. CLOSED has no rows.
# Access.may adds the conditions that depend on more than the state.
RULES: dict[tuple[Role, str], frozenset[May]] = {
    (Role.CONTACT, State.PLACED): frozenset({May.FIND, May.HAND_OVER}),
    (Role.CONTACT, State.HELD): frozenset({May.FIND, May.HAND_OVER}),
    (Role.CONTACT, State.MAPPED): frozenset(
        {May.SET_UP, May.TAKE_OVER, May.HAND_BACK, May.DISCUSS, May.ASK_FOR_SET_UP}
    ),
    (Role.CONTACT, State.SETTING_UP): frozenset(
        {
            May.READ_SUMMARY,
            May.SEE_PROGRESS,
            May.SET_UP,
            May.STOP_SET_UP,
            May.TAKE_OVER,
            May.DISCUSS,
            May.ASK_FOR_SET_UP,
        }
    ),
    (Role.DELEGATE, State.SETTING_UP): frozenset(
        {May.READ_SUMMARY, May.SEE_PROGRESS, May.SET_UP, May.STOP_SET_UP, May.DISCUSS}
    ),
    (Role.CONTACT, State.SET_UP): frozenset({May.READ_SUMMARY, May.ASK_FOR_FULL_RIGHT}),
    (Role.DELEGATE, State.MAPPED): frozenset({May.SET_UP, May.DISCUSS}),
    (Role.DELEGATE, State.SET_UP): frozenset({May.READ_SUMMARY}),
    (Role.FORMER_CONTACT, State.PLACED): frozenset({May.TAKE_BACK}),
    (Role.FORMER_CONTACT, State.HELD): frozenset({May.TAKE_BACK}),
    (Role.APPROVER, State.HELD): frozenset({May.DECIDE}),
    # Requests after the mapping (a right that was taken back, full rights after the set-up) don't hold the order.
    (Role.APPROVER, State.MAPPED): frozenset({May.DECIDE}),
    (Role.APPROVER, State.SETTING_UP): frozenset({May.DECIDE}),
    (Role.APPROVER, State.SET_UP): frozenset({May.DECIDE}),
}
