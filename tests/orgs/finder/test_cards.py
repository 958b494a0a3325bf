"""What a card says: one label that a person can check, what speaks against it once, the domain it is about first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from orgs.finder.cards import Viewer
from orgs.finder.matching import Candidate, find_candidates, near_duplicates
from tests.factories import an_organization

pytestmark = pytest.mark.django_db


def card(email: str = "new@contoso.com", name: str = "Contoso") -> Candidate:
    """The first card for this address and company."""
    return find_candidates(email=email, company_name=name).candidates[0]


@pytest.mark.parametrize(
    ("domain", "name", "tie"),
    [
        ("contoso.com", "Contoso", "The email domain is verified here · Same name"),
        ("contoso.com", "Contoso Ltd.", "The email domain is verified here · Same name, different legal form"),
        ("contoso.com", "Northwind", "The email domain is verified here"),
        ("mail.contoso.com", "Contoso", "A related domain is verified here · Same name"),
        ("contoso.de", "Contoso", "Same name"),
    ],
)
def test_label_says_what_the_domain_and_the_name_say(domain: str, name: str, tie: str) -> None:
    an_organization(name, domains=[domain])
    assert card().tie == tie


def test_masked_card_has_one_tie_only() -> None:
    an_organization("Contoso", domains=["contoso.com"])
    match = find_candidates(email="new@contoso.com", company_name="Contoso", viewer=Viewer(proved_email="sam@x.org"))
    assert [(each.masked, each.tie) for each in match.candidates] == [(True, "The email domain is verified here")]


def test_another_ending_is_said_to_be_weaker_and_not_said_beside_the_domain_itself() -> None:
    made = an_organization("Contoso", domains=["contoso.de"])
    assert "Different companies can own the two: check the name too." in " ".join(card().reasons)
    made.domains.create(name="contoso.com", registrable="contoso.com", label="contoso")
    assert card().reasons == ("The organization has verified the domain contoso.com.", "The name is the same.")


def test_what_speaks_against_is_said_on_the_card_and_once() -> None:
    long_ago = timezone.now() - timedelta(days=800)
    an_organization("Contoso", country="AT", account_created_at=long_ago, active_subscription_count=1)
    found = near_duplicates(name="Contoso", country="DE", email="new@contoso.de")[0]
    assert found.warnings == (
        "No activity of any user so far.",
        "No verified domain.",
        "In a country other than Germany.",
    )
    assert found.reasons == ("The name is the same.",)


def test_an_organization_without_a_country_is_in_no_other_country() -> None:
    an_organization("Contoso", domains=["contoso.de"], country="")
    assert card("new@contoso.de").warnings == ()
    found = near_duplicates(name="Contoso", country="FR", email="new@contoso.de")
    assert found[0].warnings == ()


def test_domain_that_ties_it_comes_first() -> None:
    an_organization("Contoso", domains=["a.org", "b.org", "contoso.com"])
    assert [name for name, _status in card().domains] == ["contoso.com", "a.org", "b.org"]


@pytest.mark.parametrize("name", ["Contoso Inc.", "شركة كونتوسو"])
def test_a_name_in_a_sentence_stands_in_quotes(name: str) -> None:
    an_organization("Fabrikam", domains=["contoso.com"], other_names=[name])
    assert f"The organization is or was also known as “{name}”." in card(name=name).reasons
