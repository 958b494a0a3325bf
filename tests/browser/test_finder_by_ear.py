"""The organization finder as a screen reader speaks it: where the focus is, and what belongs to what."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person
from tests.driver import Wizard
from tests.factories import an_order, an_organization, signed_in

SAM = "sam@partnernet.com"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sam(person: Callable[..., Person]) -> Person:
    """Somebody who has to say which customer it is, of two; one has more domains than fit on a card."""
    partner = an_organization("Partner Networks", domains=["partnernet.com"], administrators=[SAM], partner=True)
    an_organization("Contoso", domains=["contoso.com", "a.org", "b.org"], country="US", user_count=1234)
    an_organization("Contoso GmbH", domains=["contoso.de"], country="AT")
    order = an_order(contact=SAM, customer_email="it@contoso.com")
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner", organization=str(partner.public_id))
    wizard.fill("customer-details")
    somebody = person(SAM)
    somebody.page.goto(wizard.page.redirect_chain[-1][0])
    return somebody


def test_a_card_is_a_radio_with_its_facts_as_description_and_nothing_is_preselected(sam: Person) -> None:
    group = sam.main.get_by_role("group", name="Organization", exact=True)
    first = group.get_by_role("radio").first
    expect(first).to_have_accessible_name("Contoso United States of America")
    said = (
        "Best match. The email domain is verified here · Same name. Domains: contoso.com Verified a.org Verified "
        "and 1 more. Users: 1,234 (0 active). Last activity: None. Active subscriptions: 0."
    )
    description = " ".join(first.evaluate(DESCRIPTION).split()).replace(" .", ".")
    assert description.startswith(said)
    expect(sam.main.get_by_role("radio", checked=True)).to_have_count(0)
    expect(sam.main.locator("summary", has_text="Why this one?").first).to_have_text("Why this one? Contoso")


DESCRIPTION = "radio => document.getElementById(radio.getAttribute('aria-describedby')).textContent"


def test_a_search_that_is_refused_is_a_problem_on_top_that_leads_to_its_field(sam: Person) -> None:
    sam.main.get_by_text("Search by domain", exact=True).click()
    sam.enter("Domain", "gmail.com")
    sam.press("Search")
    expect(sam.page).to_have_title(f"Error: Which customer organization is this order for? · {number(sam)}")
    summary = sam.main.get_by_role("alert")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Anybody can have an address at this domain").press("Enter")
    expect(sam.field("Domain")).to_be_focused()
    expect(sam.field("Domain")).to_have_accessible_description(re.compile("contoso.com Error: Anybody can have"))


def number(sam: Person) -> str:
    """What follows the question in the title of an order's page."""
    return sam.page.title().partition(" · ")[2]


def test_a_search_that_finds_nothing_is_no_mistake_and_says_what_to_do_next(sam: Person) -> None:
    sam.main.get_by_text("Search by domain", exact=True).click()
    sam.enter("Domain", "nothing-here.org")
    sam.press("Search")
    answer = sam.main.get_by_text("No organization has verified the domain nothing-here.org.")
    expect(answer).to_be_focused()
    expect(answer).to_contain_text("Check its spelling, search for another domain of the company, or select one")
    expect(sam.main.get_by_role("alert")).to_have_count(0)
    assert sam.field("Domain").get_attribute("aria-invalid") is None


def test_a_search_that_finds_one_says_so_where_the_focus_is(sam: Person) -> None:
    an_organization("Northwind", domains=["northwind.org"])
    sam.main.get_by_text("Search by domain", exact=True).click()
    sam.enter("Domain", "northwind.org")
    sam.press("Search")
    answer = sam.main.get_by_text("1 more organization with the domain northwind.org is in the list.")
    expect(answer).to_be_focused()
    expect(sam.main.get_by_role("radio", checked=True)).to_have_count(0)
