"""The partner and the customer's administrator set up together: taking over, handing back, asking about a field."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.http import Http404
from django.test import Client

from orgs.models import Member
from provisioning import actions
from provisioning.models import Event, Mail, Part, Question
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import a_delegated_order, a_mapped_order, an_order, signed_in
from tests.mailbox import link_in, newest

pytestmark = pytest.mark.django_db

SAM, DANA, EVE = "sam@partner.example.net", "it@contoso.example.org", "eve@elsewhere.example"


def half_set_up() -> Order:
    """Dana, to whom Sam delegated, has answered Meetings."""
    order = a_delegated_order(contact=SAM, customer_email=DANA)
    wizard = Wizard(signed_in(DANA), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    assert wizard.at == "review"
    return order


def page(client: Client, order: Order, name: str = "") -> str:
    return client.get(f"/orders/{order.number}/{name}", follow=True).text


def test_partner_takes_over_and_hands_back_and_the_customer_goes_on_with_every_answer() -> None:
    order = half_set_up()
    sam = signed_in(SAM)
    actions.take_over(order=order, by=links.user_for(SAM))
    text = page(sam, order, "services/meetings/")
    assert "i•••@contoso.example.org answered this step" in text
    assert "Hand the set-up back to your customer" in text
    assert "it@contoso.example.org gets an email" in page(sam, order, "hand-back/")
    text = sam.post(f"/orders/{order.number}/hand-back/", follow=True).text
    assert "Your customer sets up the services" in text
    sam.post(f"/orders/{order.number}/hand-back/")
    order.refresh_from_db()
    assert order.delegated_to == DANA
    assert Part.objects.filter(order=order, role="delegate", ended_at=None).count() == 1
    message = newest(DANA)
    assert "hands it back to you" in message.body
    dana = signed_in(DANA)
    assert dana.get(link_in(message)).status_code == 200
    wizard = Wizard(dana, order, "set_up")
    wizard.open()
    assert wizard.at == "review"
    wizard.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    kinds = Event.objects.filter(order=order, kind__in=["delegated", "taken_over", "handed_back"])
    assert list(kinds.values_list("kind", flat=True)) == ["delegated", "taken_over", "handed_back"]


def test_set_up_is_handed_back_to_an_administrator_only() -> None:
    order = half_set_up()
    actions.take_over(order=order, by=links.user_for(SAM))
    Member.objects.filter(email=DANA).update(role=Member.Role.USER)
    text = signed_in(SAM).post(f"/orders/{order.number}/hand-back/", follow=True).text
    assert "no longer administers the organization" in text
    order.refresh_from_db()
    assert order.delegated_to == ""


def test_who_never_took_over_hands_nothing_back() -> None:
    own = a_mapped_order(contact="kim@contoso.example.org", customer=None)
    with pytest.raises(Http404):
        actions.hand_back(order=own, by=links.user_for("kim@contoso.example.org"))
    order = half_set_up_by_another_name()
    actions.take_over(order=order, by=links.user_for(SAM))
    for who in (DANA, EVE):
        with pytest.raises(Http404):
            actions.hand_back(order=order, by=links.user_for(who))


def half_set_up_by_another_name() -> Order:
    return a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA)


def test_partner_sees_what_is_answered_by_whom_and_asks_about_a_field() -> None:
    order = half_set_up()
    sam, dana = signed_in(SAM), signed_in(DANA)
    text = page(sam, order)
    for fact in ("What is answered so far", "contoso", "Ask about this", "answered this"):
        assert fact in text
    questions = f"/orders/{order.number}/questions/"
    assert "Error:" in sam.post(questions, {"subject": "meetings.time_zone", "text": ""}).text
    assert "Select what your question is about" in sam.post(questions, {"subject": "x.y", "text": "?"}).text
    answer = sam.post(questions, {"subject": "meetings.time_zone", "text": "Is it <Berlin>?"}, follow=True).text
    assert "Your question is on its way" in answer
    question = Question.objects.get()
    assert (question.step, question.field, question.asked_by.email) == ("meetings", "time_zone", SAM)
    message = newest(DANA)
    assert f"/orders/{order.number}/services/meetings/" in message.body
    assert "Is it <Berlin>?" in message.body
    text = page(dana, order, "services/meetings/")
    assert "Is it &lt;Berlin&gt;?" in text
    assert "Answer this question" in text
    assert "1 open" in page(sam, order)

    assert "Enter your answer" in dana.post(questions, {"question": question.pk, "answer": " "}).text
    dana.post(questions, {"question": question.pk, "answer": "Yes."})
    question.refresh_from_db()
    assert (question.answer, question.closed_by and question.closed_by.email) == ("Yes.", DANA)
    assert "Is it" not in page(dana, order, "services/meetings/")
    assert "Yes." in newest(SAM).body
    assert "Yes." in page(sam, order, "questions/")
    dana.post(questions, {"question": question.pk, "answer": "No."})
    assert Question.objects.get().answer == "Yes."
    told = page(sam, order, "history/")
    assert "Is it &lt;Berlin&gt;?" in told
    assert "Yes." in told


def test_customer_asks_too_and_who_asked_may_close_the_question() -> None:
    order = half_set_up()
    dana = signed_in(DANA)
    questions = f"/orders/{order.number}/questions/"
    dana.post(questions, {"subject": "meetings", "text": "Do we need more sites?"})
    assert f"/orders/{order.number}/questions/" in newest(SAM).body
    question = Question.objects.get()
    dana.post(questions, {"question": question.pk, "answer": "I answer myself."})
    question.refresh_from_db()
    assert (question.answer, question.closed_by and question.closed_by.email) == ("", DANA)
    assert not Mail.objects.filter(event="question_answered").exists()


def test_questions_are_the_two_people_s_only() -> None:
    order = half_set_up()
    sam = links.user_for(SAM)
    asked = {"step": "meetings", "field": "", "about": "Meeting setup", "text": "Hm?"}
    question = actions.ask_about(order=order, by=sam, **asked)
    eve = signed_in(EVE)
    assert eve.get(f"/orders/{order.number}/questions/").status_code == 404
    assert eve.post(f"/orders/{order.number}/questions/", {"question": question.pk}).status_code == 404
    other = half_set_up_by_another_name()
    answer = signed_in(DANA).post(f"/orders/{other.number}/questions/", {"question": question.pk, "answer": "x"})
    assert answer.status_code == 404
    with pytest.raises(Http404):
        actions.ask_about(order=order, by=links.user_for(EVE), **asked)
    with pytest.raises(Http404):
        actions.close_question(question=question, by=links.user_for(EVE), answer="x")
    assert Question.objects.get().closed_at is None


def test_as_many_questions_as_help() -> None:
    order = half_set_up()
    sam = links.user_for(SAM)
    asked = {"step": "meetings", "field": "", "about": "Meeting setup", "text": "Hm?"}
    for _number in range(20):
        actions.ask_about(order=order, by=sam, **asked)
    with pytest.raises(actions.TooManyQuestions):
        actions.ask_about(order=order, by=sam, **asked)
    sent = {"subject": "meetings", "text": "One more?"}
    assert "many open questions" in signed_in(SAM).post(f"/orders/{order.number}/questions/", sent, follow=True).text


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("question_closed_says_who_and_when", {"answer": "x"}),
        ("question_answered_by_the_other", {"answer": "x", "by": SAM}),
        ("question_has_a_text", {"text": ""}),
    ],
)
def test_database_refuses_half_an_answer(constraint: str, change: dict[str, Any]) -> None:
    order = half_set_up()
    sam = links.user_for(SAM)
    actions.ask_about(order=order, by=sam, step="meetings", field="", about="Meeting setup", text="Hm?")
    if by := change.pop("by", None):
        change |= {"closed_by": links.user_for(by), "closed_at": order.placed_at}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Question.objects.update(**change)


def test_everybody_who_had_the_order_sees_the_chain() -> None:
    order = an_order(contact=SAM)
    alex, jo = "alex@partner.example.net", "jo@partner.example.net"
    actions.hand_over(order=order, by=links.user_for(SAM), email=alex)
    actions.hand_over(order=order, by=links.user_for(alex), email=jo)
    seen = page(signed_in(SAM), order, "handed-over/").partition("Who had the order")[2].partition("</ol>")[0]
    assert [who in seen for who in (SAM, alex, jo, "j•••@partner.example.net")] == [True, True, False, True]
    seen = page(signed_in(alex), order, "handed-over/").partition("Who had the order")[2].partition("</ol>")[0]
    assert [who in seen for who in ("s•••@partner.example.net", alex, jo)] == [True, True, True]


def test_set_up_is_taken_over_and_put_off_only_by_who_may() -> None:
    """The actions ask for the permission themselves, whoever calls them."""
    order = half_set_up()
    events = order.events.count()
    for email in (DANA, EVE):
        with pytest.raises(Http404):
            actions.take_over(order=order, by=links.user_for(email))
    for email in (SAM, EVE):  # the customer has the set-up
        with pytest.raises(Http404):
            actions.postpone(order=order, by=links.user_for(email))
    order.refresh_from_db()
    assert order.delegated_to == DANA
    assert order.events.count() == events
    actions.postpone(order=order, by=links.user_for(DANA))
    assert order.events.count() == events + 1
