"""Fields that take whatever a browser, or what passes for one, can send: they answer with a value or a sentence."""

from __future__ import annotations

import datetime
import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import email_validator
from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import flatatt
from django.forms.widgets import ChoiceWidget
from django.utils import timezone
from django.utils.choices import BaseChoiceIterator, CallableChoiceIterator
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from orgs.text import pasted_text
from subscriptions.rules import time_zones

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

    Words = str | StrPromise
else:
    Words = object

YES_NO = [("yes", _("Yes")), ("no", _("No"))]

# Longer than any field of ours; what is beyond is not even shown again.
MAX_SHOWN = 4_000
# Marks without a width of their own that copying brings along; they change nothing for the reader.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff"))
# Embeddings, overrides and isolates: they make a text read differently from what it is (Unicode UAX #9).
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES = re.compile(r"[^\S\n]+")


def storable(text: str, limit: int = MAX_SHOWN) -> str:
    """Return at most ``limit`` characters of the text, without what PostgreSQL or UTF-8 can't carry."""
    return "".join(c for c in text[:limit] if c != "\0" and not "\ud800" <= c <= "\udfff")


def _is_hidden(character: str) -> bool:
    # U+FFFD stands where a draft had to leave out what the database can't hold.
    return character in _BIDI or character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cs", "Cn"}


class TextField(forms.CharField):
    """One line of text (or several): NFC, spaces collapsed, hidden and control characters refused in words.

    ``expected`` is the sentence for an empty or unusable answer, such as "Enter a site name". ``max_length`` is checked
    here and not by the browser, which would cut pasted text silently.
    """

    def __init__(self, *, expected: Words = "", max_length: int = 200, multiline: bool = False, **kwargs: Any) -> None:
        self.limit = max_length
        self.multiline = multiline
        self.expected = expected or _("Enter this as text")
        kwargs.setdefault("error_messages", {"required": self.expected})
        if multiline:
            kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 2}))
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> str:
        """Return the text as it is kept; raises ValidationError with what to do."""
        if value in self.empty_values:
            return ""
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValidationError(self.expected, code="expected")
        text = str(value)
        if len(text) > 20 * self.limit:
            raise self._too_long(len(text))
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").translate(_INVISIBLE)
        if not self.multiline:
            text = text.replace("\n", " ")
        if any(_is_hidden(character) for character in text if character != "\n"):
            raise ValidationError(
                _("Type this again instead of pasting it: it has hidden characters that can’t be used"), code="hidden"
            )
        lines = [_SPACES.sub(" ", line).strip() for line in unicodedata.normalize("NFC", text).split("\n")]
        text = "\n".join(line for line in lines if line)
        if len(text) > self.limit:
            raise self._too_long(len(text))
        return text

    def _too_long(self, length: int) -> ValidationError:
        return ValidationError(
            ngettext_lazy(
                "Shorten this to %(limit)d character; it has %(length)d now",
                "Shorten this to %(limit)d characters or fewer; it has %(length)d now",
                "limit",
            ),
            code="too_long",
            params={"limit": self.limit, "length": length},
        )

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it can be shown again."""
        return storable(data) if isinstance(data, str) else ""


class EmailField(TextField):
    """An email address, also as it is pasted (``Sam <sam@…>``), checked for its form only; nothing is looked up."""

    def __init__(self, *, expected: Words = "", **kwargs: Any) -> None:
        attrs = {"type": "email", "autocomplete": "email", "spellcheck": "false", "autocapitalize": "none"}
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        kwargs.setdefault("label", _("Email address"))
        kwargs.setdefault("max_length", 254)
        super().__init__(expected=expected or _("Enter an email address"), **kwargs)

    def to_python(self, value: Any) -> str:
        """Return the address in lower case; raises ValidationError with an example of what is expected."""
        if isinstance(value, str) and len(value) <= 20 * self.limit:
            found = pasted_text.emails(value)
            if len(found) > 1:
                raise ValidationError(_("Enter one address. This field has more than one now"), code="several")
            value = found[0] if found else ""
        text = super().to_python(value)
        if not text:
            return ""
        try:
            address = email_validator.validate_email(text, check_deliverability=False, globally_deliverable=False)
        except (email_validator.EmailNotValidError, UnicodeError, ValueError):
            address = None
        if address is None or "." not in address.ascii_domain or len(address.normalized) > self.limit:
            raise ValidationError(_("Enter an email address like name@example.com"), code="email")
        return address.normalized.lower()


class WholeNumberField(forms.IntegerField):
    """A whole number between two bounds; digits of any script, with or without grouping ("1,000")."""

    widget = forms.TextInput

    def __init__(self, *, expected: Words, min_value: int, max_value: int, **kwargs: Any) -> None:
        self.expected = expected
        self.bounds = (min_value, max_value)
        kwargs.setdefault("widget", forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}))
        super().__init__(error_messages={"required": expected, "invalid": expected}, **kwargs)

    def to_python(self, value: Any) -> int | None:
        """Return the number; raises ValidationError with what is expected."""
        if value in self.empty_values:
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValidationError(self.expected, code="expected")
        number = pasted_text.whole_number(str(value))
        if number is None or not self.bounds[0] <= number <= self.bounds[1]:
            raise ValidationError(self.expected, code="expected")
        return number

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it can be shown again."""
        return storable(str(data), 40) if isinstance(data, str | int) else ""


class PhoneField(TextField):
    """A phone number as text, without what pasting brings along; what a number is, its country says."""

    def to_python(self, value: Any) -> str:
        """Return the number as it was typed, without marks around it."""
        short = isinstance(value, str) and len(value) <= 20 * self.limit
        return super().to_python(pasted_text.short(value) if short else value)


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
    """A select that is written without a template for each option: a list of countries took most of a page's time."""

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
    """One of several; anything else gets the same sentence as no choice at all."""

    widget: type[ChoiceWidget] = Select

    def __init__(self, *, expected: Words, **kwargs: Any) -> None:
        super().__init__(error_messages={"required": expected, "invalid_choice": expected}, **kwargs)

    def to_python(self, value: Any) -> str:
        """Return the value as text, or "" for what no browser sends."""
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was chosen, as it can be shown again."""
        return storable(data, 200) if isinstance(data, str) else ""


class RadioField(ChoiceField):
    """One of a few, all visible."""

    widget = forms.RadioSelect


class YesNoField(RadioField):
    """Yes or no, neither of them preselected."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("expected", _("Select yes or no"))
        super().__init__(choices=YES_NO, **kwargs)


class TickField(forms.BooleanField):
    """A checkbox that need not be ticked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


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
    """A time zone; ``offer`` lists those of a country first. Its part of the page can search them."""

    widget = ZoneSelect

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Time zone"))
        kwargs.setdefault("expected", _("Select a time zone"))
        kwargs.setdefault("template_name", "parts/set_up/zone.html")
        super().__init__(**kwargs)

    def offer(self, country: str, at: datetime.datetime | None = None) -> None:
        """Set the choices, those of the country (two-letter code or "") first, and preselect its zone if it has one."""
        at = at or timezone.now()
        self.choices = _zones(country.upper(), time_zones.hour_of(at), get_language() or "en")
        self.initial = time_zones.likely_zone(country, at) or self.initial
