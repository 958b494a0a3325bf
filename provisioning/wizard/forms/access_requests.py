"""The forms of access requests: ask for a right, approve or decline a request, take a right back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from orgs import policies
from orgs.policies import Refusal
from provisioning.models import AccessRequest
from provisioning.wizard.forms.base import FieldsForm, StepForm
from provisioning.wizard.forms.choice_fields import ChoiceField, RadioField
from provisioning.wizard.forms.fields import TextField

APPROVE, DECLINE = "approve", "decline"
FULL, PROVISIONING = AccessRequest.Right.FULL, AccessRequest.Right.PROVISIONING

REFUSAL_SENTENCES = {
    Refusal.ASK_CUSTOMER_ADMINISTRATOR: _(
        "You can’t set this order up for %(organization)s yet: an administrator there has to add you first."
    ),
    Refusal.ASK_CURRENT_ADMINISTRATOR: _(
        "You can’t set this order up for %(organization)s yet: its current administrator has to add you first."
    ),
}


class AskAdministrator(StepForm):
    """The person can't continue before an administrator has added them: ask, by a button.

    Facts: ``refusal`` (orgs.policies.Refusal), ``customer`` (its name).
    """

    step = "administrator"
    title = _("An administrator has to add you first")
    button = _("Ask the administrators")

    right = RadioField(
        label=_("Which right do you ask for?"),
        choices=[(right.value, right.label) for right in (PROVISIONING, FULL)],
        expected=_("Select which right you ask for"),
    )

    def prepare(self) -> None:
        """Word the refusal; the least that lets the person go on is selected."""
        self.initial.setdefault("right", PROVISIONING.value)
        refusal: Refusal | None = self.facts.get("refusal")
        sentence = REFUSAL_SENTENCES.get(refusal or Refusal.ASK_CUSTOMER_ADMINISTRATOR)
        self.sentence = str(sentence) % {"organization": self.facts.get("customer", "")}


def _lasting() -> list[tuple[str, str]]:
    """The lengths to choose from, in the current language."""
    return [
        (str(days), ngettext("%(days)d day", "%(days)d days", days) % {"days": days})
        if days
        else ("0", gettext("Until it is taken back"))
        for days in policies.FULL_LASTS
    ]


class Decision(FieldsForm):
    """*Approve* or *Decline*: two buttons named "decision", and a reason that only declining has to have."""

    def __init__(self, *args: Any, right: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if right != AccessRequest.Right.FULL:
            del self.fields["days"]  # a right for one order ends with it

    days = RadioField(
        label=_("If you approve: how long should it last?"),
        help_text=_("Every full administrator can take it back before."),
        choices=_lasting,
        expected=_("Select how long the right should last"),
        initial=str(policies.FULL_LASTS_USUALLY),
        required=False,
    )
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
        """Require a reason for declining."""
        data = super().clean() or {}
        if data.get("decision") == DECLINE and not data.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Enter the reason why you decline, so that the person knows what to do"))
        return data

    @property
    def approves(self) -> bool:
        """Return whether the valid answer is *Approve*."""
        return bool(self.cleaned_data["decision"] == APPROVE)

    @property
    def lasts(self) -> int:
        """Return the valid answer in days, 0 for no end; as usual where nothing was chosen."""
        chosen = self.cleaned_data.get("days")
        return int(chosen) if chosen else policies.FULL_LASTS_USUALLY


class TakeBack(FieldsForm):
    """*Take the right back*, with a reason that the person reads."""

    reason = TextField(
        label=_("Reason"),
        help_text=_("The person who has the right reads it."),
        expected=_("Enter the reason, so that the person knows what happened"),
        max_length=1000,
        multiline=True,
    )


def asked_too_often() -> str:
    """Say that no other request goes out today, and what can be done instead."""
    return gettext(
        "No other request can be sent today. Your answers are kept: ask tomorrow, hand the order over to somebody who "
        "administers the organization, or ask the order desk: %(contact)s."
    ) % {"contact": settings.HELP_CONTACT}
