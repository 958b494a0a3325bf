"""What an operator does with one order or many at once: a page says what happens to each, then does it, order by order.

Every act can be sent twice: what is done already stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import actions
from provisioning.desk.deadlines import MOST_AT_ONCE
from provisioning.desk.site import operator
from provisioning.models import Part, User
from provisioning.rules import refusals
from provisioning.templatetags.display import day
from provisioning.wizard.forms.fields import EmailField
from subscriptions.models import UNFINISHED, Order
from subscriptions.rules.validation import Problem, Refused

State = Order.State


class ReasonForm(forms.Form):
    """Why orders are put on hold, and what their people read."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("For the order desk. Kept in each order’s history."),
        error_messages={"required": refusals.SENTENCES[Problem.REASON]},
    )
    message = forms.CharField(
        label=gettext_lazy("What the people of the order read"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Optional, besides that the order is on hold and goes on where it was."),
    )


class ContactForm(forms.Form):
    """Who completes the orders from now on."""

    contact_email = EmailField(
        label=gettext_lazy("New provisioning contact"), expected=refusals.SENTENCES[Problem.CONTACT_EMAIL]
    )


class OwnerForm(forms.Form):
    """Which operator looks after the orders."""

    owner = forms.ChoiceField(label=gettext_lazy("Looked after by"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        operators = User.objects.filter(is_staff=True, is_active=True).order_by("email")
        self.fields["owner"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", _("Nobody")),
            *((email, email) for email in operators.values_list("email", flat=True)),
        ]


class NoteForm(forms.Form):
    """A note for the order desk."""

    text = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("Only the order desk reads it, in the order’s history. It can’t be changed later."),
        error_messages={"required": refusals.SENTENCES[Problem.NOTE]},
    )


@dataclass(frozen=True)
class Told:
    """One order, and what happens to it: a sentence, and whether the act is refused or has nothing to do."""

    order: Order
    sentence: str
    is_refused: bool = False


class Act(NamedTuple):
    """An act and its words (translated when they are shown).

    ``refusal`` says why an order can't have it, "" for that there is nothing to do, or None. ``effect`` says what
    happens to an order, given the addresses that get an email. ``do`` gets the order, the operator, what was entered,
    and when the page was shown.
    """

    title: Any
    explanation: Any
    button: Any
    done: Any
    do: Callable[[Order, User, Mapping[str, Any], datetime], object]
    refusal: Callable[[Order], Problem | str | None]
    effect: Callable[[Order, str], str]
    form: type[forms.Form] | None = None


_TOO_LATE: Final = {
    State.CANCELLED.value: Problem.CANCELLED,
    State.SET_UP.value: Problem.ALREADY_SET_UP,
    State.MAPPED.value: Problem.ALREADY_MAPPED,
    State.SETTING_UP.value: Problem.BEING_SET_UP,
}


def _resend_refusal(order: Order) -> Problem | str | None:
    if order.state == State.CANCELLED:
        return Problem.CANCELLED
    return Problem.CLOSED if order.is_closed else Problem.ON_HOLD if order.is_on_hold else None


def _cancel_refusal(order: Order) -> Problem | str | None:
    return "" if order.state == State.CANCELLED else Problem.ALREADY_SET_UP if order.state == State.SET_UP else None


def _contact_refusal(order: Order) -> Problem | str | None:
    return Problem.CLOSED if order.is_closed else _TOO_LATE.get(order.state)


def _hold_refusal(order: Order) -> Problem | str | None:
    if order.state not in UNFINISHED:
        return _TOO_LATE.get(order.state)
    return "" if order.is_on_hold else Problem.CLOSED if order.is_closed else None


def _cancel_effect(order: Order, people: str) -> str:
    if order.state == State.SETTING_UP:
        return _("It is cancelled, and what exists outside is deleted there. %(people)s gets an email.") % {
            "people": people
        }
    return _("It is cancelled, and its links end. %(people)s gets an email.") % {"people": people}


def _release_effect(order: Order, people: str) -> str:
    if order.on_hold_at is None:
        return ""
    until = order.closes_at + (timezone.now() - order.on_hold_at)
    words = {"people": people, "day": day(until)}
    return _("It goes on where it was, and has to be set up by %(day)s. %(people)s gets an email.") % words


ACTS: Final[dict[str, Act]] = {
    "resend": Act(
        gettext_lazy("Send the links again?"),
        gettext_lazy("Whoever has to act now gets an email with a new link; the link before it stops working."),
        gettext_lazy("Send the links again"),
        gettext_lazy("The link is on its way."),
        lambda order, by, _data, shown: actions.resend_link(order=order, by=by, unless_sent_since=shown),
        _resend_refusal,
        lambda _order, people: _("%(people)s gets an email with a new link.") % {"people": people},
    ),
    "contact": Act(
        gettext_lazy("Change the provisioning contact?"),
        gettext_lazy(
            "The new contact gets the welcome email. Links of the contact before end, and so does their part."
        ),
        gettext_lazy("Change the contact"),
        gettext_lazy("The contact is changed."),
        lambda order, by, data, _shown: actions.correct_order(order=order, by=by, contact_email=data["contact_email"]),
        _contact_refusal,
        lambda order, _people: (
            _("Its contact is %(email)s now, and will be the new one.") % {"email": order.contact_email}
        ),
        ContactForm,
    ),
    "hold": Act(
        gettext_lazy("Put on hold?"),
        gettext_lazy(
            "Nobody but the order desk can do anything with the orders until they are released. Every answer is kept, "
            "and the time until the set-up-by date stands still."
        ),
        gettext_lazy("Put on hold"),
        gettext_lazy("It is on hold."),
        lambda order, by, data, _shown: actions.put_on_hold(
            order=order, by=by, reason=data["reason"], message=data["message"]
        ),
        _hold_refusal,
        lambda _order, _people: _("It stops. Its people read it when they open the order."),
        ReasonForm,
    ),
    "release": Act(
        gettext_lazy("Release the hold?"),
        gettext_lazy("The orders go on where they were, with as much time as they had left."),
        gettext_lazy("Release the hold"),
        gettext_lazy("It goes on."),
        lambda order, by, _data, _shown: actions.end_hold(order=order, by=by),
        lambda order: None if order.on_hold_at and order.state in UNFINISHED else "",
        _release_effect,
    ),
    "owner": Act(
        gettext_lazy("Who looks after them?"),
        gettext_lazy("An operator looks after an order for the order desk. Nothing is sent to anybody."),
        gettext_lazy("Save"),
        gettext_lazy("Saved."),
        lambda order, by, data, _shown: actions.set_desk_owner(order=order, by=by, owner=data["owner"]),
        lambda _order: None,
        lambda order, _people: (
            _("Looked after by %(email)s now.") % {"email": order.desk_owner}
            if order.desk_owner
            else _("Looked after by nobody now.")
        ),
        OwnerForm,
    ),
    "note": Act(
        gettext_lazy("Add a note"),
        gettext_lazy("Only the order desk reads notes."),
        gettext_lazy("Add the note"),
        gettext_lazy("The note is added."),
        lambda order, by, data, shown: actions.add_note(
            order=order, by=by, text=data["text"], unless_noted_since=shown
        ),
        lambda _order: None,
        lambda _order, _people: _("It gets the note."),
        NoteForm,
    ),
    "cancel": Act(
        gettext_lazy("Cancel the orders?"),
        gettext_lazy(
            "Nobody can complete them any more, and their links say that they were cancelled. This can't be undone."
        ),
        gettext_lazy("Cancel the orders"),
        gettext_lazy("It is cancelled."),
        lambda order, by, _data, _shown: actions.cancel_order(order=order, by=by),
        _cancel_refusal,
        _cancel_effect,
    ),
}


def page(request: HttpRequest, what: str, *, site: admin.AdminSite, opts: Any) -> HttpResponse:
    """Say by GET what the act does to each chosen order; by POST do it, and say what became of each."""
    act = ACTS[what]
    chosen = [int(pk) for pk in request.GET.getlist("order")[:MOST_AT_ONCE] if re.fullmatch("[0-9]{1,18}", pk)]
    orders = list(Order.objects.filter(pk__in=chosen).order_by("number"))
    form = act.form(request.POST or None) if act.form else None
    posted = request.method == "POST" and bool(orders) and (form is None or form.is_valid())
    told = _do(request, act, orders, form) if posted else _plan(act, orders)
    if posted and len(orders) == 1:
        (one,) = told
        level = messages.ERROR if one.is_refused else messages.SUCCESS
        messages.add_message(request, level, f"{one.order.number}: {one.sentence}")
        return redirect("admin:subscriptions_order_change", one.order.pk)
    context = {
        **site.each_context(request),
        "title": str(act.title),
        "act": act,
        "told": told,
        "refused": sum(each.is_refused for each in told),
        "is_done": posted,
        "form": form,
        "shown_at": request.POST.get("shown_at") or timezone.now().isoformat(),
        "opts": opts,
    }
    return TemplateResponse(request, "admin/subscriptions/order/act.html", context)


def _plan(act: Act, orders: Iterable[Order]) -> list[Told]:
    orders = list(orders)
    current = Part.objects.filter(order__in=orders, ended_at=None, access_request=None).select_related("user")
    people: dict[int, str] = {}
    # "contact" comes before "delegate": where the customer has the set-up, they get the email.
    for part in current.order_by("role"):
        people[part.order_id] = part.user.email
    return [_planned(act, order, people.get(order.pk, order.contact_email)) for order in orders]


def _planned(act: Act, order: Order, people: str) -> Told:
    refusal = act.refusal(order)
    if refusal is None:
        return Told(order, act.effect(order, people))
    if not refusal:
        return Told(order, _("Nothing changes: it is so already."), is_refused=False)
    return Told(order, refusals.sentence(Refused(refusal)), is_refused=True)


def _do(request: HttpRequest, act: Act, orders: Iterable[Order], form: forms.Form | None) -> list[Told]:
    try:
        shown = datetime.fromisoformat(request.POST.get("shown_at", ""))
        shown = shown if shown.tzinfo else timezone.make_aware(shown)
    except ValueError:
        shown = timezone.now()
    data, by, told = form.cleaned_data if form else {}, operator(request), []
    for order in orders:
        if act.refusal(order) == "":
            told.append(Told(order, _("Nothing changes: it is so already.")))
            continue
        try:
            act.do(order, by, data, shown)
        except Refused as refused:
            told.append(Told(order, refusals.sentence(refused), is_refused=True))
        else:
            told.append(Told(order, str(act.done)))
    return told
