"""The order summary: the same facts for every reader, in words that people read."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils.translation import override

from subscriptions.packs.calling import CallingFacts, LocationFacts
from subscriptions.packs.meetings import MeetingsFacts, SiteFacts
from subscriptions.presentation import Section
from subscriptions.summary import BoughtLine, Company, OrderSummary, mask_email

SET_UP_AT = datetime(2026, 11, 21, 13, 5, tzinfo=UTC)


BERLIN = LocationFacts(
    name="Head office",
    country="DE",
    address=(("city", "Berlin"), ("postal_code", "10117"), ("street_address", "Unter den Linden 1")),
    time_zone="Europe/Berlin",
    language="de",
    announcement_language="en-GB",
    main_number="+4930123456",
)


def a_summary(
    sites: int = 3, calling: bool = True, made: bool = True, location: LocationFacts = BERLIN, **changes: Any
) -> OrderSummary:
    """A finished order of Fabrikam for Contoso, of 250 Meetings licenses (where it has sites) and 40 Calling ones."""
    zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo"]
    made_sites = MeetingsFacts(
        tuple(
            SiteFacts(
                name=f"contoso-{at}",
                url=f"https://contoso-{at}.meet.example.com",
                time_zone=zones[at % 3],
                early_release=at % 3 == 1,
                licenses=250 // sites + (1 if at < 250 % sites else 0),
            )
            for at in range(sites)
        )
    )
    ends_at = datetime(2027, 11, 21, 13, 5, tzinfo=UTC)
    lines = [BoughtLine("meetings", "Meetings Suite", 250, 12, SET_UP_AT, ends_at, made_sites if made else None)]
    if calling:
        ends_at, headquarters = datetime(2029, 11, 21, 13, 5, tzinfo=UTC), CallingFacts(location)
        lines.append(BoughtLine("calling", "Calling Professional", 40, 36, SET_UP_AT, ends_at, headquarters))
    facts: dict[str, Any] = {
        "number": "PO-100001",
        "state": "set_up",
        "placed_at": datetime(2026, 11, 18, 8, 0, tzinfo=UTC),
        "mapped_at": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        "set_up_at": SET_UP_AT,
        "sold_to": "Fabrikam Partners Ltd",
        "customer_name": "Contoso",
        "audience": "customer",
        "partner": Company("p", "Fabrikam Partners Ltd", "GB"),
        "customer": Company("c", "Contoso GmbH", "DE"),
        "provisioning_administrator": True,
        "contact_email": "pat@fabrikam.com",
        "administrator_email": "anna@contoso.com",
        "delegated_to": "anna@contoso.com",
        "lines": tuple(lines if sites else lines[1:]),
    }
    return OrderSummary(**(facts | changes))


def section(summary: OrderSummary, key: str) -> Section:
    return next(one for one in summary.sections if one.key == key)


def rows(summary: OrderSummary, key: str) -> dict[str, str]:
    return {row.term: row.value for row in section(summary, key).rows}


def test_summary_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        a_summary().number = "X"  # type: ignore[misc]


def test_sections_say_who_what_where_what_is_next_and_the_sites_last() -> None:
    keys = [one.key for one in a_summary().sections]
    assert keys == ["order", "organizations", "people", "meetings", "calling", "next", "sites"]


def test_times_are_told_in_the_zone_of_the_headquarters() -> None:
    assert rows(a_summary(), "order") == {
        "Order number": "PO-100001",
        "Sold to": "Fabrikam Partners Ltd",
        "End customer": "Contoso",
        "Order placed": "18 November 2026, 09:00 CET",
        "Organizations confirmed": "20 November 2026, 10:30 CET",
        "Set up": "21 November 2026, 14:05 CET",
    }


def test_zone_without_a_short_name_is_told_by_its_offset() -> None:
    summary = a_summary(1, calling=False)
    line = summary.lines[0]
    assert isinstance(line.made, MeetingsFacts)
    made = MeetingsFacts((replace(line.made.sites[0], time_zone="Asia/Kathmandu"),))
    summary = replace(summary, lines=(replace(line, made=made),))
    assert rows(summary, "order")["Set up"] == "21 November 2026, 18:50 UTC+05:45"


def test_partner_that_provisions_an_existing_customer_has_the_label() -> None:
    assert rows(a_summary(), "organizations") == {
        "Who it is for": "A customer",
        "Partner organization": "Fabrikam Partners Ltd\nUnited Kingdom",
        "Customer organization": "Contoso GmbH\nGermany",
        "Rights of the partner": "Provisioning administrator",
    }
    assert "Rights of the partner" not in rows(a_summary(provisioning_administrator=False), "organizations")


def test_services_say_product_licenses_and_term() -> None:
    assert rows(a_summary(), "meetings") == {
        "Product": "Meetings Suite",
        "Licenses": "250",
        "Term": "12 months",
        "Runs until": "21 November 2027",
        "Sites": "3",
    }


def test_headquarters_are_shown_as_their_country_writes_them() -> None:
    shown = rows(a_summary(), "calling")
    assert shown["Main headquarters"] == "Head office"
    assert shown["Address"] == "Unter den Linden 1\n10117 Berlin\nGermany"
    assert shown["Main number"] == "+49 30 123456"
    assert "German" in shown["Email language"]
    assert "English" in shown["Announcement language"]


def test_sites_are_one_table_that_adds_up() -> None:
    table = section(a_summary(), "sites").table
    assert table
    assert table.rows[1] == ("https://contoso-1.meet.example.com", "(UTC-05:00) New York", "Yes", "83")
    assert table.total == ("Total", "", "", "250")
    assert [cell.kind for cell in table.cells[0]] == ["url", "text", "flag", "number"]
    alone = section(a_summary(1), "sites").table
    assert alone
    assert not alone.total
    assert not alone.total_cells


def test_order_of_one_service_says_nothing_of_the_other() -> None:
    only_calling, only_meetings = a_summary(0), a_summary(1, calling=False)
    assert "meetings" not in [one.key for one in only_calling.sections]
    assert "sites" not in [one.key for one in only_calling.sections]
    assert "calling" not in [one.key for one in only_meetings.sections]
    assert only_calling.lead == "Calling is set up for Contoso GmbH."
    assert a_summary().lead == "Meetings and Calling are set up for Contoso GmbH."
    assert not any("headquarters" in sentence for sentence in section(only_meetings, "next").sentences)


def test_order_that_is_not_set_up_says_so() -> None:
    summary = a_summary(1, calling=False, state="mapped", set_up_at=None, made=False)
    assert summary.lead == "Meetings is not set up yet for Contoso GmbH."
    assert "Nothing is set up yet" in section(summary, "next").sentences[0]


def test_placed_order_shows_what_is_known() -> None:
    summary = a_summary(
        1, False, state="placed", audience="", partner=None, customer=None, mapped_at=None, set_up_at=None, made=False
    )
    assert rows(summary, "order")["Sold to"] == "Fabrikam Partners Ltd"
    assert section(summary, "people").rows


def test_addresses_of_others_are_masked_and_the_readers_own_is_not() -> None:
    seen = a_summary().masked_for(" Pat@fabrikam.com")
    assert rows(seen, "people") == {
        "Provisioning contact": "pat@fabrikam.com",
        "Administrator email": "a•••@contoso.com",
        "Set-up given to": "a•••@contoso.com",
    }
    assert mask_email("") == ""


def test_names_written_right_to_left_keep_a_sentence_in_order() -> None:
    summary = a_summary(customer=Company("c", "شركة النور", "SA"))
    assert summary.lead == "Meetings and Calling are set up for \u2068شركة النور\u2069."


def test_facts_are_plain_json_and_the_same_in_every_language() -> None:
    with override("de"):
        german = json.dumps(a_summary().as_dict())
    facts = json.loads(german)
    assert facts == a_summary().as_dict()
    assert facts["set_up_at"] == "2026-11-21T13:05:00+00:00"
    assert facts["location"]["address"]["city"] == "Berlin"
    assert facts["sites"][0]["licenses"] == 84


@pytest.mark.parametrize(
    ("country", "paper"), [("US", "letter"), ("CA", "letter"), ("MX", "letter"), ("DE", "a4"), ("JP", "a4"), ("", "a4")]
)
def test_paper_is_that_of_the_customers_country(country: str, paper: str) -> None:
    assert a_summary(1, False, customer=Company("c", "Contoso", country), partner=None).paper == paper
