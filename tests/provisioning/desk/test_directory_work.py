"""Organizations at the order desk: found by a part of a name, members changed, two that are the same merged."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from orgs.models import LikelyDuplicate, Member, Organization
from provisioning.models import User
from provisioning.people import links
from tests.factories import a_mapped_order, an_organization, signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/orgs/organization/"
BOSS, ANN = "boss@contoso.example.org", "ann@contoso.example.org"


@pytest.fixture
def desk() -> Client:
    User.objects.filter(pk=links.user_for("olga@vendor.example").pk).update(is_staff=True, is_superuser=True)
    return signed_in("olga@vendor.example")


def listed(desk: Client, term: str) -> set[str]:
    page = desk.get(LIST, {"q": term})
    assert page.status_code == 200
    return {unescape(name) for name in re.findall(r'field-name"><a[^>]*>([^<]+)</a>', page.text)}


def test_an_organization_is_found_by_parts_of_its_names_a_domain_and_its_id(desk: Client) -> None:
    an_organization("Contoso Bakery GmbH", other_names=["Brotfabrik Süd"], domains=["contoso.example.org"])
    an_organization("Contoso Hotels", external_id="CRM-77")
    an_organization("Fabrikam 100%")
    for term, found in (
        ("onto", {"Contoso Bakery GmbH", "Contoso Hotels"}),
        ("toso bake", {"Contoso Bakery GmbH"}),
        ("brotfab", {"Contoso Bakery GmbH"}),
        ("contoso.example.org", {"Contoso Bakery GmbH"}),
        ("CRM-77", {"Contoso Hotels"}),
        ("%", set()),
        ("nothing", set()),
    ):
        assert listed(desk, term) == found, term


def test_members_are_added_as_users_lowered_and_ended_with_a_reason_and_never_raised(desk: Client) -> None:
    contoso = an_organization("Contoso", administrators=[BOSS, "chief@contoso.example.org"], members=[ANN])
    page = f"{LIST}{contoso.pk}/members/"
    assert ANN in desk.get(page).text
    assert ANN not in desk.get(page, {"q": "boss"}).text

    def one(email: str) -> str:
        return f"{page}{Member.objects.get(organization=contoso, email=email).pk}/"

    assert "Enter a reason" in desk.post(page, {"email": "new@contoso.example.org", "reason": ""}).text
    added = {"email": "New@Contoso.example.org", "reason": "Asked by phone", "role": "full"}
    assert "Added new@contoso.example.org as a member." in desk.post(page, added, follow=True).text
    desk.post(one(ANN), {"role": "full", "reason": "x", "change": "1"})
    assert dict(contoso.members.values_list("email", "role")) == {
        BOSS: "full",
        "chief@contoso.example.org": "full",
        ANN: "user",
        "new@contoso.example.org": "user",
    }
    said = desk.post(one(BOSS), {"role": "user", "reason": "Left the company", "change": "1"}, follow=True).text
    assert f"Changed the role of {BOSS} to User." in said
    for form in ({"end": "1"}, {"role": "user", "change": "1"}):
        said = desk.post(one("chief@contoso.example.org"), {"reason": "x", **form}, follow=True).text
        assert "this is the last one" in said
    desk.post(one(ANN), {"end": "1", "reason": "Left"})
    assert set(contoso.members.values_list("email", flat=True)) == {
        BOSS,
        "chief@contoso.example.org",
        "new@contoso.example.org",
    }
    contoso.refresh_from_db()
    assert contoso.user_count == 3
    log = desk.get(f"{LIST}{contoso.pk}/history/").text
    for line in ("Left the company", f"Ended the membership of {ANN}", "olga@vendor.example"):
        assert line in log
    other = an_organization("Other")
    assert desk.get(f"{LIST}{other.pk}/members/{Member.objects.get(email=BOSS).pk}/").status_code == 404
    assert signed_in(BOSS).post(page, added, follow=True).status_code == 403


def test_two_likely_duplicates_are_merged_after_a_page_that_says_what_moves(desk: Client) -> None:
    keep = an_organization("Contoso", administrators=[BOSS], domains=["contoso.example.org"])
    gone = an_organization("Contoso Ltd", administrators=["kim@contoso.example.org"], other_names=["Kontoso"])
    order = a_mapped_order(contact="kim@contoso.example.org", customer=gone)
    LikelyDuplicate.objects.create(organization=keep, other=gone, why="same_name_country")
    led = re.search(r'href="([^"]*/merge/[^"]*)"', desk.get("/admin/orgs/likelyduplicate/").text)
    assert led
    url = unescape(led[1])
    page = desk.get(url).text
    for fact in ("Kontoso", "kim@contoso.example.org", BOSS, "contoso.example.org (Verified)"):
        assert fact in page
    assert "Choose the organization to keep." in desk.post(url).text
    assert Organization.objects.filter(closed_at=None).count() == 2
    done = desk.post(url, {"keep": keep.pk}, follow=True).text
    assert "Contoso Ltd is merged into Contoso." in done
    order.refresh_from_db()
    assert order.customer == keep
    assert not LikelyDuplicate.objects.exists()
    assert listed(desk, "kontoso") == {"Contoso"}
    assert "Merged into" in desk.get(f"{LIST}{gone.pk}/change/").text
    assert LogEntry.objects.filter(change_message__contains="Merged Contoso Ltd into Contoso").count() == 2
    desk.post(url, {"keep": keep.pk})
    assert order.events.filter(kind="organization_merged").count() == 1
    chosen = {"action": "merge_two", "_selected_action": [keep.pk]}
    assert "Choose the two organizations" in desk.post(LIST, chosen, follow=True).text


def test_one_operator_gives_nobody_rights_by_merging() -> None:
    User.objects.filter(pk=links.user_for("dora@vendor.example").pk).update(is_staff=True, desk_role="desk")
    dora = signed_in("dora@vendor.example")
    contoso, own = an_organization("Contoso", administrators=[BOSS]), an_organization("Mine", administrators=[ANN])
    nobodys, twin = an_organization("Fabrikam"), an_organization("Fabrikam Ltd")
    for one, other in ((contoso, own), (own, contoso), (nobodys, own), (own, nobodys)):
        url = f"{LIST}merge/?organization={one.pk}&organization={other.pk}"
        assert "Only a supervisor merges" in dora.post(url, {"keep": one.pk}, follow=True).text
    assert Organization.objects.filter(closed_at=None).count() == 4
    dora.post(f"{LIST}merge/?organization={nobodys.pk}&organization={twin.pk}", {"keep": nobodys.pk})
    twin.refresh_from_db()
    assert twin.closed_at is not None
