"""The order desk keeps the directory: other names can be added, and are found."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orgs.finder.matching import find_candidates
from orgs.models import Domain, LikelyDuplicate, Organization, OtherName
from provisioning.models import User
from provisioning.worker import tasks
from tests.factories import an_organization

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


def a_night(later: int = 1) -> None:
    """Let the work of so many nights from now happen."""
    with time_machine.travel(timezone.now() + timedelta(days=later)):
        tasks.look_for_duplicates.func(timestamp=0)


def listed(desk: Client, **asked: str) -> str:
    """Return the text of the desk's list of likely duplicates, a pair a line: "A = B: why"."""
    page = desk.get(reverse("admin:orgs_likelyduplicate_changelist"), asked)
    assert page.status_code == 200
    rows = re.findall(r'<tr>.*?field-one">(.*?)</td>.*?field-another">(.*?)</td>.*?field-reason">(.*?)</td>', page.text)
    told = [[unescape(re.sub(r"<br>.*|<[^>]+>", "", cell)) for cell in row] for row in rows]
    return "\n".join(sorted("{} = {}: {}".format(*row) for row in told))


def dismiss(desk: Client, *chosen: int) -> str:
    """Say that these pairs are not the same; what the desk reads then."""
    url = reverse("admin:orgs_likelyduplicate_changelist")
    return desk.post(url, {"action": "dismiss", "_selected_action": chosen}, follow=True).text


NAME_DOMAIN = "Same name and same domain (contoso.com)"
NAME_COUNTRY = "Same name and same country; one has no domain"
OTHER_DOMAIN = "The name of one is another name of the other; same domain (contoso.com)"
OTHER_COUNTRY = "The name of one is another name of the other; same country; one has no domain"


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"domains": ["contoso.com"]}, {"domains": ["mail.contoso.com"], "country": "FR"}, NAME_DOMAIN),
        ({"domains": ["contoso.com"]}, {}, NAME_COUNTRY),
        ({}, {"country": "FR"}, ""),
        ({"country": ""}, {"country": ""}, ""),
        ({"domains": ["contoso.com"]}, {"domains": ["contoso.net"]}, ""),
        ({"domains": ["gmail.com"]}, {"domains": ["gmail.com"]}, ""),
        ({"name": "Fabrikam", "domains": ["contoso.com"]}, {"domains": ["contoso.com"]}, ""),
        (
            {"name": "Fabrikam", "other_names": ["Contoso AG"], "domains": ["contoso.com"], "country": "FR"},
            {"domains": ["contoso.com"]},
            OTHER_DOMAIN,
        ),
        ({"name": "Fabrikam", "other_names": ["Contoso"], "domains": ["fabrikam.com"]}, {}, OTHER_COUNTRY),
        (
            {"name": "Fabrikam", "other_names": ["Contoso"], "domains": ["fabrikam.com"]},
            {"domains": ["contoso.com"]},
            "",
        ),
        ({"name": "Fabrikam", "other_names": ["Adventure"]}, {"other_names": ["Adventure"]}, ""),
    ],
)
def test_desk_sees_after_a_night_what_is_likely_the_same(
    desk: Client, one: dict[str, Any], other: dict[str, Any], why: str
) -> None:
    first = an_organization(**{"name": "Contoso GmbH", **one})
    an_organization(**{"name": "Contoso Ltd", **other})
    an_organization("Adventure Works", domains=["contoso.com"])
    a_night()
    assert listed(desk) == (f"{first.name} = Contoso Ltd: {why}" if why else "")


def test_acronym_is_evidence_on_the_same_domain_only(desk: Client) -> None:
    for name, domains in (("Contoso Research", ["contoso.com"]), ("Center of Roses", [])):
        made = an_organization(name, domains=domains, country="DE")
        OtherName(organization=made, name="CR", kind=OtherName.Kind.ACRONYM).save()
    an_organization("CR", domains=["contoso.com"], country="DE")
    a_night()
    assert listed(desk) == f"Contoso Research = CR: {OTHER_DOMAIN}"


def test_name_that_many_of_a_country_have_says_nothing_without_a_domain(desk: Client) -> None:
    for _number in range(5):
        an_organization("General Hospital")
    a_night()
    assert listed(desk) == ""


def test_pair_shows_both_organizations_with_what_helps_to_choose(desk: Client) -> None:
    made = [
        an_organization(name, domains=["contoso.com"], user_count=users, active_subscription_count=count, country="DE")
        for name, users, count in (("Contoso <b>GmbH</b>", 1200, 3), ("Contoso", 0, 0))
    ]
    made[0].name = "Contoso"
    made[0].save()
    a_night()
    page = desk.get(reverse("admin:orgs_likelyduplicate_changelist")).text
    for each in made:
        assert f'<a href="{reverse("admin:orgs_organization_change", args=[each.pk])}">Contoso</a>' in page
    assert "Germany · users: 1,200 · active subscriptions: 3" in page
    assert "Merge those that are the same organization" in page
    assert LikelyDuplicate.objects.get().found_at.date() == (timezone.now() + timedelta(days=1)).date()


def test_pair_said_not_to_be_the_same_stays_away(desk: Client) -> None:
    for name in ("Contoso GmbH", "Contoso Ltd"):
        an_organization(name, domains=["contoso.com"])
    a_night()
    pair = LikelyDuplicate.objects.get()
    assert "Pairs that are not shown again: 1." in dismiss(desk, pair.pk)
    assert listed(desk) == ""
    a_night(2)
    assert listed(desk) == ""
    assert f"{NAME_DOMAIN}. Not the same, said desk@vendor.example on" in listed(desk, dismissed="yes")
    said = LikelyDuplicate.objects.get()
    assert (said.pk, said.dismissed_by_email) == (pair.pk, "desk@vendor.example")


def test_pair_goes_when_one_is_renamed_or_gone_and_stays_as_it_was_otherwise(desk: Client) -> None:
    made = [an_organization(f"Contoso {form}", domains=["contoso.com"]) for form in ("GmbH", "Ltd", "Inc.", "AG")]
    a_night()
    assert listed(desk).count("\n") == 5
    made[1].name = "Fabrikam"
    made[1].save()
    made[3].delete()
    before = LikelyDuplicate.objects.get(organization=made[0], other=made[2])
    a_night(2)
    assert listed(desk) == f"Contoso GmbH = Contoso Inc.: {NAME_DOMAIN}"
    kept = LikelyDuplicate.objects.get()
    assert (kept.pk, kept.found_at) == (before.pk, before.found_at)


def test_looking_takes_as_many_queries_for_many_pairs(django_assert_max_num_queries: Any) -> None:
    for number in range(40):
        for country in ("DE", "FR"):
            an_organization(f"Contoso {number}", domains=[f"contoso{number}.com"], country=country)
    with django_assert_max_num_queries(8):
        a_night()
    assert LikelyDuplicate.objects.count() == 40


def test_desk_that_may_only_look_says_nothing(client: Client) -> None:
    for name in ("Contoso GmbH", "Contoso Ltd"):
        an_organization(name, domains=["contoso.com"])
    a_night()
    reader = User.objects.create_user("reader@vendor.example", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_likelyduplicate"))
    client.force_login(reader)
    assert "Contoso Ltd" in listed(client)
    dismiss(client, LikelyDuplicate.objects.get().pk)
    assert LikelyDuplicate.objects.get().dismissed_at is None


def test_command_writes_what_the_desk_sees(capsys: pytest.CaptureFixture[str]) -> None:
    made = [an_organization(name, domains=["contoso.com"]) for name in ("Contoso GmbH", "Contoso Ltd")]
    call_command("find_duplicates")
    (row,) = csv.DictReader(StringIO(capsys.readouterr().out))
    assert (row["why"], row["domain"]) == ("same_name_domain", "contoso.com")
    assert [row["public_id"], row["other_public_id"]] == [str(each.public_id) for each in made]
    call_command("find_duplicates", limit=0)
    assert len(capsys.readouterr().out.splitlines()) == 1
