"""The Calling pack's forms: the main headquarters, in the words of its country."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from django_countries import countries

from provisioning.wizard.forms.calling import LocationAddress, LocationStart, planned_location
from provisioning.wizard.forms.reviews import SetupReview, SubscriptionReview
from subscriptions.models import Order
from subscriptions.rules import addresses

BERLIN = {
    "street_address": "Hauptstr. 1",
    "postal_code": "10115",
    "city": "Berlin",
    "time_zone": "Europe/Berlin",
    "language": "de",
    "announcement_language": "en-GB",
    "main_number": "030 123456",
    "emergency": "same",
}


def address(country: str, fields: dict[str, str] | None) -> LocationAddress:
    data = None if fields is None else {f"address-{name}": value for name, value in fields.items()}
    answers: dict[str, Any] = {"location": {"name": "HQ", "country": country}}
    return LocationAddress(data, prefix="address", order=Order(), answers=answers)


def test_the_customers_country_is_preselected() -> None:
    form = LocationStart(order=Order(), answers={}, country="JP")
    assert form["country"].value() == "JP"
    assert form["country"].label == "Country or region where most of the users are located"


def test_a_location_name_is_unique_in_its_organization() -> None:
    data = {"name": "HQ", "country": "DE"}
    form = LocationStart(data, order=Order(), answers={}, location_name_taken=lambda name: name == "HQ")
    assert form.errors["name"] == ["Enter another location name: your organization has this one already"]


def test_an_address_is_answered_and_planned() -> None:
    form = address("DE", BERLIN)
    assert form.is_valid(), form.errors
    plan = planned_location({"location": {"name": "HQ", "country": "DE"}, "address": form.answers()})
    assert plan == {
        "name": "HQ",
        "country": "DE",
        "address": {"street_address": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin"},
        "time_zone": "Europe/Berlin",
        "language": "de",
        "announcement_language": "en-GB",
        "main_number": "+4930123456",
        "emergency_address": {},
    }
    shown = {str(label): value for label, value in form.summary()}
    assert shown["Address"] == "Hauptstr. 1\n10115 Berlin\nGermany"
    assert shown["Main number"] == "030 123456"
    assert shown["Emergency address"] == "The same address"


def test_an_order_without_calling_has_no_location() -> None:
    assert planned_location({}) is None


@pytest.mark.parametrize(
    ("country", "labels"),
    [
        ("US", ["Street address", "Town or city", "State", "ZIP code"]),
        ("JP", ["Postal code", "Prefecture", "Street address"]),
        ("IE", ["Street address", "Townland", "Town or city", "County", "Eircode"]),
        ("AE", ["Street address", "Emirate"]),
        ("GB", ["Street address", "Post town", "Postal code"]),
    ],
)
def test_the_fields_have_the_countrys_own_labels_in_its_order(country: str, labels: list[str]) -> None:
    form = address(country, None)
    assert [str(form[field.key].label) for field in form.main.fields] == labels


def test_a_postal_code_is_refused_with_an_example_of_the_country() -> None:
    assert address("DE", {**BERLIN, "postal_code": "1"}).errors["postal_code"] == ["Enter a postal code like 26133"]


def test_a_postal_code_of_another_state_names_the_state() -> None:
    fields = {"country_area": "NY", "postal_code": "90210"}
    assert "of New York" in str(address("US", fields).errors["postal_code"])


def test_what_still_fits_stays_when_the_country_is_changed() -> None:
    form = address("AT", BERLIN)
    assert form["street_address"].value() == "Hauptstr. 1"
    assert form["city"].value() == "Berlin"
    assert list(form.errors) == ["main_number", "postal_code"]


def test_what_was_only_likely_in_the_country_before_follows_the_country_and_what_was_chosen_stays() -> None:
    form = address("JP", {**BERLIN, "asked_for": "DE"})
    assert form["time_zone"].value() == "Asia/Tokyo"
    assert form["language"].value() == "ja"
    assert form["announcement_language"].value() == "en-GB"
    assert form["asked_for"].value() == "JP"


@pytest.mark.parametrize("typed", ["+49 30 123456", "030/123456", "0049 30 123456"])
def test_a_main_number_is_kept_in_one_form(typed: str) -> None:
    form = address("DE", {**BERLIN, "main_number": typed})
    assert form.is_valid(), form.errors
    assert form.answers()["main_number"] == "+4930123456"


@pytest.mark.parametrize("typed", ["12", "030 123456 ext. 5", "call me", "+1 555", "1" * 40])
def test_what_is_no_number_gets_an_example(typed: str) -> None:
    assert "Enter a phone number like 030 123456" in str(
        address("DE", {**BERLIN, "main_number": typed}).errors["main_number"]
    )


def test_a_location_may_have_no_main_number() -> None:
    form = address("DE", {**BERLIN, "main_number": ""})
    assert form.is_valid()
    assert "Main number" not in [str(label) for label, _value in form.summary()]


def test_every_countrys_form_can_be_shown_and_says_what_it_expects() -> None:
    for code, _name in countries:
        str(address(code, None))
        form = address(code, {})
        required = {field.key for field in addresses.fields(code) if field.required}
        assert required <= set(form.errors), code
        assert "required" not in str(form.errors)


def test_the_form_speaks_the_readers_language_where_it_can() -> None:
    with translation.override("de"):
        page = str(address("IT", None)["time_zone"])
    assert ") Rom<" in page


@pytest.mark.parametrize("choice", ["now", "later"])
def test_the_pressed_button_is_the_answer(choice: str) -> None:
    form = SubscriptionReview({"subscription-choice": choice}, prefix="subscription", order=Order(), answers={})
    assert form.is_valid()
    assert form.answers() == {"choice": choice}
    assert form.summary() == []


def test_the_review_has_nothing_to_fill_in_and_says_what_it_does() -> None:
    form = SetupReview({}, prefix="review", order=Order(), answers={})
    assert form.is_valid()
    assert str(form.button) == "Confirm and set up"


def test_the_emergency_address_is_confirmed_or_given_in_the_countrys_own_form() -> None:
    form = address("DE", {**BERLIN, "emergency": ""})
    assert form.errors == {"emergency": ["Select whether the emergency address is this address"]}
    form = address("DE", {**BERLIN, "emergency": "other", "emergency_postal_code": "1"})
    assert set(form.errors) == {"emergency_street_address", "emergency_city", "emergency_postal_code"}
    other = {"emergency_street_address": "Tor 3", "emergency_city": "Potsdam", "emergency_postal_code": "14467"}
    form = address("DE", {**BERLIN, "emergency": "other", **other})
    assert form.is_valid(), form.errors
    assert form.answers()["emergency_address"] == {
        "street_address": "Tor 3", "postal_code": "14467", "city": "Potsdam",
    }  # fmt: skip
    assert dict(form.summary())["Emergency address"] == "Tor 3\n14467 Potsdam\nGermany"


def test_what_is_left_in_an_emergency_address_that_is_not_asked_stands_in_nobodys_way() -> None:
    form = address("DE", {**BERLIN, "emergency_postal_code": "1", "emergency_city": "x" * 500})
    assert form.is_valid(), form.errors
    assert form.answers()["emergency_address"] == {}


def test_a_city_is_selected_once_its_province_is_and_one_that_was_typed_is_understood() -> None:
    form = address("CN", {"country_area": "", "city": "Guangzhou Shi"})
    assert "<input" in str(form["city"])
    form = address("CN", {"country_area": "广东省", "city": "Guangzhou Shi", "show": "country_area"})
    assert '<option value="广州市" selected>' in str(form["city"])
    assert "city" not in form.errors
    assert (
        str(address("CN", {"country_area": "广东省", "city": "Nowhere"}).errors["city"][0]) == "Select a town or city"
    )


@pytest.mark.parametrize(
    "typed",
    ["“030 123456”", "\u202a+49 30 123456\u202c", "Tel.: 030–123456", "tel:+49-30-123456", "０３０ １２３４５６"],
)
def test_a_main_number_may_be_pasted(typed: str) -> None:
    form = address("DE", {**BERLIN, "main_number": typed})
    assert form.is_valid(), form.errors
    assert form.answers()["main_number"] == "+4930123456"


def test_a_sub_division_may_be_posted_by_another_name() -> None:
    taipei = {**BERLIN, "country_area": "臺北市", "city": "信义区", "postal_code": "110", "time_zone": "Asia/Taipei",
              "main_number": ""}  # fmt: skip
    form = address("TW", taipei)
    assert form.is_valid(), form.errors
    assert form.answers()["address"]["country_area"] == "台北市"
    assert form.answers()["address"]["city"] == "信義區"
