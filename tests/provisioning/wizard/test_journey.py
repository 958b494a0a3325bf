"""The main job by HTTP: from "who is this order for?" to the summary, for both kinds of order."""

from __future__ import annotations

import pytest

from orgs.models import Member, Organization
from provisioning.models import Event, Part
from subscriptions.models import Location, Order, Site
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

PARTNER = "sam@partner.example.net"
ADMINISTRATOR = "it@contoso.example.org"


def test_partner_maps_a_customer_with_exact_matches_and_sets_meetings_up() -> None:
    partner = an_organization("Partner Networks", administrators=[PARTNER], partner=True)
    customer = an_organization("Contoso", domains=["contoso.example.org"], administrators=[ADMINISTRATOR])
    order = an_order(contact=PARTNER, meetings=250)
    wizard = Wizard(signed_in(PARTNER), order)

    assert "Who is this order for?" in wizard.open()
    page = wizard.fill("intent", audience="customer")
    assert "Based on your email address, we matched your order with your organization." in page
    assert wizard.fill("partner").count("Who is the customer?")
    assert "we matched your order with your organization" in wizard.fill("customer-details")
    page = wizard.fill("customer")
    assert "Review the organizations" in page
    assert "Provisioning administrator" in page
    page = wizard.fill("review")

    order.refresh_from_db()
    assert (order.state, order.partner, order.customer) == (Order.State.MAPPED, partner, customer)
    assert order.provisioning_administrator
    assert not Member.objects.filter(organization=customer, email=PARTNER).exists()

    assert "Review your subscription" in page
    wizard = Wizard(wizard.client, order, "set_up")
    wizard.open()
    assert wizard.at == "subscription"
    assert "Meeting setup" in wizard.fill("subscription", choice="now")
    page = wizard.fill("meetings", site_name="contoso-emea", time_zone="Europe/Berlin", early_release="no")
    assert wizard.at == "review"
    assert "contoso-emea" in page
    page = wizard.fill("review")
    assert "Download order summary (PDF)" in page
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert [(site.name, site.licenses) for site in Site.objects.all()] == [("contoso-emea", 250)]
    pdf = wizard.client.get(f"/orders/{order.number}/summary.pdf")
    assert pdf["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")


def test_partner_creates_both_organizations_and_the_customer_sets_three_services_up() -> None:
    order = an_order(contact=PARTNER, meetings=100, calling=10)
    wizard = Wizard(signed_in(PARTNER), order)
    wizard.open()
    page = wizard.fill("intent", audience="customer")
    assert "No matching organization found." in page
    assert "Create a new organization" in page
    page = wizard.fill("partner")
    assert wizard.at == "partner-new"
    page = wizard.fill("partner-new", name="Partner Networks", vertical="technology", country="DE")
    assert wizard.at == "partner-check"
    assert "Germany" in page
    wizard.fill("partner-check")
    wizard.fill("customer-details")
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="DE")
    wizard.fill("customer-check")
    assert wizard.at == "review"
    wizard.fill("review", delegate=True)

    order.refresh_from_db()
    assert order.delegated_to == ADMINISTRATOR
    assert order.partner is not None
    assert order.partner.is_partner
    assert order.customer is not None
    assert list(order.customer.members.values_list("email", "role")) == [(ADMINISTRATOR, "full")]
    assert not order.provisioning_administrator
    assert "waiting" in wizard.html.lower() or "customer" in wizard.html.lower()

    customer = Wizard(signed_in(ADMINISTRATOR), order, "set_up")
    customer.open()
    customer.fill("subscription", choice="now")
    customer.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no", additional_urls=True)
    assert customer.at == "additional"
    customer.fill(
        "additional", **{"0__name": "contoso-lab", "0__early_release": "yes", "0__early_release_confirmed": True}
    )
    assert customer.at == "licenses"
    customer.fill("licenses", split="1")
    customer.fill("licenses")
    assert customer.at == "location"
    customer.fill_headquarters()
    assert customer.at == "review"
    page = customer.fill("review")
    assert "Download order summary (PDF)" in page
    assert PARTNER not in page  # somebody else's address, masked for the customer
    assert "s•••@partner.example.net" in page
    assert {site.name: site.licenses for site in Site.objects.all()} == {"contoso": 50, "contoso-lab": 50}
    assert Location.objects.get().name == "Headquarters"


def test_own_company_that_is_new_is_created_with_its_contact_as_administrator() -> None:
    order = an_own_order(calling=20)
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    assert wizard.at == "customer"
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="US")
    wizard.fill("customer-check")
    wizard.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert order.partner is None
    assert order.customer is not None
    assert order.customer.members.get().role == Member.Role.FULL


def test_member_who_is_no_administrator_asks_and_the_order_is_held_until_one_adds_them() -> None:
    organization = an_organization(
        "Contoso", administrators=["boss@contoso.example.org"], members=["kim@contoso.example.org"]
    )
    order = an_own_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    page = wizard.fill("customer")
    assert wizard.at == "administrator"
    assert "an administrator there has to add you first" in page
    page = wizard.fill("administrator")
    order.refresh_from_db()
    assert order.state == Order.State.HELD
    assert "boss@" not in page
    assert order.mails.filter(event="access_requested", to="boss@contoso.example.org").count() == 1
    assert wizard.client.get(f"/orders/{order.number}/organizations/review/", follow=True).redirect_chain

    Member.objects.filter(organization=organization, email=order.contact_email).update(role=Member.Role.FULL)
    wizard.open()
    assert wizard.at == "review"
    wizard.fill("review")
    order.refresh_from_db()
    assert (order.state, order.customer) == (Order.State.MAPPED, organization)


def test_handing_over_gives_the_order_away_and_taking_back_returns_it() -> None:
    order = an_order(contact=PARTNER)
    first, second = signed_in(PARTNER), signed_in("alex@partner.example.net")
    wizard = Wizard(first, order)
    wizard.open()
    page = wizard.fill("intent", audience="other", email="alex@partner.example.net")
    assert "alex@partner.example.net" in page
    order.refresh_from_db()
    assert order.contact_email == "alex@partner.example.net"
    assert (
        first.get(f"/orders/{order.number}/organizations/", follow=True).redirect_chain[-1][0].endswith("/handed-over/")
    )
    assert "Who is this order for?" in Wizard(second, order).open()

    first.post(f"/orders/{order.number}/handed-over/")
    order.refresh_from_db()
    assert order.contact_email == PARTNER
    assert "Who is this order for?" in Wizard(first, order).open()
    assert Part.objects.filter(order=order, ended_at=None).get().user.email == PARTNER
    assert [event.kind for event in Event.objects.filter(order=order)][-2:] == ["handed_over", "taken_back"]
    page = second.get(f"/orders/{order.number}/", follow=True).content.decode()
    assert "You no longer have this order" in page
    assert "We emailed them the link" not in page


def test_set_up_later_keeps_every_answer_for_another_device() -> None:
    organization = an_organization("Contoso", administrators=["kim@contoso.example.org"])
    order = an_own_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("review")
    order.refresh_from_db()
    assert order.customer == organization
    setup = Wizard(wizard.client, order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="America/New_York", early_release="no", back="1")
    setup.fill("subscription", choice="later")
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert not Site.objects.exists()
    other_device = Wizard(signed_in(order.contact_email), order, "set_up")
    assert order.number in other_device.client.get("/orders/").content.decode()
    assert 'value="contoso-one"' in other_device.open("meetings")


def test_no_organization_is_made_before_the_mapping_is_confirmed() -> None:
    order = an_own_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="US")
    wizard.fill("customer-check")
    assert not Organization.objects.exists()
