"""Which names count as the same on a card, and which only begin or sound alike."""

from __future__ import annotations

import pytest

from orgs.finder.evidence_rules import Code
from orgs.finder.matching import find_candidates, near_duplicates
from orgs.models import Organization
from tests.orgs.finder.test_joined_and_short_names import EMAILS, WRITTEN_APART, WRITTEN_TOGETHER, pairs

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("name", "asked"), pairs(WRITTEN_TOGETHER, WRITTEN_APART)[::4])
def test_card_says_that_the_name_is_the_same(name: str, asked: str) -> None:
    Organization(name=name).save()
    found = find_candidates(email="new@gmail.com", company_name=asked).candidates[0]
    same = {Code.SAME_NAME, Code.SAME_NAME_BUT_FORM, Code.SAME_NAME_BUT_SCRIPT, Code.SAME_NAME_BUT_SPACING}
    assert same & {each.code for each in found.evidence}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Manatee Springs", "M.A.N."),
        ("Fedora Express", "Fed Ex"),
        ("Public Radio Tulsa", "kuowpublicradio"),
        ("Attica Technologies", "A T & T"),
        ("Price Chopper", "Price Waterhouse Coopers"),
        ("Waterhouse Hospital", "Price Waterhouse Coopers"),
        ("Saint Mary's Hospital", "St. Paul's Hospital"),
        ("Street Contoso", "Fort Fabrikam"),
        ("Bechtel Institute", "Bechtel International"),
        ("Contoso International", "Fabrikam Intl"),
        ("Holland Bank", "Holl Bank"),
        ("Scotland Yard Tools", "Scotl Yard Tools"),
        ("Societe Generale", "Soci Generale"),
        ("3Com", "3 M"),
        ("Bayer", "e-bay"),
    ],
)
def test_name_that_only_begins_or_sounds_alike_is_no_same_name(name: str, asked: str) -> None:
    Organization(name=name).save()
    for found in (
        find_candidates(email="new@gmail.com", company_name=asked).candidates,
        near_duplicates(name=asked, country="", email="new@gmail.com"),
    ):
        assert not any(candidate.strong_name_tie for candidate in found)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Public Radio Tulsa", "kuowpublicradio"),
        ("Price Club", "Price Waterhouse Coopers"),
        ("Saint Mary's Hospital", "St. Paul's Hospital"),
        ("Contoso International", "Fabrikam Intl"),
        ("Fedora Express", "Fed Ex"),
        ("Manatee Springs", "M.A.N."),
        ("Mount Contoso College", "Mt. Fabrikam College"),
        ("University of Contoso", "Univ. of Fabrikam"),
        ("Wingtip Brothers", "Tailspin Bros."),
    ],
)
def test_name_with_another_telling_word_is_not_shown(name: str, asked: str) -> None:
    Organization(name=name).save()
    for email in EMAILS:
        assert find_candidates(email=email, company_name=asked).candidates == (), email
