"""In German, no page, email or PDF is left in English."""

from __future__ import annotations

import io
from typing import Final

import pypdf
import pytest
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from provisioning import actions, links
from provisioning.models import Part
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in
from tests.german import GermanWizard, assert_german, in_german, left_in_english, shown
from tests.mailbox import deliver

PARTNER: Final = "sam@partner.example.net"
ADMINISTRATOR: Final = "it@contoso.example.org"


@pytest.mark.django_db
def test_partner_finds_and_creates_organizations_in_german() -> None:
    an_organization(
        "Partner Networks", domains=["partner.example.net"], members=["kim@partner.example.net"], partner=True
    )
    an_organization("Contoso Werke", domains=["contoso.example.org"], members=["uwe@contoso.example.org"])
    wizard = GermanWizard(in_german(PARTNER), an_order(contact=PARTNER, meetings=250))
    assert "Für wen ist diese Bestellung?" in wizard.open()
    assert "Es gibt ein Problem" in wizard.fill("intent", audience=None)
    wizard.fill("intent", audience="other", email="nobody")
    page = wizard.fill("intent", audience="customer", email="")
    assert "Anhand Ihrer E-Mail-Adresse haben wir passende Organisationen gefunden." in page
    wizard.fill("partner")
    wizard.open("partner", "?domain=gmail.com")
    wizard.open("partner", "?domain=nobody.example.com")
    wizard.fill("partner", organization="new")
    wizard.fill("partner-new", name="")
    wizard.fill("partner-new", name="Partner Networks", vertical="technology", country="DE")
    assert wizard.at == "partner-check"
    wizard.fill("partner-check", duplicate="new")
    assert wizard.at == "customer-details"
    wizard.fill("customer-details", company_name="")
    wizard.fill("customer-details", company_name="Contoso Werke", administrator_email=ADMINISTRATOR)
    assert wizard.at == "customer"
    wizard.fill("customer", organization="new")
    wizard.fill("customer-new", name="Contoso Werk", vertical="retail", country="DE")
    wizard.fill("customer-check")
    wizard.fill("customer-check", duplicate="new")
    assert wizard.at == "review"
    wizard.fill("review", delegate=True)
    assert "Ihr Kunde richtet die Dienste ein" in wizard.html


@pytest.mark.django_db
def test_exact_match_and_existing_customer_in_german() -> None:
    an_organization("Partner Networks", administrators=[PARTNER], partner=True)
    an_organization("Contoso", administrators=[ADMINISTRATOR])
    wizard = GermanWizard(in_german(PARTNER), an_order(contact=PARTNER, meetings=250))
    wizard.open()
    page = wizard.fill("intent", audience="customer")
    assert "Anhand Ihrer E-Mail-Adresse haben wir Ihre Bestellung Ihrer Organisation zugeordnet." in page
    wizard.fill("partner")
    wizard.fill("customer-details")
    assert "Bereitstellungsadministrator" in wizard.fill("customer")
    wizard.fill("review")
    assert "Abonnement prüfen" in wizard.html


@pytest.mark.django_db
def test_services_are_set_up_in_german_up_to_the_pdf() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = GermanWizard(in_german(order.contact_email), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="")
    wizard.fill("meetings", site_name="contoso--", time_zone="Europe/Berlin")
    wizard.fill("meetings", site_name="admin", time_zone="Europe/Berlin", early_release="no")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "contoso", "0__early_release": "yes"})
    wizard.fill("additional", add="1")
    wizard.fill("additional", remove="1")
    wizard.fill("additional", **{"0__name": "contoso-lab", "0__early_release": "yes"})
    wizard.fill("licenses", contoso="1", **{"contoso-lab": "2"})
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    wizard.fill("location", name="", country="")
    wizard.fill("location", name="Zentrale", country="DE")
    page = wizard.fill("address", street_address="", postal_code="1", main_number="1")
    assert "Geben Sie eine Postleitzahl ein, zum Beispiel" in page
    wizard.fill(
        "address",
        street_address="Unter den Linden 1",
        city="Berlin",
        postal_code="10117",
        time_zone="Europe/Berlin",
        language="de",
        announcement_language="de",
        main_number="+49 30 123456",
    )
    assert wizard.at == "review"
    page = wizard.fill("review")
    assert "Bestellübersicht herunterladen (PDF)" in page
    assert "Meetings und Calling sind für Contoso eingerichtet." in page

    content = wizard.client.get(reverse("summary_pdf", args=[order.number])).content
    pages = [part.extract_text() for part in pypdf.PdfReader(io.BytesIO(content)).pages]
    assert "Meetings und Calling sind für Contoso eingerichtet." in " ".join(" ".join(pages).split())
    assert left_in_english([" ".join(line.split()) for page in pages for line in page.splitlines()]) == []


@pytest.mark.django_db
def test_pages_beside_the_wizard_are_german() -> None:
    handed_over, delegated, cancelled, later = (
        an_order(contact=PARTNER),
        a_delegated_order(contact=PARTNER, customer="Fabrikam", customer_email="it@fabrikam.example.org"),
        an_order(contact=PARTNER),
        a_mapped_order(contact=PARTNER, customer=an_organization("Tailspin", administrators=[PARTNER])),
    )
    partner = links.user_for(PARTNER)
    actions.hand_over(order=handed_over, by=partner, email="chris@partner.example.net")
    actions.cancel_order(order=cancelled, by=partner)
    client = in_german(PARTNER)
    GermanWizard(client, later, "set_up").answer("subscription", choice="later")
    delegate = in_german(delegated.delegated_to)
    for reader, address in (
        (client, reverse("my_orders")),
        *((client, reverse("order", args=[order.number])) for order in (handed_over, delegated, cancelled, later)),
        (in_german("nobody@example.org"), reverse("my_orders")),
        (client, "/orders/NONE/"),
        (delegate, reverse("my_orders")),
        (client, reverse("account_logout")),
        (Client(headers={"accept-language": "de"}), reverse("account_login")),
    ):
        assert_german(reader.get(address, follow=True).content.decode())
    actions.take_over(order=delegated, by=partner)
    assert_german(delegate.get(reverse("order", args=[delegated.number]), follow=True).content.decode())
    stranger = Client(headers={"accept-language": "de"})
    assert_german(stranger.post(reverse("account_login"), {"email": "no address"}).content.decode())
    assert_german(stranger.post(reverse("account_login"), {"email": PARTNER}, follow=True).content.decode())


@pytest.mark.django_db
def test_links_are_german() -> None:
    order = an_order(contact=PARTNER)
    link = order.parts.get(role=Part.Role.CONTACT).links.get()
    stranger = Client(headers={"accept-language": "de"})
    address = links.url_for(link).removeprefix(settings.PUBLIC_URL)

    def opened(reader: Client = stranger) -> str:
        return reader.get(address).content.decode()

    assert "Bestellung" in opened()
    assert_german(opened())
    assert_german(opened(in_german(PARTNER)))
    assert_german(opened(in_german("nobody@example.org")))
    assert_german(stranger.get("/l/nothing/").content.decode())
    actions.resend_link(order=order, by=None)
    assert_german(opened())
    assert_german(stranger.post(address, follow=True).content.decode())
    actions.cancel_order(order=order, by=None)
    assert_german(opened())


@pytest.mark.django_db
def test_order_desk_is_german() -> None:
    order = an_order(contact=PARTNER)
    deliver()
    operator = links.user_for("desk@example.org")
    operator.is_staff = operator.is_superuser = True
    operator.save()
    desk = in_german(operator.email)
    for name, arguments in (
        ("index", []),
        ("subscriptions_order_changelist", []),
        ("subscriptions_order_add", []),
        ("subscriptions_order_change", [order.pk]),
        ("subscriptions_order_resend", [order.pk]),
        ("subscriptions_order_cancel", [order.pk]),
        ("provisioning_mail_changelist", []),
    ):
        page = desk.get(reverse(f"admin:{name}", args=arguments)).content.decode()
        assert_german(page.replace('alt="Search"', ""))  # Django's own template has it in English
    refused = desk.post(reverse("admin:subscriptions_order_add"), {"sold_to": "", "contact_email": "nobody"})
    assert_german(refused.content.decode())


@pytest.mark.django_db
def test_german_vendor_sends_german_emails(settings: Settings) -> None:
    settings.LANGUAGE_CODE = "de"
    order = an_order(contact=PARTNER)
    partner = links.user_for(PARTNER)
    actions.hand_over(order=order, by=partner, email="chris@partner.example.net")
    actions.take_back(order=order, by=partner)
    delegated = a_delegated_order(
        contact="pat@partner.example.net", customer="Fabrikam", customer_email="a@fabrikam.example"
    )
    actions.take_over(order=delegated, by=links.user_for("pat@partner.example.net"))
    own = a_mapped_order(meetings=1)
    wizard = Wizard(signed_in(own.contact_email), own, "set_up")
    wizard.answer("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso-own", time_zone="Europe/Berlin", early_release="no")
    wizard.fill("review")
    Client().post(reverse("account_login"), {"email": PARTNER})
    sent = deliver()
    subjects = " ".join(str(message.subject) for message in sent)
    assert f"Angaben zur Bereitstellung erforderlich für Bestellung {order.number}" in subjects
    assert "Ihr Anmeldecode" in subjects
    assert f"Bestellung {own.number} ist eingerichtet" in subjects
    for message in sent:
        assert isinstance(message, EmailMultiAlternatives)
        assert left_in_english([str(message.subject), *str(message.body).splitlines()]) == []
        assert_german(str(message.alternatives[0][0]))


@pytest.mark.django_db
def test_language_is_chosen_at_the_foot_of_the_page_and_emails_keep_the_vendors() -> None:
    order = an_own_order()
    client = signed_in(order.contact_email)
    address = reverse("find", args=[order.number, "intent"])
    page = client.get(address).content.decode()
    assert "Who is this order for?" in page
    assert "Who is this order for?" in left_in_english(shown(page)), "what reads the German pages finds nothing"
    assert "Deutsch" in page
    page = client.post(reverse("set_language"), {"language": "de", "next": address}, follow=True).content.decode()
    assert "Für wen ist diese Bestellung?" in page
    page = client.post(reverse("set_language"), {"language": "en", "next": address}, follow=True).content.decode()
    assert "Who is this order for?" in page
    client.post(reverse("set_language"), {"language": "de", "next": address})
    Wizard(client, order).answer("intent", audience="other", email="chris@contoso.example.org")
    assert {str(message.subject) for message in deliver()} == {
        f"Provisioning information required for order {order.number}"
    }


@pytest.mark.django_db
def test_who_asks_for_a_language_that_there_is_not_gets_the_vendors(settings: Settings) -> None:
    address = reverse("account_login")
    assert '<html lang="en"' in Client(headers={"accept-language": "fr"}).get(address).content.decode()
    settings.LANGUAGE_CODE = "de"
    assert '<html lang="de"' in Client(headers={"accept-language": "fr"}).get(address).content.decode()
    assert '<html lang="en"' in Client(headers={"accept-language": "en-GB"}).get(address).content.decode()
    assert Order.objects.count() == 0
