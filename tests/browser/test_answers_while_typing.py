"""What the pages of the set-up say and do while somebody types: site names, time zones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from provisioning import actions
from provisioning.people import links
from subscriptions.packs.meetings import SitePlan
from tests.browser.person import Person
from tests.factories import a_mapped_order, an_organization

pytestmark = pytest.mark.django_db(transaction=True)

KIM = "kim@contoso.example.org"


@pytest.fixture
def kim(person: Callable[..., Person]) -> Person:
    """Somebody of Contoso at the first site's step; another organization has a site called fabrikam."""
    dana = "dana@fabrikam.example.org"
    other = a_mapped_order(contact=dana, customer=an_organization("Fabrikam", administrators=[dana]), meetings=5)
    site = SitePlan(name="fabrikam", time_zone="Europe/Paris", early_release=False, licenses=5)
    actions.set_up(order=other, by=links.user_for(dana), plans={"meetings": [site]})
    order = a_mapped_order(
        contact=KIM, customer=an_organization("Contoso", administrators=[KIM], country="DE"), meetings=9
    )
    kim = person(KIM)
    kim.open(order, "services/")
    kim.press("Setup now")
    kim.sees("Meeting setup")
    return kim


def test_a_name_is_answered_while_it_is_typed_and_an_alternative_is_taken_by_keyboard(kim: Person) -> None:
    name = kim.field("Site name")
    name.press_sequentially("fab")
    name.press_sequentially("rikam")
    kim.reads("“fabrikam” is taken")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.press("Tab")
    expect(kim.main.get_by_role("button", name="fabrikam-de", exact=True)).to_be_focused()
    kim.page.keyboard.press("Enter")
    expect(name).to_be_focused()
    expect(name).to_have_value("fabrikam-de")
    kim.reads("fabrikam-de.meet.example.com is available")
    expect(name).to_have_attribute("aria-invalid", "false")
    name.fill("Büro München")
    kim.reads("such as buero-muenchen")
    name.fill("buero-muenchen")
    kim.reads("buero-muenchen.meet.example.com is available")
    kim.select("Time zone", "Europe/Berlin")
    kim.choose("No")
    kim.press("Next")
    kim.sees("Review the information")


def test_a_time_zone_is_found_by_its_town_its_country_or_its_offset(kim: Person) -> None:
    search = kim.main.get_by_role("searchbox")
    zone = kim.field("Time zone")
    expect(zone).to_have_value("Europe/Berlin")
    search.fill("japan")
    expect(zone).to_have_value("Asia/Tokyo")
    expect(kim.main.get_by_role("status")).to_contain_text("Tokyo, Japan")
    search.fill("+05:30")
    kim.reads("time zones match")
    search.press("Enter")
    expect(zone).to_be_focused()
    assert zone.locator("option").count() < 6
    expect(zone).to_have_value("Asia/Tokyo")  # what was selected stays
    search.fill("nowhere at all")
    kim.reads("No time zone is called that")
    search.fill("")
    assert zone.locator("option").count() > 400
    kim.sees("Meeting setup")


def test_early_release_shows_its_confirmation_where_it_is_chosen(kim: Person) -> None:
    tick = kim.main.get_by_label("I understand that this site stays on the early release schedule")
    expect(tick).to_be_hidden()
    kim.enter("Site name", "contoso")
    kim.choose("Yes")
    expect(tick).to_be_visible()
    kim.press("Next")
    kim.reads("Tick this to confirm")
    tick.check()
    kim.press("Next")
    kim.sees("Review the information")


def test_the_rows_of_additional_urls_answer_each_for_itself(kim: Person) -> None:
    kim.name_the_site("contoso", "I need additional URLs")
    kim.sees("Additional URLs")
    kim.press("Add another")
    first, second = kim.main.get_by_label("Site name").all()
    first.fill("contoso-lab")
    kim.reads("contoso-lab.meet.example.com is available")
    second.fill("contoso-lab")
    kim.reads("this order has a site of this name already")
    second.fill("fabrikam")
    kim.reads("“fabrikam” is taken")
    expect(first).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("java_script", [True, False], ids=["with-javascript", "without"])
def test_what_there_is_to_select_follows_from_what_is_selected(
    person: Callable[..., Person], java_script: bool
) -> None:
    order = a_mapped_order(
        contact=KIM, customer=an_organization("Contoso", administrators=[KIM], country="CN"), calling=9
    )
    kim = person(KIM, java_script_enabled=java_script)
    kim.open(order, "services/")
    kim.press("Setup now")
    kim.answer("Where is your main headquarters?", Location_name="Guangzhou")
    kim.sees("What is the address of your main headquarters?")
    kim.enter("Street address", "1 Tianhe Road")
    for field, option in (("Province", "广东省"), ("Town or city", "广州市")):
        expect(kim.field(field)).to_have_js_property("tagName", "SELECT")
        kim.select(field, option)
        if not java_script:
            kim.main.get_by_role("button", name="Show what there is to select below").nth(
                int(field != "Province")
            ).click()
    expect(kim.field("District")).to_have_js_property("tagName", "SELECT")
    kim.select("District", "天河区")
    expect(kim.field("Street address")).to_have_value("1 Tianhe Road")
    expect(kim.field("Province")).to_have_value("广东省")
    kim.enter("Postal code", "510000")
    kim.select("Time zone", "Asia/Shanghai")
    kim.choose("Another address")
    kim.enter("Street address for emergencies", "Gate 3")
    kim.select("Province for emergencies", "北京市")
    if not java_script:
        kim.main.get_by_role("button", name="Show what there is to select below").nth(2).click()
    expect(kim.field("Town or city for emergencies")).to_have_js_property("tagName", "SELECT")
    kim.select("Town or city for emergencies", "朝阳区")
    kim.enter("Postal code for emergencies", "100020")
    kim.press("Next")
    kim.sees("Review the information")
    kim.reads("Tianhe Qu", "Guangdong Sheng, 510000", "Gate 3", "Beijing Shi")
