"""A partner sets an order up for a customer: what is found for both decides the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from orgs.models import Member, Organization
from subscriptions.models import Order, Site
from tests.browser.person import Person
from tests.factories import an_order, an_organization

PARTNER = "sam@partnernet.com"
ADMINISTRATOR = "it@contoso.com"
EXACT = "Based on your email address, we matched your order with your organization."
CANDIDATES = "We found matching organizations based on your email address."
NONE = "No matching organization found."

pytestmark = pytest.mark.django_db(transaction=True)


def test_partner_comes_by_email_and_sets_meetings_up_for_a_customer_that_is_found_exactly(
    person: Callable[..., Person],
) -> None:
    an_organization("Partner Networks", administrators=[PARTNER], partner=True)
    customer = an_organization("Contoso", domains=["contoso.com"], administrators=[ADMINISTRATOR])
    order = an_order(contact=PARTNER, customer_email=ADMINISTRATOR, meetings=250)
    sam = person(PARTNER, already_in=False)
    sam.come_in_by_email()

    sam.answer("Who is this order for?", "This order is for a customer")
    sam.sees("Which partner organization is yours?")
    sam.reads(EXACT)
    expect(sam.page.get_by_label("Partner Networks")).to_be_checked()
    sam.press("Next")
    sam.sees("Who is the customer?")
    expect(sam.field("Company name")).to_have_value("Contoso")
    expect(sam.field("Administrator email")).to_have_value(ADMINISTRATOR)
    sam.press("Next")
    sam.sees("Which customer organization is this order for?")
    sam.reads(EXACT)
    sam.press("Next")
    sam.sees("Review the organizations")
    sam.reads("Partner Networks", "Contoso", "Provisioning administrator")
    sam.press("Next")

    sam.answer("Review your subscription", then="Setup now")
    order.refresh_from_db()
    assert order.customer == customer
    assert not Member.objects.filter(organization=customer, email=PARTNER).exists()
    sam.name_the_site("contoso-emea")
    sam.confirm_and_close("contoso-emea.meet.example.com", pdf=True)
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert Site.objects.get().licenses == 250


def test_partner_compares_candidates_for_both_and_chooses(person: Callable[..., Person]) -> None:
    partner = an_organization("Partner Networks", domains=["partnernet.com"], partner=True)
    an_organization("Partner Networks Labs", domains=["partnernet.com"], partner=True)
    customer = an_organization("Contoso", domains=["contoso.com"], user_count=900, active_user_count=700)
    an_organization("Contoso Trial", domains=["contoso.com"])
    an_organization("Northern Contoso", domains=["northern-contoso.com"])
    order = an_order(contact=PARTNER, customer_email=ADMINISTRATOR)
    sam = person(PARTNER)
    sam.open(order)

    sam.answer("Who is this order for?", "This order is for a customer")
    sam.sees("Which partner organization is yours?")
    sam.reads(CANDIDATES, "Partner Networks Labs")
    expect(sam.main.get_by_role("radio", checked=True)).to_have_count(0)
    sam.main.get_by_role("radio", name="Partner Networks United States of America", exact=True).check()
    sam.press("Next")
    sam.answer("Who is the customer?")
    sam.sees("Which customer organization is this order for?")
    sam.reads(CANDIDATES)
    expect(sam.main.locator(".candidate").first).to_contain_text("700")
    sam.main.locator(".candidate").first.get_by_role("radio").check()
    sam.press("Next")
    sam.sees("Review the organizations")
    sam.press("Next")
    sam.sees("Review your subscription")
    order.refresh_from_db()
    assert (order.partner, order.customer) == (partner, customer)


def test_partner_searches_by_domain_and_chooses_what_was_found(person: Callable[..., Person]) -> None:
    an_organization("Partner Networks", administrators=[PARTNER], partner=True)
    customer = an_organization("Fabrikam Holding", domains=["fabrikam.com"])
    order = an_order(contact=PARTNER, customer_email=ADMINISTRATOR)
    sam = person(PARTNER)
    sam.open(order)
    sam.answer("Who is this order for?", "This order is for a customer")
    sam.answer("Which partner organization is yours?")
    sam.answer("Who is the customer?")
    sam.reads(NONE)
    sam.enter("Domain", "gmail.com")
    sam.press("Search")
    sam.reads("Anybody can have an address at this domain")
    sam.enter("Domain", "fabrikam.com")
    sam.press("Search")
    sam.reads("1 more organization with the domain fabrikam.com is in the list.")
    sam.main.locator(".candidate").first.get_by_role("radio").check()
    sam.press("Next")
    sam.answer("Review the organizations")
    sam.sees("Review your subscription")
    order.refresh_from_db()
    assert order.customer == customer


def test_partner_creates_both_organizations_where_none_is_found(person: Callable[..., Person]) -> None:
    order = an_order(contact=PARTNER, customer_email=ADMINISTRATOR, meetings=100, calling=10)
    sam = person(PARTNER, already_in=False)
    sam.come_in_by_email()
    sam.answer("Who is this order for?", "This order is for a customer")
    sam.sees("Which partner organization is yours?")
    sam.reads(NONE)
    sam.press("Create a new organization")
    sam.sees("Create a new partner organization")
    expect(sam.field("Company name")).to_have_value("Partner Networks")
    sam.select("Business vertical", "technology")
    sam.select("Country or region", "DE")
    sam.press("Next")
    sam.sees("Check what you entered")
    sam.reads("Partner Networks", "Germany")
    sam.press("Next")
    sam.answer("Who is the customer?")
    sam.reads(NONE)
    sam.press("Create a new organization")
    sam.sees("Create a new customer organization")
    sam.select("Business vertical", "retail")
    sam.select("Country or region", "DE")
    sam.press("Next")
    assert not Organization.objects.exists()
    sam.answer("Check what you entered")
    sam.sees("Review the organizations")
    sam.does_not_read("Provisioning administrator")
    sam.press("Next")
    sam.answer("Review your subscription", then="Setup now")
    sam.name_the_site("contoso-shop")
    sam.say_where_headquarters_are()
    sam.confirm_and_close("contoso-shop.meet.example.com", "Headquarters", "10117 Berlin")
    order.refresh_from_db()
    assert order.customer is not None
    assert list(order.customer.members.values_list("email", "role")) == [(ADMINISTRATOR, "full")]
