"""Answers are the order's: they outlive browsers, never mix, and are never overwritten without a word."""

from __future__ import annotations

import pytest
from django.test import Client

from provisioning.models import Draft, Event, Mail, Part
from subscriptions.models import Order
from tests.driver import Wizard, form_fields
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"


def mapped_order(*, meetings: int = 0, calling: int = 0) -> Order:
    """An own order whose organizations are confirmed."""
    an_organization("Contoso", administrators=[KIM])
    order = an_own_order(contact=KIM, meetings=meetings, calling=calling)
    wizard = Wizard(signed_in(KIM), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    return order


def set_up(order: Order, client: Client | None = None) -> Wizard:
    """The set-up of an order, past *Setup now*."""
    wizard = Wizard(client or signed_in(KIM), order, "set_up")
    wizard.open()
    if wizard.at == "subscription":
        wizard.fill("subscription", choice="now")
    return wizard


def rows() -> tuple[int, ...]:
    """Counts of everything that a GET must leave alone."""
    return tuple(model.objects.count() for model in (Draft, Event, Mail, Part, Order))


def test_opening_every_page_changes_nothing() -> None:
    order = mapped_order(meetings=10, calling=5)
    before, draft = rows(), Draft.objects.get(order=order).updated_at
    client = signed_in(KIM)
    for path in (
        "",
        "services/",
        "services/meetings/",
        "services/review/",
        "later/",
        "summary/",
        "held/",
        "delegated/",
    ):
        client.get(f"/orders/{order.number}/{path}", follow=True)
        client.head(f"/orders/{order.number}/{path}", follow=True)
    assert rows() == before
    assert Draft.objects.get(order=order).updated_at == draft


def test_back_keeps_what_was_typed() -> None:
    wizard = set_up(mapped_order(meetings=10))
    wizard.fill("meetings", site_name="Half typed?", back="1")
    assert wizard.at == "subscription"
    page = wizard.open("meetings")
    assert 'value="Half typed?"' in page
    assert "There is a problem" not in page


def test_refused_answer_is_kept_and_reload_shows_it_again_without_posting() -> None:
    wizard = set_up(mapped_order(meetings=10))
    page = wizard.fill("meetings", site_name="x", time_zone="Europe/Paris")
    assert wizard.page.redirect_chain  # a GET: reloading posts nothing
    for _reload in range(2):
        assert "There is a problem" in page
        assert 'value="x"' in page
        assert 'value="Europe/Paris" selected' in page
        page = wizard.open("meetings", "?problem")


def test_second_tab_is_told_what_the_first_one_saved_and_may_replace_it() -> None:
    order = mapped_order(meetings=10)
    first, second = set_up(order), set_up(order)
    first.open("meetings")
    second.open("meetings")
    first.fill("meetings", site_name="first-site", time_zone="Europe/Paris", early_release="no")
    assert first.at == "review"
    page = second.fill("meetings", site_name="second-site", time_zone="Europe/Rome", early_release="no")
    assert second.at == "meetings"
    assert "first-site" in page
    assert 'value="second-site"' in page
    assert "first-site" in first.open("review")  # nothing was overwritten
    second.fill("meetings")
    assert second.at == "review"
    assert "second-site" in first.open("review")


def test_second_tab_may_keep_what_the_first_one_saved() -> None:
    order = mapped_order(meetings=10)
    first, second = set_up(order), set_up(order)
    second.open("meetings")
    first.answer("meetings", site_name="first-site", time_zone="Europe/Paris", early_release="no")
    second.fill("meetings", site_name="second-site", time_zone="Europe/Rome", early_release="no")
    page = second.open("meetings", "?kept")
    assert 'value="first-site"' in page
    second.fill("meetings")
    assert second.at == "review"
    assert 'value="first-site"' in second.open("meetings")


def test_same_answer_in_two_tabs_is_no_conflict() -> None:
    order = mapped_order(meetings=10)
    first, second = set_up(order), set_up(order)
    first.open("meetings")
    second.open("meetings")
    for tab in (first, second):
        tab.fill("meetings", site_name="same-site", time_zone="Europe/Paris", early_release="no")
        assert tab.at == "review"


def test_review_that_is_out_of_date_is_shown_again_instead_of_being_confirmed() -> None:
    order = mapped_order(meetings=10)
    first, second = set_up(order), set_up(order)
    first.answer("meetings", site_name="first-site", time_zone="Europe/Paris", early_release="no")
    first.open("review")
    second.answer("meetings", site_name="second-site", time_zone="Europe/Paris", early_release="no")
    page = first.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert "second-site" in page
    first.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP


def test_changing_the_sites_asks_for_the_licenses_again_with_the_numbers_still_there() -> None:
    wizard = set_up(mapped_order(meetings=10))
    wizard.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "site-two", "0__early_release": "no"})
    wizard.fill("licenses", **{"site_site-one": "7", "site_site-two": "3"})
    assert wizard.at == "licenses" or wizard.at == "review"
    fields = form_fields(wizard.open("licenses"))
    names = [name for name in fields if name.startswith("licenses-")]
    assert [fields[name] for name in names] == [["7"], ["3"]]
    wizard.answer("meetings", site_name="site-uno")
    page = wizard.open("review")
    assert wizard.at == "additional" or wizard.at == "licenses"
    assert "Review the information" not in page


def test_row_is_added_and_removed_without_losing_the_others() -> None:
    wizard = set_up(mapped_order(meetings=10))
    wizard.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "site-two", "add": "1"})
    wizard.fill("additional", **{"1__name": "site-three", "add": "1"})
    page = wizard.fill("additional", remove="0")
    assert 'value="site-two"' not in page
    assert 'value="site-three"' in page
    assert form_fields(page)["additional-TOTAL_FORMS"] == ["2"]


def test_two_orders_in_one_browser_never_mix() -> None:
    an_organization("Partner Networks", administrators=["sam@partner.example.net"], partner=True)
    first, second = an_order(), an_order(customer="Fabrikam", customer_email="it@fabrikam.example.org")
    client = signed_in("sam@partner.example.net")
    one, two = Wizard(client, first), Wizard(client, second)
    one.open()
    two.open()
    one.fill("intent", audience="customer")
    two.fill("intent", audience="customer")
    one.fill("partner")
    two.fill("partner")
    assert 'value="Contoso"' in one.html
    assert 'value="Fabrikam"' in two.html
    one.fill("customer-details", company_name="Contoso Ltd")
    assert 'value="Fabrikam"' in two.open("customer-details")


def test_step_that_is_not_due_leads_to_the_one_that_is() -> None:
    order = an_own_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    for step in ("review", "customer", "administrator", "partner-check"):
        wizard.open(step)
        assert wizard.at == "intent"
    assert wizard.client.get(f"/orders/{order.number}/organizations/no-such-step/").status_code == 404
    assert wizard.client.post(f"/orders/{order.number}/organizations/no-such-step/").status_code == 404
    wizard.page = wizard.client.post(wizard.url("review"), {"review-delegate": "on"}, follow=True)
    assert wizard.at == "intent"
    order.refresh_from_db()
    assert order.state == Order.State.PLACED


def test_confirming_twice_shows_the_same_result() -> None:
    order = mapped_order(meetings=10)
    wizard = set_up(order)
    wizard.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no")
    fields = form_fields(wizard.open("review"))
    for _press in range(2):
        page = wizard.client.post(wizard.url("review"), fields, follow=True)
        assert "Download order summary (PDF)" in page.content.decode()
    assert order.events.filter(kind=Event.Kind.SET_UP).count() == 1
    assert order.mails.filter(event="set_up_confirmation").count() == 1


def test_who_lost_the_order_while_typing_is_told_that_it_was_not_saved() -> None:
    order = an_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    other_tab = Wizard(wizard.client, order)
    other_tab.open()
    other_tab.fill("intent", audience="other", email="alex@partner.example.net")
    page = wizard.fill("intent", audience="own")
    assert wizard.at == "handed-over"
    assert "What you just sent was not saved" in page


def test_organization_found_by_domain_may_replace_an_answer_that_was_given_before() -> None:
    first = an_organization("Contoso", administrators=[KIM])
    other = an_organization("Contoso Services", domains=["contoso-services.example"])
    order = an_own_order(contact=KIM)
    wizard = Wizard(signed_in(KIM), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    answer = Draft.objects.get(order=order).steps["find"]["customer"]["answer"]
    assert answer["organization"] == str(first.public_id)
    wizard.search("customer", "contoso-services.example")
    wizard.fill("customer", organization=str(other.public_id))
    answer = Draft.objects.get(order=order).steps["find"]["customer"]["answer"]
    assert answer["organization"] == str(other.public_id)


def test_answer_to_a_step_that_is_not_due_any_more_is_there_when_it_is_due_again() -> None:
    order = mapped_order(meetings=10)
    first, second = set_up(order), set_up(order)
    first.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=True)
    assert first.at == "additional"
    second.answer("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=None)
    first.fill("additional", **{"0__name": "site-two", "0__early_release": "no"})
    assert first.at != "additional"
    page = first.answer("meetings", additional_urls=True)
    assert first.at == "additional"
    assert 'value="site-two"' in page
