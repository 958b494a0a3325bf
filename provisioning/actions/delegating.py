"""The partner and the customer's administrator set up together: handing back, and questions about a field."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from provisioning import emails, history
from provisioning.actions.access_decisions import ReasonMissing
from provisioning.actions.access_requests import is_full_administrator
from provisioning.actions.orders import refuse_closed
from provisioning.actions.planning import NotAnAdministrator
from provisioning.models import Event, Part, Question, User
from provisioning.people import links
from provisioning.people.access import May, access_to
from subscriptions.models import Order

# Open questions about one order: more help nobody.
MOST: Final = 20


class TooManyQuestions(Exception):
    """There are as many open questions about this order as there can be."""


@transaction.atomic
def hand_back(*, order: Order, by: User) -> Order:
    """Hand the set-up back to the customer's administrator it was taken over from, with every answer; twice is once.

    Raises Http404 for somebody who hasn't taken it over, NotAnAdministrator for a customer who no longer is one,
    Refused for a closed order.
    """
    access = access_to(by, order.number, lock=True)
    order = access.order
    refuse_closed(order)
    if order.delegated_to:
        return order
    access.require(May.HAND_BACK)
    former = access.former_delegate
    if former is None:
        raise Http404
    if order.customer is None or not is_full_administrator(email=former.user.email, public_id=order.customer.public_id):
        raise NotAnAdministrator
    part = Part.objects.create(order=order, user=former.user, role=Part.Role.DELEGATE)
    order.delegated_to = former.user.email
    order.save(update_fields=["delegated_to"])
    history.record(order=order, kind=Event.Kind.HANDED_BACK, by=by, facts={"to": former.user.email})
    emails.queue(order=order, event="setup_handed_back", to=former.user.email, link=links.issue(part=part))
    return order


@transaction.atomic
def ask_about(*, order: Order, by: User, step: str, field: str, about: str, text: str) -> Question:
    """Ask the other one about a field of a step (``field`` "": about the step), who gets an email with its address.

    ``about`` names it in words. Raises Http404 where nobody else sets up this order, ReasonMissing without a text,
    TooManyQuestions, Refused for a closed order.
    """
    access = access_to(by, order.number, lock=True)
    refuse_closed(access.order)
    access.require(May.DISCUSS)
    other = access.other_in_set_up
    if other is None:
        raise Http404
    text = text.strip()
    if not text:
        raise ReasonMissing
    if access.order.questions.filter(closed_at=None).count() >= MOST:
        raise TooManyQuestions
    question = Question.objects.create(order=access.order, step=step, field=field, about=about, text=text, asked_by=by)
    facts = {"to": other.user.email, "about": about, "text": text}
    history.record(order=access.order, kind=Event.Kind.QUESTION, by=by, facts=facts)
    _tell(question, event="question_asked", part=other)
    return question


@transaction.atomic
def close_question(*, question: Question, by: User, answer: str = "") -> Question:
    """Answer a question, as the other one; or close one's own, which needs no answer any more. Closed is closed.

    Raises Http404 for somebody who doesn't set up this order, ReasonMissing without an answer to somebody else's.
    """
    access = access_to(by, question.order.number, lock=True)
    refuse_closed(access.order)
    access.require(May.DISCUSS)
    question = Question.objects.select_for_update(of=("self",)).select_related("asked_by").get(pk=question.pk)
    if question.closed_at is not None:
        return question
    answer = answer.strip()
    own = question.asked_by_id == by.pk
    if not own and not answer:
        raise ReasonMissing
    question.closed_at, question.closed_by, question.answer = timezone.now(), by, "" if own else answer
    question.save(update_fields=["closed_at", "closed_by", "answer"])
    facts = {"about": question.about, "text": question.text, "answer": question.answer}
    history.record(order=access.order, kind=Event.Kind.ANSWERED, by=by, facts=facts)
    other = access.other_in_set_up
    if not own and other is not None and other.user_id == question.asked_by_id:
        _tell(question, event="question_answered", part=other)
    return question


def _tell(question: Question, *, event: str, part: Part) -> None:
    delegate = part.role == Part.Role.DELEGATE
    number = question.order.number
    path = reverse("set_up", args=[number, question.step]) if delegate else reverse("questions", args=[number])
    emails.queue(
        order=question.order,
        event=event,
        to=part.user.email,
        about=question.about,
        text=question.text,
        answer=question.answer,
        page=f"{settings.PUBLIC_URL}{path}",
    )
