"""The Meetings pack's forms: sites, additional sites and the distribution of licenses."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.datastructures import MultiValueDict
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.wizard.forms.meetings.licenses import LicenseDistribution
from provisioning.wizard.forms.meetings.site_forms import (
    AdditionalSites,
    MeetingSetup,
    planned_sites,
    wants_additional_sites,
)
from provisioning.wizard.forms.meetings.site_names import SiteNameField
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan, check_sites
from subscriptions.rules.sites import SiteNameProblem

TAKEN = {"acme": SiteNameProblem.TAKEN, "bcme": SiteNameProblem.TAKEN, "acrne": SiteNameProblem.LOOK_ALIKE}
FACTS: dict[str, Any] = {
    "base_domain": "meet.example.com",
    "site_name_problems": lambda names: {name: TAKEN[name] for name in names if name in TAKEN},
    "country": "DE",
    "total_licenses": 250,
}


def setup(**fields: str) -> MeetingSetup:
    data = {"site_name": "contoso", "time_zone": "Europe/Berlin", "early_release": "no", **fields}
    return MeetingSetup(
        {f"meetings-{name}": value for name, value in data.items()},
        prefix="meetings",
        order=Order(),
        answers={},
        **FACTS,
    )


def additional(names: list[str], licenses: int = 250) -> AdditionalSites:
    data = {"additional-TOTAL_FORMS": str(len(names))}
    for row, name in enumerate(names):
        data |= {
            f"additional-{row}-name": name,
            f"additional-{row}-time_zone": "Asia/Tokyo",
            f"additional-{row}-early_release": "yes",
            f"additional-{row}-early_release_confirmed": "on",
        }
    first = setup(additional_urls="on")
    assert first.is_valid()
    return AdditionalSites(
        data,
        prefix="additional",
        order=Order(),
        answers={"meetings": first.answers()},
        **{**FACTS, "total_licenses": licenses},
    )


def several(count: int) -> dict[str, Any]:
    """Answers with so many sites."""
    row = {"time_zone": "Europe/Berlin", "early_release": "no"}
    return {
        "meetings": {"site_name": "site-0", "additional_urls": count > 1, **row},
        "additional": [{"name": f"site-{number}", **row} for number in range(1, count)],
    }


def test_a_site_is_answered_and_shown_as_its_url() -> None:
    form = setup(site_name=" Contoso ", early_release="yes", early_release_confirmed="on")
    assert form.is_valid(), form.errors
    assert form.answers() == {
        "site_name": "contoso",
        "time_zone": "Europe/Berlin",
        "early_release": "yes",
        "additional_urls": False,
    }
    shown = {str(label): value for label, value in form.summary()}
    assert shown["Site name"] == "contoso.meet.example.com"
    assert shown["Early release schedule"] == "Yes"
    assert shown["Time zone"].endswith("Berlin")


def alternatives(form: MeetingSetup) -> tuple[str, ...]:
    field = form.fields["site_name"]
    assert isinstance(field, SiteNameField)
    return field.alternatives


def test_a_taken_name_is_refused_with_three_names_to_take() -> None:
    form = setup(site_name="acme")
    assert form.errors["site_name"] == ["Choose another site name: “acme” is taken"]
    assert alternatives(form) == ("acme-de", "acme-meetings", "acme-group")


def test_a_name_that_looks_like_a_taken_one_is_refused_with_the_reason() -> None:
    form = setup(site_name="acrne")
    assert "reads like one that is taken, since o and 0, l and 1, or rn and m look alike" in str(form.errors)
    assert len(alternatives(form)) == 3


def test_an_alternative_is_taken_by_its_button_and_nothing_else_can_be_filled_in_by_it() -> None:
    form = setup(site_name="acme")
    edited = form.handle_button({**form.data, "use": "meetings-site_name:acme-de"})
    assert edited is not None
    assert edited[0]["meetings-site_name"] == "acme-de"
    assert edited[0]["meetings-time_zone"] == "Europe/Berlin"
    assert edited[1] == "id_meetings-site_name"
    assert form.handle_button({**form.data, "use": "meetings-time_zone:acme-de"}) is None
    rows = additional(["site-a", "acme"])
    edited = rows.handle_button({**rows.data, "use": "additional-1-name:acme-de"})
    assert edited is not None
    assert [edited[0][f"additional-{row}-name"] for row in (0, 1)] == ["site-a", "acme-de"]


def test_early_release_has_to_be_confirmed_and_its_opposite_has_not() -> None:
    form = setup(early_release="yes")
    assert form.errors["early_release_confirmed"] == [
        "Tick this to confirm the early release schedule, or select No above"
    ]
    assert setup(early_release="yes", early_release_confirmed="on").is_valid()
    assert setup(early_release="no").is_valid()
    rows = additional(["site-a"])
    unconfirmed = AdditionalSites(
        {**rows.data, "additional-0-early_release_confirmed": ""}, order=Order(), answers=rows.earlier_answers, **FACTS
    )
    assert list(unconfirmed.errors[0]) == ["early_release_confirmed"]


def test_a_reserved_name_is_refused_with_the_reason() -> None:
    assert "kept for the service itself" in str(setup(site_name="Support").errors["site_name"])


def test_a_name_of_another_script_is_offered_in_its_plain_form() -> None:
    form = setup(site_name="Büro München")
    assert "such as buero-muenchen" in str(form.errors["site_name"])
    assert alternatives(form)[0] == "buero-muenchen"


def test_a_name_that_cannot_be_spelled_plainly_says_what_a_name_is_made_of() -> None:
    assert setup(site_name="…").errors["site_name"] == [
        "Enter a site name of 4 to 63 letters (a to z), numbers and single hyphens"
    ]


def test_the_only_zone_of_the_country_is_preselected_and_first() -> None:
    form = MeetingSetup(prefix="meetings", order=Order(), answers={}, **FACTS)
    page = str(form["time_zone"])
    assert '<optgroup label="Germany"><option value="Europe/Berlin" selected>' in page
    assert page.count(" selected") == 1


def test_the_labels_are_those_of_the_seed() -> None:
    form = MeetingSetup(order=Order(), answers={}, **FACTS)
    assert form["additional_urls"].label == "I need additional URLs"
    assert form["early_release"].help_text.startswith(
        "A site on an early release schedule receives access to features before the normal deployment cycle."
    )


def test_additional_sites_are_answered_in_order() -> None:
    form = additional(["Tokyo-1", "tokyo-2"])
    assert form.is_valid(), form.errors
    assert [row["name"] for row in form.answers()] == ["tokyo-1", "tokyo-2"]
    assert [str(value) for label, value in form.summary() if "URL" in str(label)] == [
        "tokyo-1.meet.example.com",
        "tokyo-2.meet.example.com",
    ]


@pytest.mark.parametrize("names", [["contoso"], ["tokyo", "TOKYO"]])
def test_a_name_used_twice_in_the_order_is_refused_at_its_row(names: list[str]) -> None:
    form = additional(names)
    assert not form.is_valid()
    assert "this order has a site of this name already" in str(form.forms[-1].errors["name"])


def test_fifty_additional_sites_are_taken_and_fifty_one_are_not() -> None:
    assert additional([f"site-{number}" for number in range(50)]).is_valid()
    form = additional([f"site-{number}" for number in range(51)])
    assert not form.is_valid()
    assert form.non_form_errors() == ["Add at most 50 sites"]


def test_add_another_and_remove_keep_the_other_rows() -> None:
    form = additional(["site-a", "site-b"])
    more = form.handle_button({**form.data, "add": "1"})
    assert more is not None
    assert more[0]["additional-2-time_zone"] == "Europe/Berlin"
    assert more[1] == "row_3"  # where the page goes on: at the new row
    fewer = form.handle_button({**form.data, "remove": "0"})
    assert fewer is not None
    assert fewer[0]["additional-0-name"] == "site-b"
    assert fewer[0]["additional-TOTAL_FORMS"] == "1"
    assert fewer[1] == "row_1"
    assert form.handle_button(form.data) is None


@settings(max_examples=40)
@given(st.integers(2, 51), st.one_of(st.integers(1, 60), st.integers(1, 1_000_000)))
def test_every_order_can_be_distributed_by_split_evenly(count: int, total: int) -> None:
    answers = several(count)
    page = LicenseDistribution(prefix="licenses", order=Order(), answers=answers, total_licenses=total)
    split = page.handle_button({"split": "1"})
    assert split is not None
    form = LicenseDistribution(split[0], prefix="licenses", order=Order(), answers=answers, total_licenses=total)
    assert form.is_valid(), form.errors
    assert form.remainder == 0
    planned = planned_sites({**answers, "licenses": form.answers()}, total)
    assert sum(site["licenses"] for site in planned) == total
    assert max(site["licenses"] for site in planned) - min(site["licenses"] for site in planned) <= 1
    # And the order can be set up like that.
    check_sites([SitePlan(**site) for site in planned], total)


@settings(max_examples=60)
@given(st.lists(st.integers(-3, 400), min_size=2, max_size=6), st.integers(1, 400))
def test_shares_are_taken_only_where_they_add_up(shares: list[int], total: int) -> None:
    answers = several(len(shares))
    data = {f"licenses-site_site-{number}": str(share) for number, share in enumerate(shares)}
    form = LicenseDistribution(data, prefix="licenses", order=Order(), answers=answers, total_licenses=total)
    assert form.is_valid() is (sum(shares) == total and min(shares) >= 0)


def distribution(*shares: str, total: int = 250) -> LicenseDistribution:
    data = MultiValueDict({f"licenses-site_site-{number}": [share] for number, share in enumerate(shares)})
    return LicenseDistribution(
        data, prefix="licenses", order=Order(), answers=several(len(shares)), total_licenses=total
    )


def test_what_is_left_and_what_is_too_much_is_said() -> None:
    assert distribution("200", "38").non_field_errors() == ["12 of 250 left to distribute"]
    assert distribution("200", "55").non_field_errors() == ["5 more than the 250 licenses bought"]
    assert distribution("200", "50").remainder_text == "All 250 are distributed"
    assert distribution("x", "50").remainder_text == "200 of 250 left to distribute"
    assert distribution("1,000", "50", total=12500).remainder_text == "11,450 of 12,500 left to distribute"


def test_a_site_may_start_without_a_license_but_not_without_a_number() -> None:
    assert distribution("250", "0").is_valid()
    form = distribution("250", "")
    assert form.errors["site_site-1"] == ["Enter how many licenses site-1 gets, a number from 0 to 250"]


def test_a_single_site_gets_all_licenses() -> None:
    answers = several(1)
    assert not wants_additional_sites(answers)
    assert planned_sites(answers, 250) == [
        {"name": "site-0", "time_zone": "Europe/Berlin", "early_release": False, "licenses": 250}
    ]


def test_additional_sites_that_are_no_longer_wanted_are_not_planned() -> None:
    answers = several(3)
    answers["meetings"]["additional_urls"] = False
    answers["licenses"] = {"site-0": 1, "site-1": 1, "site-2": 248}
    assert [(site["name"], site["licenses"]) for site in planned_sites(answers, 250)] == [("site-0", 250)]
