"""Set-up-by dates at the order desk: which orders close soon or have closed, and giving them more time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from provisioning import actions
from provisioning.desk.site import operator
from provisioning.rules import refusals
from subscriptions.actions import end_of_day
from subscriptions.models import UNFINISHED, Order
from subscriptions.rules.deadlines import REMINDERS
from subscriptions.rules.validation import Refused

MOST_AT_ONCE: Final = 200


class DateFilter(admin.SimpleListFilter):
    """Unfinished orders that close soon or have closed."""

    title = gettext_lazy("set-up-by date")
    parameter_name = "date"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the two choices."""
        return [("soon", _("Closing soon")), ("closed", _("Closed")), ("overdue", _("Past its date, not set up yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Return those orders, or all."""
        return of_date(queryset, self.value() or "")


def of_date(orders: QuerySet[Order], which: str) -> QuerySet[Order]:
    """Return the orders that close soon ("soon"), have closed ("closed") or are being set up past their date
    ("overdue"); all for another word.
    """
    now, soon = timezone.now(), timezone.now() + timedelta(days=max(REMINDERS))
    waiting = orders.filter(state__in=UNFINISHED, on_hold_at=None)
    return {
        "soon": waiting.filter(closes_at__gt=now, closes_at__lte=soon),
        "closed": waiting.filter(closes_at__lte=now),
        "overdue": orders.filter(state=Order.State.SETTING_UP, closes_at__lte=now),
    }.get(which, orders)


class ExtendForm(forms.Form):
    """Asks for a later set-up-by date, for one order or many, and the reason."""

    set_up_by = forms.DateField(
        label=gettext_lazy("Set up by"),
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("The orders close at the end of this day."),
        error_messages={
            "required": gettext_lazy("Enter the new date."),
            "invalid": gettext_lazy("Enter a date like 2026-12-24."),
        },
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Kept in each order's history."),
        error_messages={"required": gettext_lazy("Say why they get more time.")},
    )


def give_more_time(request: HttpRequest, *, site: admin.AdminSite, opts: Any) -> HttpResponse:
    """Ask for a date and a reason by GET; by POST extend each order, and add a message about those that can't be."""
    chosen = [int(pk) for pk in request.GET.getlist("order")[:MOST_AT_ONCE] if re.fullmatch("[0-9]{1,18}", pk)]
    orders = Order.objects.filter(pk__in=chosen).order_by("number")
    form = ExtendForm(request.POST or None)
    if request.method != "POST" or not form.is_valid() or not orders:
        context = {
            **site.each_context(request),
            "title": _("Give more time"),
            "orders": orders,
            "form": form,
            "opts": opts,
        }
        return TemplateResponse(request, "admin/subscriptions/order/extend.html", context)
    closes_at, extended = end_of_day(form.cleaned_data["set_up_by"]), 0
    for order in orders:
        try:
            actions.extend_order(
                order=order, closes_at=closes_at, reason=form.cleaned_data["reason"], by=operator(request)
            )
            extended += 1
        except Refused as refused:
            messages.error(request, f"{order.number}: {refusals.sentence(refused)}")
    if extended:
        words = ngettext("%(count)s order has more time.", "%(count)s orders have more time.", extended)
        messages.success(request, words % {"count": extended})
    if len(orders) == 1:
        return redirect("admin:subscriptions_order_change", orders[0].pk)
    return redirect("admin:subscriptions_order_changelist")
