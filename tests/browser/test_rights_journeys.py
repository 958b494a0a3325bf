"""Rights in an organization: people who never met ask, decide, object and take back, each at a browser of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from orgs.models import Member
from provisioning import actions
from provisioning.models import AccessRequest, User
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from tests.browser.person import Person
from tests.factories import a_delegated_order, an_order, an_organization, an_own_order

KIM, BOSS, CHIEF = "kim@contoso.com", "boss@contoso.com", "chief@contoso.com"
SAM, CUSTOMER = "sam@partnernet.com", "it@contoso.com"
OLGA, OMAR = "olga@vendor.example", "omar@vendor.example"

pytestmark = pytest.mark.django_db(transaction=True)


def asks(kim: Person, order: Order, *choices: str) -> None:
    """Kim answers up to the button, and presses it."""
    kim.open(order)
    kim.answer("Who is this order for?", "This order is for my company")
    kim.answer("Which organization is yours?")
    kim.answer("An administrator has to add you first", *choices, then="Ask the administrators")
    kim.sees("Waiting for an administrator")


def test_blocked_customer_asks_for_the_least_right_and_finishes_when_it_is_given(
    person: Callable[..., Person],
) -> None:
    organization = an_organization("Contoso", administrators=[BOSS], members=[KIM])
    order = an_own_order(contact=KIM, calling=20)
    kim, boss = person(KIM), person(BOSS, already_in=False)
    asks(kim, order)
    kim.reads("Provisioning administrator for this order")
    kim.does_not_read(BOSS)
    boss.come_in_by_email()
    boss.sees(f"Should {KIM} set up order {order.number} for Contoso?")
    boss.press("Approve")
    boss.sees("This request was approved")
    kim.open_link()
    kim.press("Continue")
    kim.answer("Review the organizations")
    kim.answer("Review your subscription", then="Setup now")
    kim.say_where_headquarters_are()
    kim.confirm_and_close("Headquarters")
    assert organization.members.get(email=KIM).role == Member.Role.USER


def test_two_administrators_have_the_request_open_and_the_first_decision_counts(
    person: Callable[..., Person],
) -> None:
    an_organization("Contoso", administrators=[BOSS, CHIEF], members=[KIM])
    kim, boss, chief = person(KIM), person(BOSS), person(CHIEF)
    asks(kim, an_own_order(contact=KIM))
    for administrator in (boss, chief):
        administrator.open_link()
        administrator.press("Continue")
    boss.enter("Reason", "Ask Pat first.")
    boss.press("Decline")
    boss.sees("This request was declined")
    chief.press("Approve")
    chief.sees("This request was declined")
    chief.reads("What you just sent was not saved", BOSS, "Ask Pat first.")
    kim.page.reload()
    kim.sees("Your request was declined")
    kim.does_not_read(BOSS, CHIEF)
    kim.press("Ask again")
    kim.sees("Waiting for an administrator")


def test_right_is_taken_back_in_the_middle_of_the_set_up_and_given_again(person: Callable[..., Person]) -> None:
    an_organization("Contoso", administrators=[BOSS], members=[KIM])
    order = an_own_order(contact=KIM)
    kim, boss = person(KIM), person(BOSS)
    asks(kim, order, "Full administrator")
    boss.open_link()
    boss.press("Continue")
    boss.choose("30 days")
    boss.press("Approve")
    kim.open(order)
    kim.answer("Review the organizations")
    kim.answer("Review your subscription", then="Setup now")
    kim.name_the_site("contoso-by-kim")

    boss.page.goto("/orders/")
    boss.follow("Rights given by request")
    boss.sees("Rights given by request in Contoso")
    boss.reads(KIM, "Full administrator", order.number, BOSS)
    boss.follow("Look at it, or take it back")
    boss.enter("Reason", "Pat sets this up.")
    boss.press("Take the right back")
    boss.reads("Taken back")

    kim.press("Confirm and set up")
    kim.sees("Your right was taken back")
    kim.reads("Pat sets this up.", "Nothing is lost")
    kim.press("Ask again")
    kim.sees("Waiting for an administrator")
    boss.open_link()
    boss.press("Continue")
    boss.press("Approve")
    kim.open(order)
    kim.confirm_and_close("contoso-by-kim")


def test_partner_asks_for_full_rights_after_the_set_up(person: Callable[..., Person]) -> None:
    partner = an_organization("Partner Networks", administrators=[SAM], partner=True)
    customer = an_organization("Contoso", administrators=[BOSS])
    by = links.user_for(SAM)
    order = actions.map_order(
        order=an_order(contact=SAM),
        by=by,
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(customer.public_id),
    )
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=250)
    actions.set_up(order=order, by=by, plans={"meetings": [site]})
    sam, boss = person(SAM), person(BOSS, already_in=False)
    sam.open(order)
    sam.sees("Order summary")
    sam.press("Ask for full rights")
    sam.reads("Waiting for an administrator of Contoso.")
    sam.does_not_read(BOSS)
    boss.come_in_by_email()
    boss.sees(f"Should {SAM} be a full administrator of Contoso?")
    boss.enter("Reason", "Not before the contract is signed.")
    boss.press("Decline")
    sam.page.reload()
    sam.reads("Not before the contract is signed.")
    sam.press("Ask again")
    boss.open_link()
    boss.press("Continue")
    boss.press("Approve")
    sam.page.reload()
    sam.reads("You are a full administrator of Contoso.")


def test_order_desk_gives_the_right_with_two_operators_and_a_week_where_nobody_answers(
    person: Callable[..., Person],
) -> None:
    an_organization("Contoso", administrators=[BOSS], members=[KIM])
    order = an_own_order(contact=KIM)
    asks(person(KIM), order)
    for email in (OLGA, OMAR):
        User.objects.filter(pk=links.user_for(email).pk).update(is_staff=True, is_superuser=True)
    desk = f"/admin/provisioning/accessrequest/{AccessRequest.objects.get().pk}/change/"
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        kim, olga = person(KIM), person(OLGA)
        kim.open(order)
        kim.sees("Nobody has answered")
        kim.press("Ask the order desk for help")
        kim.reads("The order desk is looking into it")
        olga.page.goto(desk)
        olga.page.get_by_label("Evidence").fill("The trade register names Kim.")
        olga.page.get_by_role("button", name="Email the administrators and wait").click()
        olga.page.get_by_text("Begun.").wait_for()
        boss = person(BOSS)
        boss.open_link()
        boss.press("Continue")
        boss.reads("The order desk may give this right")
        kim.page.reload()
        kim.does_not_read("trade register", OLGA, BOSS)
    with time_machine.travel(timezone.now() + timedelta(days=23)):
        kim, omar = person(KIM), person(OMAR)
        omar.page.goto(desk)
        omar.page.get_by_role("button", name="Give the right").click()
        omar.page.get_by_text("The right is given.").wait_for()
        kim.open_link()
        kim.press("Continue")
        kim.answer("Review the organizations")
        kim.sees("Review your subscription")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED


def test_partner_takes_over_asks_and_hands_back_and_the_customer_finishes(person: Callable[..., Person]) -> None:
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    sam, customer = person(SAM), person(CUSTOMER)
    customer.open(order)
    customer.answer("Review your subscription", then="Setup now")
    customer.name_the_site("contoso")
    sam.open(order)
    sam.reads("What is answered so far", "contoso")
    sam.follow("Questions about the set-up")
    sam.select("What is it about?", "meetings.time_zone")
    sam.enter("Your question", "Are most of you in Berlin?")
    sam.press("Ask")
    sam.reads("Your question is on its way by email.")
    customer.open(order, "services/meetings/")
    customer.reads("Are most of you in Berlin?")
    customer.follow("Answer this question")
    customer.page.get_by_label("Your answer").fill("Yes, nearly all.")
    customer.page.locator("main").get_by_role("button", name="Answer").click()
    customer.reads("No question is open.")
    sam.page.reload()
    sam.reads("Yes, nearly all.")

    sam.open(order)
    sam.press("Take over the set-up")
    sam.sees("Review the information")
    customer.open(order)
    customer.sees("The partner sets up the services")
    sam.follow("Hand the set-up back to your customer")
    sam.press("Hand it back")
    sam.sees("Your customer sets up the services")
    customer.open_link()
    customer.press("Continue")
    customer.confirm_and_close("contoso.meet.example.com")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
