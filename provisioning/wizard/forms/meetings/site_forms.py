"""The forms of the Meetings pack: the first site, additional sites, and which site gets how many of the licenses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import FieldsForm, StepForm, StepFormSet, Summary, has_values
from provisioning.wizard.forms.choice_fields import YesNoField, ZoneField
from provisioning.wizard.forms.fields import StrOrPromise, TickField
from provisioning.wizard.forms.meetings.site_names import USED_TWICE, SiteNameField, apply_alternative
from provisioning.wizard.forms.posted_rows import row_count, with_row_added, with_row_removed
from subscriptions.rules import sites

MAX_ADDITIONAL = sites.MAX_SITES - 1

_SUMMARY_LABELS: dict[str, StrOrPromise] = {
    "early_release": _("Early release schedule"),
    "additional_urls": _("Additional URLs"),
}
_EARLY_RELEASE = _("Do you want this site to be on an early release schedule?")
# The first sentence is the second seed's, word for word.
_EARLY_RELEASE_HELP = _(
    "A site on an early release schedule receives access to features before the normal deployment cycle. "
    "You can’t change this later."
)
_NOT_KEPT = frozenset({"early_release_confirmed"})


def _early_release() -> YesNoField:
    return YesNoField(
        label=_EARLY_RELEASE,
        help_text=_EARLY_RELEASE_HELP,
        expected=_("Select whether this site is to be on an early release schedule"),
    )


def _early_release_confirmed() -> TickField:
    return TickField(label=_("I understand that this site stays on the early release schedule"))


class _WithEarlyRelease(FieldsForm):
    """A form of a site. *Yes* to the early release schedule is permanent and has to be confirmed."""

    def clean(self) -> dict[str, Any]:
        """Refuse a yes that isn't confirmed; the tick itself is no answer to keep."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        confirmed = cleaned.pop("early_release_confirmed", False)
        if cleaned.get("early_release") == "yes" and not confirmed:
            self.add_error(
                "early_release_confirmed", _("Tick this to confirm the early release schedule, or select No above")
            )
        return cleaned


class MeetingSetup(_WithEarlyRelease, StepForm):
    """The first (often the only) site."""

    step = "meetings"
    summary_labels = _SUMMARY_LABELS
    title = _("Meeting setup")
    lead = _("Choose the name of your meetings site, its time zone and when it gets new features.")

    site_name = SiteNameField()
    time_zone = ZoneField()
    early_release = _early_release()
    early_release_confirmed = _early_release_confirmed()
    additional_urls = TickField(
        label=_("I need additional URLs"), help_text=_("You add them on the next page, then distribute the licenses.")
    )

    def prepare(self) -> None:
        """Show the zones of the customer's country first."""
        _site_name(self, "site_name").configure(self.facts)
        _zone(self).set_country(self.facts.get("country", ""))

    def handle_button(self, posted: Any) -> tuple[Any, str] | None:
        """Return the fields with the alternative name whose button was pressed."""
        return apply_alternative(posted, re.escape(self.add_prefix("site_name")))

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether there is a value of the right kind for each field that is kept."""
        return has_values(answer, _kept(cls.base_fields))

    @property
    def base_domain(self) -> str:
        """The domain under which sites are made, shown after the name."""
        return _site_name(self, "site_name").base_domain

    def display(self, name: str) -> str:
        """Show the site name as the URL that it becomes."""
        text = super().display(name)
        return f"{text}.{self.base_domain}" if name == "site_name" and self.base_domain else text


class SiteRow(_WithEarlyRelease):
    """One additional site."""

    summary_labels = _SUMMARY_LABELS

    name = SiteNameField()
    time_zone = ZoneField()
    early_release = _early_release()
    early_release_confirmed = _early_release_confirmed()

    def __init__(self, *args: Any, facts: Mapping[str, Any], first: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _site_name(self, "name").configure(facts, own={str(first.get("site_name", ""))})
        zone = _zone(self)
        zone.set_country(facts.get("country", ""))
        zone.initial = first.get("time_zone") or zone.initial

    @property
    def base_domain(self) -> str:
        """The domain under which sites are made, shown after the name."""
        return _site_name(self, "name").base_domain


class AdditionalSites(StepFormSet):
    """Up to 50 more sites, a row each."""

    step = "additional"
    title = _("Additional URLs")
    lead = _("Add each site that you need besides the first one.")
    form = SiteRow
    max_num = MAX_ADDITIONAL
    default_error_messages: ClassVar[dict[str, Any]] = {
        "too_many_forms": ngettext_lazy("Add at most %(num)d site", "Add at most %(num)d sites", "num"),
    }

    def full_clean(self) -> None:
        """Look up the names of all rows in one query; the rows use the cached result."""
        if self.is_bound and "site_name_problems" in self.facts:
            domain = self.facts.get("base_domain", "")
            rows = range(self.total_form_count())
            names = (sites.fold(str(self.data.get(f"{self.prefix}-{row}-name", "")), domain) for row in rows)
            self.facts["site_name_problems"]([name for name in names if not sites.problem(name)])
        super().full_clean()

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Each row gets the facts of the step."""
        first = self.earlier_answers.get("meetings") or {}
        return {**super().get_form_kwargs(index), "facts": self.facts, "first": first}

    def row_defaults(self) -> dict[str, str]:
        """Return the initial values of an added row: the first site's time zone."""
        return {"time_zone": (self.earlier_answers.get("meetings") or {}).get("time_zone", "")}

    def handle_button(self, posted: Any) -> tuple[Any, str] | None:
        """Return the rows with one more, or without the one whose *Remove* was pressed."""
        prefix = str(self.prefix)
        if "use" in posted:
            return apply_alternative(posted, rf"{re.escape(prefix)}-[0-9]{{1,2}}-name")
        if "add" in posted:
            rows = with_row_added(posted, prefix, defaults=self.row_defaults(), most=self.max_num)
            return rows, f"row_{row_count(rows, prefix)}"
        if "remove" in posted:
            rows = with_row_removed(posted, prefix, posted["remove"])
            return rows, f"row_{min(_row(posted['remove']) + 1, row_count(rows, prefix))}"
        return None

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether these are rows with a value of the right kind for each field that is kept."""
        return isinstance(answer, list) and all(has_values(row, _kept(cls.form.base_fields)) for row in answer)

    def clean(self) -> None:
        """Refuse a name used twice, at its later row."""
        seen: set[str] = set()
        for form in self.forms:
            name = form.cleaned_data.get("name")
            if name in seen:
                form.add_error("name", USED_TWICE)
            elif name:
                seen.add(name)

    def summary(self) -> Summary:
        """Return three rows a site, the name as its URL."""
        rows: Summary = []
        for number, form in enumerate(self.forms, start=1):
            (_label, name), *rest = form.summary()
            label = gettext("Additional URL %(number)d") % {"number": number}
            rows += [(label, f"{name}.{form.base_domain}" if form.base_domain else name), *rest]
        return rows


def wants_additional_sites(answers: Mapping[str, Any]) -> bool:
    """Return whether the step of additional sites applies."""
    return bool((answers.get("meetings") or {}).get("additional_urls"))


def site_names(answers: Mapping[str, Any]) -> list[str]:
    """Return the names of all sites answered so far, the first one first."""
    return [site["name"] for site in _answered_sites(answers)]


def planned_sites(answers: Mapping[str, Any], total_licenses: int) -> list[dict[str, Any]]:
    """Return the sites that the answers ask for, each with the keywords of ``SitePlan``, first one first.

    A single site gets all of the licenses. A KeyError says that a step has no answer yet.
    """
    planned = _answered_sites(answers)
    shares = answers["licenses"] if len(planned) > 1 else {site["name"]: total_licenses for site in planned}
    return [{**site, "licenses": shares[site["name"]]} for site in planned]


def _answered_sites(answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    first = answers.get("meetings")
    if not first:
        return []
    rows = [{"name": first["site_name"], "time_zone": first["time_zone"], "early_release": first["early_release"]}]
    if wants_additional_sites(answers):
        rows += answers.get("additional") or []
    return [
        {"name": row["name"], "time_zone": row["time_zone"], "early_release": row["early_release"] == "yes"}
        for row in rows
    ]


def _kept(fields: Mapping[str, forms.Field]) -> dict[str, forms.Field]:
    return {name: field for name, field in fields.items() if name not in _NOT_KEPT}


def _row(index: str) -> int:
    return int(index) if index.isascii() and index.isdigit() and len(index) < 4 else 0


def _site_name(form: forms.Form, name: str) -> SiteNameField:
    field = form.fields[name]
    assert isinstance(field, SiteNameField)  # noqa: S101 - for the type checker
    return field


def _zone(form: forms.Form) -> ZoneField:
    field = form.fields["time_zone"]
    assert isinstance(field, ZoneField)  # noqa: S101 - for the type checker
    return field
