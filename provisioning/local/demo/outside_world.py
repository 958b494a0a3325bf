"""The page of the demo where the faults of its broker are switched: for all orders, or for one."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from provisioning.local.demo.broker import DOWN, EVERY_ORDER, FAILS, FAILS_TWICE, FAULTS, NONE, SLOW, Store
from subscriptions.models import Order

LABELS: Final[dict[str, str | Promise]] = {
    NONE: _("Works"),
    SLOW: _("Takes a minute"),
    FAILS_TWICE: _("Breaks twice, then works"),
    "refuses_name": _("Refuses the site name"),
    "refuses_address": _("Refuses the street address"),
    "refuses_number": _("Refuses the main number"),
    FAILS: _("Fails for good"),
    DOWN: _("Is switched off"),
}


def store() -> Store:
    """Return what the demo's broker keeps."""
    return Store(settings.STATE_DIR / "broker")


def switch(number: str, fault: str) -> None:
    """Let a fault be on for one order: the tour's sample orders are loaded with theirs."""
    store().switch(number, fault)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def outside_world(request: HttpRequest) -> HttpResponse:
    """Show which fault is on for which order, and switch one."""
    if request.method == "POST":
        target, fault = request.POST.get("target", ""), request.POST.get("fault", "")
        known = target == EVERY_ORDER or ("\0" not in target and Order.objects.filter(number=target).exists())
        if fault not in FAULTS or not known:
            return HttpResponseBadRequest()
        switch(target, fault)
        messages.success(request, _("The outside world is as you want it."))
        return redirect("outside_world")
    on = store().faults()
    targets: list[dict[str, Any]] = [{"target": EVERY_ORDER, "fault": on.get(EVERY_ORDER, NONE)}]
    being_set_up = Order.objects.filter(state__in=[Order.State.MAPPED, Order.State.SETTING_UP])
    numbers = dict.fromkeys([*sorted(set(on) - {EVERY_ORDER}), *being_set_up.values_list("number", flat=True)[:50]])
    targets += [{"target": number, "fault": on.get(number, NONE)} for number in numbers]
    context = {"targets": targets, "faults": LABELS.items(), "every": EVERY_ORDER, "wide": True}
    return render(request, "local/outside_world.html", context)
