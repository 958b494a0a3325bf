"""The forms of the Calling pack: the main headquarters, with the address format of its country."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache
from typing import Any, ClassVar

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from provisioning.wizard.forms.addresses import AddressFields
from provisioning.wizard.forms.base import StepForm, Summary, has_values, jsonable
from provisioning.wizard.forms.choice_fields import ChoiceField, CountryField, FixedChoices, RadioField, ZoneField
from provisioning.wizard.forms.fields import PhoneField, StrOrPromise, TextField
from subscriptions.rules import addresses, languages, time_zones

SAME, OTHER = "same", "other"
EMERGENCY = "emergency_"
_NOT_KEPT = frozenset({"emergency", "asked_for"})


@lru_cache(maxsize=8)
def _languages(reader: str) -> FixedChoices:
    return FixedChoices([("", gettext("Select a language")), *languages.choices(reader)])


class LocationStart(StepForm):
    """The location's name and country; the next step asks what that country's addresses are made of."""

    step = "location"
    title = _("Where is your main headquarters?")
    lead = _("Calling starts with one location. You can change it or add more after the set-up.")

    summary_labels: ClassVar[dict[str, StrOrPromise]] = {"country": _("Country or region")}

    name = TextField(
        label=_("Location name"),
        help_text=_("Such as Headquarters, or the name of the town."),
        expected=_("Enter a location name"),
        max_length=80,
    )
    country = CountryField(
        label=_("Country or region where most of the users are located"),
        expected=_("Select the country or region where most of the users are located"),
    )

    def prepare(self) -> None:
        """Preselect the customer organization's country."""
        self.fields["country"].initial = self.facts.get("country", "")

    def clean_name(self) -> str:
        """Refuse a name that another location of the organization has, where the wizard says so."""
        name = str(self.cleaned_data["name"])
        if "location_name_taken" in self.facts and self.facts["location_name_taken"](name):
            raise ValidationError(
                _("Enter another location name: your organization has this one already"), code="taken"
            )
        return name


class LocationAddress(StepForm):
    """The address as its country writes it, and what depends on the place: time zone, languages, main number.

    What was typed goes by the field's name, so what still fits stays when the country is changed.
    """

    step = "address"
    title = _("What is the address of your main headquarters?")

    summary_labels: ClassVar[dict[str, StrOrPromise]] = {"main_number": _("Main number")}

    time_zone = ZoneField()
    language = ChoiceField(
        label=_("Email language"),
        help_text=_("Emails to the people at this location are in this language."),
        expected=_("Select the language of emails"),
    )
    announcement_language = ChoiceField(
        label=_("Announcement language"),
        help_text=_("Callers hear greetings and announcements in this language."),
        expected=_("Select the language of announcements"),
    )
    main_number = PhoneField(
        label=_("Main number (optional)"),
        expected=_("Enter a phone number"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )
    # The country for which the page was made; the likely values of another country differ.
    asked_for = forms.CharField(required=False, widget=forms.HiddenInput)
    emergency = RadioField(
        label=_("Emergency address"),
        help_text=_("Emergency services are sent there when somebody at this location calls them."),
        choices=[(SAME, _("The emergency address is this address")), (OTHER, _("Another address"))],
        expected=_("Select whether the emergency address is this address"),
    )

    def prepare(self) -> None:
        """Put the country's own fields first."""
        self.country: str = (self.earlier_answers.get("location") or {}).get("country", "")
        self._follow_country()
        self.main = AddressFields(self, self.country)
        self.other = AddressFields(self, self.country, name=EMERGENCY, optional=True)
        self.order_fields(self.main.names)
        zone = self.fields["time_zone"]
        if isinstance(zone, ZoneField):
            zone.set_country(self.country)
        likely = languages.likely_language(self.country)
        for name in ("language", "announcement_language"):
            select = self.fields[name]
            if isinstance(select, ChoiceField):
                select.choices = _languages(get_language() or "en")
                select.initial = likely
        self.fields["main_number"].help_text = gettext("For example %(number)s.") % {"number": self._example_number()}

    def _follow_country(self) -> None:
        """Replace values that were defaults of the former country; keep values that the person chose."""
        name = self.add_prefix("asked_for")
        before = str(self.data.get(name) or "") if self.is_bound else ""
        self.fields["asked_for"].initial = self.country
        if before in {"", self.country}:
            return
        data: Any = copy(self.data)
        data[name] = self.country
        likely: dict[str, Callable[[str], str]] = {
            "time_zone": lambda country: time_zones.likely_zone(country, timezone.now()),
            "language": languages.likely_language,
            "announcement_language": languages.likely_language,
        }
        for field, of in likely.items():
            if data.get(self.add_prefix(field)) == of(before):
                data[self.add_prefix(field)] = of(self.country)
        self.data = data

    @property
    def country_name(self) -> str:
        """The chosen country or region in the reader's language."""
        return str(countries.name(self.country))

    def handle_button(self, posted: Any) -> tuple[Any, str] | None:
        """Return the fields as they are: shown again, they offer the sub-divisions of what is selected now."""
        shown = str(posted.get("show", ""))
        address = self.other if shown.startswith(EMERGENCY) else self.main
        return (posted, f"id_{self.add_prefix(address.next_after(shown))}") if shown else None

    def clean_main_number(self) -> str:
        """Return the number in E.164, such as +493012345678, or ""."""
        typed = str(self.cleaned_data["main_number"])
        if not typed:
            return ""
        try:
            number = phonenumbers.parse(typed, self.country or None)
        except phonenumbers.NumberParseException:
            number = None
        if number is None or number.extension or not phonenumbers.is_valid_number(number):
            raise ValidationError(
                _("Enter a phone number like %(number)s, without an extension, or leave it empty"),
                code="number",
                params={"number": self._example_number()},
            )
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    def clean(self) -> dict[str, Any]:
        """Validate both addresses by the rules of the country, and normalize them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.address, self.emergency_address = self.main.clean(cleaned), {}
        if cleaned.get("emergency") == OTHER:
            self.emergency_address = self.other.clean(cleaned)
        else:
            for name in self.other.names:  # not asked, and not to be seen
                self.errors.pop(name, None)
        cleaned.update({key: value for key, value in self.address.items() if key in cleaned})
        return cleaned

    def _example_number(self) -> str:
        number = phonenumbers.example_number(self.country or "US") or phonenumbers.example_number("US")
        return national_number(number, self.country) if number else ""

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether there is an address of texts, and the rest beside it."""
        return (
            has_values(answer, {name: field for name, field in cls.base_fields.items() if name not in _NOT_KEPT})
            and all(isinstance(answer.get(name), dict) for name in ("address", "emergency_address"))
            and all(isinstance(value, str) for value in answer["address"].values())
            and all(isinstance(value, str) for value in answer["emergency_address"].values())
        )

    def answers(self) -> dict[str, Any]:
        """Return the addresses by key (that for emergencies empty where it is the other), and the rest beside them."""
        names = ("time_zone", "language", "announcement_language", "main_number")
        both = {"address": self.address, "emergency_address": self.emergency_address}
        return {**both, **{name: jsonable(self.cleaned_data[name]) for name in names}}

    def summary(self) -> Summary:
        """Return each address as one row of several lines, and the rest between them."""
        names = {*_NOT_KEPT, *self.main.names, *self.other.names}
        rest = [(self.summary_label(field), self.display(field.name)) for field in self if field.name not in names]
        emergency = self._lines(self.emergency_address) if self.emergency_address else gettext("The same address")
        return [
            (_("Address"), self._lines(self.address)),
            *((label, text) for label, text in rest if text),
            (_("Emergency address"), emergency),
        ]

    def _lines(self, address: addresses.Address) -> str:
        return "\n".join([*addresses.lines(self.country, address), self.country_name])

    def display(self, name: str) -> str:
        """Show the main number as the country writes it."""
        text = super().display(name)
        return national_number(phonenumbers.parse(text), self.country) if name == "main_number" and text else text


def national_number(number: phonenumbers.PhoneNumber, country: str) -> str:
    """Return the number as people in the country write it, or the international way where it is another country's."""
    own = phonenumbers.region_code_for_number(number) == country
    style = phonenumbers.PhoneNumberFormat.NATIONAL if own else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, style)


def planned_location(answers: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the location that the answers ask for with the keywords of ``LocationPlan``, or None without Calling."""
    start, address = answers.get("location"), answers.get("address")
    return {**start, **address} if start and address else None
