"""Provisioning at the order desk: what failed or can't be reached, and what an operator does about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import actions
from provisioning.desk.site import recent_factor, site
from provisioning.desk.tables import Table
from provisioning.fulfillment import transitions
from provisioning.models import User
from provisioning.rules import refusals
from subscriptions import packs
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.rules.validation import Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfProvisioning = admin.ModelAdmin[ProvisioningRequest]
else:
    AdminOfProvisioning = admin.ModelAdmin

State = ProvisioningRequest.State

MOST_AT_ONCE: Final = 200
# An other side that is away for so long needs somebody's eye.
AWAY_FOR: Final = timedelta(minutes=10)


def to_see_to() -> Q:
    """Return what the desk has to see to: what failed, what could not be reached for ten minutes, and what nobody has
    changed or confirmed again by the order's set-up-by date.
    """
    now = timezone.now()
    away = Q(state__in=[State.WAITING, State.IN_PROGRESS], unreachable_since__lte=now - AWAY_FOR)
    left = Q(state__in=ProvisioningRequest.TO_ANSWER, order__closes_at__lte=now)
    current = Q(superseded_at=None, line__removed_at=None, order__state=Order.State.SETTING_UP)
    return current & (Q(state=State.FAILED) | away | left)


class QueueFilter(admin.SimpleListFilter):
    """What has to be seen to comes first; everything else only when asked for."""

    title = gettext_lazy("what has to be done")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states that somebody looks for."""
        return [
            ("open", _("Being set up")),
            ("refused", _("Waiting for the customer’s change")),
            ("done", _("Set up")),
            ("all", _("All")),
        ]

    def choices(self, changelist: Any) -> Any:
        """The queue instead of Django's "All" as what is shown without a choice."""
        found = list(super().choices(changelist))
        found[0] = {**found[0], "display": _("Failed, out of reach, or past the date")}
        yield from found

    def queryset(self, request: HttpRequest, queryset: QuerySet[ProvisioningRequest]) -> QuerySet[ProvisioningRequest]:
        """Those requests; the queue where nothing is chosen."""
        current = Q(superseded_at=None)
        wanted = {
            "open": current & Q(state__in=[State.WAITING, State.IN_PROGRESS]),
            "refused": current & Q(state=State.REFUSED),
            "done": current & Q(state=State.SUCCEEDED),
            "all": Q(),
        }
        return queryset.filter(wanted.get(self.value() or "", to_see_to()))


class ProvisioningAdmin(Table, AdminOfProvisioning):
    """The requests to the systems that set services up: those that failed, with what can be done."""

    list_display = ("order_page", "service", "state_shown", "since", "tries", "problem_shown")
    list_filter = (QueueFilter, "line__service", "driver")
    search_fields = ("order__number", "public_id", "instance_id")
    search_help_text = gettext_lazy("Order number, or the id of a request or of an instance")
    list_select_related = ("order", "line")
    list_display_links = ("service",)
    ordering = ("state_since", "pk")
    list_per_page = 50
    actions = ("retry", "mark_done", "cancel_order")

    @admin.display(description=gettext_lazy("Order"), ordering="order__number")
    def order_page(self, request: ProvisioningRequest) -> SafeString:
        """Its number, which leads to the order."""
        address = reverse("admin:subscriptions_order_change", args=[request.order_id])
        return format_html('<a href="{}">{}</a>', address, request.order.number)

    @admin.display(description=gettext_lazy("Service"), ordering="line__service")
    def service(self, request: ProvisioningRequest) -> str:
        """What was bought, and what sets it up."""
        return f"{packs.line_label(request.line, several=True)}: {request.line} ({request.driver})"

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_shown(self, request: ProvisioningRequest) -> str:
        """Its state in the desk's words."""
        return state_words(request)

    @admin.display(description=gettext_lazy("Since"), ordering="state_since")
    def since(self, request: ProvisioningRequest) -> Any:
        """Since when it failed, or the other side is away."""
        return request.unreachable_since if request.is_open and request.unreachable_since else request.state_since

    @admin.display(description=gettext_lazy("Tries in a row"), ordering="attempts")
    def tries(self, request: ProvisioningRequest) -> int:
        """How often it was tried without an answer that brought it further."""
        return request.attempts

    @admin.display(description=gettext_lazy("Problem"))
    def problem_shown(self, request: ProvisioningRequest) -> str:
        """What went wrong."""
        return f"{request.problem} ({request.problem_code})" if request.problem_code else request.problem

    @admin.action(description=gettext_lazy("Retry"), permissions=["change"])
    def retry(self, request: HttpRequest, chosen: QuerySet[ProvisioningRequest]) -> HttpResponse:
        """Ask on a page of its own."""
        return self._ask(request, chosen, "retry")

    @admin.action(description=gettext_lazy("Mark as done"), permissions=["change"])
    def mark_done(self, request: HttpRequest, chosen: QuerySet[ProvisioningRequest]) -> HttpResponse:
        """Ask for the reason on a page of its own."""
        return self._ask(request, chosen, "done")

    @admin.action(description=gettext_lazy("Cancel the order"), permissions=["change"])
    def cancel_order(self, request: HttpRequest, chosen: QuerySet[ProvisioningRequest]) -> HttpResponse:
        """Ask on a page of its own."""
        return self._ask(request, chosen, "cancel")

    def _ask(self, request: HttpRequest, chosen: QuerySet[ProvisioningRequest], what: str) -> HttpResponse:
        found = [("request", pk) for pk in chosen.values_list("pk", flat=True)[: MOST_AT_ONCE + 1]]
        if len(found) > MOST_AT_ONCE:
            messages.error(request, _("Choose at most %(count)s at once.") % {"count": MOST_AT_ONCE})
            return redirect("admin:subscriptions_provisioningrequest_changelist")
        return redirect(f"{address_of(what)}?{urlencode(found)}")

    def get_urls(self) -> list[URLPattern]:
        """A page for each thing that can be done, for one request or several."""
        own = [
            path(
                f"{what}/",
                self.admin_site.admin_view(self.act),
                {"what": what},
                name=f"subscriptions_provisioningrequest_{what}",
            )
            for what in ACTS
        ]
        return [*own, *super().get_urls()]

    def act(self, request: HttpRequest, what: str) -> HttpResponse:
        """GET says what it means and asks, POST does it: for each request that it can be done for, and says why not."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        act = ACTS[what]
        if act.dangerous and request.method == "POST" and (asked := recent_factor(request)) is not None:
            return asked
        wanted = [int(pk) for pk in request.GET.getlist("request")[:MOST_AT_ONCE] if re.fullmatch("[0-9]{1,18}", pk)]
        rows = self.get_queryset(request).filter(pk__in=wanted).select_related("order", "line").order_by("pk")
        found = list({each.order_id if act.of_order else each.pk: each for each in rows}.values())
        form = Reason(request.POST or None) if act.needs_reason else None
        if request.method != "POST" or not found or (form is not None and not form.is_valid()):
            context = {
                **self.admin_site.each_context(request),
                "title": act.title,
                "explanation": act.explanation,
                "button": act.button,
                "requests": [(each, state_words(each)) for each in found],
                "form": form,
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/subscriptions/provisioningrequest/act.html", context)
        reason = form.cleaned_data["reason"] if form is not None else ""
        done = 0
        for each in found:
            try:
                act.do(each, cast(User, request.user), reason)
                done += 1
            except Refused as refused:
                messages.error(request, f"{each.order.number}, {each.line}: {refusals.sentence(refused)}")
        if done:
            messages.success(request, str(act.done[done > 1]) % {"count": done})
        if len({each.order_id for each in found}) == 1:
            return redirect("admin:subscriptions_order_change", found[0].order_id)
        return redirect("admin:subscriptions_provisioningrequest_changelist")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One request, to be read, with what can be done."""
        if request.method == "POST":
            raise PermissionDenied
        pk = int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0
        found = self.get_queryset(request).select_related("order", "line").filter(pk=pk).first()
        if found is None:
            return redirect("admin:subscriptions_provisioningrequest_changelist")
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("%(service)s of order %(number)s")
            % {"service": packs.line_label(found.line, several=True), "number": found.order.number},
            "opts": self.opts,
            "found": found,
            "state": state_words(found),
            "asked": json.dumps(found.parameters, ensure_ascii=False, indent=2),
            "acts": acts_for(found) if self.has_change_permission(request, found) else [],
            "abandoned": found.abandoned.order_by("pk"),
            "before": ProvisioningRequest.objects.filter(line=found.line).exclude(pk=found.pk).order_by("-pk"),
        }
        return TemplateResponse(request, "admin/subscriptions/provisioningrequest/change_form.html", context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history is on the order's own page."""
        return redirect("admin:subscriptions_provisioningrequest_change", object_id)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People's confirmation makes them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """They stay."""
        return False


class Reason(forms.Form):
    """Why the desk says that something is done."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("How it was set up, and how you know. Kept in the order’s history."),
        error_messages={"required": gettext_lazy("Enter a reason: it goes into the history of the order.")},
    )


class Act(NamedTuple):
    """What an operator can do with requests, and its words (translated when they are shown)."""

    title: Any
    explanation: Any
    button: Any
    done: tuple[Any, Any]
    do: Callable[[ProvisioningRequest, User, str], object]
    states: frozenset[str]
    needs_reason: bool = False
    of_order: bool = False  # it is done once for an order
    dangerous: bool = False  # it needs a recent second factor


ACTS: Final = {
    "retry": Act(
        gettext_lazy("Retry what failed?"),
        gettext_lazy(
            "It is asked for again, as a new request. What the one before may have left outside is deleted first."
        ),
        gettext_lazy("Retry"),
        (gettext_lazy("%(count)s is asked for again."), gettext_lazy("%(count)s are asked for again.")),
        lambda request, by, _reason: transitions.retry(request=request, by=by),
        frozenset({State.FAILED}),
    ),
    "done": Act(
        gettext_lazy("Mark as done?"),
        gettext_lazy(
            "Only for what was set up by hand, as it was asked for. The subscription starts now, and people read that "
            "it is set up."
        ),
        gettext_lazy("Mark as done"),
        (gettext_lazy("%(count)s is marked as done."), gettext_lazy("%(count)s are marked as done.")),
        lambda request, by, reason: transitions.mark_done(request=request, by=by, reason=reason),
        frozenset({State.FAILED, State.WAITING, State.IN_PROGRESS}),
        needs_reason=True,
        dangerous=True,
    ),
    "cancel": Act(
        gettext_lazy("Cancel the order?"),
        gettext_lazy(
            "The whole order is cancelled, with everything that is set up or being set up for it. What exists outside "
            "is deleted there, where the system that set it up can. This can’t be undone."
        ),
        gettext_lazy("Cancel the order"),
        (gettext_lazy("%(count)s order is cancelled."), gettext_lazy("%(count)s orders are cancelled.")),
        lambda request, by, _reason: actions.cancel_order(order=request.order, by=by),
        frozenset({State.FAILED, State.WAITING, State.IN_PROGRESS, State.REFUSED, State.CANCELLED}),
        of_order=True,
        dangerous=True,
    ),
}


def address_of(what: str) -> str:
    """Return the address of the page that does something."""
    return reverse(f"admin:subscriptions_provisioningrequest_{what}")


def acts_for(request: ProvisioningRequest) -> list[tuple[str, str]]:
    """Return (button, address) of what can be done with a request now."""
    if request.superseded_at or request.order.state != Order.State.SETTING_UP:
        return []
    return [
        (str(act.button), f"{address_of(what)}?request={request.pk}")
        for what, act in ACTS.items()
        if request.state in act.states
    ]


def state_words(request: ProvisioningRequest) -> str:
    """Return a request's state in the desk's words."""
    if request.superseded_at:
        return _("Replaced by a later request")
    if request.state == State.REFUSED:
        return _("Waiting for the customer’s change")
    if request.state == State.FAILED:
        return _("Failed")
    if request.is_open and request.unreachable_since:
        return _("Out of reach; tried again")
    return str(State(request.state).label)


site.register(ProvisioningRequest, ProvisioningAdmin)
