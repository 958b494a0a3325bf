"""What every step of the wizard is made of: a form or rows of one, and fields that take whatever a browser can send.

A step gets values, never a request: the order, the answers of the earlier steps by step name, and the facts that the
wizard looked up. It answers with ``is_valid()``, ``answers()`` (JSON-able) and ``summary()`` (what to show again).
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast
from uuid import UUID

import email_validator
from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet
from django.utils.text import get_text_list
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from subscriptions.models import Order

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

    Words = str | StrPromise
else:
    Words = object

Summary = list[tuple[Words, str]]
YES_NO = [("yes", _("Yes")), ("no", _("No"))]

# Longer than any field of ours; what is beyond is not even shown again.
MAX_SHOWN = 4_000
# Marks without a width of their own that copying brings along; they change nothing for the reader.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff"))
# Embeddings, overrides and isolates: they make a text read differently from what it is (Unicode UAX #9).
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES = re.compile(r"[^\S\n]+")


def storable(text: str, limit: int = MAX_SHOWN) -> str:
    """Return at most ``limit`` characters of the text as PostgreSQL and a page can carry it: no NUL, no lone surrogates."""
    return "".join(c for c in text[:limit] if c != "\0" and not "\ud800" <= c <= "\udfff")


def _is_hidden(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in {"Cc", "Cs", "Cn"}


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
    """An email address, checked for its form only; nothing is looked up."""

    def __init__(self, *, expected: Words = "", **kwargs: Any) -> None:
        attrs = {"type": "email", "autocomplete": "email", "spellcheck": "false", "autocapitalize": "none"}
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        kwargs.setdefault("label", _("Email address"))
        kwargs.setdefault("max_length", 254)
        super().__init__(expected=expected or _("Enter an email address"), **kwargs)

    def to_python(self, value: Any) -> str:
        """Return the address in lower case; raises ValidationError with an example of what is expected."""
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
        text = re.sub(r"(?<=\d)[\s.,'’](?=\d{3}(?!\d))", "", str(value)[:100].strip())
        if not re.fullmatch(r"\d{1,15}", text) or not self.bounds[0] <= int(text) <= self.bounds[1]:
            raise ValidationError(self.expected, code="expected")
        return int(text)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it can be shown again."""
        return storable(str(data), 40) if isinstance(data, str | int) else ""


class ChoiceField(forms.ChoiceField):
    """One of several; anything else gets the same sentence as no choice at all."""

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


def country_choices() -> list[tuple[str, str]]:
    """Return (code, name) of every country or region in the current language, after an empty first choice."""
    return [("", gettext("Select a country or region")), *((code, str(name)) for code, name in countries)]


class CountryField(ChoiceField):
    """A country or region by its two-letter code (ISO 3166-1), listed in the current language."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Country or region"))
        kwargs.setdefault("expected", _("Select a country or region"))
        kwargs.setdefault("widget", forms.Select(attrs={"autocomplete": "country"}))
        super().__init__(choices=country_choices, **kwargs)


def jsonable(value: Any) -> Any:
    """Return a cleaned value as JSON can keep it."""
    if value is None or isinstance(value, str | int | bool | float):
        return value
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [jsonable(one) for one in value]
    return str(value)


class FieldsForm(forms.Form):
    """A form in this product's manner: no browser bubbles, no colon after a label, no error in a list of its own."""

    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["label_suffix"] = ""
        super().__init__(*args, **kwargs)

    def display(self, name: str) -> str:
        """Return the cleaned value of a field as a person reads it; "" for none."""
        value, field = self.cleaned_data.get(name), self.fields[name]
        if isinstance(value, bool):
            return gettext("Yes") if value else gettext("No")
        if isinstance(field, forms.ChoiceField):
            return _chosen(cast(Iterable[Any], field.choices), value)
        if isinstance(value, list | tuple):
            return get_text_list([str(one) for one in value], gettext("and"))
        return "" if value is None else str(value)

    def summary(self) -> Summary:
        """Return (label, what was answered) of each visible field that has an answer, in order."""
        rows = [(field.label, self.display(field.name)) for field in self.visible_fields()]
        return [(label or "", value) for label, value in rows if value]


def _chosen(choices: Iterable[Any], value: Any) -> str:
    for key, label in choices:
        if isinstance(label, list | tuple):
            if found := _chosen(label, value):
                return found
        elif value not in (None, "") and str(key) == str(value):
            return str(label)
    return ""


class Step:
    """What the wizard reads of a step's class, be it a form or rows of forms."""

    # The step's name in the address and in the draft. (Not `name`: that is a field of several forms.)
    step: ClassVar[str] = ""
    title: ClassVar[Words] = ""
    lead: ClassVar[Words] = ""
    button: ClassVar[Words] = _("Next")
    template: ClassVar[str] = ""

    order: Order
    earlier: dict[str, Any]
    facts: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.step and "template" not in cls.__dict__:
            cls.template = f"steps/{cls.step}.html"


class StepForm(Step, FieldsForm):
    """A step that is one form.

    ``answers`` are the valid answers of the earlier steps by step name; ``facts`` what the wizard looked up for forms.
    A subclass takes the facts it needs from ``self.facts`` and sets its choices in ``prepare``.
    """

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        prefix: str | None = None,
        initial: Mapping[str, Any] | None = None,
        order: Order,
        answers: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        self.order, self.earlier, self.facts = order, dict(answers or {}), facts
        super().__init__(data, prefix=prefix, initial=dict(initial or {}))
        self.prepare()

    def prepare(self) -> None:
        """Set choices, initial values and extra fields from the earlier answers and the facts."""

    def answers(self) -> Any:
        """Return the valid answer as JSON can keep it; call after ``is_valid()``."""
        return jsonable(self.cleaned_data)


def row_count(data: Mapping[str, Any], prefix: str) -> int:
    """Return how many rows were posted: by TOTAL_FORMS, or by the fields' names where that is no small number."""
    total = data.get(f"{prefix}-TOTAL_FORMS")
    if re.fullmatch(r"[0-9]{1,3}", str(total)):
        return int(str(total))
    pattern = re.compile(rf"{re.escape(prefix)}-([0-9]{{1,3}})-")
    return max((int(match[1]) + 1 for name in data if (match := pattern.match(name))), default=0)


def with_row_count(data: Any, prefix: str, count: int) -> Any:
    """Return a copy of the posted data (a QueryDict or dict) that says it has so many rows."""
    copied = data.copy()
    copied[f"{prefix}-TOTAL_FORMS"], copied[f"{prefix}-INITIAL_FORMS"] = str(count), "0"
    return copied


class StepFormSet(Step, BaseFormSet[Any]):
    """A step that is rows of one form, between ``min_num`` and ``max_num`` of them, each filled in."""

    form: type[FieldsForm]
    extra = 0
    min_num = 1
    max_num = 50
    absolute_max = 100
    validate_min = validate_max = True
    can_order = can_delete = can_delete_extra = edit_only = False

    default_error_messages: ClassVar[dict[str, Any]] = {
        "too_many_forms": ngettext_lazy("Enter at most %(num)d row", "Enter at most %(num)d rows", "num"),
        "too_few_forms": ngettext_lazy("Enter at least %(num)d row", "Enter at least %(num)d rows", "num"),
    }
    # Set per object by BaseFormSet where the class has none.
    renderer: Any = None

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        prefix: str | None = None,
        initial: Any = None,
        order: Order,
        answers: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        self.order, self.earlier, self.facts = order, dict(answers or {}), facts
        prefix = prefix or self.step
        if data is not None:
            data = with_row_count(data, prefix, row_count(data, prefix))
        super().__init__(data, prefix=prefix, initial=initial or None)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Every row that is shown must be filled in (or removed)."""
        return {**super().get_form_kwargs(index), "empty_permitted": False, "use_required_attribute": False}

    def answers(self) -> Any:
        """Return the valid rows as JSON can keep them; call after ``is_valid()``."""
        return [jsonable(form.cleaned_data) for form in self.forms]

    def summary(self) -> Summary:
        """Return (label, what was answered) of every row, one after the other."""
        return [row for form in self.forms for row in form.summary()]
