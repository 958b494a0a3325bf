"""The page on which a person takes the partner organization of one order for several others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from provisioning.finder_gateway import response_padding
from provisioning.pages.base import page_with_form
from provisioning.people.access import person
from provisioning.wizard import answer_once
from provisioning.wizard.answer_once import Outcome, Source
from provisioning.wizard.forms.base import FieldsForm
from provisioning.wizard.forms.choice_fields import RadioField
from subscriptions.models import Order

# As many orders are offered at once; the next ones come when these are answered.
_OFFERED: Final = 2 * answer_once.MOST


class Orders(forms.MultipleChoiceField):
    """Numbers of orders. Which of them are this person's is asked when they are answered: others are a 404."""

    widget = forms.CheckboxSelectMultiple

    def valid_value(self, value: Any) -> bool:
        """Take any number: an order that was offered may have been answered in the meantime."""
        return True


class SamePartner(FieldsForm):
    """Which partner organization counts for which orders."""

    source = RadioField(
        label=gettext_lazy("Partner organization"), choices=[], expected=gettext_lazy("Select the partner organization")
    )
    orders = Orders(
        label=gettext_lazy("Orders that it counts for"),
        error_messages={"required": gettext_lazy("Select the orders that it counts for")},
    )

    def offer(self, sources: Sequence[Source], targets: Sequence[Order]) -> None:
        """Set the choices; the only organization is selected."""
        source, orders = self.fields["source"], self.fields["orders"]
        source.choices = [(each.number, each) for each in sources]  # type: ignore[attr-defined]
        orders.choices = [(each.number, each) for each in targets]  # type: ignore[attr-defined]
        if len(sources) == 1:
            self.initial["source"] = sources[0].number

    def clean_orders(self) -> list[str]:
        """Refuse more orders than may be answered at once."""
        numbers: list[str] = self.cleaned_data["orders"]
        if len(numbers) > answer_once.MOST:
            raise forms.ValidationError(_("Select at most %(most)s orders at once") % {"most": answer_once.MOST})
        return numbers


@page_with_form
def same_partner(request: HttpRequest) -> HttpResponse:
    """Ask which partner organization counts for which orders; POST answers the step in each of them."""
    begun = time.monotonic()
    sources, targets = answer_once.offered(person(request))
    form = SamePartner(request.POST if request.method == "POST" else None)
    form.offer(sources, targets[:_OFFERED])
    if request.method == "POST" and form.is_valid():
        source, numbers = form.cleaned_data["source"], form.cleaned_data["orders"]
        _tell(request, answer_once.answer(request, source=source, numbers=numbers))
        response_padding.pad_time(begun, response_padding.ADMINISTRATOR_REQUEST_STEPS)
        return redirect("same_partner")
    context = {"form": form, "sources": sources, "targets": targets, "more": len(targets) > _OFFERED}
    return render(request, "pages/same_partner.html", context)


def _tell(request: HttpRequest, outcomes: dict[str, Outcome]) -> None:
    counts = Counter(outcomes.values())
    if answered := counts[Outcome.ANSWERED]:
        words = ngettext(
            "%(count)s order has its partner organization now. Review and confirm it when you open it.",
            "%(count)s orders have their partner organization now. Review and confirm each when you open it.",
            answered,
        )
        messages.success(request, words % {"count": answered})
    for outcome, sentence in (
        (Outcome.WAS_ANSWERED, _("These orders had an answer already, which stays: %(numbers)s.")),
        (Outcome.NOT_OFFERED, _("The organization can’t be chosen for these orders. Open them: %(numbers)s.")),
    ):
        if numbers := [number for number, each in outcomes.items() if each is outcome]:
            messages.warning(request, sentence % {"numbers": ", ".join(numbers)})
