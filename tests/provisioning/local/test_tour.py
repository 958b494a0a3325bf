"""The demo's tour: each sample order really shows what its card promises, from the email on, by HTTP."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from orgs.models import Member
from provisioning import actions
from provisioning.fulfillment.outcomes import Outcome, Rejected, Running, Unreachable
from provisioning.local.demo import sample, sample_orders, tour
from provisioning.models import Event, Mail, SignInCode
from provisioning.worker import tasks
from subscriptions.models import Order
from tests.databases import rolled_back
from tests.driver import Wizard
from tests.scripted import outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import work

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.demo_urls")]

EXACT = "Based on your email address, we matched your order with your organization."
CANDIDATES = "We found matching organizations based on your email address."
NONE = "No matching organization found."


@pytest.fixture(scope="module", autouse=True)
def directory(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The whole sample directory with its orders, for all the tests of this file."""
    with django_db_blocker.unblock(), rolled_back():
        sample.load()
        yield


@pytest.fixture(autouse=True)
def mail_in_files(settings: Settings, tmp_path: Path) -> None:
    """Emails are kept in files, as in the demo."""
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": str(tmp_path / "mail")},
        }
    }


class Visitor:
    """Somebody who clicks through the demo as one person."""

    def __init__(self, email: str) -> None:
        self.email, self.client = email, Client()

    def emails(self) -> list[tuple[str, str]]:
        """Let the worker send, then open this person's mailbox: (subject, address), newest first."""
        for pk in Mail.objects.filter(to=self.email, sent_at=None).order_by("pk").values_list("pk", flat=True):
            tasks.send_mail.func(pk=pk)
        for pk in SignInCode.objects.filter(email=self.email, sent_at=None).values_list("pk", flat=True):
            tasks.send_code.func(pk=pk)
        page = self.client.get("/mailbox/", {"to": self.email}).content.decode()
        found = re.findall(r'<h2>\s*<a href="([^"]*)">\s*([^<]*?)\s*</a>\s*</h2>', page)
        return [(html.unescape(subject), html.unescape(address)) for address, subject in found]

    def link_in(self, address: str, button: str = "Set Up Your Service") -> str:
        """Open an email; where its button leads."""
        page = self.client.get(address).content.decode()
        frame = re.search(r'<iframe [^>]*src="([^"]*)"', page)
        assert frame
        found = re.search(rf'href="http://127.0.0.1:8000(/l/[^"]+)"[^>]*>{button}<', self.read(frame[1]))
        assert found
        return found[1]

    def read(self, address: str) -> str:
        """Open a page, following redirects."""
        return self.client.get(address, follow=True).content.decode()

    def arrive(self) -> str:
        """From the newest email through the link and the code to the first page of the order."""
        subject, address = self.emails()[0]
        assert subject.startswith(("Provisioning information required for order ", "Set up your services: order "))
        return self.come_in(self.link_in(address))

    def come_in(self, link: str) -> str:
        """Through a link and the code that it sends, to the page it leads to."""
        self.client.post(link)
        code = self.emails()[0][0].removeprefix("Your sign-in code: ")
        return self.client.post(reverse("account_confirm_login_code"), {"code": code}, follow=True).content.decode()


def visit(number: str) -> tuple[Visitor, Order]:
    return Visitor(tour.contact_of(number)), Order.objects.get(number=number)


def card(number: str) -> str:
    page = Client().get("/").content.decode()
    found = re.search(rf'<li id="{number}">.*?</li>\s*(?=<li id|</ul>\s*</section>)', page, re.DOTALL)
    assert found
    return html.unescape(found[0])


def test_every_sample_order_has_its_card_with_its_mailbox_and_its_state() -> None:
    shown = [scenario.number for chapter in tour.CHAPTERS for scenario in chapter.scenarios]
    assert sorted(shown) == sorted(order.number for order in sample_orders.ORDERS)
    for order in sample_orders.ORDERS:
        assert "What you will see" in card(order.number)
        assert f"Open the mailbox of {order.contact}" in card(order.number)
        assert "Not loaded" not in card(order.number)


def test_loading_the_sample_again_changes_nothing_and_asks_little(django_assert_max_num_queries: Any) -> None:
    before = Order.objects.count(), Event.objects.count(), Mail.objects.count(), Member.objects.count()
    with django_assert_max_num_queries(75):
        assert sample_orders.load() == 0
    assert (Order.objects.count(), Event.objects.count(), Mail.objects.count(), Member.objects.count()) == before


@pytest.mark.parametrize(
    ("number", "audience", "sentence"),
    [
        ("TOUR-101", "customer", EXACT),
        ("TOUR-102", "customer", CANDIDATES),
        ("TOUR-103", "customer", NONE),
        ("TOUR-201", "own", EXACT),
        ("TOUR-202", "own", NONE),
        ("TOUR-203", "own", EXACT),
    ],
)
def test_search_answers_with_the_sentence_that_the_card_promises(number: str, audience: str, sentence: str) -> None:
    assert sentence in card(number)
    visitor, order = visit(number)
    assert "Who is this order for?" in visitor.arrive()
    wizard = Wizard(visitor.client, order)
    wizard.open()
    assert sentence in wizard.fill("intent", audience=audience)
    if audience == "customer":
        if sentence == NONE:
            wizard.fill("partner")
            wizard.fill("partner-new", vertical="technology", country="GB")
            wizard.fill("partner-check")
        elif sentence == CANDIDATES:
            assert wizard.html.count('type="radio"') > 2
            assert "checked" not in wizard.html
            wizard.fill("partner", organization=re.findall(r'value="([0-9a-f-]{36}):', wizard.html)[0])
        else:
            wizard.fill("partner")
        assert wizard.at == "customer-details"
        assert sentence in wizard.fill("customer-details")


def test_customer_at_an_old_domain_is_found_and_its_card_says_until_when() -> None:
    assert CANDIDATES in card("TOUR-104")
    visitor, order = visit("TOUR-104")
    visitor.arrive()
    wizard = Wizard(visitor.client, order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    page = html.unescape(wizard.fill("customer-details"))
    assert wizard.at == "customer"
    assert CANDIDATES in page
    first = page.partition('class="choice candidate"')[2].partition('class="choice candidate"')[0]
    assert "Zoo Hannover gGmbH" in first
    assert "Used this domain until 2017" in first
    assert "zoo-hannover.de" in first
    assert "checked" not in first


def test_exact_partner_sees_the_label_and_may_leave_the_set_up_to_the_customer() -> None:
    visitor, order = visit("TOUR-101")
    visitor.arrive()
    wizard = Wizard(visitor.client, order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    wizard.fill("customer-details")
    page = wizard.fill("customer")
    assert "Provisioning administrator" in page
    wizard.fill("review", delegate=True)
    order.refresh_from_db()
    assert order.delegated_to == "elif.nguyen@chesterzoo.org"
    assert "With the customer" in card("TOUR-101")
    assert "Open the mailbox of elif.nguyen@chesterzoo.org" in card("TOUR-101")
    assert "Review your subscription" in Visitor("elif.nguyen@chesterzoo.org").arrive()


def test_member_who_is_no_administrator_is_held_until_the_one_in_the_other_mailbox_approves() -> None:
    visitor, order = visit("TOUR-203")
    visitor.arrive()
    wizard = Wizard(visitor.client, order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    assert wizard.at == "administrator"
    assert "hana.martin" not in wizard.fill("administrator")
    assert "Held" in card("TOUR-203")
    assert "“Review the request”" in card("TOUR-203")
    administrator = Visitor("hana.martin@deutsches-museum.de")
    subject, address = administrator.emails()[0]
    assert "asks to set up order TOUR-203 for Deutsches Museum" in subject
    page = administrator.come_in(administrator.link_in(address, "Review the request"))
    assert f"Should {visitor.email} set up order TOUR-203 for Deutsches Museum?" in page
    request = order.access_requests.get()
    url = reverse("access_request", args=[order.number, request.public_id])
    assert "This request was approved" in administrator.client.post(url, {"decision": "approve"}, follow=True).text
    assert "an administrator approved your request" in visitor.emails()[0][0]
    wizard.open()
    assert wizard.at == "review"


def test_order_handed_over_arrives_in_the_other_mailbox() -> None:
    visitor, order = visit("TOUR-301")
    visitor.arrive()
    wizard = Wizard(visitor.client, order)
    wizard.open()
    wizard.fill("intent", audience="other", email="chen.santos@anbg.gov.au")
    assert "Who is this order for?" in Visitor("chen.santos@anbg.gov.au").arrive()
    assert "Open the mailbox of chen.santos@anbg.gov.au" in card("TOUR-301")


def test_order_set_up_later_goes_on_at_the_location_with_the_site_name_kept() -> None:
    visitor, order = visit("TOUR-302")
    assert order.events.filter(kind=Event.Kind.POSTPONED).exists()
    visitor.arrive()
    wizard = Wizard(visitor.client, order, "set_up")
    wizard.open()
    assert wizard.at == "location"
    assert "winterthur-museum" in wizard.open("meetings")


def test_delegated_set_up_is_the_customers_and_the_partner_watches_it() -> None:
    assert "Review your subscription" in Visitor("jana.wang@hmns.org").arrive()
    visitor, _order = visit("TOUR-303")
    assert "jana.wang@hmns.org" in card("TOUR-303")
    page = visitor.arrive()
    assert 'name="take_over"' in page or "Take over" in page


@pytest.mark.parametrize(
    ("number", "step"),
    [("TOUR-401", "meetings"), ("TOUR-402", "location"), ("TOUR-403", "meetings"), ("TOUR-404", "meetings")],
)
def test_link_of_a_mapped_order_leads_to_the_set_up(number: str, step: str) -> None:
    assert "Organizations confirmed" in card(number)
    visitor, order = visit(number)
    assert "Review your subscription" in visitor.arrive()
    wizard = Wizard(visitor.client, order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    assert wizard.at == step


def test_three_sites_share_the_licenses_and_the_card_says_set_up() -> None:
    visitor, order = visit("TOUR-404")
    visitor.arrive()
    wizard = Wizard(visitor.client, order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    zone = {"time_zone": "Pacific/Honolulu", "early_release": "no"}
    wizard.fill("meetings", site_name="ntbg-kauai", additional_urls=True, **zone)
    wizard.fill("additional", add="1", **{"0__name": "ntbg-maui", "0__early_release": "no"})
    wizard.fill("additional", **{"1__name": "ntbg-florida", "1__early_release": "no"})
    assert wizard.at == "licenses"
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    assert "Download order summary (PDF)" in wizard.fill("review")
    assert "Set up" in card("TOUR-404")


@pytest.mark.parametrize(
    ("number", "outcome", "says"),
    [
        ("TOUR-601", Running(description="The site is being made."), "The site is being made."),
        ("TOUR-602", Unreachable("The broker answered 500.", abandon=True), "Waiting"),
        ("TOUR-603", Rejected("/sites/0/name", "This name is taken."), "This name is taken."),
        ("TOUR-604", Unreachable("Nobody answers."), "can’t be reached at the moment"),
    ],
)
@pytest.mark.usefixtures("outside")
def test_order_that_a_system_outside_sets_up_shows_its_progress(number: str, outcome: Outcome, says: str) -> None:
    visitor, order = visit(number)
    assert "Review your subscription" in visitor.arrive()
    wizard = Wizard(visitor.client, order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name=f"garden-{number.lower()}", time_zone="Europe/London", early_release="no")
    if order.lines.filter(service="calling").exists():
        wizard.fill_headquarters()
    wizard.fill("review")
    assert wizard.at == "progress"
    assert "Being set up" in card(number)
    script("meetings", outcome)
    work()
    assert says in visitor.read(reverse("progress", args=[number]))


def test_expired_link_is_replaced_by_a_new_one_that_works() -> None:
    visitor, _order = visit("TOUR-501")
    address = visitor.link_in(visitor.emails()[0][1])
    assert "This link has expired" in visitor.read(address)
    visitor.client.post(address)
    subject, newer = visitor.emails()[0]
    assert subject == "Your link to order TOUR-501"
    assert "one-time code" in visitor.read(visitor.link_in(newer))


def test_replaced_link_says_that_there_is_a_newer_one() -> None:
    visitor, _order = visit("TOUR-502")
    newer, older = (address for _subject, address in visitor.emails())
    assert "There is a newer email" in visitor.read(visitor.link_in(older))
    assert "one-time code" in visitor.read(visitor.link_in(newer))


def test_link_of_a_cancelled_order_says_so() -> None:
    visitor, _order = visit("TOUR-503")
    told, welcome = visitor.emails()
    assert told[0] == "Order TOUR-503 was cancelled"
    assert "was cancelled" in visitor.read(visitor.link_in(welcome[1]))
    assert "Cancelled" in card("TOUR-503")


def test_order_that_closes_soon_and_a_closed_one_say_so_and_the_desk_gives_more_time() -> None:
    actions.look_after_dates()
    visitor, _order = visit("TOUR-504")
    assert visitor.emails()[0][0].startswith("Reminder: order TOUR-504 has to be set up by ")
    visitor, order = visit("TOUR-505")
    told, welcome = visitor.emails()
    assert told[0] == "Order TOUR-505 is closed"
    assert "This order is closed" in visitor.read(visitor.link_in(welcome[1]))
    assert "Closed" in card("TOUR-505")
    actions.extend_order(order=order, closes_at=timezone.now() + timedelta(days=5))
    assert visitor.emails()[0][0] == "Order TOUR-505 is open again"
    assert "one-time code" in visitor.read(visitor.link_in(visitor.emails()[0][1]))


def test_operator_signs_in_to_the_order_desk_with_a_code() -> None:
    page = Client().get("/").content.decode()
    assert f"Open the mailbox of {sample_orders.DESK}" in page
    visitor = Visitor(sample_orders.DESK)
    visitor.read(reverse("admin:index"))
    visitor.client.post(reverse("account_login"), {"email": sample_orders.DESK})
    code = visitor.emails()[0][0].removeprefix("Your sign-in code: ")
    visitor.client.post(reverse("account_confirm_login_code"), {"code": code})
    assert visitor.client.get(reverse("admin:index")).status_code == 200


def test_tour_asks_the_database_a_few_times_only(django_assert_max_num_queries: object) -> None:
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        Client().get("/")


@pytest.mark.urls("provisioning.urls")
def test_nobody_but_the_demo_has_a_tour() -> None:
    response = Client().get("/")
    assert response.status_code == 302
    assert "sample" not in response.content.decode()
    with pytest.raises(NoReverseMatch):
        reverse("tour")


def test_demo_has_tour_and_mailbox_before_everything_else() -> None:
    asked = (
        "import django; django.setup(); from django.urls import resolve;"
        "print(resolve('/').view_name, resolve('/mailbox/').view_name, resolve('/orders/').view_name)"
    )
    environment = {**os.environ, "PROVISIONING_DEMO": "1", "DJANGO_SETTINGS_MODULE": "provisioning.settings"}
    answer = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["tour", "mailbox", "my_orders"]
