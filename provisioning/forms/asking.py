"""The administrator's side of a request for rights: approve it, or decline it with a reason."""

from __future__ import annotations

from typing import Any

from django import forms
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
