"""The base classes of a step: a form, or a formset.

A step gets values, never a request: the order, the answers of the earlier steps by step name, and the facts that the
lookups return. It offers ``is_valid()``, ``answers()`` (JSON-able) and ``summary()`` (what to show again).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from uuid import UUID

from django import forms
from django.forms.formsets import BaseFormSet
from django.forms.utils import ErrorDict, ErrorList
from django.utils.text import get_text_list
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.fields import (
    StrOrPromise,
)
from provisioning.wizard.forms.posted_rows import MAX_ROWS, row_count, with_row_count
from subscriptions.models import Order

if TYPE_CHECKING:
    Rows = BaseFormSet[Any]
else:
    Rows = BaseFormSet

Summary = list[tuple[StrOrPromise, str]]


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


def has_values(answer: Any, fields: Mapping[str, forms.Field]) -> bool:
    """Return whether a kept answer has a value of the right kind for each of these fields."""
    return isinstance(answer, dict) and all(
        name in answer and isinstance(answer[name], _kind(field)) for name, field in fields.items()
    )


def _kind(field: forms.Field) -> type:
    return bool if isinstance(field, forms.BooleanField) else int if isinstance(field, forms.IntegerField) else str


class FieldsForm(forms.Form):
    """A form without browser validation and without a colon after labels."""

    use_required_attribute = False
    # Shorter labels for the check-your-answers list, by field name.
    summary_labels: ClassVar[dict[str, StrOrPromise]] = {}

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

    def summary_label(self, field: forms.BoundField) -> StrOrPromise:
        """Return the label of a field where its answer is shown again."""
        return self.summary_labels.get(field.name, field.label or "")

    def summary(self) -> Summary:
        """Return (label, answer) of each visible field that has an answer, in order."""
        fields = self.visible_fields()
        rows = [(self.summary_label(field), self.display(field.name)) for field in fields]
        return [(label, value) for label, value in rows if value]


def _chosen(choices: Iterable[Any], value: Any) -> str:
    for key, label in choices:
        if isinstance(label, list | tuple):
            if found := _chosen(label, value):
                return found
        elif value not in (None, "") and str(key) == str(value):
            return str(label)
    return ""


class StepBase:
    """The interface of a step that the wizard uses, for forms and formsets."""

    # The step's name in the address and in the draft. (Not `name`: that is a field of several forms.)
    step: ClassVar[str] = ""
    # A form may set these three for itself, from what was answered before.
    title: StrOrPromise = ""
    lead: StrOrPromise = ""
    button: StrOrPromise = _("Next")
    template: ClassVar[str] = ""

    order: Order
    earlier_answers: dict[str, Any]
    facts: dict[str, Any]

    @property
    def refused(self) -> dict[str, Any] | None:
        """What the provisioning system refused of this step's answer: "control", "sentence", and the "answer" that it
        refused.

        The same answer is refused again without a new request; a different answer is accepted.
        """
        found: dict[str, Any] | None = self.facts.get("refused")
        return found

    def handle_button(self, posted: Any) -> tuple[Any, str] | None:
        """Return the fields as changed by a button other than Next, and the HTML id to scroll to; None for Next."""
        return None

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether a saved answer has the shape of ``answers()``; a draft may be of an older version."""
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.step and "template" not in cls.__dict__:
            cls.template = f"wizard/steps/{cls.step}.html"


class StepForm(StepBase, FieldsForm):
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
        self.order, self.earlier_answers, self.facts = order, dict(answers or {}), facts
        super().__init__(data, prefix=prefix, initial=dict(initial or {}))
        self.prepare()

    def prepare(self) -> None:
        """Set choices, initial values and extra fields from the earlier answers and the facts."""

    def full_clean(self) -> None:
        """Clean the fields, and refuse an answer that the provisioning system refused."""
        super().full_clean()
        refused = self.refused
        if refused and self.is_bound and not self._errors and self.answers() == refused["answer"]:
            self.add_error(refused["control"] if refused["control"] in self.fields else None, refused["sentence"])

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether there is a value of the right kind for each field."""
        return has_values(answer, cls.base_fields)

    def answers(self) -> Any:
        """Return the valid answer as JSON can keep it; call after ``is_valid()``."""
        return jsonable(self.cleaned_data)

    def hide_errors(self) -> Self:
        """Remove the errors, for a page that shows saved input and was not submitted."""
        self._errors = ErrorDict()
        return self


class StepFormSet(StepBase, Rows):
    """A step that is rows of one form, between ``min_num`` and ``max_num`` of them, each filled in."""

    form: type[FieldsForm]
    extra = 0
    min_num = 1
    max_num = 50
    absolute_max = MAX_ROWS
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
        self.order, self.earlier_answers, self.facts = order, dict(answers or {}), facts
        prefix = prefix or self.step
        if data is not None:
            data = with_row_count(data, prefix, max(1, row_count(data, prefix)))
        super().__init__(data, prefix=prefix, initial=initial or None)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Every row that is shown must be filled in (or removed)."""
        return {**super().get_form_kwargs(index), "empty_permitted": False, "use_required_attribute": False}

    def hide_errors(self) -> Self:
        """Remove the errors, for a page that shows saved input and was not submitted."""
        for form in self.forms:
            form._errors = ErrorDict()
        self._errors: list[Any] = [form._errors for form in self.forms]
        self._non_form_errors = ErrorList()
        return self

    def full_clean(self) -> None:
        """Clean the rows, and refuse an answer that the provisioning system refused."""
        super().full_clean()
        refused = self.refused
        if not refused or not self.is_bound or any(self._errors) or self._non_form_errors:
            return
        if self.answers() != refused["answer"]:
            return
        row, _dash, name = refused["control"].partition("-")
        if row.isdigit() and int(row) < len(self.forms) and name in self.forms[int(row)].fields:
            self.forms[int(row)].add_error(name, refused["sentence"])
            self._errors = [form.errors for form in self.forms]
        else:
            self._non_form_errors.append(refused["sentence"])

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether these are rows with a value of the right kind for each field."""
        return isinstance(answer, list) and all(has_values(row, cls.form.base_fields) for row in answer)

    def answers(self) -> Any:
        """Return the valid rows as JSON can keep them; call after ``is_valid()``."""
        return [jsonable(form.cleaned_data) for form in self.forms]

    def summary(self) -> Summary:
        """Return (label, answer) of every row, one after the other."""
        return [row for form in self.forms for row in form.summary()]
