"""Every email by its name. Importing the modules registers their functions."""

from __future__ import annotations

from provisioning.emails import (
    deadline_emails,
    delegation_emails,
    order_emails,
    rights_emails,
    set_up_emails,
    sign_in_emails,
)
from provisioning.emails.message import EVENTS

__all__ = [
    "EVENTS",
    "deadline_emails",
    "delegation_emails",
    "order_emails",
    "rights_emails",
    "set_up_emails",
    "sign_in_emails",
]
