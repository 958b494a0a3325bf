"""The base form and fields of the steps that show candidates of the organization finder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from orgs.finder.matching import Candidate
from provisioning.finder_gateway.finder_questions import Kind
from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.choice_fields import RadioField

NEW = "new"


class CandidateField(RadioField):
    """One of the organizations on the page, by an id that is signed for this order and person, or a new one."""

    def __init__(self, *, is_signed: Callable[[str], bool], **kwargs: Any) -> None:
        self.is_signed = is_signed
        super().__init__(**kwargs)

    def validate(self, value: Any) -> None:
        """Refuse an organization that is not on the page, with its own message if it was there before."""
        if value and not self.valid_value(value) and self.is_signed(value):
            raise forms.ValidationError(
                _("The organization that you selected is no longer one of these. Select another one."), code="gone"
            )
        super().validate(value)


class NewOrganizationInput(forms.HiddenInput):
    """A hidden input for a page without candidates: its value is always a new organization."""

    def format_value(self, value: Any) -> str:
        """Return what the button posts."""
        return NEW


class FinderStep(StepForm):
    """A step that shows the result of a finder search.

    Facts: ``unasked`` (kinds of questions that were not asked), ``free_at`` (when they can be asked, None: now),
    ``withheld`` (there is more to show), ``is_full`` (no other organization is shown), ``help_contact``, ``sign`` and
    ``is_signed`` (an organization's id as the page carries it).
    """

    candidates: tuple[Candidate, ...] = ()

    def with_signed_ids(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return the candidates with the values that their radios post."""
        return tuple(replace(each, value=self.facts["sign"](each.organization.public_id)) for each in candidates)

    def chosen(self, name: str) -> Candidate | None:
        """Return the candidate that was selected in this field; None for a new organization."""
        value = self.cleaned_data.get(name)
        return next((each for each in self.candidates if each.value == value), None)

    def explain_omissions(self) -> None:
        """Set ``notice`` and ``search_label``: why candidates are not shown, and what the person can do."""
        self.notice, self.search_label, self.again = "", "", ""
        free_at, unasked = self.facts.get("free_at"), self.facts.get("unasked", ())
        params = {"contact": self.facts.get("help_contact", "")}
        if free_at:
            minutes = max(1, math.ceil((free_at - timezone.now()).total_seconds() / 60))
            self.again = ngettext("in %(n)d minute", "in %(n)d minutes", minutes) % {"n": minutes}
            self.notice = gettext(
                "You have searched as often as you can in an hour. Search again %(again)s, create a new organization, "
                "or ask the order desk: %(contact)s."
            ) % {**params, "again": self.again}
            self.search_label = gettext("Search again")
        elif unasked and unasked != [Kind.DOMAIN]:
            self.notice = gettext("No organization has been looked up here yet.")
            self.search_label = gettext("Look for organizations")
        elif self.facts.get("is_full") and not any(each.exact for each in self.candidates):
            self.notice = (
                gettext(
                    "No other organization can be shown for this order. If the right one isn’t here, create a new "
                    "organization, or ask the order desk: %(contact)s."
                )
                % params
            )
        elif self.facts.get("withheld"):
            self.notice = gettext("More organizations match.")
            self.search_label = gettext("Show more")
