"""A question about one field of the set-up, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import FieldsForm
from provisioning.wizard.forms.choice_fields import ChoiceField
from provisioning.wizard.forms.fields import TextField

Subjects = Sequence[tuple[str, Sequence[tuple[str, str]]]]


class Ask(FieldsForm):
    """Which field, and what about it. ``subjects`` are (step's label, [("step" or "step.field", label)])."""

    subject = ChoiceField(label=_("What is it about?"), expected=_("Select what your question is about"))
    text = TextField(label=_("Your question"), expected=_("Enter your question"), max_length=1000, multiline=True)

    def __init__(self, *args: Any, subjects: Subjects, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subjects = subjects
        self.fields["subject"].choices = [("", gettext("Select a field")), *subjects]  # type: ignore[attr-defined]

    @property
    def asked(self) -> dict[str, str]:
        """Return the valid answer: step, field ("" for the whole step), about (in words) and text."""
        chosen: str = self.cleaned_data["subject"]
        step, _dot, field = chosen.partition(".")
        heading, words = next(
            (heading, dict(options)[chosen]) for heading, options in self.subjects if chosen in dict(options)
        )
        about = f"{heading}: {words}" if field else heading
        return {"step": step, "field": field, "about": about, "text": self.cleaned_data["text"]}


class Answer(FieldsForm):
    """The answer to somebody else's question."""

    answer = TextField(label=_("Your answer"), expected=_("Enter your answer"), max_length=1000, multiline=True)
