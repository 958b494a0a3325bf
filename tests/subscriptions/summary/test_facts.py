"""Every fact that programs get is one that people read, in both languages: page, PDF and email beside JSON and webhook.

The words are made here from the JSON alone, not by the product's own sections: so a fact that one of them drops, or
shows of another order, is found.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
from babel import Locale
from babel.dates import format_date
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from provisioning import actions
from provisioning.models import Webhook
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.sites import split_evenly
from subscriptions.rules.validation import Line
from subscriptions.summary import build_summary
from tests.factories import an_order, an_organization, signed_in
from tests.german import in_german
from tests.mailbox import deliver
from tests.subscriptions.summary.test_pdf import packed, text_of
from tests.webcast.pack import ChannelPlan

pytestmark = pytest.mark.django_db

SAM, ADMINISTRATOR = "sam@partner.example.net", "it@contoso.example.org"
_numbers = count(1)

PLACES = {
    "DE": ({"street_address": "Unter den Linden 1", "postal_code": "10117", "city": "Berlin"}, "Europe/Berlin"),
    "US": (
        {"street_address": "1 Main Street", "city": "Springfield", "country_area": "IL", "postal_code": "62701"},
        "America/Chicago",
    ),
    "JP": (
        {"street_address": "千代田区千代田1-1", "country_area": "東京都", "postal_code": "100-0001"},
        "Asia/Tokyo",
    ),
}
NUMBERS = {"DE": "+4930123456", "US": "+12175550123", "JP": "+81312345678"}
CITIES = {"Europe/Berlin": "Berlin", "America/Chicago": "Chicago", "Asia/Tokyo": ("Tokyo", "Tokio"), "UTC": "UTC"}
# What says where a program finds something, or is told in other words: the state by the sentence on top, the audience
# and the label by theirs, places by the names of their countries.
FOR_PROGRAMS = frozenset({"state", "audience", "provisioning_administrator", "public_id", "service", "country"})


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """What may be bought and set up: any of the services, 1 to 5 sites, places in three alphabets."""
    services = draw(st.sets(st.sampled_from(["meetings", "calling", "webcast"]), min_size=1))
    sites = draw(st.integers(1, 5))
    return {
        "services": sorted(services),
        "licenses": draw(st.integers(5, 99_999)),
        "term": draw(st.sampled_from([1, 12, 36])),
        "product": draw(st.sampled_from(["", "Suite für Gespräche", "會議 & Co"])),
        "company": draw(st.sampled_from(["Contoso", "Fabrikam & Söhne <GmbH>", "東方軟件"])),
        "zones": draw(st.lists(st.sampled_from(sorted(CITIES)), min_size=sites, max_size=sites)),
        "early": draw(st.lists(st.booleans(), min_size=sites, max_size=sites)),
        "country": draw(st.sampled_from(sorted(PLACES))),
        "delegated": draw(st.booleans()),
    }


def made(drawn: dict[str, Any]) -> Order:
    """Place the order, tie it to its organizations and set it up."""
    number, licenses = next(_numbers), drawn["licenses"]
    partner = an_organization(f"Partner {number}", administrators=[SAM], partner=True, country="GB")
    customer = an_organization(drawn["company"], administrators=[ADMINISTRATOR], country=drawn["country"])
    order = an_order(contact=SAM, customer=drawn["company"], customer_email=ADMINISTRATOR, number=f"F-{number:05}")
    lines = [Line(service, licenses, drawn["term"], drawn["product"]) for service in drawn["services"]]
    actions.correct_order(order=order, lines=lines)
    order = actions.map_order(
        order=order,
        by=links.user_for(SAM),
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(customer.public_id),
        delegate_to=ADMINISTRATOR if drawn["delegated"] else "",
    )
    address, zone = PLACES[drawn["country"]]
    shares = split_evenly(licenses, len(drawn["zones"]))
    plans = {
        "meetings": [
            SitePlan(f"contoso-{number}-{at}", where, drawn["early"][at], shares[at])
            for at, where in enumerate(drawn["zones"])
        ],
        "calling": LocationPlan("Head office", drawn["country"], address, zone, "de", "en", NUMBERS[drawn["country"]]),
        "webcast": ChannelPlan(f"Channel {number}", licenses),
    }
    plans = {service: plan for service, plan in plans.items() if service in drawn["services"]}
    who = ADMINISTRATOR if drawn["delegated"] else SAM
    return actions.set_up(order=order, by=links.user_for(who), plans=plans)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each fact of the JSON with its path."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from leaves(one, (*path, str(at)))
    elif value not in ("", None):
        yield path, value


def words(path: tuple[str, ...], value: Any, zone: ZoneInfo, language: str) -> str | None:
    """How people read this fact, as a pattern in packed text; None for one that is for programs."""
    name, german = path[-1], language == "de"
    if name in {"licenses", "most_viewers"}:
        return re.escape(f"{value:,}".replace(",", "." if german else ","))
    if name == "term_months":
        unit = ("Monat" if value == 1 else "Monate") if german else ("month" if value == 1 else "months")
        return f"{value}{unit}"
    if name.endswith("_at"):
        at = datetime.fromisoformat(value).astimezone(zone)
        if name == "starts_at":  # the moment of the set-up
            return f"{at:%H:%M}"
        return re.escape(packed(format_date(at, "d. MMMM y" if german else "d MMMM y", language)))
    if name == "time_zone":
        found = CITIES[value]
        return found if isinstance(found, str) else "(?:" + "|".join(found) + ")"
    if name in {"language", "announcement_language"}:
        return re.escape(packed(str(Locale(value).get_display_name(language))))
    if name == "main_number":
        return r"\+" + r"[\D]{0,2}".join(value[1:])
    if name == "early_release" or (path[0] == "sites" and name == "name"):
        return None  # beside its site, below; in its address
    if name in FOR_PROGRAMS:
        return None
    return re.escape(packed(str(value)))


@pytest.mark.parametrize("language", ["en", "de"])
@hypothesis_settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=orders())
def test_every_fact_of_the_json_is_read_on_page_pdf_and_email(
    language: str, settings: Settings, drawn: dict[str, Any]
) -> None:
    settings.LANGUAGE_CODE = language
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = "https://erp.example.com/", ["whsec_" + "A" * 43]
    order = made(drawn)
    browser = in_german(SAM) if language == "de" else signed_in(SAM)
    content = browser.get(f"/orders/{order.number}/summary.pdf").content
    facts = json.loads(pypdf.PdfReader(io.BytesIO(content)).attachments[f"order-{order.number}.json"][0])
    [told] = Webhook.objects.filter(order=order, message__type="order.set_up")
    assert json.loads(told.message.body)["data"]["summary"] == facts == build_summary(order).as_dict()
    letters = [each for each in deliver() if each.to == [SAM] and order.number in str(each.subject)]
    letter = next(each for each in letters if each.attachments)
    page = browser.get(f"/orders/{order.number}/summary/").content.decode()
    texts = {
        "page": packed(unescape(re.sub("<[^>]+>", " ", page[page.index("<main") :]))),
        "pdf": text_of(content),
        "email": packed(str(letter.body)),
    }
    zone = ZoneInfo(build_summary(order).time_zone)
    for where, text in texts.items():
        missing = []
        for path, value in leaves(facts):
            pattern = words(path, value, zone, language)
            if pattern and not re.search(pattern, text, re.IGNORECASE):
                missing.append((".".join(path), value, pattern))
        assert missing == [], where
        yes, no = ("Ja", "Nein") if language == "de" else ("Yes", "No")
        for site in facts.get("sites", []):
            row = re.escape(site["url"]) + r".{0,60}?" + (yes if site["early_release"] else no)
            assert re.search(row, text), (where, site)
