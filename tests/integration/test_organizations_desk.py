"""The order desk keeps the directory: other names can be added, and are found."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from orgs.matching import find_candidates
from orgs.models import Domain, Organization
from provisioning.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    """An operator of the order desk, signed in."""
    client.force_login(User.objects.create_superuser("desk@vendor.example"))
    return client


def test_name_added_by_the_desk_is_found(desk: Client) -> None:
    made = Organization(name="Contoso")
    made.save()
    data = {
        "name": "Contoso", "country": "DE", "vertical": "", "origin": "direct_order",
        "domains-TOTAL_FORMS": 0, "domains-INITIAL_FORMS": 0,
        "other_names-TOTAL_FORMS": 1, "other_names-INITIAL_FORMS": 0,
        "other_names-0-name": "Fabrikam Werke", "other_names-0-kind": "former",
    }  # fmt: skip
    answer = desk.post(reverse("admin:orgs_organization_change", args=[made.pk]), data)
    assert answer.status_code == 302, answer.content
    found = find_candidates(email="new@gmail.com", company_name="Fabrikam Werke")
    assert [each.organization for each in found.candidates] == [made]


@pytest.mark.parametrize("term", ["contoso gmbh", "CONTOSO", "contoso.com"])
def test_desk_searches_by_name_and_domain(desk: Client, term: str) -> None:
    made = Organization(name="Contoso")
    made.save()
    Domain(organization=made, name="contoso.com").save()
    page = desk.get(reverse("admin:orgs_organization_changelist"), {"q": term})
    assert page.status_code == 200
    assert "Contoso" in page.content.decode()


def test_likely_duplicates_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Contoso GmbH", "Contoso Ltd"):
        made = Organization(name=name)
        made.save()
        Domain(organization=made, name="contoso.com").save()
    call_command("find_duplicates")
    assert capsys.readouterr().out.count("same name and domain") == 2
