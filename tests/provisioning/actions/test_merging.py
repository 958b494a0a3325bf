"""Two entries of one organization become one: what moves, who gets no right by it, and what searches find."""

from __future__ import annotations

from pathlib import Path

import pytest

from orgs.finder.matching import find_candidates
from orgs.importing import import_file
from orgs.models import Domain, Member, Organization, OrganizationMerge
from provisioning import actions
from provisioning.models import AccessRequest, Event, Mail
from provisioning.people import links
from subscriptions import actions as subscriptions
from subscriptions.models import Location, Order, SiteName, Subscription
from tests.factories import a_mapped_order, an_order, an_organization, an_own_order, set_up_order

pytestmark = pytest.mark.django_db
KIM, BOSS, EVE = "kim@contoso.example.org", "boss@contoso.example.org", "eve@contoso.example.net"
HEADQUARTERS = subscriptions.LocationPlan(
    name="Headquarters",
    country="US",
    address={
        "street_address": "1 Main Street",
        "city": "Springfield",
        "country_area": "IL",
        "postal_code": "62701",
    },
    time_zone="America/Chicago",
    language="en",
    announcement_language="en",
)


def site(name: str, licenses: int) -> subscriptions.SitePlan:
    return subscriptions.SitePlan(name=name, time_zone="Europe/Paris", early_release=False, licenses=licenses)


def test_everything_of_the_one_moves_to_the_other_and_nobody_gets_a_right_by_it() -> None:
    keep = an_organization(
        "Contoso", administrators=[BOSS], members=["ann@contoso.example.org"], domains=["contoso.example.org"]
    )
    gone = an_organization(
        "Kontoso Bakery",
        administrators=[KIM],
        members=["ann@contoso.example.org"],
        domains=["contoso.example.org", "kontoso.example.net"],
        other_names=["KB Bread", "Contoso"],
        external_id="crm-2",
        partner=True,
    )
    Domain.objects.filter(organization=gone, name="contoso.example.org").update(status="claimed")
    done = a_mapped_order(contact=KIM, customer=gone, meetings=3, calling=2)
    set_up_order(order=done, plans={"meetings": [site("contoso1", 2), site("contosol", 1)], "calling": HEADQUARTERS})
    own = a_mapped_order(contact=BOSS, customer=keep, calling=2)
    set_up_order(order=own, plans={"calling": HEADQUARTERS})
    waits = a_mapped_order(contact=KIM, customer=gone)
    held = an_own_order(contact="pat@contoso.example.org")
    actions.ask_administrators(order=held, by=links.user_for("pat@contoso.example.org"), organization=gone.public_id)

    merge = actions.merge_organizations(keep=keep, gone=gone, by=links.user_for("olga@vendor.example"))

    assert sorted(keep.domains.values_list("name", "status")) == [
        ("contoso.example.org", "claimed"),
        ("kontoso.example.net", "verified"),
    ]
    assert sorted(keep.other_names.values_list("name", flat=True)) == ["KB Bread", "Kontoso Bakery"]
    assert dict(keep.members.values_list("email", "role")) == {
        BOSS: "full",
        KIM: "user",
        "ann@contoso.example.org": "user",
    }
    for model in (Subscription, SiteName):
        assert not model.objects.filter(organization=gone).exists()
    assert SiteName.objects.filter(organization=keep).count() == 2
    assert Location.objects.get(organization=gone).name == "Headquarters"  # keep has one of this name
    assert {order.customer for order in Order.objects.exclude(pk=held.pk)} == {keep}
    for order in (done, waits, held):
        event = order.events.get(kind=Event.Kind.MERGED)
        assert (event.who, event.facts["from"], event.facts["to"]) == (
            "olga@vendor.example",
            "Kontoso Bakery",
            "Contoso",
        )
    request = AccessRequest.objects.get()
    assert request.organization == keep
    assert set(request.approvers.values_list("user__email", flat=True)) == {KIM, BOSS}
    assert Mail.objects.filter(event="access_requested", to=BOSS).exists()
    keep.refresh_from_db()
    gone.refresh_from_db()
    assert (gone.closed_at is None, gone.user_count, gone.active_subscription_count) == (False, 0, 0)
    assert (keep.user_count, keep.active_subscription_count, keep.is_partner) == (3, 3, True)
    assert (merge.by, merge.moved["external_id"], merge.moved["administrators"]) == (
        "olga@vendor.example",
        "crm-2",
        [KIM],
    )
    assert merge.moved["orders"] == sorted([done.number, waits.number, held.number])

    for name in ("Kontoso Bakery", "KB Bread", "Contoso"):
        found = find_candidates(email="new@gmail.com", company_name=name)
        assert [each.organization for each in found.candidates] == [keep]

    again = actions.merge_organizations(keep=keep, gone=gone, by=None)
    assert again == merge
    assert done.events.filter(kind=Event.Kind.MERGED).count() == 1
    another = an_organization("Another")
    for one, other in ((keep, keep), (another, gone), (gone, another)):
        with pytest.raises(actions.CannotMerge):
            actions.merge_organizations(keep=one, gone=other, by=None)


def test_where_the_kept_one_has_no_administrator_those_of_the_other_stay_administrators() -> None:
    keep = an_organization("Contoso", members=[KIM])
    gone = an_organization("Contoso Ltd", administrators=[KIM, EVE], active_subscription_count=2)
    actions.merge_organizations(keep=keep, gone=gone, by=None, name="crm")
    assert dict(Member.objects.filter(organization=keep).values_list("email", "role")) == {KIM: "full", EVE: "full"}
    assert OrganizationMerge.objects.get().by == "crm"


def test_an_order_that_had_chosen_the_merged_one_is_asked_to_choose_again_and_an_import_leaves_it_closed(
    tmp_path: Path,
) -> None:
    keep, gone = an_organization("Contoso", external_id="1"), an_organization("Contoso Ltd", external_id="2")
    partner = an_organization("Partner Networks", administrators=["sam@partner.example.net"], partner=True)
    order = an_order()
    actions.merge_organizations(keep=keep, gone=gone, by=None)
    with pytest.raises(actions.OrganizationGone):
        actions.map_order(
            order=order,
            by=links.user_for("sam@partner.example.net"),
            audience="customer",
            partner=actions.Existing(partner.public_id),
            customer=actions.Existing(gone.public_id),
        )
    path = tmp_path / "organizations.csv"
    path.write_text("external_id,name,status\n2,Contoso Ltd,open\n1,Contoso,open\n")
    import_file(path)
    assert Organization.objects.get(external_id="2").closed_at is not None
    assert Organization.objects.get(external_id="1").closed_at is None
