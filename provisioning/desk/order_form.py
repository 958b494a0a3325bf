"""The form of an order at the order desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.rules import refusals
from provisioning.wizard.forms.fields import EmailField, WholeNumberField
from subscriptions import packs
from subscriptions.actions import clean_lines, end_of_day
from subscriptions.models import Order
from subscriptions.rules import validation
from subscriptions.rules.deadlines import is_valid_date
from subscriptions.rules.validation import Line, Problem, Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    ModelFormOfOrder = forms.ModelForm[Order]
    FormSetOfLines = forms.BaseFormSet["LineForm"]
else:
    ModelFormOfOrder = forms.ModelForm
    FormSetOfLines = forms.BaseFormSet

FACTS = ("sold_to", "contact_email", "customer_name", "customer_email")
FINISHED = (Order.State.SET_UP, Order.State.CANCELLED)


class LineForm(forms.Form):
    """One line. An empty row is none."""

    number = WholeNumberField(
        label=gettext_lazy("Line number"),
        required=False,
        expected=refusals.SENTENCES[Problem.LINE_NUMBER],
        min_value=1,
        max_value=validation.MAX_LINE_NUMBER,
    )
    service = forms.ChoiceField(label=gettext_lazy("Service"))
    product = forms.CharField(label=gettext_lazy("Product"), required=False)
    licenses = WholeNumberField(
        label=gettext_lazy("Licenses"),
        expected=refusals.SENTENCES[Problem.LICENSES],
        min_value=1,
        max_value=validation.MAX_LICENSES,
    )
    term_months = WholeNumberField(
        label=gettext_lazy("Term in months"),
        initial=12,
        expected=refusals.SENTENCES[Problem.TERM],
        min_value=1,
        max_value=validation.MAX_TERM_MONTHS,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Also a service that is no longer sold, where a line is of it.
        sold = list(dict.fromkeys([*packs.installed(), *filter(None, [self.initial.get("service")])]))
        choices = [("", "–"), *((service, packs.label_of(service)) for service in sold)]
        self.fields["service"] = forms.ChoiceField(label=_("Service"), choices=choices)
        for name, field in self.fields.items():
            field.widget.attrs["aria-label"] = str(field.label)
            if name in {"number", "licenses", "term_months"}:
                field.widget.attrs["size"] = 9


class BaseLineRows(FormSetOfLines):
    """The lines of an order, and empty rows for more."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name the box that removes a line."""
        super().add_fields(form, index)
        form.fields["DELETE"].label = _("Remove the line")
        form.fields["DELETE"].widget.attrs["aria-label"] = _("Remove the line")

    @property
    def rows(self) -> list[LineForm]:
        """The rows that are lines."""
        return [form for form in self.forms if form not in self.deleted_forms and (form.initial or form.has_changed())]

    @property
    def lines(self) -> list[Line]:
        """The lines as entered, one for each of ``rows``; call after ``is_valid()``."""
        values = [form.cleaned_data for form in self.rows]
        return [
            Line(each["service"], each["licenses"], each["term_months"], each["product"], each["number"])
            for each in values
        ]


LineRows = forms.formset_factory(LineForm, formset=BaseLineRows, extra=3, max_num=500, can_delete=True)

# Which field of a line a refusal is about.
_FIELD_OF_LINE = {
    Problem.SERVICE: "service",
    Problem.SERVICE_TWICE: "service",
    Problem.PRODUCT: "product",
    Problem.TERM: "term_months",
    Problem.LINE_NUMBER: "number",
    Problem.LINE_NUMBER_TWICE: "number",
}


class OrderForm(ModelFormOfOrder):
    """An order's facts and lines. Fields that its state no longer allows to change are disabled."""

    set_up_by = forms.DateField(
        label=gettext_lazy("Set up by"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy(
            "Leave empty for as many days as its products have. The order closes at the end of this day."
        ),
    )

    class Meta:
        model = Order
        fields = ("number", *FACTS)
        field_classes = {"contact_email": EmailField, "customer_email": EmailField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = self.instance.lines.all() if self.instance.pk else ()
        names = ("number", "service", "product", "licenses", "term_months")
        self.rows: Any = LineRows(
            self.data if self.is_bound else None,
            prefix="lines",
            initial=[{name: getattr(line, name) for name in names} for line in packs.in_order(kept)],
        )
        if "number" not in self.fields:  # to be read only
            self._close_rows()
            return
        if not self.instance.pk:
            self.fields["number"].required = False
            self.fields["number"].help_text = _("Leave empty for the next one of ours.")
            return
        closed = {"number"}
        del self.fields["set_up_by"]  # more time has a page of its own
        if self.instance.state == Order.State.MAPPED:
            closed |= {"contact_email", "customer_name", "customer_email"}
        if self.instance.state in {*FINISHED, Order.State.SETTING_UP} or self.instance.is_closed:
            closed = set(self.fields)
            self._close_rows()
        for name in closed:
            self.fields[name].disabled = True

    def _close_rows(self) -> None:
        """Show the lines, to be read only."""
        self.rows.extra = 0
        for row in self.rows.forms:
            for field in row.fields.values():
                field.disabled = True

    def clean(self) -> dict[str, Any]:
        """Add the sentence of each rule that would refuse the order to its field."""
        super().clean()
        data = self.cleaned_data
        for name, check in validation.CLEAN.items():
            if name in data and not self.fields[name].disabled and (data[name] or name != "number"):
                try:
                    check(data[name] or "")
                except Refused as refused:
                    self.add_error(name, refusals.sentence(refused))
        if (day := data.get("set_up_by")) and not is_valid_date(end_of_day(day), now=timezone.now()):
            self.add_error("set_up_by", refusals.sentence(Refused(Problem.SET_UP_BY)))
        if not self.rows.is_valid():
            self.add_error(None, _("Correct the lines of the order."))
        elif not self.errors and not self.fields["sold_to"].disabled:
            self._check_lines()
        return data

    def _check_lines(self) -> None:
        """Add the sentence of what would refuse the lines to the field of the line."""
        try:
            clean_lines(self.rows.lines)
        except Refused as refused:
            if refused.at is not None:
                row = self.rows.rows[refused.at]
                row.add_error(_FIELD_OF_LINE.get(Problem(refused.problem), "licenses"), refusals.sentence(refused))
                self.add_error(None, _("Correct the lines of the order."))
            else:
                self.add_error(None, refusals.sentence(refused))

    def has_changed(self) -> bool:
        """Say whether a fact or a line was changed."""
        return super().has_changed() or self.rows.has_changed()

    def facts(self) -> dict[str, Any]:
        """Return the keyword arguments of an action: all of a new order, else what was changed."""
        typed = {name: self.cleaned_data[name] for name in FACTS}
        if not self.instance.pk:
            number = self.cleaned_data["number"] or None
            day = self.cleaned_data["set_up_by"]
            set_up_by = end_of_day(day) if day else None
            return {"number": number, **typed, "lines": self.rows.lines, "set_up_by": set_up_by}
        facts = {name: value for name, value in typed.items() if name in self.changed_data}
        if self.rows.has_changed():
            facts["lines"] = self.rows.lines
        return facts
