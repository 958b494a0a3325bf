"""After the confirmation: people watch the set-up, mend what is refused, and the order desk mends what failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from provisioning.fulfillment.outcomes import Done, Failed, Rejected, Running, Unreachable
from subscriptions.models import Order, Site
from tests import mailbox
from tests.browser.person import Person
from tests.factories import a_delegated_order, a_mapped_order
from tests.scripted import an_operator, outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import work

KIM, SAM, DANA = "kim@contoso.com", "sam@partnernet.com", "dana@fabrikam.com"
TAKEN = "This name is taken. Choose another one."

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("outside")]


def confirm(person: Person, order: Order, *, calling: bool = False) -> None:
    """Answer every step, confirm, and wait for the page of progress."""
    person.open(order)
    person.answer("Review your subscription", then="Setup now")
    person.name_the_site("contoso-one")
    if calling:
        person.say_where_headquarters_are()
    person.sees("Review the information")
    person.press("Confirm and set up")
    person.sees("Your services are being set up")


def state(person: Person, service: str) -> Locator:
    """Find the state of a service on the page of progress."""
    return person.main.locator(f"#part-{service} .progress-state strong")


def test_page_follows_the_set_up_by_itself_without_a_jump_and_becomes_the_summary(
    person: Callable[..., Person],
) -> None:
    order = a_mapped_order(contact=KIM, meetings=100, calling=10)
    kim = person(KIM)
    confirm(kim, order, calling=True)
    expect(state(kim, "meetings")).to_have_text("Waiting")
    kim.page.evaluate("document.querySelector('#part-calling').dataset.before = 'yes'")
    kim.main.get_by_role("link", name="Close").focus()
    kim.page.evaluate("window.scrollTo(0, 200)")
    script("meetings", Running(description="The site is being made."), Running(description="Nearly there."), Done())
    script("calling", *[Unreachable("Nobody answers.")] * 2)
    spoken = kim.main.get_by_role("status")
    expect(spoken).to_have_text("")
    work()
    expect(state(kim, "meetings")).to_have_text("Being set up")
    expect(spoken).to_have_text("Meetings: Being set up.")
    kim.reads("The site is being made.", "can’t be reached at the moment")
    work()
    kim.reads("Nearly there.")
    expect(spoken).to_have_text("Meetings: Being set up.")
    assert kim.page.evaluate("window.scrollY") == 200
    assert kim.page.evaluate("document.activeElement.textContent.trim()") == "Close"
    work(turns=2)
    kim.sees("Order summary")
    kim.reads("Meetings and Calling are set up for Contoso.")
    assert mailbox.newest(KIM).subject == f"Order {order.number} is set up"


def test_refusal_is_mended_at_its_step_by_the_delegate_while_the_partner_watches(
    person: Callable[..., Person],
) -> None:
    order = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA, meetings=100, calling=10)
    dana, sam = person(DANA), person(SAM)
    confirm(dana, order, calling=True)
    sam.open(order)
    sam.sees("Your services are being set up")
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    for each in (dana, sam):
        expect(state(each, "meetings")).to_have_text("There is a problem")
        expect(state(each, "calling")).to_have_text("Set up")
        each.reads(TAKEN)
    sam.reads(f"{DANA} has been told, and changes it.")
    dana.follow("Change the answers")
    dana.sees("Meeting setup")
    expect(dana.main.get_by_role("alert")).to_contain_text(TAKEN)
    expect(dana.field("Site name")).to_have_value("contoso-one")
    expect(dana.field("Time zone")).to_have_value("Europe/Berlin")
    dana.enter("Site name", "fabrikam-one")
    dana.press("Next")
    dana.sees("Review the information")
    dana.does_not_read("Unter den Linden 1")
    dana.press("Confirm and set up")
    dana.sees("Your services are being set up")
    work()
    for each in (dana, sam):
        each.sees("Order summary")
        each.reads("https://fabrikam-one.meet.example.com", "Unter den Linden 1")


def test_outage_is_waited_for_and_my_orders_shows_the_same(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    kim = person(KIM)
    confirm(kim, order)
    script("meetings", *[Unreachable("Connection refused")] * 3)
    work(turns=3)
    kim.reads("The system that sets it up can’t be reached at the moment.")
    kim.does_not_read("Connection refused")
    kim.follow("Close")
    kim.sees("My orders")
    kim.reads("Being set up")
    work()
    kim.page.reload()
    kim.reads("Completed")
    kim.follow("Open the order summary")
    kim.sees("Order summary")


def test_order_desk_retries_what_failed_and_marks_as_done_with_a_reason(person: Callable[..., Person]) -> None:
    first = a_mapped_order(contact=KIM, meetings=100)
    kim = person(KIM)
    confirm(kim, first)
    script("meetings", Failed("quota", "The cluster is full."), Failed("quota", "It is still full."))
    work()
    kim.reads("There is a problem", "The order desk sees to it. You don’t have to do anything")
    kim.does_not_read("The cluster is full.")

    desk = person(an_operator().email)
    desk.page.goto("/admin/subscriptions/provisioningrequest/")
    row = desk.page.get_by_role("row").filter(has_text=first.number)
    expect(row).to_contain_text("The cluster is full. (quota)")
    row.get_by_role("checkbox").check()
    desk.page.locator("select[name=action]").select_option("Retry")
    desk.page.locator("button[name=index]").click()
    desk.page.get_by_role("button", name="Retry").click()
    expect(desk.page.locator("#provisioning")).to_contain_text("Waiting")
    work()
    desk.page.reload()
    expect(desk.page.locator("#provisioning")).to_contain_text("It is still full.")
    desk.page.locator("#provisioning").get_by_role("link", name="Mark as done").click()
    desk.page.get_by_role("button", name="Mark as done").click()
    expect(desk.page.locator(".errorlist")).to_contain_text("Enter a reason")
    desk.page.get_by_label("Reason").fill("Set up by hand, ticket 4711.")
    desk.page.get_by_role("button", name="Mark as done").click()
    expect(desk.page.locator("#history")).to_contain_text("Set up by hand, ticket 4711.")
    kim.sees("Order summary")
    assert Site.objects.get().name == "contoso-one"


def test_without_javascript_a_button_refreshes_and_the_set_up_is_taken_back(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    kim = person(KIM, java_script_enabled=False)
    confirm(kim, order)
    script("meetings", Running(description="The site is being made."))
    work()
    expect(state(kim, "meetings")).to_have_text("Waiting")
    kim.follow("Refresh")
    expect(state(kim, "meetings")).to_have_text("Being set up")
    kim.follow("Take the set-up back")
    kim.sees("Take the set-up back?")
    kim.reads("What it has made is deleted there")
    kim.press("Take it back")
    kim.reads("It is taken back. Your answers are kept")
    assert Order.objects.get(pk=order.pk).state == Order.State.MAPPED
    kim.open(order, "services/meetings/")
    expect(kim.field("Site name")).to_have_value("contoso-one")


def test_progress_and_refusal_are_read_in_german(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    kim = person(KIM)
    confirm(kim, order)
    kim.page.get_by_role("button", name="Deutsch").click()
    kim.sees("Ihre Dienste werden eingerichtet")
    script("meetings", Rejected("/sites/0/name", "Dieser Name ist vergeben."))
    work()
    expect(state(kim, "meetings")).to_have_text("Es gibt ein Problem")
    kim.reads("Das System, das es einrichtet, sagt:", "Dieser Name ist vergeben.", "Es liegt bei:")
    kim.follow("Angaben ändern")
    expect(kim.main.get_by_role("alert")).to_contain_text("Dieser Name ist vergeben.")
