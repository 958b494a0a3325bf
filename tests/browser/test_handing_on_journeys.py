"""An order goes from one person to another and back, each at a browser of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from subscriptions.models import Order
from tests.browser.person import Person
from tests.factories import a_delegated_order, an_order, an_organization

SAM = "sam@partnernet.com"
ALEX = "alex@partnernet.com"
CUSTOMER = "it@contoso.com"

pytestmark = pytest.mark.django_db(transaction=True)


def test_contact_hands_the_order_over_and_takes_it_back(person: Callable[..., Person]) -> None:
    order = an_order(contact=SAM)
    sam, alex = person(SAM), person(ALEX, already_in=False)
    sam.open(order)
    sam.sees("Who is this order for?")
    sam.choose("I want someone else to complete this order")
    sam.enter("Email address of the person who will complete the order", ALEX)
    sam.press("Next")
    sam.sees("You handed this order over")
    sam.reads(ALEX)

    alex.come_in_by_email()
    alex.sees("Who is this order for?")

    sam.press("Take the order back")
    sam.sees("Who is this order for?")
    alex.choose("This order is for a customer")
    alex.press("Next")
    alex.sees("You no longer have this order")
    order.refresh_from_db()
    assert order.contact_email == SAM


def test_partner_lets_the_customer_set_up_watches_and_the_customer_finishes(person: Callable[..., Person]) -> None:
    an_organization("Partner Networks", administrators=[SAM], partner=True)
    an_organization("Contoso", domains=["contoso.com"], administrators=[CUSTOMER])
    order = an_order(contact=SAM, customer_email=CUSTOMER)
    sam, customer = person(SAM), person(CUSTOMER, already_in=False)
    sam.open(order)
    sam.answer("Who is this order for?", "This order is for a customer")
    sam.answer("Which partner organization is yours?")
    sam.answer("Who is the customer?")
    sam.answer("Which customer organization is this order for?")
    sam.answer("Review the organizations", "My customer will set up their own services")
    sam.sees("Your customer sets up the services")
    sam.reads(CUSTOMER)

    customer.come_in_by_email()
    customer.answer("Review your subscription", then="Setup now")
    customer.name_the_site("contoso")
    sam.page.reload()
    sam.reads("2 of 3 steps are answered so far.")
    customer.confirm_and_close("contoso.meet.example.com")
    sam.page.reload()
    sam.sees("Order summary")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP


def test_partner_takes_the_set_up_over_and_finds_the_customers_answers(person: Callable[..., Person]) -> None:
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    sam, customer = person(SAM), person(CUSTOMER)
    customer.open(order)
    customer.answer("Review your subscription", then="Setup now")
    customer.name_the_site("contoso-by-customer")
    customer.sees("Review the information")
    sam.open(order)
    sam.sees("Your customer sets up the services")
    sam.press("Take over the set-up")
    sam.sees("Review the information")
    sam.reads("contoso-by-customer")
    customer.press("Confirm and set up")
    customer.sees("The partner sets up the services")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
