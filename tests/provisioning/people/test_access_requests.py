"""Asking an organization's administrators: they decide by a link and a code; the order goes on, or has a next step."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.core import mail
from django.db import IntegrityError, transaction
from django.http import Http404
from django.test import Client, override_settings
from django.utils import timezone

from orgs.models import Domain, Member, Organization
from provisioning import actions
from provisioning.models import AccessRequest, Draft, Event, Mail
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in
from tests.mailbox import code_in, deliver, link_in, newest
from tests.provisioning.actions.test_concurrency import at_once

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"
BOSS = "boss@contoso.example.org"
CHIEF = "chief@contoso.example.org"


def contoso(*administrators: str, members: tuple[str, ...] = (KIM,), **fields: Any) -> Organization:
    return an_organization("Contoso", administrators=administrators, members=members, **fields)


def asks(order: Order | None = None, who: str = KIM, right: str = "full") -> Wizard:
    """Kim answers up to the button, and presses it."""
    order = order or an_own_order(contact=who)
    wizard = Wizard(signed_in(who), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    assert wizard.at == "administrator"
    wizard.fill("administrator", right=right)
    assert wizard.at == "held"
    return wizard


def page_of(request: AccessRequest) -> str:
    return f"/orders/{request.order.number}/requests/{request.public_id}/"


def decides(who: str, decision: str, reason: str = "") -> str:
    """Somebody who was asked presses a button; the page they see then."""
    url = page_of(AccessRequest.objects.latest("pk"))
    answer = signed_in(who).post(url, {"decision": decision, "reason": reason}, follow=True)
    assert answer.status_code == 200
    return answer.text


def test_administrator_approves_by_link_and_code_and_the_order_goes_on_where_it_was() -> None:
    organization = contoso(BOSS)
    wizard = asks()
    draft = Draft.objects.get(order=wizard.order).steps
    message = newest(BOSS)
    assert KIM in message.body
    assert wizard.order.number in message.body
    assert "Full administrator" in message.body
    assert "If you do nothing, nobody gets any rights" in message.body

    browser, url = Client(), link_in(message)
    rows = AccessRequest.objects.values().get()
    assert "Contoso" not in browser.get(url).text.split("<main", 1)[1].split("</main>", 1)[0]
    assert AccessRequest.objects.values().get() == rows
    browser.post(url)
    page = browser.post("/sign-in/code/", {"code": code_in(newest(BOSS))}, follow=True)
    assert page.redirect_chain[-1][0] == page_of(AccessRequest.objects.get())
    for fact in (KIM, wizard.order.number, "Full administrator", "Manage the whole organization", "If you do nothing"):
        assert fact in page.text
    assert AccessRequest.objects.values().get() == rows

    answer = browser.post(page.redirect_chain[-1][0], {"decision": "approve", "reason": ""}, follow=True)
    assert "This request was approved" in answer.text
    assert "You decided" in answer.text
    request = AccessRequest.objects.get()
    assert (request.decision, request.decided_by and request.decided_by.email) == ("approved", BOSS)
    assert Member.objects.get(organization=organization, email=KIM).role == Member.Role.FULL
    acts = Event.objects.filter(order=wizard.order).exclude(kind=Event.Kind.MAIL_SENT)
    events = list(acts.values_list("kind", "by__email"))
    assert events[-4:] == [("held", KIM), ("asked", KIM), ("approved", BOSS), ("released", BOSS)]

    message = newest(KIM)
    assert message.subject == f"Order {wizard.order.number}: an administrator approved your request"
    assert BOSS not in message.body
    assert wizard.client.get(link_in(message)).status_code == 200
    assert "You were added" in wizard.client.get(f"/orders/{wizard.order.number}/held/").text
    assert Draft.objects.get(order=wizard.order).steps == draft
    page = wizard.client.post(link_in(message), follow=True)
    assert page.redirect_chain[-1][0].endswith("/organizations/review/")
    wizard.open()
    wizard.fill("review")
    wizard.order.refresh_from_db()
    assert (wizard.order.state, wizard.order.customer) == (Order.State.MAPPED, organization)
    assert not wizard.order.provisioning_administrator


def test_administrator_declines_with_a_reason_and_the_requester_has_next_steps() -> None:
    organization = contoso(BOSS)
    wizard = asks()
    page = decides(BOSS, "decline")
    assert "Error:" in page
    assert "Enter the reason why you decline" in page
    assert AccessRequest.objects.get().decision == ""

    assert "This request was declined" in decides(BOSS, "decline", "Talk to Pat in purchasing <first>.")
    assert Member.objects.get(organization=organization, email=KIM).role == Member.Role.USER
    message = newest(KIM)
    assert "Talk to Pat in purchasing" in message.body
    assert "ask again" in message.body
    page = wizard.client.get(f"/orders/{wizard.order.number}/", follow=True).text
    assert "Your request was declined" in page
    assert "Talk to Pat in purchasing &lt;first&gt;." in page
    for way_on in ("Ask again", "Choose another organization", "Let someone else complete this order", "help@"):
        assert way_on in page
    assert "Your request was declined" in wizard.client.get("/orders/").text
    for text in (message.body, page):
        assert BOSS not in text

    page = wizard.client.post(f"/orders/{wizard.order.number}/held/", follow=True).text
    assert "Waiting for an administrator of Contoso." in page
    assert AccessRequest.objects.count() == 2
    assert Mail.objects.filter(event="access_requested", to=BOSS).count() == 2
    decides(BOSS, "approve")
    wizard.open()
    assert wizard.at == "review"


def test_other_administrators_are_told_who_decided_and_see_it() -> None:
    contoso(BOSS, CHIEF)
    wizard = asks()
    decides(BOSS, "decline", "Not this year.")
    message = newest(CHIEF)
    assert message.subject == f"Order {wizard.order.number}: the request of {KIM} was declined"
    assert BOSS in message.body
    assert "Not this year." in message.body
    page = decides(CHIEF, "approve")
    assert "This request was declined" in page
    assert BOSS in page
    assert "What you just sent was not saved" in page
    assert AccessRequest.objects.get().decided_by == links.user_for(BOSS)
    assert Mail.objects.filter(event="access_decided").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_decide_at_once_make_one_decision() -> None:
    bosses = [f"boss{number}@contoso.example.org" for number in range(6)]
    contoso(*bosses)
    asks()
    url = page_of(AccessRequest.objects.get())
    browsers = [signed_in(boss) for boss in bosses]
    answers = [{"decision": "approve"}, {"decision": "decline", "reason": "No."}]
    statuses = at_once(lambda index: browsers[index].post(url, answers[index % 2]).status_code, len(bosses))
    assert set(statuses) == {302}
    request = AccessRequest.objects.get()
    approved = request.decision == "approved"
    kinds = [Event.Kind.APPROVED, Event.Kind.DECLINED]
    assert list(Event.objects.filter(kind__in=kinds).values_list("kind", flat=True)) == [request.decision]
    assert Mail.objects.filter(to=KIM, event__startswith="access_").count() == 1
    assert Mail.objects.filter(event="access_decided").count() == len(bosses) - 1
    assert Member.objects.filter(email=KIM, role=Member.Role.FULL).exists() == approved
    assert Order.objects.get().state == (Order.State.PLACED if approved else Order.State.HELD)


def test_who_is_no_longer_an_administrator_can_not_decide() -> None:
    organization = contoso(BOSS, CHIEF)
    asks()
    request = AccessRequest.objects.get()
    Member.objects.filter(organization=organization, email=BOSS).update(role=Member.Role.USER)
    page = decides(BOSS, "approve")
    assert "This is no longer yours to decide" in page
    assert KIM not in page
    with pytest.raises(actions.NoLongerAnAdministrator):
        actions.decide(request=request, by=links.user_for(BOSS), approve=True)
    assert AccessRequest.objects.get().decision == ""
    decides(CHIEF, "decline", "No.")
    assert not Mail.objects.filter(event="access_decided", to=BOSS).exists()


def test_nobody_else_sees_or_decides_a_request_or_anything_else_of_the_order() -> None:
    organization = contoso(BOSS)
    wizard = asks()
    request = AccessRequest.objects.get()
    late = "late@contoso.example.org"
    Member.objects.create(organization=organization, email=late, role=Member.Role.FULL)
    other = an_own_order(contact="pat@other.example.org", sold_to="Other")
    for who in (KIM, late, "pat@other.example.org"):
        for url in (page_of(request), page_of(request).replace(request.order.number, other.number)):
            assert signed_in(who).get(url).status_code == 404
            assert signed_in(who).post(url, {"decision": "approve"}).status_code == 404
        with pytest.raises(Http404):
            actions.decide(request=request, by=links.user_for(who), approve=True)
    assert Client().get(page_of(request)).status_code == 302
    boss = signed_in(BOSS)
    assert boss.get(f"/orders/{request.order.number}/requests/{UUID(int=7)}/").status_code == 404
    for page in ("", "organizations/", "services/", "held/", "handed-over/", "delegated/", "later/", "cancelled/"):
        answer = boss.get(f"/orders/{wizard.order.number}/{page}", follow=True)
        assert answer.redirect_chain[-1][0] == page_of(request)
    assert boss.get(f"/orders/{wizard.order.number}/summary.pdf").status_code == 404
    assert AccessRequest.objects.get().decision == ""


def test_asking_looks_the_same_where_nobody_could_be_asked() -> None:
    def seen(*administrators: str) -> str:
        contoso(*administrators)
        with time_machine.travel("2030-06-01 12:00", tick=False):
            wizard = asks(an_own_order(contact=KIM, number="PO-7"))
            pages = wizard.html + wizard.client.get("/orders/").text
        assert Mail.objects.filter(event="access_requested").count() == len(administrators)
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", pages)

    with transaction.atomic():
        asked = seen(BOSS, CHIEF)
        transaction.set_rollback(True)
    nobody = seen()
    assert asked == nobody
    assert "Waiting for an administrator of Contoso." in nobody
    assert "15 June 2030" in nobody
    assert "boss" not in asked
    assert "chief" not in asked


def test_asking_twice_is_asking_once() -> None:
    contoso(BOSS)
    wizard = asks()
    wizard.open("administrator")
    wizard.fill("administrator", right="full")
    wizard.client.post(f"/orders/{wizard.order.number}/held/")
    assert AccessRequest.objects.count() == 1
    assert Mail.objects.filter(event="access_requested").count() == 1
    request = AccessRequest.objects.get()
    with pytest.raises(IntegrityError, match="access_request_open_once"), transaction.atomic():
        AccessRequest.objects.create(
            order=request.order,
            organization=request.organization,
            requester=request.requester,
            expires_at=timezone.now(),
        )


def test_request_that_nobody_answered_expires_and_can_be_made_again() -> None:
    contoso(BOSS)
    wizard = asks()
    link = link_in(newest(BOSS))
    with time_machine.travel(timezone.now() + timedelta(days=14, minutes=1), tick=False):
        assert "This request has expired" in decides(BOSS, "approve")
        assert "A request about order" in signed_in(BOSS).get(link).text
        assert AccessRequest.objects.get().decision == ""
        browser = signed_in(KIM)
        assert "Nobody has answered" in browser.get(f"/orders/{wizard.order.number}/", follow=True).text
        assert "Nobody has answered" in browser.get("/orders/").text
        page = browser.post(f"/orders/{wizard.order.number}/held/", follow=True).text
        assert "Waiting for an administrator of Contoso." in page
        assert [request.state.value for request in AccessRequest.objects.order_by("pk")] == ["ended", "open"]
        decides(BOSS, "approve")
        assert Member.objects.get(email=KIM).role == Member.Role.FULL


@override_settings(SET_UP_DAYS=90)
def test_link_of_an_approver_that_has_expired_is_sent_again_in_its_own_words() -> None:
    contoso(BOSS)
    asks()
    old = link_in(newest(BOSS))
    with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
        assert "This link has expired" in Client().get(old).text
        Client().post(old)
        message = newest(BOSS)
        assert "Review the request" in message.body
        assert signed_in(BOSS).post(link_in(message)).url == page_of(AccessRequest.objects.get())  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["choose", "hand over", "cancel", "correct", "added"])
def test_order_that_goes_another_way_asks_no_longer(way: str) -> None:
    organization = contoso(BOSS)
    wizard = asks()
    order, kim = wizard.order, links.user_for(KIM)
    if way == "choose":
        wizard.open("customer")
        wizard.fill("customer", organization="new")
    elif way == "hand over":
        actions.hand_over(order=order, by=kim, email="alex@contoso.example.org")
    elif way == "cancel":
        actions.cancel_order(order=order, by=None)
    elif way == "correct":
        actions.correct_order(order=order, contact_email="alex@contoso.example.org")
    else:
        Member.objects.filter(organization=organization, email=KIM).update(role=Member.Role.FULL)
        wizard.open()
        wizard.fill("review")
    order.refresh_from_db()
    assert order.state != Order.State.HELD
    assert AccessRequest.objects.get().state is AccessRequest.State.ENDED
    page = decides(BOSS, "approve")
    assert "There is nothing to decide any more" in page
    assert AccessRequest.objects.get().decision == ""


def test_who_comes_back_within_the_hour_asks_the_same_request() -> None:
    contoso(BOSS)
    wizard = asks()
    wizard.open("customer")
    wizard.fill("customer", organization="new")
    assert AccessRequest.objects.get().state is AccessRequest.State.ENDED
    wizard.open("customer")
    wizard.fill("customer", organization=str(Organization.objects.get().public_id))
    wizard.fill("administrator", right="full")
    assert AccessRequest.objects.get().state is AccessRequest.State.OPEN
    assert Mail.objects.filter(event="access_requested").count() == 1


def test_partner_asks_for_the_own_use_likewise() -> None:
    sam, boss = "sam@partner.example.net", "boss@partner.example.net"
    an_organization("Partner Networks", administrators=[boss], members=[sam], partner=True)
    order = an_order(contact=sam, sold_to="Partner Networks")
    wizard = Wizard(signed_in(sam), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    page = wizard.fill("customer")
    assert "its current administrator has to add you first" in page
    wizard.fill("administrator")
    decides(boss, "approve")
    wizard.open()
    assert wizard.at == "review"
    wizard.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED


def test_right_for_one_order_makes_nobody_a_full_administrator() -> None:
    organization = contoso(BOSS)
    order = an_own_order(contact=KIM)
    right = AccessRequest.Right.PROVISIONING
    actions.ask_administrators(order=order, by=links.user_for(KIM), organization=organization.public_id, right=right)
    decides(BOSS, "approve")
    assert Member.objects.get(email=KIM).role == Member.Role.USER
    existing = actions.Existing(organization.public_id)
    other = an_own_order(contact=KIM)
    with pytest.raises(actions.MappingRefused):
        actions.map_order(order=other, by=links.user_for(KIM), audience="own", partner=None, customer=existing)
    order = actions.map_order(order=order, by=links.user_for(KIM), audience="own", partner=None, customer=existing)
    assert order.state == Order.State.MAPPED
    assert order.provisioning_administrator


def test_address_outside_the_organizations_domains_is_pointed_out() -> None:
    organization = contoso(BOSS, members=("kim@gmail.com",))
    asks(who="kim@gmail.com")
    url = page_of(AccessRequest.objects.get())
    warning = "This address is at none of the domains"
    assert warning not in signed_in(BOSS).get(url).text  # there is none to compare with
    Domain(organization=organization, name="contoso.example.org").save()
    assert warning in signed_in(BOSS).get(url).text


def test_approver_finds_the_request_in_the_list_and_nothing_else_of_the_order() -> None:
    contoso(BOSS)
    asks(an_own_order(contact=KIM, calling=20))
    boss = signed_in(BOSS)
    page = boss.get("/orders/").text
    assert "Waiting for your decision" in page
    assert "Review the request" in page
    decides(BOSS, "approve")
    page = boss.get("/orders/").text
    assert "Approved" in page
    assert "Calling" not in page


def test_contact_who_handed_the_order_on_and_is_asked_sees_both() -> None:
    contoso(BOSS)
    order = an_own_order(contact=BOSS)
    actions.hand_over(order=order, by=links.user_for(BOSS), email=KIM)
    asks(order)
    boss = signed_in(BOSS)
    page = boss.get("/orders/").text
    assert "Waiting for somebody else" in page
    assert "Waiting for your decision" in page
    assert boss.get(f"/orders/{order.number}/").url == page_of(AccessRequest.objects.get())  # type: ignore[attr-defined]
    assert "You handed this order over" in boss.get(f"/orders/{order.number}/handed-over/").text
    decides(BOSS, "approve")
    assert "handed-over" in boss.get(f"/orders/{order.number}/").url  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "posted",
    [
        {},
        {"decision": "both"},
        {"decision": ["approve", "decline"]},
        {"decision": "\0"},
        {"decision": "decline", "reason": "\0"},
        {"decision": "decline", "reason": "x" * 100_000},
        {"decision": "decline", "reason": "\u202eexe"},
        {"decision": "decline", "reason": " \u200b\n "},
    ],
)
def test_what_is_no_decision_decides_nothing_and_is_answered_in_words(posted: dict[str, Any]) -> None:
    contoso(BOSS)
    asks()
    answer = signed_in(BOSS).post(page_of(AccessRequest.objects.get()), posted, follow=True)
    assert answer.status_code == 200
    assert "There is a problem" in answer.text
    assert AccessRequest.objects.get().decision == ""


def test_post_without_the_forms_token_is_refused() -> None:
    contoso(BOSS)
    asks()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(links.user_for(BOSS))
    assert browser.post(page_of(AccessRequest.objects.get()), {"decision": "approve"}).status_code == 403


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("access_request_decided_says_who_and_when", {"decision": "approved"}),
        ("access_request_decided_says_who_and_when", {"decided_at": timezone.now()}),
        ("access_request_decided_by_somebody_else", {"decision": "approved", "by": KIM}),
        ("access_request_declined_says_why", {"decision": "declined", "by": BOSS}),
        ("access_request_decided_or_ended", {"decision": "approved", "by": BOSS, "ended_at": timezone.now()}),
    ],
)
def test_database_refuses_half_a_decision(constraint: str, change: dict[str, Any]) -> None:
    contoso(BOSS)
    asks()
    if by := change.pop("by", None):
        change |= {"decided_by": links.user_for(by), "decided_at": timezone.now()}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        AccessRequest.objects.update(**change)


def test_pages_of_a_request_ask_the_database_a_few_times_only(django_assert_max_num_queries: Any) -> None:
    contoso(BOSS)
    wizard = asks()
    boss, url = signed_in(BOSS), page_of(AccessRequest.objects.get())
    with django_assert_max_num_queries(6):
        boss.get(url)
    with django_assert_max_num_queries(13):  # three of them say when it may be sent again
        wizard.client.get(f"/orders/{wizard.order.number}/held/")
    deliver()
    assert [message.to for message in mail.outbox].count([BOSS]) == 1
