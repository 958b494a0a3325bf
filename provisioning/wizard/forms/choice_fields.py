"""Fields with a choice of values, among them countries and time zones."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.forms.widgets import ChoiceWidget
from django.utils import timezone
from django.utils.choices import BaseChoiceIterator, CallableChoiceIterator
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from provisioning.wizard.forms.fields import StrOrPromise, storable
from subscriptions.rules import time_zones

YES_NO = [("yes", _("Yes")), ("no", _("No"))]


class FixedChoices(BaseChoiceIterator):
    """Choices that are the same for everybody who reads one language, with their options as HTML, made once.

    A group is a heading with its choices. Nothing changes an object of this class: forms share it.
    """

    def __init__(self, choices: list[tuple[str, Any]]) -> None:
        self.choices = tuple(choices)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.choices)

    def __deepcopy__(self, memo: object) -> FixedChoices:
        return self

    @functools.cached_property
    def options(self) -> SafeString:
        """The options of a select, none of them selected."""
        return format_html_join("", "{}", ((_option(*choice),) for choice in self.choices))


def _option(value: str, label: Any) -> SafeString:
    if isinstance(label, list | tuple):
        return format_html('<optgroup label="{}">{}</optgroup>', value, _options(label))
    return format_html('<option value="{}">{}</option>', value, label)


def _options(choices: Any) -> SafeString:
    return format_html_join("", "{}", ((_option(*choice),) for choice in choices))


class Select(forms.Select):
    """A select that renders its options without templates, which is faster for long lists."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the select, with the value selected where it is one of its choices."""
        choices: Any = self.choices
        if isinstance(choices, CallableChoiceIterator):
            choices = choices.func()
        options = choices.options if isinstance(choices, FixedChoices) else _options(choices)
        if (selected := self.selected(value)) is not None:
            mark = f'<option value="{escape(selected)}"'
            options = mark_safe(options.replace(mark, f"{mark} selected", 1))  # noqa: S308 - of the options, escaped
        return format_html(
            '<select name="{}"{}>{}</select>', name, flatatt(self.build_attrs(self.attrs, attrs)), options
        )

    def selected(self, value: Any) -> str | None:
        """Return the choice that is marked as selected; None for none. As in Django, the empty one is marked too."""
        return "" if value is None else str(value)


class ChoiceField(forms.ChoiceField):
    """A choice; an invalid value gets the same error message as an empty one."""

    widget: type[ChoiceWidget] = Select

    def __init__(self, *, expected: StrOrPromise, **kwargs: Any) -> None:
        super().__init__(error_messages={"required": expected, "invalid_choice": expected}, **kwargs)

    def to_python(self, value: Any) -> str:
        """Return the value as text, or "" for what no browser sends."""
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was chosen, as it can be shown again."""
        return storable(data, 200) if isinstance(data, str) else ""


class RadioField(ChoiceField):
    """A choice of a few options as radio buttons."""

    widget = forms.RadioSelect


class YesNoField(RadioField):
    """Yes or no, neither of them preselected."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("expected", _("Select yes or no"))
        super().__init__(choices=YES_NO, **kwargs)


@functools.lru_cache(maxsize=8)
def _countries(language: str | None) -> FixedChoices:
    return FixedChoices([("", gettext("Select a country or region")), *((code, str(name)) for code, name in countries)])


def country_choices() -> FixedChoices:
    """Return (code, name) of every country or region in the current language, after an empty first choice."""
    return _countries(get_language())


class CountryField(ChoiceField):
    """A country or region by its two-letter code (ISO 3166-1), listed in the current language."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Country or region"))
        kwargs.setdefault("expected", _("Select a country or region"))
        kwargs.setdefault("widget", Select(attrs={"autocomplete": "country"}))
        super().__init__(choices=country_choices, **kwargs)


AREAS = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Arctic": _("Arctic"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic Ocean"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific Ocean"),
    "Etc": _("Universal time"),
}


class ZoneSelect(Select):
    """A select of all zones."""

    def selected(self, value: Any) -> str | None:
        """Return the zone that is selected; the prompt is no zone."""
        return str(value) if value else None


@functools.lru_cache(maxsize=256)
def _zones(country: str, hour: datetime.datetime, language: str) -> FixedChoices:
    choices: list[tuple[str, Any]] = [("", gettext("Select a time zone"))]
    for group in time_zones.groups(country, hour, language):
        heading = str(countries.name(group.country)) if group.country else str(AREAS.get(group.area, group.area))
        choices.append((heading, group.zones))
    return FixedChoices(choices)


class ZoneField(ChoiceField):
    """A time zone; ``set_country`` lists those of a country first. Its part of the page can search them."""

    widget = ZoneSelect

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Time zone"))
        kwargs.setdefault("expected", _("Select a time zone"))
        kwargs.setdefault("template_name", "parts/set_up/zone.html")
        super().__init__(**kwargs)

    def set_country(self, country: str, at: datetime.datetime | None = None) -> None:
        """Set the choices, those of the country (two-letter code or "") first, and preselect its zone if it has one."""
        at = at or timezone.now()
        self.choices = _zones(country.upper(), time_zones.hour_of(at), get_language() or "en")
        self.initial = time_zones.likely_zone(country, at) or self.initial
