"""An order with several lines of one service: what a person answers once is distributed over the lines."""

from __future__ import annotations

import io
import json
import re
from ipaddress import ip_network
from itertools import pairwise

import pypdf
import pytest
from django.urls import reverse
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from orgs.models import Organization
from provisioning import actions
from provisioning.fulfillment.outcomes import Rejected, Running
from provisioning.models import Event, WebhookMessage
from provisioning.people import links
from subscriptions import packs
from subscriptions.models import AbandonedInstance, Order, OrderLine, Site, SiteName, Subscription
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.validation import Line
from subscriptions.summary import build_summary
from tests.driver import Wizard
from tests.factories import a_mapped_order, signed_in
from tests.mailbox import deliver
from tests.scripted import CALLS, confirmed, outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import Reply, ScriptedBroker, work

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"
EMEA, APAC = Line("meetings", 100, 24, "Meetings EMEA", 10), Line("meetings", 50, 12, "Meetings APAC", 20)
CALLING, ADD_ON = Line("calling", 40, 12, "Calling", 30), Line("calling", 5, 12, "Calling Attendant", 40)
TAKEN = "The name contoso-lab is taken. Choose another one."


def answered(order: Order, *, second: str = "contoso-lab", shares: tuple[int, int] = (110, 40)) -> Wizard:
    """Answer every step, with two sites, and stop at the review."""
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    first = {"site_name": "contoso", "time_zone": "Europe/Berlin", "early_release": "no", "additional_urls": True}
    wizard.fill("meetings", **first)
    wizard.fill("additional", **{"0__name": second, "0__early_release": "no"})
    wizard.fill("licenses", site_contoso=str(shares[0]), **{f"site_{second}": str(shares[1])})
    if wizard.at == "location":
        wizard.fill_headquarters()
    assert wizard.at == "review"
    return wizard


def plain(html: str) -> str:
    """Return what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def given_by_line() -> set[tuple[int, str, int]]:
    """Return (line, site, licenses) of every row of a site."""
    return set(Site.objects.values_list("subscription__line__number", "name", "licenses"))


def test_one_set_of_steps_distributes_what_the_lines_bought_together(settings: Settings) -> None:
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = "https://crm.example.com/", ["whsec_" + "MDEyMzQ1Njc4OTAxMjM0"]
    order = a_mapped_order(lines=(EMEA, APAC, CALLING, ADD_ON))
    wizard = Wizard(signed_in(KIM), order, "set_up")
    bought = plain(wizard.open())
    assert "Meetings, line 10 Product Meetings EMEA Licenses 100 Term 24 months" in bought
    assert "Calling, line 40 Product Calling Attendant Licenses 5 Term 12 months" in bought
    wizard = answered(order)
    review = plain(wizard.html)
    assert re.search(r"Line 10 Meetings EMEA 100 licenses 24 months .* contoso.meet.example.com: 100", review)
    assert re.search(
        r"Line 20 Meetings APAC 50 licenses 12 months .* contoso.meet.example.com: 10 "
        r"contoso-lab.meet.example.com: 40",
        review,
    )
    assert "Licenses together 150" in review
    assert "Licenses together 45" in review
    summary = plain(wizard.fill("review"))
    assert "Meetings and Calling are set up for Contoso." in summary
    assert given_by_line() == {(10, "contoso", 100), (20, "contoso", 10), (20, "contoso-lab", 40)}
    assert set(Subscription.objects.values_list("line__number", "location__name")) == {
        (10, None), (20, None), (30, "Headquarters"), (40, "Headquarters"),
    }  # fmt: skip
    assert Organization.objects.get(name="Contoso").active_subscription_count == 4

    # The summary says which line gave what: as a page, for programs, as a PDF and in the email.
    facts = build_summary(order).as_dict()
    assert [(site["name"], site["licenses"]) for site in facts["sites"]] == [("contoso", 110), ("contoso-lab", 40)]
    assert [(line["number"], line["product"]) for line in facts["lines"]] == [
        (10, "Meetings EMEA"), (20, "Meetings APAC"), (30, "Calling"), (40, "Calling Attendant"),
    ]  # fmt: skip
    assert [[site["licenses"] for site in line["made"]["sites"]] for line in facts["lines"][:2]] == [[100], [10, 40]]
    share = "Licenses by site contoso.meet.example.com: 10 contoso-lab.meet.example.com: 40"
    assert share in summary
    assert "Set-up As for line 30" in summary
    pdf = signed_in(KIM).get(reverse("summary_pdf", args=[order.number]))
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(b"".join(pdf))).pages)
    assert "Meetings, line 20" in text
    assert "Calling, line 40" in text
    [confirmation] = [each for each in deliver() if "set up" in each.subject.lower() and each.to == [KIM]][-1:]
    assert "meetings, line 10" in confirmation.body.lower()
    assert "contoso-lab.meet.example.com: 40" in confirmation.body

    # Systems and the history tell the lines apart.
    told = [
        json.loads(row.body)["data"]
        for row in WebhookMessage.objects.filter(type="subscription.provisioned").order_by("pk")
    ]
    assert [(each["line"], each["product"], each["licenses"]) for each in told] == [
        (10, "Meetings EMEA", 100), (20, "Meetings APAC", 50), (30, "Calling", 40), (40, "Calling Attendant", 5),
    ]  # fmt: skip
    assert [each["ends_at"][:4] for each in told] == [f"{now().year + years}" for years in (2, 1, 1, 1)]
    history = signed_in(KIM).get(reverse("history", args=[order.number])).text
    assert "Meetings EMEA (line 10) is set up." in history


@pytest.mark.usefixtures("outside")
def test_a_line_that_is_refused_is_mended_while_the_other_goes_on() -> None:
    order = a_mapped_order(lines=(EMEA, APAC))
    script("meetings", Running(description="Half."), Rejected("/sites/1/name", TAKEN))
    wizard = answered(order)
    wizard.fill("review")
    assert wizard.at == "progress"
    work()
    page = plain(signed_in(KIM).get(reverse("progress", args=[order.number])).text)
    assert re.search(r"Meetings, line 10 Being set up .* Half.", page)
    assert re.search(rf"Meetings, line 20 There is a problem .* {TAKEN}", page)
    assert "Meetings, line 20" in plain(signed_in(KIM).get(reverse("my_orders")).text)
    [told] = [each for each in deliver() if "has to be changed" in each.subject]
    assert "before Meetings, line 20 can be set up" in told.subject
    work()
    assert given_by_line() == {(10, "contoso", 100)}

    # The step of the second site opens, at its row, with every answer kept.
    wizard.open()
    assert wizard.at == "additional"
    assert 'value="contoso-lab"' in wizard.html
    assert TAKEN in wizard.html
    wizard.fill("additional", **{"0__name": "contoso-apac"})
    wizard.fill("licenses", site_contoso="90", **{"site_contoso-apac": "60"})
    assert wizard.at == "review"

    # What the first line was given stays; nothing that was answered is lost.
    page = plain(wizard.fill("review"))
    assert wizard.at == "licenses"
    assert "The site contoso keeps its name and at least 100 licenses" in page
    wizard.fill("licenses", site_contoso="105", **{"site_contoso-apac": "45"})
    assert "Line 20 Meetings APAC 50 licenses" in plain(wizard.html)
    wizard.fill("review")
    work()
    assert Order.objects.get(pk=order.pk).state == "set_up"
    assert given_by_line() == {(10, "contoso", 100), (20, "contoso", 5), (20, "contoso-apac", 45)}
    started = [(job.line, job.licenses, job.product) for call, job in CALLS if call == "start"]
    assert started == [(10, 100, "Meetings EMEA"), (20, 50, "Meetings APAC"), (20, 50, "Meetings APAC")]
    assert set(SiteName.objects.values_list("name", flat=True)) == {"contoso", "contoso-apac"}


@pytest.mark.usefixtures("outside")
def test_name_that_a_line_was_given_stays_reserved_while_the_step_is_answered_anew() -> None:
    order = a_mapped_order(lines=(EMEA, APAC))
    script("meetings", Running(), Rejected("/sites/0/name", TAKEN))
    answered(order).fill("review")
    work()
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    assert wizard.at == "meetings"
    wizard.fill("meetings", site_name="contoso-new")
    assert {"contoso", "contoso-new"} <= set(SiteName.objects.values_list("name", flat=True))


@pytest.mark.usefixtures("outside")
def test_line_that_is_taken_back_is_undone_alone_and_can_be_removed() -> None:
    order = a_mapped_order(lines=(EMEA, APAC))
    script("meetings", Running(), Running())
    answered(order).fill("review")
    work()
    actions.stop_set_up(order=order, by=links.user_for(KIM))
    assert Order.objects.get(pk=order.pk).state == "mapped"
    # The order desk takes a line out: what may exist outside for it is still deleted.
    actions.correct_order(order=order, lines=[EMEA, Line("calling", 5, number=20)])
    assert [(line.number, line.service) for line in order.lines.all()] == [(10, "meetings"), (20, "calling")]
    work()
    assert sorted(job.line for call, job in CALLS if call == "undo") == [10, 20]
    assert not AbandonedInstance.objects.filter(deleted_at=None).exists()
    script("meetings")
    wizard = confirmed(order)
    work(turns=2)
    assert Order.objects.get(pk=order.pk).state == "set_up"
    assert [line.number for line in OrderLine.objects.filter(order=order)] == [10, 20]
    history = signed_in(KIM).get(reverse("history", args=[order.number])).text
    assert "took the set-up of Meetings APAC (line 20) back" in history
    assert "Calling" in plain(wizard.open())


def test_a_broker_gets_an_instance_for_each_line_with_the_plan_of_its_product(settings: Settings) -> None:
    plans = [
        {"id": f"{name}-id", "name": name, "description": "A plan."} for name in ("meetings-emea", "Meetings APAC")
    ]
    offered = {"id": "meetings-id", "name": "meetings", "bindable": False, "plans": plans}
    broker = ScriptedBroker(CATALOG=[Reply(200, {"services": [offered]})])
    settings.PROVISIONING = {"meetings": broker.setting}
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    order = a_mapped_order(lines=(EMEA, APAC))
    sites = [SitePlan("contoso", "Europe/Berlin", True, 110), SitePlan("contoso-lab", "UTC", False, 40)]
    actions.set_up(order=order, by=links.user_for(KIM), plans={"meetings": sites})
    work()
    broker.close()
    asked = broker.of("PUT")
    assert len({each.instance for each in asked}) == 2
    assert [
        (
            each.body["plan_id"],
            each.body["context"]["line"],
            [(site["name"], site["licenses"]) for site in each.body["parameters"]["sites"]],
        )
        for each in asked
    ] == [
        ("meetings-emea-id", 10, [("contoso", 100)]),
        ("Meetings APAC-id", 20, [("contoso", 10), ("contoso-lab", 40)]),
    ]
    assert Order.objects.get(pk=order.pk).state == "set_up"


@given(lines=st.lists(st.integers(1, 9), min_size=1, max_size=5), cuts=st.lists(st.integers(0, 45), max_size=4))
def test_shares_add_up_for_each_line_and_each_site(lines: list[int], cuts: list[int]) -> None:
    total = sum(lines)
    at = [0, *sorted(min(cut, total) for cut in cuts), total]
    sites = [SitePlan(f"site-{n}", "UTC", False, end - start) for n, (start, end) in enumerate(pairwise(at))]
    pack = packs.of("meetings")
    parts = pack.split(sites, lines, [])
    assert [sum(site.licenses for site in part) for part in parts] == lines
    assert all(parts)
    merged = pack.merge([pack.preview(part) for part in parts])
    assert merged == pack.preview(sites)
    # Where some lines were given their parts, the others give exactly the rest.
    rest = pack.split(sites, lines[1:], parts[:1])
    assert rest == parts[1:] or lines[1:] == []


def test_correcting_compares_lines_by_their_numbers() -> None:
    order = a_mapped_order(lines=(EMEA, APAC))
    before = {line.number: line.pk for line in order.lines.all()}
    actions.correct_order(order=order, lines=[Line("meetings", 60, 12, "Meetings APAC", 20), EMEA, Line("meetings", 5)])
    assert [(line.number, line.licenses, line.pk) for line in order.lines.all()] == [
        (3, 5, order.lines.get(number=3).pk), (10, 100, before[10]), (20, 60, before[20]),
    ]  # fmt: skip
    event = order.events.get(kind=Event.Kind.CORRECTED)
    assert event.facts["changes"]["lines"][1][1] == ["meetings", "Meetings EMEA", 100, 24, 10]
    # A line without a number is the next one of its service.
    actions.correct_order(order=order, lines=[Line("meetings", 1), Line("meetings", 2), Line("meetings", 3)])
    assert list(order.lines.values_list("number", "licenses")) == [(3, 1), (10, 2), (20, 3)]
