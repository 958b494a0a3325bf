"""Whatever is posted, a step answers with a value or a sentence, and its page can be shown again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.calling import LocationAddress, LocationStart
from provisioning.wizard.forms.fields import EmailField, TextField, WholeNumberField
from provisioning.wizard.forms.meetings.licenses import LicenseDistribution
from provisioning.wizard.forms.meetings.site_forms import AdditionalSites, MeetingSetup
from provisioning.wizard.forms.posted_rows import row_count, with_row_added, with_row_removed
from provisioning.wizard.forms.reviews import SetupReview, SubscriptionReview
from subscriptions.models import Order
from subscriptions.rules.sites import SiteNameProblem

EARLIER: dict[str, Any] = {
    "meetings": {"site_name": "acme", "time_zone": "Europe/Berlin", "early_release": "no", "additional_urls": True},
    "additional": [{"name": "bcme", "time_zone": "Europe/Berlin", "early_release": "no"}],
    "location": {"name": "HQ", "country": "US"},
}
FACTS: dict[str, Any] = {
    "base_domain": "meet.example.com",
    "site_name_problems": lambda names: dict.fromkeys({"taken"} & set(names), SiteNameProblem.TAKEN),
    "country": "DE",
    "total_licenses": 250,
}
STEPS = [
    MeetingSetup,
    AdditionalSites,
    LicenseDistribution,
    LocationStart,
    LocationAddress,
    SubscriptionReview,
    SetupReview,
]
FIELDS = [
    "site_name", "time_zone", "early_release", "additional_urls", "name", "country", "street_address", "city", "choice",
    "country_area", "postal_code", "language", "announcement_language", "main_number", "site_acme", "site_bcme",
    "TOTAL_FORMS", "INITIAL_FORMS", "0-name", "0-time_zone", "0-early_release", "1-name", "999-name", "-1-name",
]  # fmt: skip
NASTY = ["", " ", "\0", "a\0b", "\ud800", "\u202eabc", "\ufffd", "x" * 1_000_000, "9" * 5000, "-1", "1e9", "NaN", "٣",
         "<script>", "{{ 7*7 }}", "'; --", "\r\n", "ＡＢＣＤ",
         "taken", "admin", "Europe/Berlin", "yes", "US", "on"]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=30), st.integers(), st.none(), st.lists(st.text(max_size=3), max_size=3)
)


def make(step: Any, data: Any) -> Any:
    return step(data, prefix=step.step, order=Order(number="PO-1"), answers=EARLIER, **FACTS)


def show(form: Any) -> None:
    """Render all of it, with its errors, as the bytes of a page."""
    for one in [form] if isinstance(form, StepForm) else [form.management_form, *form.forms]:
        one.as_div().encode()
    str(form.errors).encode()


@settings(max_examples=150)
@given(st.sampled_from(STEPS), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8))
def test_hostile_fields_never_break_a_step(step: Any, fields: dict[str, Any]) -> None:
    form = make(step, {f"{step.step}-{name}": value for name, value in fields.items()})
    if form.is_valid():
        json.dumps(form.answers())
        form.summary()
    show(form)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("value", NASTY, ids=lambda value: ascii(value)[:12])
def test_a_hostile_value_in_every_field_never_breaks_a_step(step: Any, value: str) -> None:
    data = QueryDict(mutable=True)
    for name in FIELDS:
        data.setlist(f"{step.step}-{name}", [value, value])
    form = make(step, data)
    form.is_valid()
    show(form)
    show(make(step, data).hide_errors())


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "\ud800", "a\u202eb", "a\u2066b", "a\x07b", "a\x1b[31m", "a\ufffdb", "a\x85b"], ids=ascii
)
def test_hidden_characters_are_refused_in_words(text: str) -> None:
    form = make(LocationStart, {"location-name": text, "location-country": "DE"})
    assert "hidden characters" in str(form.errors["name"])


def test_spaces_and_harmless_marks_are_tidied() -> None:
    form = make(LocationStart, {"location-name": "\u200f  Main\t\u00a0 office\u200b\r\n", "location-country": "DE"})
    assert form.is_valid()
    assert form.answers() == {"name": "Main office", "country": "DE"}


def test_too_long_a_text_says_how_long_it_is() -> None:
    form = make(LocationStart, {"location-name": "x" * 81, "location-country": "DE"})
    assert form.errors["name"] == ["Shorten this to 80 characters or fewer; it has 81 now"]


@pytest.mark.parametrize("step", STEPS)
def test_an_empty_post_says_what_is_expected_and_never_that_a_field_is_required(step: Any) -> None:
    form = make(step, QueryDict())
    valid = form.is_valid()
    assert valid is (step is SetupReview)
    words = str(form.errors)
    assert "required" not in words.lower()
    assert "valid" not in words.lower()


@pytest.mark.parametrize("typed", ["a@b.example", " A@B.Example ", "jörg@müller.example", "a+b@x-y.example"])
def test_an_email_address_is_kept_in_lower_case(typed: str) -> None:
    assert EmailField().clean(typed) == typed.strip().lower()


@pytest.mark.parametrize("typed", ["a", "a@", "@b.example", "a@b", "a b@c.example", "a@b..example"])
def test_what_is_no_email_address_gets_an_example(typed: str) -> None:
    with pytest.raises(Exception, match=r"like name@example\.com"):
        EmailField().clean(typed)


def test_a_second_address_on_another_line_is_refused_in_its_own_words() -> None:
    with pytest.raises(Exception, match="Enter one address"):
        EmailField().clean("a@b.example\nBcc: x@y.z")


@pytest.mark.parametrize(
    ("typed", "number"), [("12", 12), (" 1,000 ", 1000), ("1 000", 1000), ("1.000", 1000), ("٣٤", 34)]
)
def test_a_whole_number_may_be_grouped(typed: str, number: int) -> None:
    assert WholeNumberField(expected="Enter a number", min_value=1, max_value=1000).clean(typed) == number


@pytest.mark.parametrize("typed", ["", "0", "1001", "1.5", "-3", "9" * 5000, "1e3", "ten", "1,00", True, ["1"], 2**70])
def test_what_is_no_whole_number_in_bounds_is_refused(typed: Any) -> None:
    with pytest.raises(Exception, match="Enter a number"):
        WholeNumberField(expected="Enter a number", min_value=1, max_value=1000).clean(typed)


@pytest.mark.parametrize("value", [["a"], {"a": 1}, object(), True, 1.5])
def test_a_text_is_never_made_of_something_else(value: Any) -> None:
    with pytest.raises(Exception, match="Enter a name"):
        TextField(expected="Enter a name").clean(value)


def test_rows_are_added_and_removed_without_losing_the_others() -> None:
    data: Any = QueryDict("x-TOTAL_FORMS=2&x-0-name=one&x-1-name=two&other=kept")
    data = with_row_added(data, "x", defaults={"zone": "UTC"})
    assert row_count(data, "x") == 3
    assert data["x-2-zone"] == "UTC"
    data = with_row_removed(data, "x", "0")
    assert (data["x-0-name"], data["x-1-zone"], data["other"]) == ("two", "UTC", "kept")
    assert row_count(data, "x") == 2
    for index in ("7", "-1", "zwei", "", "9" * 50):
        assert with_row_removed(data, "x", index) == data


def test_the_last_row_is_emptied_and_not_removed() -> None:
    data = with_row_removed(MultiValueDict({"x-TOTAL_FORMS": ["1"], "x-0-name": ["one"]}), "x", 0)
    assert row_count(data, "x") == 1
    assert "x-0-name" not in data


def test_rows_are_counted_by_their_fields_where_the_count_is_missing() -> None:
    assert row_count(QueryDict("x-0-name=a&x-4-name=b"), "x") == 5
    assert row_count(QueryDict("x-TOTAL_FORMS=9999999999&x-0-name=a"), "x") == 1
