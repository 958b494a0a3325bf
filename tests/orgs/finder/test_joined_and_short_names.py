"""Names written together or apart, with short forms of their words: found, and shown before a second one is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from pytest_django import DjangoDbBlocker

from orgs.finder.matching import Candidate, find_candidates, near_duplicates
from orgs.models import Domain, Organization, OtherName
from tests.databases import rolled_back

pytestmark = pytest.mark.django_db

# An organization's name, and ways in which people write it.
WRITTEN_TOGETHER: Final = {
    "KUOW Public Radio": (
        *("kuowpublicradio", "KuowPublicRadio", "kuow-public-radio", "KUOW publicradio", "KUOWPublic Radio LLC"),
        *("K.U.O.W. Public Radio", "kuowpublicradio Inc.", "kuowpublicradioinc", "kuow_public_radio"),
    ),
    "Bank of Cyprus Holdings PLC": ("bankofcyprusholdings", "Bank ofCyprus Holdings", "BankOfCyprus Holdings"),
    "O'Reilly Media, Inc.": ("O Reilly Media", "OReilly Media", "oreillymedia", "O’Reilly-Media"),
    "Marks & Spencer plc": ("marksandspencer", "Marks and Spencer", "MarksSpencer", "Marks&Spencer"),
    "3M Company": ("3 M", "3M", "3-M", "3 M Co."),
    "A. P. Møller - Mærsk A/S": ("apmollermaersk", "AP Møller Mærsk", "A.P. Moller-Maersk"),
    "Стройинвест Юг": ("стройинвестюг", "Строй инвест Юг"),
    "Straßen und Tiefbau Contoso GmbH": ("strassenundtiefbaucontoso", "Straßen- und Tiefbau-Contoso"),
}
WRITTEN_APART: Final = {
    "PricewaterhouseCoopers": (
        *("Price Waterhouse Coopers", "Pricewaterhouse Coopers", "Price-Waterhouse-Coopers LLP"),
        *("Price Water House Coopers", "Price WaterhouseCoopers GmbH"),
    ),
    "FedEx Corporation": ("Fed Ex", "Fed-Ex", "F.E.D.E.X.", "Fed Ex Corp.", "fedexcorporation"),
    "MAN SE": ("M.A.N.", "M A N", "M. A. N. SE", "man"),
    "AT&T Inc.": ("A T & T", "ATT", "A.T.&T.", "AT and T"),
    "eBay Inc.": ("e-bay", "E Bay", "e bay GmbH"),
    "McDonald's Corporation": ("Mc Donalds", "Mc Donald's", "Mc-Donalds"),
    "ThyssenKrupp AG": ("Thyssen Krupp", "Thyssen-Krupp AG"),
}
WITH_AN_ERROR: Final = {
    "KUOW Public Radio": ("kuowpublcradio", "kuowpublicradoi", "KUOW publlicradio"),
    "PricewaterhouseCoopers": ("Price Waterhouse Cooper", "Price Waterhous Coopers"),
    "Bechtel International": ("bechtelinternatonal", "Bechtel Internatonal"),
}
SHORT_FORMS: Final = {
    "St. Paul's Hospital": ("Saint Pauls Hospital", "Saint Paul's Hosp.", "stpaulshospital", "saintpaulshospital"),
    "Saint-Gobain": ("St. Gobain", "St Gobain", "stgobain"),
    "Fort Contoso Brewing": ("Ft. Contoso Brewing", "Ft Contoso Brewing"),
    "Mount Fabrikam College": ("Mt. Fabrikam Coll.", "Mt Fabrikam College"),
    "Bechtel International": ("Bechtel Intl", "Bechtel Int'l Corp.", "bechtelintl", "bechtelinternational"),
    "University of Contoso": ("Univ. of Contoso", "Uni Contoso", "universityofcontoso"),
    "Contoso Univ": ("Contoso University",),
    "Universität Fabrikam": ("Univ. Fabrikam", "Uni Fabrikam"),
    "Société Contoso de Lyon": ("Sté Contoso de Lyon", "Ste. Contoso de Lyon"),
    "Établissements Tailspin": ("Ets Tailspin", "Ets. Tailspin"),
    "Compañía Northwind": ("Cía. Northwind", "Cia Northwind"),
    "Tailspin Hermanos": ("Tailspin Hnos.", "Tailspin Hnos"),
    "Fratelli Contoso": ("F.lli Contoso", "Flli Contoso"),
    "Gebrüder Wingtip": ("Gebr. Wingtip",),
    "Wingtip Brothers": ("Wingtip Bros.", "Wingtip Bros"),
    "Northwind Manufacturing": ("Northwind Mfg.", "Northwind Mfg Inc"),
    "Adatum Laboratories": ("Adatum Labs",),
    "National Institute of Proseware": ("Nat'l Inst. of Proseware", "Natl Institute of Proseware"),
    "Proseware Association": ("Proseware Assn.", "Proseware Ass'n", "Proseware Assoc"),
    "Department of Litware": ("Dept. of Litware", "Dep't of Litware"),
    "Litware Medical Center": ("Litware Medical Ctr", "Litware Medical Centre"),
    "Government of Litware": ("Govt of Litware", "Gov't of Litware"),
    "Hauptstraße Immobilien": ("Hauptstr. Immobilien",),
}
EMAILS: Final = ("new@gmail.com", "new@a-domain-that-nobody-has.example")

type Table = dict[str, tuple[str, ...]]


def pairs(*tables: Table) -> list[tuple[str, str]]:
    """Each name with each of the ways in which it is written."""
    return [(name, asked) for table in tables for name, ways in table.items() for asked in ways]


@pytest.fixture(scope="module", autouse=True)
def others(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Organizations that have some of the same words, or nearly, for all the tests of this file."""
    with django_db_blocker.unblock(), rolled_back():
        _make_others()
        yield


def _make_others() -> None:
    for name in (
        *("KUOM Radio", "Public Radio International", "Price Water Works", "Waterhouse Hospital", "Feder Express"),
        *("Manx Airlines", "Attica Bank", "Bayer", "Reilly Foods", "Spencer Stuart", "Contoso Hospital", "Donald Corp"),
        *("Gobain Glass", "Bechtel Plumbing", "Tailspin Toys", "Northwind Traders", "Krupp Kaffee", "Cyprus Airways"),
        *("Fabrikam Labs", "Litware Systems", "Proseware Books", "Wingtip Shoes", "Adatum Travel"),
    ):
        Organization(name=name).save()


def names(found: tuple[Candidate, ...]) -> list[str]:
    """The organizations' names, in the order of the list."""
    return [candidate.organization.name for candidate in found]


@pytest.mark.parametrize(("name", "asked"), pairs(WRITTEN_TOGETHER, WRITTEN_APART, SHORT_FORMS))
def test_name_is_found_and_shown_before_a_second_organization_is_made(name: str, asked: str) -> None:
    Organization(name=name).save()
    for email in EMAILS:
        assert name in names(find_candidates(email=email, company_name=asked).candidates)[:5], email
        assert name in names(near_duplicates(name=asked, country="", email=email)), email


@pytest.mark.parametrize(("name", "asked"), pairs(WITH_AN_ERROR))
def test_name_with_other_spaces_and_a_typing_error_is_found(name: str, asked: str) -> None:
    Organization(name=name).save()
    assert name in names(find_candidates(email="new@gmail.com", company_name=asked).candidates)[:5]
    for email in EMAILS:
        assert name in names(near_duplicates(name=asked, country="", email=email)), email


@pytest.mark.parametrize(("name", "asked"), pairs(WRITTEN_TOGETHER, WRITTEN_APART, SHORT_FORMS))
def test_other_name_is_found_the_same_way(name: str, asked: str) -> None:
    made = Organization(name="Lucerne Publishing")
    made.save()
    OtherName(organization=made, name=name).save()
    for email in EMAILS:
        assert names(find_candidates(email=email, company_name=asked).candidates)[:1] == ["Lucerne Publishing"], email
        assert "Lucerne Publishing" in names(near_duplicates(name=asked, country="", email=email)), email


@pytest.mark.parametrize(
    ("name", "domain", "asked"),
    [
        ("Northwest Public Broadcasting", "nwpublicbroadcasting.example", "nwpublicbroadcasting"),
        ("KUOW Public Radio", "kuowpublicradio.example", "kuowpublicradio"),
        ("Contoso", "contoso-pharma.example", "Contoso Pharma"),
    ],
)
def test_name_of_the_domain_is_found(name: str, domain: str, asked: str) -> None:
    made = Organization(name=name)
    made.save()
    Domain(organization=made, name=domain).save()
    for email in ("new@gmail.com", f"new@{domain}"):
        assert name in names(find_candidates(email=email, company_name=asked).candidates)[:5], email
        assert name in names(near_duplicates(name=asked, country="", email=email)), email
