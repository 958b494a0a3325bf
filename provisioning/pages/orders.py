"""The pages around the wizard: my orders, where an order stands, and its summary."""

from __future__ import annotations

import contextlib
import re
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from orgs import policies
from provisioning import actions
from provisioning.finder_gateway import response_padding
from provisioning.models import AccessRequest, Event, Part
from provisioning.pages import order_list, order_status, rights, task_list
from provisioning.pages.base import page, page_with_form, show
from provisioning.people.access import UNMAPPED, May, Role, access_to, access_to_request, person, request_to_decide
from provisioning.wizard import set_up_lookups
from provisioning.wizard.forms.access_requests import Decision, asked_too_often
from subscriptions.models import Order, was_begun
from subscriptions.rules.validation import Refused
from subscriptions.summary import build_summary, documents, pdf_cache


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the person's orders; who isn't signed in is asked to sign in there."""
    return redirect("my_orders")


@page
def my_orders(request: HttpRequest) -> HttpResponse:
    """The orders a person has a part in, what is theirs to do first: few with their tasks, many as a list to search."""
    user, asked = person(request), order_list.Asked.of(request.GET)
    context: dict[str, Any] = {"administers": rights.given_in_organizations_of(user).exists()}
    entries = None if asked else task_list.entries(user, most=order_list.FEW)
    if entries is None:
        return render(request, "pages/order_list.html", {**context, **order_list.context(user, asked)})
    context["same_partner"] = (
        sum(each.order.state == Order.State.PLACED and each.state == "next" for each in entries) > 1
    )
    return render(request, "pages/my_orders.html", {**context, "entries": entries})


@page
def order(request: HttpRequest, number: str) -> HttpResponse:
    """Lead to the page that fits the order's state and the person's part in it; to a request that waits for them."""
    access = access_to(request.user, number)
    asked = request_to_decide(access.user, number) if access.part.ended_at or access.role is Role.APPROVER else None
    return redirect(order_status.page_of(asked or access))


@page
def site_name(request: HttpRequest, number: str) -> HttpResponse:
    """Say while a person types whether the order can have a site of this name, as the step does when it is submitted.

    ``control`` is the name of the field that is typed in, under which its text comes; ``twice`` says that another field
    of the page has the same text.
    """
    access = access_to(request.user, number)
    access.require(May.SET_UP)
    control = request.GET.get("control", "meetings-site_name")
    if not re.fullmatch(r"meetings-site_name|additional-[0-9]{1,2}-name", control):
        raise Http404
    check = set_up_lookups.SetUpLookups(order=access.order).site_name(
        request.GET.get(control, ""), control=control, twice="twice" in request.GET
    )
    if check is None:
        raise Http404
    return render(request, "parts/set_up/site_name_answer.html", {"field": check.field, "available": check.url})


@page_with_form
def handed_over(request: HttpRequest, number: str) -> HttpResponse:
    """Who has the order now, and taking it back."""
    access = access_to(request.user, number)
    if access.role is not Role.FORMER_CONTACT:
        return redirect("order", number=number)
    if request.method == "POST":
        if access.may(May.TAKE_BACK):
            with contextlib.suppress(Refused):  # the order closed, or went on, since the line above
                actions.take_order_back(order=access.order, by=access.user)
        return redirect("order", number=number)
    if access.order.is_stopped:
        return redirect("order", number=number)
    current = access.order.parts.select_related("user").filter(role=Part.Role.CONTACT, ended_at=None).first()
    own = Part.objects.filter(given_by=access.part).select_related("user").order_by("pk").last()
    context = {
        "to": own.user.email if own else (current.user.email if current else ""),
        "typed": own is not None,
        "since": access.part.ended_at,
        "may_take_back": access.may(May.TAKE_BACK),
        "chain": order_status.chain(access),
    }
    return show(request, "pages/delegation/handed_over.html", access, **context)


@page_with_form
@response_padding.pad_post_time
def held(request: HttpRequest, number: str) -> HttpResponse:
    """What happens while the administrators decide, what they decided, and what else one can do; POST asks again."""
    with transaction.atomic():
        access = access_to(request.user, number, lock=request.method == "POST")
        order, asked = access.order, order_status.last_request(access)
        stopped = access.may(May.ASK_FOR_SET_UP)
        if access.role is not Role.CONTACT or asked is None or order.is_stopped:
            return redirect("order", number=number)
        if not (stopped or order.state in UNMAPPED):
            return redirect("order", number=number)
        added = actions.administers(order=order, user=access.user, public_id=asked.organization.public_id)
        if order.state != Order.State.HELD and not added and not stopped:
            return redirect("order", number=number)
        if request.method == "POST":
            try:
                if "ask_desk" in request.POST and asked.may_be_asked_again:
                    actions.ask_desk(order=order, by=access.user)
                    return redirect("held", number=number)
                if stopped:
                    actions.ask_for_set_up(order=order, by=access.user)
                elif not added and asked.may_be_asked_again:
                    actions.ask_administrators(
                        order=order,
                        by=access.user,
                        organization=asked.organization.public_id,
                        right=asked.right,
                        shown_name=asked.shown_name,
                    )
            except actions.AskedTooOften:
                messages.warning(request, asked_too_often())
            except Refused:
                pass  # the order closed since the line above
            return redirect("order" if stopped else "held", number=number)
    context = {
        "asked": asked,
        "state": asked.state.value,
        "stopped": stopped,
        "organization": asked.organization.name
        if added or stopped
        else set_up_lookups.organization_name_for_requester(asked),
        "added": added,
        "continue_url": reverse("find", args=[number]),
        "change_url": reverse("find", args=[number, "customer"]),
        "right_url": reverse("find", args=[number, "administrator"]),
        "hand_over_url": reverse("find", args=[number, "intent"]),
    }
    return show(request, "pages/rights/waiting_for_administrator.html", access, **context)


@page_with_form
def access_request(request: HttpRequest, number: str, request_id: UUID) -> HttpResponse:
    """A request for rights, for an administrator who was asked: who asks for what, and the decision by POST."""
    access = access_to_request(request.user, number, request_id)
    asked, may_decide = access.request, access.may(May.DECIDE)
    form = Decision(request.POST if request.method == "POST" and may_decide else None, right=asked.right)
    if request.method == "POST" and (not may_decide or form.is_valid()):
        if may_decide:
            reason = form.cleaned_data["reason"]
            with contextlib.suppress(actions.NoLongerAnAdministrator):  # an order that closed leaves it undecided
                asked = actions.decide(
                    request=asked, by=access.user, approve=form.approves, reason=reason, days=form.lasts
                )
        if asked.decided_by != access.user:
            messages.warning(request, _("What you just sent was not saved: the request is as you see it here."))
        return redirect("access_request", number=number, request_id=request_id)
    context = {
        "asked": asked,
        "allows": AccessRequest.Right(asked.right).allows,
        "state": asked.state.value,
        "form": form if may_decide else None,
        "is_administrator": access.is_administrator,
        "yours": asked.decided_by == access.user,
        "lasts": policies.PROVISIONING_LASTS.days,
        "case": asked.case if asked.case and asked.case.begun_at else None,
        **set_up_lookups.requester_facts(asked),
    }
    return show(request, "pages/rights/access_request.html", access, **context)


@page_with_form
def delegated(request: HttpRequest, number: str) -> HttpResponse:
    """Where the customer's set-up stands, and taking it over."""
    with transaction.atomic():
        access = access_to(request.user, number, lock=request.method == "POST", steps=True)
        if not access.may(May.TAKE_OVER):
            return redirect("order", number=number)
        if request.method == "POST":
            with contextlib.suppress(Refused):  # the order closed since the line above
                actions.take_over(order=access.order, by=access.user)
            return redirect("order", number=number)
    given = [Event.Kind.DELEGATED, Event.Kind.HANDED_BACK]
    event = access.order.events.filter(kind__in=given).last()
    context = {
        "delegate": access.order.delegated_to,
        "since": event.at if event else access.order.mapped_at,
        "customer": access.order.customer.name if access.order.customer else "",
        "progress": order_status.progress(access.order),
        "answered": order_status.answered(access.order),
        "open_questions": access.order.questions.filter(closed_at=None).count(),
    }
    return show(request, "pages/delegation/delegated.html", access, **context)


@page
def taken_over(request: HttpRequest, number: str) -> HttpResponse:
    """The partner took the set-up over from the customer's administrator."""
    access = access_to(request.user, number)
    if access.role is not Role.FORMER_DELEGATE or access.order.is_stopped:
        return redirect("order", number=number)
    return show(request, "pages/delegation/taken_over.html", access, since=access.part.ended_at)


@page
def postponed(request: HttpRequest, number: str) -> HttpResponse:
    """*Set up later*: nothing is provisioned, everything is kept."""
    access = access_to(request.user, number)
    if access.order.state != Order.State.MAPPED or not access.may(May.SET_UP):
        return redirect("order", number=number)
    return show(request, "pages/postponed.html", access, url=reverse("set_up", args=[number]))


@page
def cancelled(request: HttpRequest, number: str) -> HttpResponse:
    """The order was cancelled: whom to ask."""
    access = access_to(request.user, number)
    if access.order.state != Order.State.CANCELLED or access.role is Role.APPROVER:
        return redirect("order", number=number)
    return show(request, "pages/cancelled.html", access, begun=was_begun(access.order))


@page
def closed(request: HttpRequest, number: str) -> HttpResponse:
    """The set-up-by date has passed: what is kept, and who can give more time."""
    access = access_to(request.user, number)
    if not access.order.is_closed or access.role is Role.APPROVER:
        return redirect("order", number=number)
    return show(request, "pages/closed.html", access, acts=access.role in {Role.CONTACT, Role.DELEGATE})


@page
def on_hold(request: HttpRequest, number: str) -> HttpResponse:
    """The order desk holds the order: what is kept, and what happens next."""
    access = access_to(request.user, number)
    if not access.order.is_on_hold or access.role is Role.APPROVER:
        return redirect("order", number=number)
    return show(request, "pages/on_hold.html", access, acts=access.role in {Role.CONTACT, Role.DELEGATE})


@page
def order_summary(request: HttpRequest, number: str) -> HttpResponse:
    """What was set up, with the download."""
    access = access_to(request.user, number)
    if access.may(May.SEE_PROGRESS) or not access.may(May.READ_SUMMARY):
        return redirect("order", number=number)
    pdf_cache.warm_up()  # the next request is likely the one for the PDF
    seen = documents.seen_by(build_summary(access.order), access.user.email)
    return show(request, "pages/documents/summary.html", access, summary=seen, full_right=rights.full_right(access))
