"""The forms of the review steps: the organizations, the subscription (now or later), and the set-up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import StepForm, Summary
from provisioning.wizard.forms.choice_fields import ChoiceField
from provisioning.wizard.forms.fields import TickField

NOW = "now"
LATER = "later"


class OrganizationsReview(StepForm):
    """Review the organizations, then confirm the mapping.

    Facts: ``partner``, ``customer`` (what was chosen), ``provisioning_administrator`` (the label is due), and
    ``delegate_problem`` (why the customer can't be given the set-up, or "").
    """

    step = "review"
    template = "wizard/steps/review.html"
    title = _("Review the organizations")

    delegate = TickField(label=_("My customer will set up their own services"))

    def prepare(self) -> None:
        """Remove the option to delegate unless the order is for a customer."""
        if self.earlier_answers.get("intent", {}).get("audience") != "customer":
            del self.fields["delegate"]

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether it is a tick, or nothing where it wasn't offered."""
        return isinstance(answer, dict) and isinstance(answer.get("delegate", False), bool)

    def clean_delegate(self) -> bool:
        """Only an administrator of the organization can get the set-up."""
        delegate = bool(self.cleaned_data["delegate"])
        if delegate and (problem := self.facts.get("delegate_problem")):
            raise forms.ValidationError(problem, code="not_an_administrator")
        return delegate


class SubscriptionReview(StepForm):
    """The bought services, and two buttons; the pressed one is the answer."""

    step = "subscription"
    title = _("Review your subscription")
    lead = _("If you choose Set up later, then your subscription won’t be provisioned.")
    button = _("Setup now")

    choice = ChoiceField(
        choices=[(NOW, _("Setup now")), (LATER, _("Set up later"))],
        expected=_("Select Setup now or Set up later"),
        widget=forms.HiddenInput,
    )

    def summary(self) -> Summary:
        """Return nothing: which button was pressed needs no checking."""
        return []


class SetupReview(StepForm):
    """Everything that was answered, to be checked; confirming sets it up."""

    step = "review"
    title = _("Review the information")
    lead = _("Nothing is set up before you confirm.")
    button = _("Confirm and set up")
    template = "wizard/steps/setup-review.html"
