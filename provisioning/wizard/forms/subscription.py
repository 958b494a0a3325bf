"""The forms around the packs of the set-up part: now or later at its start, and the review at its end."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import StepForm, Summary
from provisioning.wizard.forms.choice_fields import ChoiceField

NOW = "now"
LATER = "later"


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
