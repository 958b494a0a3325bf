"""A company sets its own order up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from orgs.models import Member
from subscriptions.models import Order
from tests.browser.person import Person
from tests.factories import an_organization, an_own_order

KIM = "kim@contoso.com"

pytestmark = pytest.mark.django_db(transaction=True)


def test_administrator_sets_calling_up_for_the_own_organization(person: Callable[..., Person]) -> None:
    organization = an_organization("Contoso", domains=["contoso.com"], administrators=[KIM])
    order = an_own_order(contact=KIM, calling=20)
    kim = person(KIM, already_in=False)
    kim.come_in_by_email()
    kim.answer("Who is this order for?", "This order is for my company")
    kim.sees("Which organization is yours?")
    kim.reads("Based on your email address, we matched your order with your organization.")
    expect(kim.page.get_by_label("Contoso")).to_be_checked()
    kim.press("Next")
    kim.sees("Review the organizations")
    kim.does_not_read("My customer will set up their own services", "Provisioning administrator")
    kim.press("Next")
    kim.answer("Review your subscription", then="Setup now")
    kim.say_where_headquarters_are()
    kim.confirm_and_close("Headquarters", "Unter den Linden 1", "10117 Berlin")
    order.refresh_from_db()
    assert (order.state, order.customer) == (Order.State.SET_UP, organization)


def test_first_person_of_a_new_company_creates_its_organization_and_administers_it(
    person: Callable[..., Person],
) -> None:
    order = an_own_order(contact=KIM)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Who is this order for?", "This order is for my company")
    kim.sees("Which organization is yours?")
    kim.reads("No matching organization found.")
    kim.press("Create a new organization")
    kim.sees("Create a new organization")
    kim.select("Business vertical", "retail")
    kim.select("Country or region", "US")
    kim.press("Next")
    kim.answer("Check what you entered")
    kim.answer("Review the organizations")
    kim.sees("Review your subscription")
    order.refresh_from_db()
    assert order.customer is not None
    assert order.customer.members.get().role == Member.Role.FULL


def test_member_who_is_no_administrator_asks_waits_and_goes_on_once_added(person: Callable[..., Person]) -> None:
    organization = an_organization("Contoso", administrators=["boss@contoso.com"], members=[KIM])
    order = an_own_order(contact=KIM)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Who is this order for?", "This order is for my company")
    kim.answer("Which organization is yours?")
    kim.sees("An administrator has to add you first")
    kim.does_not_read("boss@")
    kim.press("Ask the administrators")
    kim.sees("Waiting for an administrator")
    kim.does_not_read("boss@")
    kim.follow("My orders")
    kim.reads("Waiting for an administrator")

    Member.objects.filter(organization=organization, email=KIM).update(role=Member.Role.FULL)
    kim.follow("Open")
    kim.sees("You were added")
    kim.follow("Continue")
    kim.answer("Review the organizations")
    kim.sees("Review your subscription")
    order.refresh_from_db()
    assert (order.state, order.customer) == (Order.State.MAPPED, organization)


def test_administrator_declines_then_approves_in_a_browser_of_their_own_and_the_order_is_finished(
    person: Callable[..., Person],
) -> None:
    organization = an_organization("Contoso", administrators=["boss@contoso.com"], members=[KIM])
    order = an_own_order(contact=KIM, calling=20)
    kim, boss = person(KIM), person("boss@contoso.com", already_in=False)
    kim.open(order)
    kim.answer("Who is this order for?", "This order is for my company")
    kim.answer("Which organization is yours?")
    kim.choose("Full administrator")
    kim.press("Ask the administrators")
    kim.sees("Waiting for an administrator")

    boss.come_in_by_email()
    boss.sees(f"Should {KIM} be a full administrator of Contoso?")
    boss.reads(KIM, order.number, "Full administrator")
    boss.press("Decline")
    boss.reads("There is a problem", "Enter the reason why you decline")
    boss.enter("Reason", "Tell Pat in purchasing first.")
    boss.press("Decline")
    boss.sees("This request was declined")

    kim.open_link()
    kim.press("Continue")
    kim.sees("Your request was declined")
    kim.reads("Tell Pat in purchasing first.")
    kim.does_not_read("boss@")
    kim.press("Ask again")
    kim.sees("Waiting for an administrator")

    boss.open_link()
    boss.press("Continue")
    boss.press("Approve")
    boss.sees("This request was approved")

    kim.open_link()
    kim.press("Continue")
    kim.answer("Review the organizations")
    kim.answer("Review your subscription", then="Setup now")
    kim.say_where_headquarters_are()
    kim.confirm_and_close("Headquarters")
    order.refresh_from_db()
    assert (order.state, order.customer) == (Order.State.SET_UP, organization)
    assert organization.members.get(email=KIM).role == Member.Role.FULL
