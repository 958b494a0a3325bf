"""The order desk's pages of its operators and of their log, for supervisors."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from provisioning.desk.site import operator, recent_factor, site
from provisioning.history import operators_log
from provisioning.models import OperatorEvent, OperatorRole, User
from provisioning.people import operators, second_factor
from provisioning.rules import refusals
from subscriptions.rules.validation import Problem, Refused, clean_email

_PER_PAGE: Final = 100


@site.page("operators/", "operators")
def operators_page(request: HttpRequest) -> HttpResponse:
    """Who is an operator in which role. POST adds one, changes a role, or removes somebody's second factors."""
    by = _supervisor(request)
    if request.method == "POST":
        if (asked := recent_factor(request)) is not None:
            return asked
        _change(request, by)
        return redirect("admin:operators")
    people = User.objects.filter(is_staff=True, is_active=True).order_by("email")
    context = {
        **site.each_context(request),
        "title": _("Operators"),
        "people": [(each, each.operator_role, second_factor.factors_of(each)) for each in people],
        "roles": OperatorRole.choices,
        "me": by,
    }
    return TemplateResponse(request, "admin/operators.html", context)


def _change(request: HttpRequest, by: User) -> None:
    """Do what was posted, and add a message about it."""
    role = request.POST.get("role", "")
    try:
        if "forget" in request.POST:
            pk = request.POST["forget"]
            user = get_object_or_404(User, pk=int(pk) if pk.isdecimal() and len(pk) < 19 else 0, is_staff=True)
            operators.forget_second_factors(user=user, by=by)
            messages.success(request, _("%(person)s sets up a new second factor.") % {"person": user.email})
            return
        email = clean_email(request.POST.get("email", ""), Problem.CONTACT_EMAIL)
        if role and role not in OperatorRole.values:
            raise PermissionDenied
        operators.set_operator(email=email, role=OperatorRole(role) if role else None, by=by)
        messages.success(request, _("The role of %(person)s is changed.") % {"person": email})
    except operators.OwnRole:
        messages.error(request, _("Another supervisor has to do this: nobody changes their own role."))
    except Refused as refused:
        messages.error(request, refusals.sentence(refused))


@site.page("operators/log/", "operators_log")
def log(request: HttpRequest) -> HttpResponse:
    """What operators looked at and did, the newest first; of one operator with ``who``."""
    _supervisor(request)
    who = request.GET.get("who", "").strip().lower()
    events = OperatorEvent.objects.order_by("-position")
    page = Paginator(events.filter(who=who) if who else events, _PER_PAGE).get_page(request.GET.get("page"))
    context = {
        **site.each_context(request),
        "title": _("Operators’ log"),
        "lines": [(event, _label(event.kind), operators_log.sentence(event)) for event in page],
        "page": page,
        "who": who,
    }
    return TemplateResponse(request, "admin/operators_log.html", context)


def _label(kind: str) -> str:
    return str(OperatorEvent.Kind(kind).label) if kind in OperatorEvent.Kind.values else kind


def _supervisor(request: HttpRequest) -> User:
    """Return the supervisor who asks. Raises PermissionDenied for everybody else."""
    user = operator(request)
    if not user.is_supervisor:
        raise PermissionDenied
    return user
