"""Setting services up: now or later, one site or several, and what becomes of answers on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from subscriptions.models import Order, Site
from tests.browser.person import Person
from tests.factories import a_mapped_order

KIM = "kim@contoso.com"

pytestmark = pytest.mark.django_db(transaction=True)


def test_set_up_later_is_resumed_in_another_browser_with_every_answer_there(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM, meetings=100, calling=10)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Review your subscription", then="Setup now")
    kim.name_the_site("contoso-one")
    kim.sees("Where is your main headquarters?")
    kim.enter("Location name", "Half an answ")
    kim.press("Back")
    kim.sees("Meeting setup")
    kim.open(order, "services/subscription/")
    kim.answer("Review your subscription", then="Set up later")
    kim.sees("You chose to set this up later")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert not Site.objects.exists()

    elsewhere = person(KIM, already_in=False)
    elsewhere.page.goto("/")
    elsewhere.sees("Sign in")
    elsewhere.enter("Your email address", KIM)
    elsewhere.press("Send me a code")
    elsewhere.enter_code()
    elsewhere.sees("My orders")
    elsewhere.follow("Set up the services")
    elsewhere.sees("Where is your main headquarters?")
    expect(elsewhere.field("Location name")).to_have_value("Half an answ")
    elsewhere.press("Back")
    elsewhere.sees("Meeting setup")
    expect(elsewhere.field("Site name")).to_have_value("contoso-one")
    expect(elsewhere.field("Time zone")).to_have_value("Europe/Berlin")
    expect(elsewhere.main.get_by_label("No", exact=True)).to_be_checked()


def test_three_sites_share_the_licenses_which_are_counted_while_typing(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM, meetings=250)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Review your subscription", then="Setup now")
    kim.name_the_site("contoso", "I need additional URLs")
    kim.sees("Additional URLs")
    kim.press("Add another")
    for number, name in enumerate(["contoso-lab", "contoso-events"], start=1):
        row = kim.main.get_by_role("group", name=f"Additional URL {number}")
        row.get_by_label("Site name", exact=True).fill(name)
        row.get_by_label("No", exact=True).check()
    kim.press("Next")

    kim.sees("Distribute the licenses")
    left = kim.main.locator("output")
    kim.enter("contoso.meet.example.com", "200")
    expect(left).to_have_text("50 of 250 left to distribute")
    kim.enter("contoso-lab.meet.example.com", "60")
    expect(left).to_have_text("10 more than the 250 that were bought")
    kim.press("Split evenly")
    expect(kim.field("contoso.meet.example.com")).to_have_value("84")
    expect(left).to_have_text("All 250 are distributed")
    kim.enter("contoso.meet.example.com", "230")
    kim.enter("contoso-lab.meet.example.com", "10")
    kim.enter("contoso-events.meet.example.com", "10")
    expect(left).to_have_text("All 250 are distributed")
    kim.press("Next")
    kim.confirm_and_close("contoso-lab.meet.example.com", "230")
    assert {site.name: site.licenses for site in Site.objects.all()} == {
        "contoso": 230,
        "contoso-lab": 10,
        "contoso-events": 10,
    }


def test_later_of_two_tabs_is_told_what_changed_and_keeps_or_replaces_it(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Review your subscription", then="Setup now")
    kim.sees("Meeting setup")
    tab = Person(KIM, kim.page.context.new_page())
    tab.open(order, "services/meetings/")
    kim.name_the_site("contoso-first")
    kim.sees("Review the information")

    tab.name_the_site("contoso-second")
    tab.sees("Meeting setup")
    tab.reads("This step was answered while you had it open", "contoso-first")
    expect(tab.field("Site name")).to_have_value("contoso-second")
    tab.follow("Keep what was saved")
    expect(tab.field("Site name")).to_have_value("contoso-first")

    tab.enter("Site name", "contoso-third")
    kim.open(order, "services/meetings/")
    kim.enter("Site name", "contoso-fourth")
    kim.press("Next")
    kim.sees("Review the information")
    tab.press("Next")
    tab.reads("This step was answered while you had it open", "contoso-fourth")
    tab.press("Next")
    tab.sees("Review the information")
    tab.reads("contoso-third")


def test_two_orders_in_one_browser_never_mix(person: Callable[..., Person]) -> None:
    first = a_mapped_order(contact=KIM)
    assert first.customer is not None
    second = a_mapped_order(contact=KIM, customer=first.customer)
    kim = person(KIM)
    tab = Person(KIM, kim.page.context.new_page())
    kim.open(first)
    tab.open(second)
    kim.answer("Review your subscription", then="Setup now")
    tab.answer("Review your subscription", then="Setup now")
    kim.sees("Meeting setup")
    tab.name_the_site("contoso-two")
    kim.name_the_site("contoso-one")
    kim.reads("contoso-one")
    tab.page.reload()
    tab.reads("contoso-two")
    kim.press("Confirm and set up")
    kim.sees("Order summary")
    tab.press("Confirm and set up")
    tab.sees("Order summary")
    assert {site.name: site.subscription.line.order_id for site in Site.objects.all()} == {
        "contoso-one": first.pk,
        "contoso-two": second.pk,
    }
