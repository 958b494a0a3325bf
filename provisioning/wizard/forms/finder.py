"""The forms of the first part: who the order is for, and which organizations it belongs to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from orgs.policies import Refusal
from provisioning.models import AccessRequest
from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.choice_fields import RadioField
from provisioning.wizard.forms.fields import EmailField, TextField, TickField

FULL, PROVISIONING = AccessRequest.Right.FULL, AccessRequest.Right.PROVISIONING

REFUSAL_SENTENCES = {
    Refusal.ASK_CUSTOMER_ADMINISTRATOR: _(
        "You can’t set this order up for %(organization)s yet: an administrator there has to add you first."
    ),
    Refusal.ASK_CURRENT_ADMINISTRATOR: _(
        "You can’t set this order up for %(organization)s yet: its current administrator has to add you first."
    ),
}


class Intent(StepForm):
    """*Who is this order for?*

    Facts: ``handed_over_too_often`` (a question: can the order not be handed over again today?).
    """

    step = "intent"
    title = _("Who is this order for?")

    audience = RadioField(
        label=_("Who is this order for?"),
        choices=[
            ("customer", _("This order is for a customer")),
            ("own", _("This order is for my company")),
            ("other", _("I want someone else to complete this order")),
        ],
        expected=_("Select who this order is for"),
    )
    email = EmailField(
        label=_("Email address of the person who will complete the order"),
        help_text=_("We email them a link. You can take the order back until its organizations are confirmed."),
        widget=forms.TextInput(attrs={"type": "email", "autocomplete": "off", "spellcheck": "false"}),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the other person's address where the order is handed over, and only there."""
        data = super().clean() or {}
        if data.get("audience") != "other":
            self.errors.pop("email", None)
            data["email"] = ""
        elif not data.get("email") and "email" not in self.errors:
            self.add_error("email", _("Enter the email address of the person who will complete the order"))
        elif data.get("email") and data["email"] == self.order.contact_email.lower():
            self.add_error("email", _("Enter somebody else’s email address: this one already has the order"))
        elif data.get("email") and self.facts["handed_over_too_often"]():
            self.add_error("email", _("This order can’t be handed over again today. Try again tomorrow"))
        return data


class CustomerDetails(StepForm):
    """Whom to look for: the customer's name and administrator."""

    step = "customer-details"
    title = _("Who is the customer?")
    lead = _("We use this to find the customer’s organization.")

    company_name = TextField(
        label=_("Company name"),
        expected=_("Enter the customer’s company name"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    administrator_email = EmailField(
        label=_("Administrator email"),
        expected=_("Enter the email address of the customer’s administrator"),
        help_text=_("The person at the customer who administers, or will administer, the services."),
        widget=forms.TextInput(attrs={"type": "email", "autocomplete": "off", "spellcheck": "false"}),
    )

    def prepare(self) -> None:
        """Fill in what the order says."""
        self.initial.setdefault("company_name", self.order.customer_name)
        self.initial.setdefault("administrator_email", self.order.customer_email)


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


class Review(StepForm):
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
