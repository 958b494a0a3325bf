"""Nobody learns another company's facts from the wizard, and nobody gets rights that its administrators didn't give."""

from __future__ import annotations

import itertools
import re
from uuid import uuid4

import pytest

from orgs.models import Member, Organization
from provisioning import actions
from provisioning.models import Draft
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard, form_fields
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

SAM = "sam@partner.example"
BOSS = "ceo@bigcorp.example"
# What only those may read who have proved that they belong there, or whose order names the company.
SECRETS = ("Bigcorp", "Iceland", "secretbrand.example", "4,321", "4321", "2,109", "31 March 2011", "Online trial")


@pytest.fixture(autouse=True)
def bigcorp() -> Organization:
    """A company that the person at the wizard has nothing to do with."""
    return an_organization(
        "Bigcorp Holding",
        domains=["bigcorp.example", "secretbrand.example"],
        administrators=[BOSS],
        members=["clerk@bigcorp.example"],
        other_names=["Bigcorp Former"],
        country="IS",
        user_count=4321,
        active_user_count=2109,
        account_created_at="2011-03-31T12:00:00Z",
        origin=Organization.Origin.ONLINE_TRIAL,
    )


def a_partner(**order: str) -> Wizard:
    """A partner's order, past the partner's own organization."""
    an_organization("Partner Networks", domains=["partner.example"], administrators=[SAM], partner=True)
    order = {"customer": "Contoso", "customer_email": "it@contoso.example", **order}
    wizard = Wizard(signed_in(SAM), an_order(contact=SAM, **order))  # type: ignore[arg-type]
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    assert wizard.at == "customer-details"
    return wizard


def tells_nothing(page: str, *typed: str) -> None:
    """No secret is on this page but what the reader typed."""
    for secret in SECRETS:
        if secret not in " ".join(typed):
            assert secret not in page, secret


# Facts


@pytest.mark.parametrize("email", [BOSS, "clerk@bigcorp.example", "nobody@bigcorp.example"])
def test_typing_the_address_of_another_company_shows_none_of_its_facts(email: str) -> None:
    wizard = a_partner()
    page = wizard.fill("customer-details", company_name="Contoso", administrator_email=email)
    assert wizard.at == "customer"
    tells_nothing(page)


def test_pages_for_an_administrator_s_a_user_s_and_nobody_s_address_are_the_same() -> None:
    wizard = a_partner()
    pages = []
    for email in (BOSS, "clerk@bigcorp.example", "nobody@bigcorp.example"):
        wizard.open("customer-details")
        pages.append(wizard.fill("customer-details", company_name="Contoso", administrator_email=email))
        assert wizard.at == "customer"
    assert _plain(pages[0]) == _plain(pages[1]) == _plain(pages[2])


def test_name_of_another_company_finds_nothing() -> None:
    wizard = a_partner()
    page = wizard.fill("customer-details", company_name="Bigcorp Holding", administrator_email="it@contoso.example")
    assert "No matching organization found." in page
    wizard.fill("customer")
    page = wizard.fill("customer-new", name="Bigcorp Holding", vertical="retail", country="IS")
    assert wizard.at == "customer-check"
    assert "Is it one of these?" not in page
    tells_nothing(page, "Bigcorp Holding", "Iceland")


def test_order_that_names_one_customer_opens_no_other_one() -> None:
    an_organization("Contoso", domains=["contoso.example"], administrators=["it@contoso.example"])
    wizard = a_partner()
    wizard.fill("customer-details")
    for domain in ("bigcorp.example", "secretbrand.example"):
        tells_nothing(wizard.search("customer", domain), domain)
    wizard.fill("customer", organization="new")
    page = wizard.fill("customer-new", name="Bigcorp Former", vertical="retail", country="IS")
    tells_nothing(page, "Bigcorp Former", "Iceland")


@pytest.mark.parametrize("named", [{}, {"customer_email": ""}, {"customer": "", "customer_email": ""}])
def test_whatever_is_typed_at_most_a_masked_card_is_shown(named: dict[str, str]) -> None:
    wizard = a_partner(**named)
    names = ("Contoso", "Bigcorp Holding", "Bigcorp")
    emails = (BOSS, "x@bigcorp.example", "x@secretbrand.example", "x@mail.bigcorp.example", SAM, "x@gmail.com")
    for name, email in itertools.product(names, emails):
        wizard.open("customer-details")
        page = wizard.fill("customer-details", company_name=name, administrator_email=email)
        assert wizard.at == "customer"
        tells_nothing(page, name, email)
        tells_nothing(wizard.search("customer", "bigcorp.example"), name, email)


def test_choosing_a_masked_organization_unmasks_nothing_before_it_is_confirmed(bigcorp: Organization) -> None:
    wizard = a_partner()
    wizard.fill("customer-details")
    wizard.search("customer", "bigcorp.example")
    page = wizard.fill("customer", organization=str(bigcorp.public_id))
    assert wizard.at == "review"
    tells_nothing(page)
    assert "An organization at bigcorp.example" in page


def test_customer_that_the_order_names_is_shown_in_full(bigcorp: Organization) -> None:
    wizard = a_partner(customer="Bigcorp Holding Ltd", customer_email="")
    page = wizard.fill("customer-details", administrator_email=BOSS)
    for secret in ("Bigcorp Holding", "Iceland", "secretbrand.example", "4,321"):
        assert secret in page
    assert "4,321" in wizard.fill("customer", organization=str(bigcorp.public_id))


def test_customer_that_the_order_names_in_other_words_is_shown_in_full() -> None:
    an_organization("Zygmunt Brewing International", country="PL", user_count=7_654_321)
    wizard = a_partner(customer="Zygmunt Brewing", customer_email="it@zygmunt.example")
    assert "7,654,321" in wizard.fill("customer-details")
    wizard.open("customer-details")
    assert "7,654,321" not in wizard.fill("customer-details", company_name="Zygmunt Brewing International Polska")


def test_own_company_is_shown_in_full_to_a_colleague() -> None:
    order = an_own_order(contact="new@bigcorp.example", sold_to="Bigcorp")
    wizard = Wizard(signed_in("new@bigcorp.example"), order)
    wizard.open()
    page = wizard.fill("intent", audience="own")
    assert "Bigcorp Holding" in page
    assert BOSS not in page


def test_somebody_who_asks_an_unknown_organization_s_administrators_reads_nothing_of_it(bigcorp: Organization) -> None:
    order = an_own_order(contact="eve@elsewhere.example", sold_to="Elsewhere")
    wizard = Wizard(signed_in("eve@elsewhere.example"), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.search("customer", "bigcorp.example")
    tells_nothing(wizard.fill("customer", organization=str(bigcorp.public_id)))
    assert wizard.at == "administrator"
    tells_nothing(wizard.fill("administrator"))
    assert wizard.at == "held"
    tells_nothing(wizard.client.get("/orders/").content.decode())
    assert BOSS not in wizard.html


# Forged choices


@pytest.mark.parametrize("which", ["partner", "customer"])
def test_organization_that_was_not_offered_cannot_be_chosen(bigcorp: Organization, which: str) -> None:
    Organization.objects.update(is_partner=True)
    wizard = a_partner()
    if which == "customer":
        wizard.fill("customer-details")
    pages = []
    for forged in (str(bigcorp.public_id), str(uuid4())):
        wizard.open(which)
        fields = {**form_fields(wizard.html), f"{which}-organization": forged}
        wizard.page = wizard.client.post(wizard.url(which), fields, follow=True)
        assert wizard.at == which
        assert "Select an organization" in wizard.html
        pages.append(_plain(wizard.html).replace(forged, ""))
    assert pages[0] == pages[1]
    kept = Draft.objects.get(order=wizard.order).steps["find"]
    assert str(bigcorp.public_id) not in str([entry["answer"] for entry in kept.values()])


def test_duplicate_that_was_not_offered_cannot_be_chosen(bigcorp: Organization) -> None:
    wizard = a_partner()
    wizard.fill("customer-details")
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="DE")
    fields = {**form_fields(wizard.html), "customer-check-duplicate": str(bigcorp.public_id)}
    wizard.page = wizard.client.post(wizard.url("customer-check"), fields, follow=True)
    wizard.fill("review")
    wizard.order.refresh_from_db()
    assert wizard.order.customer != bigcorp


def test_near_duplicate_of_a_new_partner_that_is_no_partner_is_no_dead_end() -> None:
    an_organization("Proseware", domains=["proseware.example"], administrators=["boss@proseware.example"])
    order = an_order(contact="kim@proseware.example", sold_to="Proseware")
    wizard = Wizard(signed_in("kim@proseware.example"), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    page = wizard.fill("partner-new", name="Proseware", vertical="technology", country="US")
    assert wizard.at == "partner-check"
    assert "Is it one of these?" not in page
    wizard.fill("partner-check")
    assert wizard.at == "customer-details"


# Rights


def everybody() -> set[tuple[str, str, str]]:
    """All members of all organizations with their roles."""
    return set(Member.objects.values_list("organization__name", "email", "role"))


def test_partner_who_maps_a_customer_is_no_member_there(bigcorp: Organization) -> None:
    wizard = a_partner(customer="Bigcorp Holding", customer_email=BOSS)
    before = everybody()
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    wizard.fill("review", delegate=True)
    wizard.order.refresh_from_db()
    assert (wizard.order.customer, wizard.order.delegated_to) == (bigcorp, BOSS)
    wizard.client.post(f"/orders/{wizard.order.number}/delegated/")
    wizard.order.refresh_from_db()
    assert wizard.order.delegated_to == ""
    assert everybody() == before


def test_set_up_is_given_to_an_administrator_of_the_customer_only(bigcorp: Organization) -> None:
    wizard = a_partner(customer="Bigcorp Holding", customer_email="clerk@bigcorp.example")
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    page = wizard.fill("review", delegate=True)
    assert wizard.at == "review"
    assert "isn’t an administrator" in page
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED
    assert not wizard.order.parts.filter(role="delegate").exists()
    Member.objects.filter(email="clerk@bigcorp.example").update(role=Member.Role.FULL)
    fields = form_fields(wizard.open("review")) | {"review-delegate": "on"}
    Member.objects.filter(email="clerk@bigcorp.example").update(role=Member.Role.USER)  # between page and button
    wizard.client.post(wizard.url("review"), fields)
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED


def test_switching_the_audience_does_not_carry_a_choice_past_the_own_company_s_rule(bigcorp: Organization) -> None:
    wizard = a_partner(customer="Bigcorp Holding", customer_email=BOSS)
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    assert wizard.at == "review"
    stale = form_fields(wizard.html)
    wizard.answer("intent", audience="own")
    for fields in (stale, {}, {"revision": "0.", "review-delegate": "on"}):
        wizard.client.post(wizard.url("review"), fields)
        wizard.order.refresh_from_db()
        assert wizard.order.state == Order.State.PLACED
    wizard.search("customer", "bigcorp.example")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    assert wizard.at == "administrator"
    wizard.client.post(wizard.url("review"), stale)
    wizard.order.refresh_from_db()
    assert (wizard.order.state, wizard.order.customer) == (Order.State.PLACED, None)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("contact", ["clerk@bigcorp.example", "new@bigcorp.example", "new@mail.bigcorp.example"])
def test_calling_the_own_company_a_customer_does_not_go_round_its_administrators(
    bigcorp: Organization, contact: str, named: bool
) -> None:
    order = an_order(
        contact=contact, sold_to="Bigcorp Holding", customer="Bigcorp Holding" if named else "", customer_email=BOSS
    )
    wizard = Wizard(signed_in(contact), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Shell Partner", country="IS")
    wizard.fill("customer-details", company_name="Bigcorp Holding", administrator_email=contact)
    wizard.fill("customer", organization=str(bigcorp.public_id))
    page = wizard.fill("review")
    assert wizard.at == "customer"
    assert "This is your own company" in page
    order.refresh_from_db()
    assert (order.state, order.customer) == (Order.State.PLACED, None)
    wizard.open("intent")
    wizard.fill("intent", audience="own")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    assert wizard.at == "administrator"


def test_partner_who_is_its_own_customer_asks_its_administrators() -> None:
    partner = an_organization("Partner Networks", domains=["partner.example"], administrators=["it@partner.example"])
    type(partner).objects.filter(pk=partner.pk).update(is_partner=True)
    wizard = Wizard(signed_in(SAM), an_order(contact=SAM, customer="Partner Networks", customer_email=SAM))
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner", organization=str(partner.public_id))
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(partner.public_id))
    page = wizard.fill("review")
    assert "This is your own company" in page
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED


def test_administrator_who_stops_being_one_between_page_and_button_cannot_confirm() -> None:
    organization = an_organization("Contoso", administrators=["kim@contoso.example"])
    order = an_own_order(contact="kim@contoso.example")
    wizard = Wizard(signed_in("kim@contoso.example"), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    fields = form_fields(wizard.html)
    assert wizard.at == "review"
    Member.objects.filter(organization=organization).update(role=Member.Role.USER)
    wizard.page = wizard.client.post(wizard.url("review"), fields, follow=True)
    assert wizard.at == "administrator"
    order.refresh_from_db()
    assert order.state == Order.State.PLACED


def test_order_that_is_cancelled_or_corrected_while_the_wizard_is_open_takes_no_answer() -> None:
    wizard = a_partner()
    fields = form_fields(wizard.html)
    actions.correct_order(order=wizard.order, contact_email="right@partner.example")
    wizard.page = wizard.client.post(wizard.url("customer-details"), fields, follow=True)
    assert wizard.at == "handed-over"
    assert "customer-details" not in Draft.objects.get(order=wizard.order).steps["find"]
    successor = Wizard(signed_in("right@partner.example"), wizard.order)
    assert "Who is this order for?" in successor.open()
    fields = {**form_fields(successor.html), "intent-audience": ["own"]}
    actions.cancel_order(order=wizard.order, by=None)
    successor.page = successor.client.post(successor.url("intent"), fields, follow=True)
    assert successor.at == "cancelled"
    assert Draft.objects.get(order=wizard.order).steps["find"] == {}


def test_customer_that_the_desk_corrects_while_the_wizard_is_open_is_not_mapped_by_the_old_page(
    bigcorp: Organization,
) -> None:
    wizard = a_partner(customer="Bigcorp Holding", customer_email=BOSS)
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    fields = form_fields(wizard.html)
    actions.correct_order(order=wizard.order, customer_name="Contoso", customer_email="it@contoso.example")
    wizard.page = wizard.client.post(wizard.url("review"), fields, follow=True)
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED


def test_stranger_and_replaced_contact_take_nothing_back() -> None:
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email="alex@partner.example")
    actions.correct_order(order=order, contact_email="right@partner.example")
    for email in (SAM, "alex@partner.example", "eve@elsewhere.example"):
        signed_in(email).post(f"/orders/{order.number}/handed-over/")
        order.refresh_from_db()
        assert order.contact_email == "right@partner.example"


def test_order_cannot_be_handed_over_or_taken_back_once_it_is_mapped(bigcorp: Organization) -> None:
    order = an_order(contact=SAM, customer="Bigcorp Holding", customer_email=BOSS)
    actions.hand_over(order=order, by=links.user_for(SAM), email="alex@partner.example")
    an_organization("Partner Networks", administrators=["alex@partner.example"], partner=True)
    wizard = Wizard(signed_in("alex@partner.example"), order)
    intent = form_fields(wizard.open())
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    wizard.fill("customer-details")
    wizard.fill("customer", organization=str(bigcorp.public_id))
    wizard.fill("review")
    signed_in(SAM).post(f"/orders/{order.number}/handed-over/")
    wizard.client.post(
        wizard.url("intent"), intent | {"intent-audience": "other", "intent-email": "eve@elsewhere.example"}
    )
    order.refresh_from_db()
    assert (order.state, order.contact_email) == (Order.State.MAPPED, "alex@partner.example")


def _plain(page: str) -> str:
    """The page without what differs each time."""
    page = re.sub(r'name="(csrfmiddlewaretoken|revision)" value="[^"]*"', "", page)
    page = re.sub(r"<!-- [A-Za-z0-9+/=]* -->", "", page)
    for email in (BOSS, "clerk@bigcorp.example", "nobody@bigcorp.example"):
        page = page.replace(email, "EMAIL")
    return page
