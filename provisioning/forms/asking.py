"""A request for rights: the administrator approves it, or declines it with a reason; and why none can be sent."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from provisioning.forms.base import ChoiceField, FieldsForm, TextField

APPROVE, DECLINE = "approve", "decline"


class Decision(FieldsForm):
    """*Approve* or *Decline*: two buttons named "decision", and a reason that only declining has to have."""

    decision = ChoiceField(
        choices=[(APPROVE, _("Approve")), (DECLINE, _("Decline"))],
        expected=_("Select Approve or Decline"),
        widget=forms.HiddenInput,
    )
    reason = TextField(
        label=_("Reason"),
        help_text=_("Needed to decline: say what would have to be different. The person who asks reads it."),
        expected=_("Enter the reason"),
        max_length=1000,
        multiline=True,
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Who declines says why."""
        data = super().clean() or {}
        if data.get("decision") == DECLINE and not data.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Enter the reason why you decline, so that the person knows what to do"))
        return data

    @property
    def approves(self) -> bool:
        """Say whether the valid answer is *Approve*."""
        return bool(self.cleaned_data["decision"] == APPROVE)


def asked_too_often() -> str:
    """Say that no other request goes out today, and what can be done instead."""
    return gettext(
        "No other request can be sent today. Your answers are kept: ask tomorrow, hand the order over to somebody who "
        "administers the organization, or ask the order desk: %(contact)s."
    ) % {"contact": settings.HELP_CONTACT}
