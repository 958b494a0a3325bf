"""The partner and the customer's administrator set up together: handing back, and questions about a field."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import actions
from provisioning.pages import order_status
from provisioning.pages.base import page_with_form, show
from provisioning.people.access import May, access_to
from provisioning.wizard.forms.base import FieldsForm
from provisioning.wizard.forms.choice_fields import ChoiceField
from provisioning.wizard.forms.fields import TextField
from subscriptions.rules.validation import Refused

Subjects = Sequence[tuple[str, Sequence[tuple[str, str]]]]


class QuestionForm(FieldsForm):
    """Which field, and what about it. ``subjects`` are (step's label, [("step" or "step.field", label)])."""

    subject = ChoiceField(
        label=gettext_lazy("What is it about?"), expected=gettext_lazy("Select what your question is about")
    )
    text = TextField(
        label=gettext_lazy("Your question"),
        expected=gettext_lazy("Enter your question"),
        max_length=1000,
        multiline=True,
    )

    def __init__(self, *args: Any, subjects: Subjects, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subjects = subjects
        self.fields["subject"].choices = [("", _("Select a field")), *subjects]  # type: ignore[attr-defined]

    @property
    def asked(self) -> dict[str, str]:
        """Return the valid answer: step, field ("" for the whole step), about (in words) and text."""
        chosen: str = self.cleaned_data["subject"]
        step, _dot, field = chosen.partition(".")
        heading, words = next(
            (heading, dict(options)[chosen]) for heading, options in self.subjects if chosen in dict(options)
        )
        about = f"{heading}: {words}" if field else heading
        return {"step": step, "field": field, "about": about, "text": self.cleaned_data["text"]}


class AnswerForm(FieldsForm):
    """The answer to somebody else's question."""

    answer = TextField(
        label=gettext_lazy("Your answer"), expected=gettext_lazy("Enter your answer"), max_length=1000, multiline=True
    )


@page_with_form
def hand_back(request: HttpRequest, number: str) -> HttpResponse:
    """Handing the set-up back to the customer's administrator: GET asks, POST does it."""
    with transaction.atomic():
        access = access_to(request.user, number, lock=request.method == "POST")
        if not access.may(May.HAND_BACK):
            return redirect("order", number=number)
        if request.method == "POST":
            try:
                actions.hand_back(order=access.order, by=access.user)
            except actions.NotAnAdministrator:
                messages.error(
                    request, _("This person no longer administers the organization, so you go on with the set-up.")
                )
            except Refused:
                pass  # the order closed since the line above
            return redirect("order", number=number)
    return show(request, "pages/delegation/hand_back.html", access, to=access.former_delegate)


@page_with_form
def questions(request: HttpRequest, number: str) -> HttpResponse:
    """What is asked about fields of the set-up: asking, answering and closing by POST."""
    access = access_to(request.user, number)
    if not access.may(May.DISCUSS) or (access.other_in_set_up is None and not access.order.questions.exists()):
        return redirect("order", number=number)
    subjects = order_status.subjects(access.order)
    about = request.GET.get("about", "")
    form, answering = QuestionForm(None, subjects=subjects, initial={"subject": about}), None
    if request.method == "POST" and "question" in request.POST:
        pk = str(request.POST["question"])
        question = get_object_or_404(access.order.questions, pk=int(pk) if pk.isdecimal() and len(pk) < 19 else 0)
        answering = AnswerForm(request.POST)
        own = question.asked_by_id == access.user.pk
        if own or answering.is_valid():
            text = "" if own else answering.cleaned_data["answer"]
            with contextlib.suppress(Refused):
                actions.close_question(question=question, by=access.user, answer=text)
            return redirect("questions", number=number)
    elif request.method == "POST":
        form = QuestionForm(request.POST, subjects=subjects)
        if access.other_in_set_up is None:
            return redirect("questions", number=number)
        if form.is_valid():
            try:
                actions.ask_about(order=access.order, by=access.user, **form.asked)
                messages.success(request, _("Your question is on its way by email."))
            except actions.TooManyQuestions:
                messages.error(request, _("There are many open questions: have some answered first."))
            except Refused:
                pass
            return redirect("questions", number=number)
    asked = list(access.order.questions.select_related("asked_by", "closed_by").order_by("-pk"))
    return show(
        request,
        "pages/delegation/questions.html",
        access,
        open=[question for question in asked if question.closed_at is None],
        closed=[question for question in asked if question.closed_at is not None],
        form=form if access.other_in_set_up else None,
        answering=answering,
        other=access.other_in_set_up,
        may_set_up=access.may(May.SET_UP),
    )
