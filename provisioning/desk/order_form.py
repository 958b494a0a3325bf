"""The form of an order at the order desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.rules import refusals
from provisioning.wizard.forms.fields import EmailField, WholeNumberField
from subscriptions import packs
from subscriptions.actions import end_of_day
from subscriptions.models import Order
from subscriptions.rules import validation
from subscriptions.rules.deadlines import is_valid_date
from subscriptions.rules.validation import Line, Problem, Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    ModelFormOfOrder = forms.ModelForm[Order]
else:
    ModelFormOfOrder = forms.ModelForm

FACTS = ("sold_to", "contact_email", "customer_name", "customer_email")
FINISHED = (Order.State.SET_UP, Order.State.CANCELLED)


class OrderForm(ModelFormOfOrder):
    """An order's facts and lines. Fields that its state no longer allows to change are disabled."""

    term_months = WholeNumberField(
        label=gettext_lazy("Term in months"),
        initial=12,
        expected=refusals.SENTENCES[Problem.TERM],
        min_value=1,
        max_value=validation.MAX_TERM_MONTHS,
    )
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
        self.lines = {line.service: line for line in self.instance.lines.all()} if self.instance.pk else {}
        for service, line in self.lines.items():
            self.initial.setdefault(service, line.licenses)
            self.initial.setdefault("term_months", line.term_months)
        if "number" not in self.fields:
            return  # to be read only
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
        for name in closed:
            self.fields[name].disabled = True

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
        if not self.errors:
            try:
                validation.clean_lines(self.wanted_lines(data), {service: service for service in packs.installed()})
            except Refused as refused:
                services = list(packs.installed())
                where = {str(Problem.TERM): "term_months", str(Problem.NO_LINES): services[0]}.get(refused.problem)
                if where is None:
                    asked = [service for service in services if data.get(service) is not None]
                    where = asked[refused.at or 0]
                self.add_error(where, refusals.sentence(refused))
        return data

    def wanted_lines(self, data: dict[str, Any]) -> list[Line]:
        """Return the lines as entered. An existing line keeps its product, and its term unless the term was changed."""
        lines = []
        for service in packs.installed():
            if (licenses := data.get(service)) is None:
                continue
            old = self.lines.get(service)
            term = old.term_months if old and "term_months" not in self.changed_data else data["term_months"]
            lines.append(Line(service, licenses, term, old.product if old else ""))
        return lines

    def facts(self) -> dict[str, Any]:
        """Return the keyword arguments of an action: all of a new order, else what was changed."""
        typed = {name: self.cleaned_data[name] for name in FACTS}
        if not self.instance.pk:
            number = self.cleaned_data["number"] or None
            day = self.cleaned_data["set_up_by"]
            set_up_by = end_of_day(day) if day else None
            return {"number": number, **typed, "lines": self.wanted_lines(self.cleaned_data), "set_up_by": set_up_by}
        facts = {name: value for name, value in typed.items() if name in self.changed_data}
        if {*packs.installed(), "term_months"} & set(self.changed_data):
            facts["lines"] = self.wanted_lines(self.cleaned_data)
        return facts


# Each service that is sold has a field for its licenses; none is required.
OrderForm.declared_fields |= {
    service: WholeNumberField(
        label=format_lazy(gettext_lazy("{service} licenses"), service=sold.label),
        required=False,
        expected=refusals.SENTENCES[Problem.LICENSES],
        min_value=1,
        max_value=validation.MAX_LICENSES,
    )
    for service, sold in packs.installed().items()
}
