"""The forms that say who the order is for: the audience, and the customer to look for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.choice_fields import RadioField
from provisioning.wizard.forms.fields import EmailField, TextField


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
