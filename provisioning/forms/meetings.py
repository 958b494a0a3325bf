"""The forms of the Meetings pack: the first site, additional sites, and which site gets how many of the licenses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.formats import number_format
from django.utils.text import get_text_list
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from provisioning.forms.base import (
    FieldsForm,
    StepForm,
    StepFormSet,
    Summary,
    TextField,
    TickField,
    WholeNumberField,
    Words,
    YesNoField,
    ZoneField,
    row_count,
    with_row_added,
    with_row_removed,
)
from subscriptions import sites
from subscriptions.sites import SiteNameProblem

MAX_ADDITIONAL = sites.MAX_SITES - 1

_SENTENCES = {
    SiteNameProblem.MISSING: _("Enter a site name"),
    SiteNameProblem.CHARACTERS: _("Enter a site name of 4 to 63 letters (a to z), numbers and single hyphens"),
    SiteNameProblem.SHORT: _("Enter a site name of at least 4 characters"),
    SiteNameProblem.LONG: _("Enter a site name of at most 63 characters"),
    SiteNameProblem.START: _("Start the site name with a letter from a to z"),
    SiteNameProblem.HYPHENS: _("Use single hyphens, and none at the end of the site name"),
}
_SUMMARY_LABELS: dict[str, Words] = {
    "early_release": _("Early release schedule"),
    "additional_urls": _("Additional URLs"),
}
_EARLY_RELEASE = _("Do you want this site to be on an early release schedule?")
# The first sentence is the second seed's, word for word.
_EARLY_RELEASE_HELP = _(
    "A site on an early release schedule receives access to features before the normal deployment cycle. "
    "You can’t change this later."
)


class SiteNameField(TextField):
    """A site's name, which becomes the first part of its URL; ``knows`` is given what can't be known from the text."""

    base_domain = ""
    alternatives: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        super().__init__(
            label=_("Site name"),
            help_text=_("4 to 63 letters, numbers and hyphens. It becomes the URL that people meet at."),
            expected=_SENTENCES[SiteNameProblem.MISSING],
            max_length=253,
            widget=forms.TextInput(attrs=attrs),
            **kwargs,
        )

    def knows(self, facts: Mapping[str, Any]) -> None:
        """Take ``base_domain``, ``site_name_taken`` (name → whether somebody has it) and ``country`` from the facts."""
        self.base_domain = facts.get("base_domain", "")
        self.taken: Callable[[str], bool] = facts.get("site_name_taken", lambda name: False)
        self.country: str = facts.get("country", "")

    def clean(self, value: Any) -> str:
        """Return the folded name; raises ValidationError with the reason and, where there are some, names to take."""
        name = sites.fold(super().clean(value), self.base_domain)
        problem = sites.problem(name)
        if problem in {SiteNameProblem.OTHER_SCRIPT, SiteNameProblem.CHARACTERS}:
            self._offer(name)
            if self.alternatives:
                raise ValidationError(
                    _("Use letters from a to z, numbers and single hyphens, such as %(names)s"),
                    code=problem,
                    params={"names": self._listed()},
                )
            problem = SiteNameProblem.CHARACTERS
        if problem is SiteNameProblem.RESERVED or (problem is None and self.taken(name)):
            self._offer(name)
            sentence = (
                gettext("Choose another site name: “%(name)s” is kept for the service itself.")
                if problem
                else gettext("Choose another site name: “%(name)s” is taken.")
            ) % {"name": name}
            if self.alternatives:
                sentence += " " + gettext("Available: %(names)s") % {"names": self._listed()}
            raise ValidationError(sentence, code=problem or "taken")
        if problem is not None:
            raise ValidationError(_SENTENCES[problem], code=problem)
        return name

    def _offer(self, name: str) -> None:
        free = sites.alternatives(name, lambda one: not self.taken(one), country=self.country)
        self.alternatives = tuple(free)

    def _listed(self) -> str:
        return get_text_list(list(self.alternatives), gettext("or"))


class MeetingSetup(StepForm):
    """The first (often the only) site."""

    step = "meetings"
    summary_labels = _SUMMARY_LABELS
    title = _("Meeting setup")
    lead = _("Choose the name of your meetings site, its time zone and when it gets new features.")

    site_name = SiteNameField()
    time_zone = ZoneField()
    early_release = YesNoField(
        label=_EARLY_RELEASE,
        help_text=_EARLY_RELEASE_HELP,
        expected=_("Select whether this site is to be on an early release schedule"),
    )
    additional_urls = TickField(
        label=_("I need additional URLs"), help_text=_("You add them on the next page, then distribute the licenses.")
    )

    def prepare(self) -> None:
        """Show the zones of the customer's country first."""
        _site_name(self, "site_name").knows(self.facts)
        _zone(self).offer(self.facts.get("country", ""))

    def clean_additional_urls(self) -> bool:
        """Refuse a second site where there is no second license to give it."""
        wanted = bool(self.cleaned_data["additional_urls"])
        if wanted and self.facts.get("total_licenses", 2) < 2:
            raise ValidationError(
                _("Leave this unticked: each site needs a license, and this order has one"), code="few"
            )
        return wanted

    @property
    def base_domain(self) -> str:
        """The domain under which sites are made, shown after the name."""
        return _site_name(self, "site_name").base_domain

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names to take instead of a refused one."""
        return _site_name(self, "site_name").alternatives

    def display(self, name: str) -> str:
        """Show the site name as the URL that it becomes."""
        text = super().display(name)
        return f"{text}.{self.base_domain}" if name == "site_name" and self.base_domain else text


class SiteRow(FieldsForm):
    """One additional site."""

    summary_labels = _SUMMARY_LABELS

    name = SiteNameField()
    time_zone = ZoneField()
    early_release = YesNoField(
        label=_EARLY_RELEASE,
        help_text=_EARLY_RELEASE_HELP,
        expected=_("Select whether this site is to be on an early release schedule"),
    )

    def __init__(self, *args: Any, facts: Mapping[str, Any], first: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _site_name(self, "name").knows(facts)
        zone = _zone(self)
        zone.offer(facts.get("country", ""))
        zone.initial = first.get("time_zone") or zone.initial

    @property
    def base_domain(self) -> str:
        """The domain under which sites are made, shown after the name."""
        return _site_name(self, "name").base_domain

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names to take instead of a refused one."""
        return _site_name(self, "name").alternatives


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

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Each row knows what the step knows."""
        first = self.earlier.get("meetings") or {}
        return {**super().get_form_kwargs(index), "facts": self.facts, "first": first}

    def row_defaults(self) -> dict[str, str]:
        """Return what a row that is added starts with: the first site's time zone."""
        return {"time_zone": (self.earlier.get("meetings") or {}).get("time_zone", "")}

    def edited(self, posted: Any) -> tuple[Any, str] | None:
        """Return the rows with one more, or without the one whose *Remove* was pressed."""
        prefix = str(self.prefix)
        if "add" in posted:
            rows = with_row_added(posted, prefix, defaults=self.row_defaults(), most=self.max_num)
            return rows, f"row_{row_count(rows, prefix)}"
        if "remove" in posted:
            rows = with_row_removed(posted, prefix, posted["remove"])
            return rows, f"row_{min(_row(posted['remove']) + 1, row_count(rows, prefix))}"
        return None

    def clean(self) -> None:
        """Refuse a name used twice, at its row, and more sites than there are licenses."""
        seen = {(self.earlier.get("meetings") or {}).get("site_name", "")}
        for form in self.forms:
            name = form.cleaned_data.get("name")
            if name in seen:
                form.add_error("name", _("Enter another site name: this order has a site of this name already"))
            elif name:
                seen.add(name)
        licenses = self.facts.get("total_licenses", sites.MAX_SITES)
        if 1 + len(self.forms) > licenses:
            raise ValidationError(
                ngettext(
                    "Remove sites until there is %(licenses)d, with the first one: "
                    "each needs a license, and the order has %(licenses)d",
                    "Remove sites until there are at most %(licenses)d, with the first one: "
                    "each needs a license, and the order has %(licenses)d",
                    licenses,
                ),
                code="few",
                params={"licenses": licenses},
            )

    def summary(self) -> Summary:
        """Return three rows a site, the name as its URL."""
        rows: Summary = []
        for number, form in enumerate(self.forms, start=1):
            (_label, name), *rest = form.summary()
            label = gettext("Additional URL %(number)d") % {"number": number}
            rows += [(label, f"{name}.{form.base_domain}" if form.base_domain else name), *rest]
        return rows


class LicenseDistribution(StepForm):
    """How many of the licenses each site gets; together exactly those that were bought."""

    step = "licenses"
    title = _("Distribute the licenses")
    lead = _("Give each site at least one license. Together they must be the licenses that were bought.")

    def prepare(self) -> None:
        """Make a field for each site; it goes by the site's name, so that a share stays with its site."""
        self.site_names = site_names(self.earlier)
        self.total: int = self.facts.get("total_licenses", 0)
        domain = self.facts.get("base_domain", "")
        for name in self.site_names:
            self.fields[_share(name)] = WholeNumberField(
                label=f"{name}.{domain}" if domain else name,
                expected=gettext("Enter how many licenses %(site)s gets, a number from 1 to %(most)s")
                % {"site": name, "most": _number(self.total)},
                min_value=1,
                max_value=self.total,
            )

    def edited(self, posted: Any) -> tuple[Any, str] | None:
        """Return equal shares where *Split evenly* was pressed."""
        if "split" not in posted:
            return None
        return with_even_split(posted, str(self.prefix), self.site_names, self.total), "remainder"

    @property
    def remainder(self) -> int:
        """How many licenses are left to distribute of what is typed now; negative where it is too many."""
        typed = 0
        for name in self.site_names:
            with contextlib.suppress(ValidationError):
                typed += self.fields[_share(name)].to_python(self[_share(name)].value()) or 0
        return self.total - typed

    @property
    def remainder_text(self) -> str:
        """The remainder in words."""
        return remainder_sentence(self.remainder, self.total)

    def clean(self) -> dict[str, Any]:
        """Refuse shares that are not together what was bought."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and (left := self.total - sum(cleaned.values())):
            raise ValidationError(remainder_sentence(left, self.total), code="sum")
        return cleaned

    @classmethod
    def fits(cls, answer: Any) -> bool:
        """Say whether these are numbers by site name."""
        return isinstance(answer, dict) and all(type(share) is int for share in answer.values())

    def answers(self) -> dict[str, int]:
        """Return the licenses by site name."""
        return {name: self.cleaned_data[_share(name)] for name in self.site_names}


def remainder_sentence(left: int, total: int) -> str:
    """Say how many of the licenses are left to distribute, or how many are too many (``left`` below 0)."""
    if left < 0:
        words = ngettext(
            "%(more)s more than the %(total)s license bought", "%(more)s more than the %(total)s licenses bought", total
        )
        return words % {"more": _number(-left), "total": _number(total)}
    if left == 0:
        return gettext("All %(total)s are distributed") % {"total": _number(total)}
    return gettext("%(left)s of %(total)s left to distribute") % {"left": _number(left), "total": _number(total)}


def with_even_split(posted: Any, prefix: str, names: list[str], total: int) -> MultiValueDict[str, str]:
    """Return a copy of the posted data with the licenses split evenly between the sites."""
    lists = posted.lists() if isinstance(posted, MultiValueDict) else ((name, [one]) for name, one in posted.items())
    copied: MultiValueDict[str, str] = MultiValueDict(dict(lists))
    for name, share in zip(names, sites.split_evenly(total, len(names)), strict=True):
        copied[f"{prefix}-{_share(name)}"] = str(share)
    return copied


def wants_additional_sites(answers: Mapping[str, Any]) -> bool:
    """Say whether the step of additional sites applies."""
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


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


def _row(index: str) -> int:
    return int(index) if index.isascii() and index.isdigit() and len(index) < 4 else 0


def _share(name: str) -> str:
    return f"site_{name}"


def _site_name(form: forms.Form, name: str) -> SiteNameField:
    field = form.fields[name]
    assert isinstance(field, SiteNameField)  # noqa: S101 - for the type checker
    return field


def _zone(form: forms.Form) -> ZoneField:
    field = form.fields["time_zone"]
    assert isinstance(field, ZoneField)  # noqa: S101 - for the type checker
    return field
