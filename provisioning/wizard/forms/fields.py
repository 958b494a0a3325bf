"""Form fields for text, email addresses, numbers and phone numbers. They accept any input without an exception."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import email_validator
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from orgs.text import pasted_text

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

    StrOrPromise = str | StrPromise
else:
    StrOrPromise = object


# Longer than any field; characters beyond are not shown again.
MAX_SHOWN = 4_000
# Characters of zero width that copying adds; removing them changes nothing visible.
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
    """One line of text (or several): NFC, spaces collapsed, hidden and control characters refused.

    ``expected`` is the sentence for an empty or unusable answer, such as "Enter a site name". ``max_length`` is checked
    here and not by the browser, which would cut pasted text silently.
    """

    def __init__(
        self, *, expected: StrOrPromise = "", max_length: int = 200, multiline: bool = False, **kwargs: Any
    ) -> None:
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

    def __init__(self, *, expected: StrOrPromise = "", **kwargs: Any) -> None:
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

    def __init__(self, *, expected: StrOrPromise, min_value: int, max_value: int, **kwargs: Any) -> None:
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
    """A phone number as text, without pasted marks around it. The form validates it by country."""

    def to_python(self, value: Any) -> str:
        """Return the number as it was typed, without marks around it."""
        short = isinstance(value, str) and len(value) <= 20 * self.limit
        return super().to_python(pasted_text.short(value) if short else value)


class TickField(forms.BooleanField):
    """A checkbox that need not be ticked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
