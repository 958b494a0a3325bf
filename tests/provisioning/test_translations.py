"""In German, no page, email or PDF is left in English: looks at every page that the browser tests look at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import pypdf
import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from provisioning.fulfillment.outcomes import Failed
from provisioning.people import links
from subscriptions.models import Order
from tests.browser.gallery import SCENES
from tests.driver import Wizard
from tests.factories import a_mapped_order, an_order, an_own_order, signed_in
from tests.german import assert_german, in_german, left_in_english, shown
from tests.mailbox import deliver, newest
from tests.scripted import an_operator, confirmed, outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import work

pytestmark = pytest.mark.django_db

PARTNER: Final = "sam@partner.example.net"


@pytest.mark.parametrize("name", SCENES)
def test_every_page_and_email_is_german_for_a_german_vendor(name: str, settings: Settings, tmp_path: Path) -> None:
    settings.LANGUAGE_CODE = "de"
    settings.ROOT_URLCONF = "tests.browser.crashing_urls"
    if name == "demo":  # whose mailbox reads files
        files = {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": str(tmp_path)}}
        settings.MAILERS = {"default": files}
    found = {}
    for sight in SCENES[name]():
        settings.DEMO = sight.demo
        client = signed_in(sight.who) if sight.who else Client()
        client.raise_request_exception = False
        page = client.get(sight.path, follow=True)
        assert sight.act or page.status_code == sight.status
        found[sight.name] = left_in_english(shown(page.content.decode()))
        assert page.content.decode().count('<html lang="de"') == 1, sight.name
    for message in deliver():
        assert isinstance(message, EmailMultiAlternatives)
        html = str(message.alternatives[0][0])
        assert '<html lang="de"' in html
        subject = str(message.subject)
        found[subject] = left_in_english([subject, *str(message.body).splitlines(), *shown(html)])
    assert {where: texts for where, texts in found.items() if texts} == {}


def test_pdf_that_is_downloaded_is_in_the_readers_language() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    client = in_german(order.contact_email)
    wizard = Wizard(client, order, "set_up")
    wizard.answer("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    wizard.fill_headquarters("Zentrale")
    page = wizard.fill("review")
    assert_german(page)
    assert "Bestellübersicht herunterladen (PDF)" in page

    content = client.get(reverse("summary_pdf", args=[order.number])).content
    lines = "\n".join(part.extract_text() for part in pypdf.PdfReader(io.BytesIO(content)).pages).splitlines()
    assert "Meetings und Calling sind für Contoso eingerichtet." in " ".join(" ".join(lines).split())
    assert left_in_english([" ".join(line.split()) for line in lines]) == []


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


@pytest.mark.usefixtures("outside")
def test_order_desk_s_queue_of_what_failed_is_german() -> None:
    order = a_mapped_order(meetings=100)
    confirmed(order)
    script("meetings", Failed("quota", "HTTP 507", answer="507"))
    work()
    desk = in_german(an_operator().email)
    request = order.provisioning_requests.get()
    queue = reverse("admin:subscriptions_provisioningrequest_changelist")
    asking = [reverse(f"admin:subscriptions_provisioningrequest_{what}") for what in ("retry", "done", "cancel")]
    for address in (
        queue,
        f"{queue}?queue=all",
        reverse("admin:subscriptions_provisioningrequest_change", args=[request.pk]),
        reverse("admin:subscriptions_order_change", args=[order.pk]),
        *(f"{each}?request={request.pk}" for each in asking),
    ):
        page = desk.get(address).text
        assert_german(page.replace('alt="Search"', "").replace("(failed)", ""))  # Django's own, and of __str__


def test_german_vendor_sends_subject_and_button_in_german(settings: Settings) -> None:
    settings.LANGUAGE_CODE = "de"
    order = an_order(contact=PARTNER)
    message = newest(PARTNER)
    assert message.subject == f"Angaben zur Bereitstellung erforderlich für Bestellung {order.number}"
    assert "Ihren Dienst einrichten:" in str(message.body)


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


def test_answers_are_shown_in_the_language_of_who_reads_them() -> None:
    order = a_mapped_order(meetings=100)
    wizard = Wizard(signed_in(order.contact_email), order, "set_up")
    wizard.answer("subscription", choice="now")
    page = wizard.fill("meetings", site_name="contoso", time_zone="Europe/Vienna", early_release="no")
    assert "Early release" in page
    german = Wizard(in_german(order.contact_email), order, "set_up")
    assert_german(german.open("review"))
    assert "Frühzeitige Freigabe" in german.html
    assert "Wien" in german.html


def test_who_asks_for_a_language_that_there_is_not_gets_the_vendors(settings: Settings) -> None:
    address = reverse("account_login")
    assert '<html lang="en"' in Client(headers={"accept-language": "fr"}).get(address).content.decode()
    settings.LANGUAGE_CODE = "de"
    assert '<html lang="de"' in Client(headers={"accept-language": "fr"}).get(address).content.decode()
    assert '<html lang="en"' in Client(headers={"accept-language": "en-GB"}).get(address).content.decode()
    assert Order.objects.count() == 0
