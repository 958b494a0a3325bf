"""Where an organization's administrators can't be reached: two operators of the order desk, and a waiting time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import Http404
from django.test import Client
from django.utils import timezone

from orgs.models import Member
from provisioning import actions
from provisioning.models import AccessRequest, DeskCase, Event, Mail, User
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import signed_in
from tests.mailbox import link_in, newest
from tests.provisioning.actions.test_concurrency import at_once
from tests.provisioning.people.test_access_requests import BOSS, CHIEF, KIM, asks, contoso, decides, page_of

pytestmark = pytest.mark.django_db

OLGA, OMAR = "olga@vendor.example", "omar@vendor.example"
EVIDENCE = "The trade register names Kim; both administrators have left."


def operator(email: str) -> Client:
    User.objects.filter(pk=links.user_for(email).pk).update(is_staff=True, is_superuser=True)
    return signed_in(email)


def page() -> str:
    return f"/admin/provisioning/accessrequest/{AccessRequest.objects.latest('pk').pk}/change/"


def nobody_answers(right: str = "provisioning") -> Wizard:
    wizard = asks(right=right)
    AccessRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    return wizard


def begins(who: str = OLGA, evidence: str = EVIDENCE) -> str:
    return operator(who).post(page(), {"begin": "1", "evidence": evidence}, follow=True).text


def confirms(who: str = OMAR) -> str:
    return operator(who).post(page(), {"confirm": "1"}, follow=True).text


def later(days: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(days=days), tick=False)


@pytest.mark.parametrize("right", ["provisioning", "full"])
def test_two_operators_and_a_week_give_the_right_that_was_asked_for_and_the_order_goes_on(right: str) -> None:
    organization = contoso(BOSS, CHIEF)
    wizard = nobody_answers(right)
    held = f"/orders/{wizard.order.number}/held/"
    assert "Ask the order desk for help" in wizard.client.get(held).text
    answer = wizard.client.post(held, {"ask_desk": "1"}, follow=True).text
    assert "The order desk is looking into it" in answer
    assert "Ask the order desk for help" not in answer
    wizard.client.post(held, {"ask_desk": "1"})
    asked = Mail.objects.get(event="desk_asked")
    assert asked.to == settings.HELP_CONTACT
    assert page() in newest(settings.HELP_CONTACT).body

    olga = operator(OLGA)
    assert "Help was asked for" in olga.get("/admin/provisioning/accessrequest/?help=asked").text
    assert "Email the administrators and wait" in olga.get(page()).text
    assert "Enter the evidence." in begins(evidence=" ")
    assert "Begun." in begins()
    begins()
    case = DeskCase.objects.get()
    assert (case.begun_by and case.begun_by.email, case.evidence) == (OLGA, EVIDENCE)
    assert case.waits_until == case.begun_at + timedelta(days=settings.DESK_WAIT_DAYS)  # type: ignore[operator]
    for boss in (BOSS, CHIEF):
        message = newest(boss)
        assert message.subject == f"Order {wizard.order.number}: do you object to a right for {KIM}?"
        assert "The order desk may give this right" in signed_in(boss).post(link_in(message), follow=True).text
    assert Mail.objects.filter(event="desk_began").count() == 2
    text = wizard.client.get(held).text
    assert "The order desk is looking into it" in text
    for secret in (EVIDENCE, OLGA, BOSS):
        assert secret not in text

    assert "The waiting time isn’t over" in confirms()
    with later(6.9):
        assert "The waiting time isn’t over" in confirms()
    with later(7.1):
        assert "another operator has to give the right" in operator(OLGA).get(page()).text
        assert "Another operator has to do this" in confirms(OLGA)
        assert AccessRequest.objects.get().decision == ""
        assert "The right is given." in confirms()
        confirms()
        request = AccessRequest.objects.get()
        assert (request.decision, request.by_desk) == ("approved", True)
        assert request.right_ends_at == timezone.now() + timedelta(days=30)
        kim = signed_in(KIM)
        message = newest(KIM)
        assert "the order desk gave you this right" in message.body
        kim.post(link_in(message))
        assert actions.administers(order=wizard.order, user=links.user_for(KIM), public_id=organization.public_id)
        assert Order.objects.get().state == Order.State.PLACED
        for boss in (BOSS, CHIEF):
            assert "The order desk gave somebody a right in Contoso" in newest(boss).body
        text = signed_in(BOSS).get(f"/rights/{organization.public_id}/{request.public_id}/").text
        assert "the order desk: no administrator had answered" in text
        assert OMAR not in text
        assert "Take the right back" in text
        member = Member.objects.get(email=KIM)
        assert (member.role, member.given_until) == (
            (Member.Role.FULL, request.right_ends_at) if right == "full" else (Member.Role.USER, None)
        )
    kinds = list(Event.objects.exclude(kind__startswith="mail_").values_list("kind", "by__email"))
    assert kinds[-4:] == [("desk_asked", KIM), ("desk_begun", OLGA), ("desk_gave", OMAR), ("released", OMAR)]


@pytest.mark.parametrize("late", [False, True])
def test_any_full_administrator_can_stop_it_also_one_who_came_later(late: bool) -> None:
    organization = contoso(BOSS)
    nobody_answers()
    begins()
    who = "new@contoso.example.org" if late else BOSS
    if late:
        Member.objects.create(organization=organization, email=who, role=Member.Role.FULL)
        assert "The order desk may give a right" in signed_in(who).get(f"/rights/{organization.public_id}/").text
        assert "Rights given by request" in signed_in(who).get("/orders/").text
    assert "This request was declined" in decides(who, "decline", "We are here.")
    with later(8):
        assert "any more" in confirms()
        request = AccessRequest.objects.get()
        assert (request.decision, request.reason) == ("declined", "We are here.")
        assert DeskCase.objects.get().state is DeskCase.State.OVER
    assert "We are here." in newest(KIM).body


def test_administrator_approves_meanwhile_and_the_desk_has_nothing_to_do() -> None:
    contoso(BOSS)
    wizard = nobody_answers()
    begins()
    decides(BOSS, "approve")
    wizard.open()
    assert wizard.at == "review"
    with later(8):
        assert "any more" in confirms()
    assert not AccessRequest.objects.get().by_desk


def test_one_of_the_two_operators_is_a_supervisor() -> None:
    contoso(BOSS)
    nobody_answers()
    begins()
    for email in (OLGA, OMAR):
        operator(email)
    User.objects.filter(email__in=[OLGA, OMAR]).update(is_superuser=False, desk_role="desk")
    with later(8):
        assert "One of the two operators has to be a supervisor" in signed_in(OMAR).post(page(), {}, follow=True).text
        assert not AccessRequest.objects.get().by_desk
        User.objects.filter(email=OLGA).update(is_superuser=True)  # who began it
        assert "The right is given" in signed_in(OMAR).post(page(), {}, follow=True).text


def test_nobody_overrules_an_administrator_who_declined() -> None:
    contoso(BOSS)
    wizard = asks(right="provisioning")
    decides(BOSS, "decline", "No.")
    wizard.client.post(f"/orders/{wizard.order.number}/held/", {"ask_desk": "1"})
    text = operator(OLGA).get(page()).text
    assert "nobody overrules them" in text
    assert "Email the administrators and wait" not in text
    assert "any more" in begins()
    request, olga = AccessRequest.objects.get(), links.user_for(OLGA)
    with pytest.raises(actions.DeskMayNot):
        actions.begin_desk_case(request=request, by=olga, evidence=EVIDENCE)


def test_who_asks_again_takes_the_desk_s_help_along() -> None:
    contoso(BOSS)
    wizard = nobody_answers()
    held = f"/orders/{wizard.order.number}/held/"
    wizard.client.post(held, {"ask_desk": "1"})
    wizard.client.post(held)
    assert DeskCase.objects.get().request == AccessRequest.objects.latest("pk")
    assert "The order desk is looking into it" in wizard.client.get(held).text


def test_operator_who_asks_for_the_right_decides_nothing_about_it() -> None:
    contoso(BOSS)
    nobody_answers()
    operator(KIM)
    assert "Another operator has to do this" in begins(KIM)
    begins()
    with later(8):
        assert "Another operator has to do this" in confirms(KIM)
    assert AccessRequest.objects.get().decision == ""


def test_only_who_waits_without_an_answer_can_ask_the_desk() -> None:
    contoso(BOSS)
    wizard = asks()
    for who in (KIM, BOSS):
        with pytest.raises(Http404):
            actions.ask_desk(order=wizard.order, by=links.user_for(who))
    wizard.client.post(f"/orders/{wizard.order.number}/held/", {"ask_desk": "1"})
    assert not DeskCase.objects.exists()


def test_order_that_goes_another_way_ends_what_the_desk_does() -> None:
    contoso(BOSS)
    wizard = nobody_answers()
    begins()
    actions.hand_over(order=wizard.order, by=links.user_for(KIM), email="alex@contoso.example.org")
    with later(8):
        assert "any more" in confirms()
    assert AccessRequest.objects.get().decision == ""


@pytest.mark.django_db(transaction=True)
def test_administrator_who_objects_while_the_desk_confirms_makes_one_decision() -> None:
    contoso(BOSS)
    nobody_answers()
    begins()
    long_ago = timezone.now() - timedelta(days=9)
    DeskCase.objects.update(begun_at=long_ago, waits_until=long_ago + timedelta(days=7))
    omar, boss, url = operator(OMAR), signed_in(BOSS), page_of(AccessRequest.objects.get())
    acts = [
        lambda: omar.post(page(), {"confirm": "1"}),
        lambda: boss.post(url, {"decision": "decline", "reason": "No."}),
    ]
    statuses = at_once(lambda index: acts[index]().status_code, 2)
    assert statuses == [302, 302]
    request, case = AccessRequest.objects.get(), DeskCase.objects.get()
    assert request.decision in {"approved", "declined"}
    assert (case.confirmed_at is not None) == (request.decision == "approved")


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("desk_case_begun_says_who_why_and_until_when", {"begun_at": timezone.now()}),
        ("desk_case_begun_says_who_why_and_until_when", {"evidence": "x"}),
        ("desk_case_confirmed_after_the_waiting_time", {"confirmed": OMAR}),
        ("desk_case_confirmed_after_the_waiting_time", {"begun": OLGA, "confirmed": OMAR, "early": True}),
        ("desk_case_is_of_two_people", {"begun": OLGA, "confirmed": OLGA}),
    ],
)
def test_database_refuses_what_is_too_early_or_of_one_person(constraint: str, change: dict[str, Any]) -> None:
    contoso(BOSS)
    nobody_answers()
    actions.ask_desk(order=Order.objects.get(), by=links.user_for(KIM))
    now = timezone.now()
    if by := change.pop("begun", None):
        begun = now - timedelta(days=1 if change.pop("early", False) else 8)
        change |= {"begun_at": begun, "begun_by": links.user_for(by), "evidence": "x"}
        change["waits_until"] = begun + timedelta(days=7)
    if by := change.pop("confirmed", None):
        change |= {"confirmed_at": now, "confirmed_by": links.user_for(by)}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        DeskCase.objects.update(**change)
