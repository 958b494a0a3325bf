"""The finder is no directory: what somebody without a tie learns is little, and counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from orgs import budgets
from orgs.matching import SharedDomain, Viewer, find_candidates, search_by_domain
from orgs.models import Domain, Organization, SearchBudget

STRANGER = Viewer(proved_email="eve@elsewhere.example", budget="order:1")


def directory(count: int) -> list[Organization]:
    """Organizations with a domain each."""
    made = []
    for number in range(count):
        organization = Organization(name=f"Contoso Branch {number}")
        organization.save()
        Domain(organization=organization, name=f"branch{number}.example").save()
        made.append(organization)
    return made


@pytest.mark.django_db
def test_attacker_with_names_and_domains_learns_at_most_ten_organizations_of_an_order() -> None:
    made = directory(60)
    learned: set[int] = set()
    for number, organization in enumerate(made):
        domain = f"branch{number}.example"
        for email in (f"guess@{domain}", f"guess@mail.{domain}", "eve@elsewhere.example"):
            match = find_candidates(email=email, company_name=organization.name, viewer=STRANGER)
            learned |= {each.organization.pk for each in match.candidates}
        learned |= {each.organization.pk for each in search_by_domain(domain=domain, email="", viewer=STRANGER)}
    assert 0 < len(learned) <= budgets.ORGANIZATIONS


@pytest.mark.django_db
def test_what_was_shown_before_stays_shown() -> None:
    directory(15)
    for number in range(15):
        search_by_domain(domain=f"branch{number}.example", email="", viewer=STRANGER)
    assert len(search_by_domain(domain="branch3.example", email="", viewer=STRANGER)) == 1
    assert search_by_domain(domain="branch14.example", email="", viewer=STRANGER) == ()


@pytest.mark.django_db
def test_another_order_has_its_own_budget_and_colleagues_need_none() -> None:
    directory(12)
    for number in range(12):
        search_by_domain(domain=f"branch{number}.example", email="", viewer=STRANGER)
    other = Viewer(proved_email="eve@elsewhere.example", budget="order:2")
    colleague = Viewer(proved_email="ada@branch11.example", budget="order:1")
    assert len(search_by_domain(domain="branch11.example", email="", viewer=other)) == 1
    assert len(search_by_domain(domain="branch11.example", email="", viewer=colleague)) == 1


@pytest.mark.django_db
def test_shared_domains_are_refused_whatever_the_budget() -> None:
    with pytest.raises(SharedDomain):
        search_by_domain(domain="gmail.com", email="", viewer=STRANGER)


@pytest.mark.django_db
def test_searches_are_counted_by_order_and_by_person_and_come_back() -> None:
    keys = {"order:9": 3, "person:eve": 5}
    assert [budgets.spend(keys) for _time in range(4)] == [True, True, True, False]
    assert budgets.spend({"order:10": 3, "person:eve": 5})
    assert budgets.spend({"order:10": 3, "person:eve": 5})
    assert not budgets.spend({"order:10": 3, "person:eve": 5})
    assert SearchBudget.objects.get(key="order:10").searches == 2
    SearchBudget.objects.update(since_at=timezone.now() - timedelta(hours=2))
    assert budgets.spend(keys)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_searches_never_show_more_than_the_budget() -> None:
    def show(number: int) -> set[int]:
        try:
            return budgets.disclose("order:7", [number])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        shown = set().union(*pool.map(show, range(40)))
    assert len(shown) == budgets.ORGANIZATIONS
    assert set(SearchBudget.objects.get(key="order:7").organization_ids) == shown
