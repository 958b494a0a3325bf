"""Requests for rights at the order desk, and giving a right by two operators where no administrator can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import policies
from provisioning import actions
from provisioning.desk.site import operator, recent_factor, site
from provisioning.desk.tables import Table
from provisioning.models import AccessRequest
from provisioning.rules import refusals
from subscriptions.rules.validation import Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfRequest = admin.ModelAdmin[AccessRequest]
else:
    AdminOfRequest = admin.ModelAdmin

STATES: Final = {
    "asked": gettext_lazy("Help was asked for"),
    "waiting": gettext_lazy("Administrators can object"),
    "ready": gettext_lazy("To be confirmed by another operator"),
    "given": gettext_lazy("Given by the order desk"),
    "over": gettext_lazy("Over"),
}


class HelpFilter(admin.SimpleListFilter):
    """Requests in which the order desk helps."""

    title = gettext_lazy("the order desk’s help")
    parameter_name = "help"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the three choices."""
        return [("asked", _("Help was asked for")), ("begun", _("Begun")), ("given", _("Given by the order desk"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
        """Return those requests, or all."""
        running = Q(decision="", ended_at=None)
        wanted = {
            "asked": ~Q(decision="approved")
            & Q(ended_at=None, desk_case__asked_at__isnull=False)
            & Q(desk_case__begun_at=None),
            "begun": running & Q(desk_case__begun_at__isnull=False, expires_at__gt=timezone.now()),
            "given": Q(desk_case__confirmed_at__isnull=False),
        }.get(self.value() or "", Q())
        return queryset.filter(wanted)


class EvidenceForm(forms.Form):
    """Asks for the evidence by which another operator decides."""

    evidence = forms.CharField(
        label=gettext_lazy("Evidence"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=gettext_lazy(
            "Whose organization it is, how you know, and how you tried to reach its administrators. Another operator "
            "decides by it; it is kept in the order’s history."
        ),
        error_messages={"required": gettext_lazy("Enter the evidence.")},
    )


@admin.register(AccessRequest, site=site)
class AccessRequestAdmin(Table, AdminOfRequest):
    """Requests for rights. Nothing is edited; the page of a request begins or confirms the order desk's way."""

    list_display = ("order", "organization", "requester", "right", "asked_at", "outcome", "help")
    list_filter = (HelpFilter,)
    search_fields = ("order__number", "requester__email")
    list_select_related = ("order", "organization", "requester", "desk_case")
    ordering = ("-pk",)
    actions = None

    @admin.display(description=gettext_lazy("What became of it"))
    def outcome(self, request: AccessRequest) -> str:
        """Return the state of the request, in words."""
        return outcome(request)

    @admin.display(description=gettext_lazy("The order desk’s help"))
    def help(self, request: AccessRequest) -> str:
        """Return the state of the order desk's help, in words."""
        return str(STATES[request.case.state.value]) if request.case else "–"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow it to nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Allow it to nobody."""
        return False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the history on the order's page."""
        asked = get_object_or_404(AccessRequest, pk=object_id)
        return redirect("admin:subscriptions_order_change", asked.order_id)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one request by GET; by POST begin to give the right, or confirm what another operator began."""
        pk = int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0
        asked = get_object_or_404(self.get_queryset(request).select_related(*self.list_select_related), pk=pk)
        may_change = self.has_change_permission(request, asked)
        if not may_change and not self.has_view_permission(request, asked):
            raise PermissionDenied
        begins = "begin" in request.POST
        form = EvidenceForm(request.POST if request.method == "POST" and begins else None)
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            if (again := recent_factor(request)) is not None:
                return again
            if not begins or form.is_valid():
                evidence = form.cleaned_data["evidence"] if begins else None
                begin_or_confirm(request, asked, evidence)
                return redirect("admin:provisioning_accessrequest_change", asked.pk)
        by = operator(request)
        case = asked.case
        may_begin = policies.desk_may_look_into(state=asked.state.value) and (case is None or case.begun_at is None)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Request for rights of order %(number)s") % {"number": asked.order.number},
            "opts": self.opts,
            "asked": asked,
            "case": case,
            "became": outcome(asked),
            "help": STATES[case.state.value] if case else "",
            "form": form,
            "days": settings.DESK_WAIT_DAYS,
            "lasts": policies.DESK_LASTS.days,
            "own": asked.requester_id == by.pk,
            "may_begin": may_change and may_begin and not asked.order.is_closed,
            "may_confirm": may_change
            and case is not None
            and case.state.value == "ready"
            and case.begun_by_id != by.pk,
            "began_it": case is not None and case.begun_by_id == by.pk,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/provisioning/accessrequest/change_form.html", context)


def outcome(request: AccessRequest) -> str:
    """Return the state of a request, in words."""
    return {
        AccessRequest.State.OPEN: _("Waiting for an administrator"),
        AccessRequest.State.EXPIRED: _("Nobody has answered"),
        AccessRequest.State.APPROVED: _("Approved"),
        AccessRequest.State.DECLINED: _("Declined"),
        AccessRequest.State.ENDED: _("No longer asked"),
        AccessRequest.State.LAPSED: _("The right has ended"),
        AccessRequest.State.TAKEN_BACK: _("Right taken back"),
    }[request.state]


def begin_or_confirm(request: HttpRequest, asked: AccessRequest, evidence: str | None) -> None:
    """Begin with this evidence, or confirm where it is None; add a message about the outcome."""
    by = operator(request)
    try:
        if evidence is not None:
            actions.begin_desk_case(request=asked, by=by, evidence=evidence)
            messages.success(request, _("Begun. The administrators of record were emailed and can object."))
        elif asked.case:
            actions.confirm_desk_case(case=asked.case, by=by)
            messages.success(request, _("The right is given. Who asked, and the administrators, were emailed."))
    except actions.SamePerson:
        messages.error(request, _("Another operator has to do this: nobody gives a right alone, or to themselves."))
    except actions.NoSupervisor:
        messages.error(request, _("One of the two operators has to be a supervisor: let a supervisor confirm it."))
    except actions.TooEarly:
        messages.error(request, _("The waiting time isn’t over: the administrators can still object."))
    except (actions.DeskMayNot, actions.ReasonMissing):
        messages.error(request, _("That can’t be done with this request any more: it is as you see it here."))
    except Refused as refused:
        messages.error(request, refusals.sentence(refused))
