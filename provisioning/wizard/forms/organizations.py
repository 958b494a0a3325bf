"""The steps that choose an organization, create one, and check a new one for duplicates."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from orgs.finder.matching import Match, Result
from orgs.verticals import VERTICALS
from provisioning.finder_gateway.finder_questions import Kind
from provisioning.wizard.forms.base import StepForm, has_values
from provisioning.wizard.forms.candidates import NEW, CandidateField, FinderStep, NewOrganizationInput
from provisioning.wizard.forms.choice_fields import ChoiceField, CountryField
from provisioning.wizard.forms.fields import StrOrPromise, TextField

CREATE = _("Create a new organization")
# The first sentences of the second seed, word for word.
RESULT_SENTENCES = {
    Result.EXACT: _("Based on your email address, we matched your order with your organization."),
    Result.CANDIDATES: _("We found matching organizations based on your email address."),
    Result.NONE: _("No matching organization found."),
}
RESULT_ADVICE = {
    Result.EXACT: _("Review the organization information, then select Next."),
    Result.CANDIDATES: _(
        "Review the organizations carefully. One without a verified domain and without activity in the last year "
        "is likely not the right one."
    ),
    Result.NONE: _("Search by domain if you think there is one, or create a new organization."),
}


class OrganizationChoice(FinderStep):
    """Choose one of the organizations that were found, or to create a new one.

    Facts: ``match`` (Match), ``found`` (candidates of the search by domain), ``domain`` (what was searched for),
    ``domain_problem`` (a sentence, where the search was refused), ``looked_for`` (email and company name).
    """

    expected = _("Select an organization, or create a new one")
    domain = forms.CharField(required=False, widget=forms.HiddenInput, max_length=253)

    def prepare(self) -> None:
        """Offer the candidates; preselect only a single exact match."""
        match: Match = self.facts["match"]
        self.searched: str = self.facts.get("domain", "")
        self.domain_problem: str = self.facts.get("domain_problem", "")
        self.domain_unasked = Kind.DOMAIN in self.facts.get("unasked", ())
        matched = {candidate.organization.public_id for candidate in match.candidates}
        found = [each for each in self.facts.get("found", ()) if each.organization.public_id not in matched]
        self.candidates = self.with_signed_ids([*match.candidates, *found])
        self.found = self.candidates[len(match.candidates) :]
        self.result = match.result
        self.fields["organization"] = CandidateField(
            label=_("Organization"),
            choices=[*((each.value, each.shown_name) for each in self.candidates), (NEW, CREATE)],
            expected=self.expected,
            is_signed=self.facts["is_signed"],
        )
        self.initial.setdefault("domain", self.searched)
        if self.is_bound:
            # The page carries what it was searched for, also where an earlier answer is filled in.
            data: MultiValueDict[str, Any] = MultiValueDict(dict(self.data.lists()))  # type: ignore[attr-defined]
            data[self.add_prefix("domain")] = self.searched
            self.data = data
        if not self.candidates:
            self.fields["organization"].widget = NewOrganizationInput()
            self.initial["organization"] = NEW
            self.button = CREATE
        elif self.result is Result.EXACT and len(match.candidates) == 1:
            self.initial.setdefault("organization", self.candidates[0].value)
        self.first_sentence: StrOrPromise = RESULT_SENTENCES[self.result]
        self.advice: StrOrPromise = format_lazy("{} {}", self.looked_for(), RESULT_ADVICE[self.result])
        self.explain_omissions()
        if self.notice and self.result is Result.NONE:
            self.first_sentence = self.advice = ""

    def looked_for(self) -> str:
        """Return the sentence with the searched address and company, so that people can check *same name*."""
        email, name = self.facts.get("looked_for", ("", ""))
        return gettext(
            "We looked for your email address, %(email)s, and the company that bought the order, %(name)s."
        ) % {
            "email": email,
            "name": name,
        }

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether an organization, or a new one, is chosen."""
        return has_values(answer, {"name": forms.CharField()}) and _is_choice(answer.get("organization"))

    def answers(self) -> dict[str, Any]:
        """Return the organization chosen: its public id and name, or "new"."""
        if chosen := self.chosen("organization"):
            return {"organization": str(chosen.organization.public_id), "name": chosen.shown_name}
        return {"organization": NEW, "name": ""}

    def summary(self) -> list[tuple[Any, str]]:
        """Return what was chosen."""
        return [(self.title, self.answers()["name"] or gettext("Create a new organization"))]


class PartnerChoice(OrganizationChoice):
    """The partner organization."""

    step = "partner"
    title = _("Which partner organization is yours?")


class CustomerChoice(OrganizationChoice):
    """The customer organization, or the person's own."""

    step = "customer"
    title = _("Which customer organization is this order for?")

    def prepare(self) -> None:
        """For the own company the question is another."""
        super().prepare()
        if self.earlier_answers.get("intent", {}).get("audience") == "own":
            self.title = _("Which organization is yours?")

    def looked_for(self) -> str:
        """Return the sentence with the searched address and company: the entered ones, or those of the order."""
        if self.earlier_answers.get("intent", {}).get("audience") == "own":
            return super().looked_for()
        email, name = self.facts.get("looked_for", ("", ""))
        return gettext(
            "We looked for the administrator email and the company name that you entered: %(email)s, %(name)s."
        ) % {
            "email": email,
            "name": name,
        }


class NewOrganization(StepForm):
    """An organization to be made."""

    template = "wizard/steps/new-organization.html"
    name = TextField(label=_("Company name"), expected=_("Enter the company name"), max_length=200)
    vertical = ChoiceField(
        label=_("Business vertical"),
        expected=_("Select a business vertical"),
        choices=[("", _("Select a business vertical")), *VERTICALS],
    )
    country = CountryField()


class NewPartner(NewOrganization):
    """The new partner organization."""

    step = "partner-new"
    template = NewOrganization.template
    title = _("Create a new partner organization")

    def prepare(self) -> None:
        """Fill in the company that bought the order."""
        self.initial.setdefault("name", self.order.sold_to)


class NewCustomer(NewOrganization):
    """The new customer organization."""

    step = "customer-new"
    template = NewOrganization.template
    title = _("Create a new customer organization")

    def prepare(self) -> None:
        """Fill in the company that was looked for."""
        if self.earlier_answers.get("intent", {}).get("audience") == "own":
            self.title = _("Create a new organization")
            self.initial.setdefault("name", self.order.sold_to)
        else:
            self.initial.setdefault("name", self.earlier_answers.get("customer-details", {}).get("company_name", ""))


class CheckNewOrganization(FinderStep):
    """Review a new organization; near-duplicates are offered before it is created.

    Facts: ``duplicates`` (candidates).
    """

    template = "wizard/steps/check-organization.html"
    title = _("Check what you entered")
    which = ""

    def prepare(self) -> None:
        """Offer the near-duplicates, if there are any, before a new organization is made."""
        self.candidates = self.with_signed_ids(self.facts.get("duplicates", ()))
        self.entered: dict[str, Any] = self.earlier_answers.get(f"{self.which}-new", {})
        self.rows = [
            (_("Company name"), self.entered.get("name", "")),
            (_("Business vertical"), str(dict(VERTICALS).get(self.entered.get("vertical", ""), ""))),
            (_("Country or region"), _country_name(self.entered.get("country", ""))),
        ]
        choices = [(each.value, each.shown_name) for each in self.candidates]
        self.fields["duplicate"] = CandidateField(
            label=_("Is it one of these?"),
            choices=[*choices, (NEW, _("None of these: create a new organization"))],
            expected=_("Select one of these organizations, or that it is none of them"),
            is_signed=self.facts["is_signed"],
            required=bool(choices),
        )
        if not choices:
            self.fields["duplicate"].widget = NewOrganizationInput()
        self.explain_omissions()

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether an organization that it is after all, or a new one, is chosen."""
        return has_values(answer, {"name": forms.CharField()}) and _is_choice(answer.get("duplicate"))

    def answers(self) -> dict[str, Any]:
        """Return the organization that it is after all, or "new"."""
        if chosen := self.chosen("duplicate"):
            return {"duplicate": str(chosen.organization.public_id), "name": chosen.shown_name}
        return {"duplicate": NEW, "name": ""}


class PartnerCheck(CheckNewOrganization):
    """Check the new partner organization."""

    step = "partner-check"
    template = CheckNewOrganization.template
    which = "partner"


class CustomerCheck(CheckNewOrganization):
    """Check the new customer organization."""

    step = "customer-check"
    template = CheckNewOrganization.template
    which = "customer"


def _is_choice(value: Any) -> bool:
    """Whether this is the public id of an organization, or "new"."""
    try:
        return isinstance(value, str) and (value == NEW or bool(UUID(value)))
    except ValueError:
        return False


def _country_name(code: str) -> str:
    return str(countries.name(code))
