"""The same product by keyboard only, without JavaScript, and with mistakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from orgs.models import Organization
from subscriptions.models import Order, Site
from tests.browser.person import Person
from tests.factories import a_mapped_order, an_order, an_organization, an_own_order

KIM = "kim@contoso.com"

pytestmark = pytest.mark.django_db(transaction=True)

# Whether what has the focus can be seen and shows it, on itself or on the card around it.
FOCUS_IS_SEEN = """() => {
  const ringed = element => element && getComputedStyle(element).outlineStyle !== "none"
  const element = document.activeElement, box = element.getBoundingClientRect()
  const shown = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight
  return shown && (ringed(element) || ringed(element.closest(".choice, .option, .with-suffix")))
}"""


class Keyboard:
    """Keys, and nothing else."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, wanted: Locator) -> None:
        """Press Tab until this has the focus, which has to be seen wherever it comes by."""
        expect(wanted).to_be_visible()
        for _key in range(60):
            self.press("Tab")
            assert self.page.evaluate(FOCUS_IS_SEEN), self.page.evaluate("document.activeElement.outerHTML")
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"Tab never comes to {wanted}")

    def type_into(self, wanted: Locator, text: str) -> None:
        """Tab to a field and type."""
        self.go_to(wanted)
        self.page.keyboard.type(text)


def test_whole_journey_by_keyboard_only(person: Callable[..., Person]) -> None:
    an_organization("Contoso", domains=["contoso.com"], administrators=[KIM], country="DE")
    order = an_own_order(contact=KIM, meetings=30)
    kim = person(KIM)
    keys = Keyboard(kim.page)
    button = kim.main.get_by_role("button", name="Next", exact=True)
    kim.open(order)

    kim.sees("Who is this order for?")
    keys.press("Tab", "Enter")  # the first stop of every page skips the bars
    keys.go_to(button)
    keys.press("Enter")
    summary = kim.main.get_by_role("alert")
    expect(summary).to_be_focused()
    keys.go_to(summary.get_by_role("link"))
    keys.press("Enter")
    expect(kim.main.get_by_role("radio").first).to_be_focused()
    keys.press("ArrowDown")
    expect(kim.main.get_by_label("This order is for my company")).to_be_checked()
    keys.press("Enter")

    kim.sees("Which organization is yours?")
    expect(kim.main.get_by_label("Contoso")).to_be_checked()
    keys.go_to(button)
    keys.press("Space")
    kim.sees("Review the organizations")
    keys.go_to(button)
    keys.press("Enter")
    kim.sees("Review your subscription")
    keys.go_to(kim.main.get_by_role("button", name="Setup now"))
    keys.press("Enter")

    kim.sees("Meeting setup")
    keys.type_into(kim.field("Site name"), "contoso-keys")
    keys.press("Tab")
    expect(kim.main.get_by_role("searchbox")).to_be_focused()
    keys.press("Tab")
    expect(kim.field("Time zone")).to_be_focused()
    keys.press("Tab", "ArrowDown")
    expect(kim.main.get_by_label("No", exact=True)).to_be_checked()
    keys.press("Tab", "Space")
    expect(kim.main.get_by_label("I need additional URLs")).to_be_checked()
    keys.press("Space", "Enter")
    kim.sees("Review the information")
    keys.go_to(kim.main.get_by_role("button", name="Confirm and set up"))
    keys.press("Enter")
    kim.sees("Order summary")
    keys.go_to(kim.main.get_by_role("link", name="Close"))
    keys.press("Enter")
    kim.sees("My orders")
    assert Site.objects.get().name == "contoso-keys"


def test_whole_journey_without_javascript(person: Callable[..., Person]) -> None:
    order = an_own_order(contact=KIM, meetings=10, calling=5)
    kim = person(KIM, already_in=False, java_script_enabled=False)
    kim.come_in_by_email()
    kim.answer("Who is this order for?", "This order is for my company")
    kim.sees("Which organization is yours?")
    kim.enter("Domain", "contoso.com")
    kim.press("Search")
    kim.reads("No organization has verified the domain contoso.com.")
    kim.press("Create a new organization")
    kim.sees("Create a new organization")
    kim.press("Next")
    kim.reads("There is a problem", "Select a business vertical", "Select a country or region")
    kim.select("Business vertical", "retail")
    kim.select("Country or region", "DE")
    kim.press("Next")
    kim.answer("Check what you entered")
    kim.answer("Review the organizations")
    kim.answer("Review your subscription", then="Setup now")
    kim.name_the_site("contoso", "I need additional URLs")
    kim.sees("Additional URLs")
    kim.press("Add another")
    kim.main.get_by_role("button", name="Remove additional URL 2").click()
    kim.enter("Site name", "contoso-lab")
    kim.choose("Yes")
    kim.choose("I understand that this site stays on the early release schedule")
    kim.press("Next")
    kim.sees("Distribute the licenses")
    kim.press("Split evenly")
    kim.reads("All 10 are distributed")
    kim.press("Next")
    kim.say_where_headquarters_are()
    kim.confirm_and_close("contoso-lab.meet.example.com", "Headquarters")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert Organization.objects.get().name == "Contoso"


def test_mistakes_are_summed_up_linked_and_nothing_typed_is_lost(person: Callable[..., Person]) -> None:
    order = a_mapped_order(contact=KIM)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Review your subscription", then="Setup now")
    kim.sees("Meeting setup")
    assert not kim.page.title().startswith("Error")
    kim.enter("Site name", "no")
    kim.select("Time zone", "Europe/Vienna")
    kim.press("Next")

    summary = kim.main.get_by_role("alert", name="There is a problem")
    expect(summary).to_be_focused()
    assert kim.page.title().startswith("Error: Meeting setup")
    links = summary.get_by_role("link")
    expect(links).to_have_count(2)
    words = links.first.inner_text()
    field = kim.field("Site name")
    expect(field).to_have_value("no")
    expect(kim.field("Time zone")).to_have_value("Europe/Vienna")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = (field.get_attribute("aria-describedby") or "").split()
    assert any(words in kim.page.locator(f"#{each}").inner_text() for each in described)
    links.first.click()
    expect(field).to_be_focused()
    links.last.click()
    expect(kim.main.get_by_label("Yes", exact=True)).to_be_focused()

    kim.press("Next")
    expect(summary).to_be_focused()
    kim.page.reload()
    expect(field).to_have_value("no")
    kim.enter("Site name", "contoso-mended")
    kim.choose("No")
    kim.press("Next")
    kim.sees("Review the information")


def test_back_and_forward_of_the_browser_lose_nothing(person: Callable[..., Person]) -> None:
    order = an_order(contact=KIM, customer_email="it@fabrikam.com", customer="Fabrikam")
    kim = person(KIM)
    kim.open(order)
    kim.answer("Who is this order for?", "This order is for a customer")
    kim.sees("Which partner organization is yours?")
    kim.page.go_back()
    kim.sees("Who is this order for?")
    expect(kim.main.get_by_label("This order is for a customer")).to_be_checked()
    kim.page.go_forward()
    kim.sees("Which partner organization is yours?")
    kim.page.reload()
    kim.press("Create a new organization")
    kim.sees("Create a new partner organization")
    kim.enter("Company name", "Half a na")
    kim.press("Back")
    kim.sees("Which partner organization is yours?")
    kim.press("Create a new organization")
    expect(kim.field("Company name")).to_have_value("Half a na")
