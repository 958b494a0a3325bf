"""Rights that a request gave: asking for full rights after the set-up, and what administrators see and take back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from orgs.actions import LastAdministrator
from orgs.models import Organization
from provisioning import actions
from provisioning.finder_gateway import response_padding
from provisioning.models import AccessRequest, User
from provisioning.pages import order_status
from provisioning.pages.base import page, page_with_form
from provisioning.people.access import Access, May, access_to, organization_of, organizations_of, person
from provisioning.wizard.forms.access_requests import TakeBack, asked_too_often


def given_in_organizations_of(user: User) -> QuerySet[Organization]:
    """Return the organizations that this person administers in which a request gave somebody a right, then or now."""
    either = Q(pk__in=_given().values("organization")) | Q(pk__in=_running().values("organization"))
    return organizations_of(user).filter(either)


def full_right(access: Access) -> dict[str, Any] | None:
    """Return what the summary page shows of full rights: ``asked`` (the request, if any), ``state`` and ``name``.

    None for somebody who has no need to ask: who administers the organization, or wasn't a provisioning administrator.
    """
    if not access.may(May.ASK_FOR_FULL_RIGHT) or access.order.customer is None:
        return None
    customer = access.order.customer
    asked = order_status.last_request(access)
    asked = asked if asked and asked.after_set_up else None
    added = actions.is_full_administrator(email=access.user.email, public_id=customer.public_id)
    if added and not asked:
        return None
    state = "added" if added else asked.state.value if asked else "none"
    return {"asked": asked, "state": state, "name": customer.name}


@page_with_form
@response_padding.pad_post_time
def ask_for_full_right(request: HttpRequest, number: str) -> HttpResponse:
    """Ask the customer's administrators for full rights, by POST; the summary page shows what became of it."""
    access = access_to(request.user, number)
    if request.method == "POST" and access.may(May.ASK_FOR_FULL_RIGHT):
        try:
            actions.ask_for_full_right(order=access.order, by=access.user)
        except actions.AskedTooOften:
            messages.warning(request, asked_too_often())
        except Http404:
            pass  # they are an administrator by now: the summary says so
    return redirect("order", number=number)


@page
def organizations(request: HttpRequest) -> HttpResponse:
    """The organizations that the reader administers in which somebody has, or had, a right by request."""
    found = list(given_in_organizations_of(person(request)).order_by("name", "pk"))
    if len(found) == 1:
        return redirect("rights", found[0].public_id)
    return render(request, "pages/rights/organizations.html", {"organizations": found})


@page
def rights(request: HttpRequest, organization: UUID) -> HttpResponse:
    """Rights given by request in one organization: who, which, since when, until when, for which order, by whom."""
    found = organization_of(person(request), organization)
    given = _given().filter(organization=found).order_by("-decided_at", "-pk")
    context = {"organization": found, "given": given, "running": _running().filter(organization=found)}
    return render(request, "pages/rights/organization.html", context)


@page_with_form
def right(request: HttpRequest, organization: UUID, request_id: UUID) -> HttpResponse:
    """One right, and taking it back by POST with a reason."""
    found: Organization = organization_of(person(request), organization)
    given = get_object_or_404(_given(), organization=found, public_id=request_id)
    own = given.requester_id == person(request).pk
    may = given.right_stands and not own
    form = TakeBack(request.POST if request.method == "POST" and may else None)
    if request.method == "POST" and (not may or form.is_valid()):
        if may:
            try:
                actions.take_right_back(request=given, by=person(request), reason=form.cleaned_data["reason"])
            except LastAdministrator:
                messages.error(request, _("Nobody else is a full administrator, so this right can’t be taken back."))
        elif own:
            messages.error(request, _("This is your own right: another full administrator has to take it back."))
        return redirect("right", organization, request_id)
    context = {"organization": found, "given": given, "form": form if may else None, "own": own}
    return render(request, "pages/rights/take_back.html", context)


def _given() -> QuerySet[AccessRequest]:
    """Return the requests that were approved, with everybody who is named on the pages."""
    people = ("requester", "decided_by", "taken_back_by", "desk_case")
    return AccessRequest.objects.filter(decision=AccessRequest.Decision.APPROVED).select_related("order", *people)


def _running() -> QuerySet[AccessRequest]:
    """Return the requests that the order desk looks into, and that every full administrator can decide."""
    running = AccessRequest.objects.filter(desk_case__begun_at__isnull=False, decision="", ended_at=None)
    return running.filter(expires_at__gt=timezone.now()).select_related("order", "requester")
