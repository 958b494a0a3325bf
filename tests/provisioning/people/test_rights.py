"""Rights that a request gave: limited, seen by the organization's administrators, and theirs to take back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone

from orgs import actions as directory
from orgs.models import Member, Organization
from provisioning import actions
from provisioning.models import AccessRequest, Event, Mail, Part
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in
from tests.mailbox import link_in, newest
from tests.provisioning.actions.test_concurrency import at_once
from tests.provisioning.people.test_access_requests import BOSS, CHIEF, KIM, asks, contoso, decides, page_of

pytestmark = pytest.mark.django_db

SAM = "sam@partner.example.net"
TOKEN = r'name="(csrfmiddlewaretoken|next)" value="[^"]+"'
SITE = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=250)


def page_of_right(request: AccessRequest) -> str:
    return f"/rights/{request.organization.public_id}/{request.public_id}/"


def takes_back(who: str, reason: str = "Not any more.", request: AccessRequest | None = None) -> str:
    """An administrator takes the newest right back; the page they see then."""
    url = page_of_right(request or AccessRequest.objects.latest("pk"))
    answer = signed_in(who).post(url, {"reason": reason}, follow=True)
    assert answer.status_code == 200
    return answer.text


def mapped(right: str = "provisioning") -> Wizard:
    """Kim was given a right, and confirmed the organizations."""
    wizard = asks(right=right)
    decides(BOSS, "approve")
    wizard.open()
    wizard.fill("review")
    return wizard


def an_order_set_up_by_a_partner() -> Order:
    """Sam set up an order for Contoso as provisioning administrator, without asking anybody."""
    partner = an_organization("Partner Networks", administrators=[SAM], partner=True)
    customer = contoso(BOSS, CHIEF)
    sam = links.user_for(SAM)
    order = actions.map_order(
        order=an_order(contact=SAM),
        by=sam,
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(customer.public_id),
    )
    assert order.provisioning_administrator
    return actions.set_up(order=order, by=sam, plans={"meetings": [SITE]})


# Which right is asked for


def test_the_least_right_that_lets_the_person_go_on_is_selected_and_each_says_what_it_allows() -> None:
    contoso(BOSS)
    order = an_own_order(contact=KIM)
    wizard = Wizard(signed_in(KIM), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    page = wizard.fill("customer")
    assert "Set up the services of this order, and nothing else." in page
    assert "Manage the whole organization" in page
    wizard.fill("administrator")
    request = AccessRequest.objects.get()
    assert (request.right, request.shown_name) == ("provisioning", "Contoso")
    message = newest(BOSS)
    assert message.subject == f"{KIM} asks to set up order {order.number} for Contoso"
    assert "Provisioning administrator for this order" in message.body
    assert "Provisioning administrator for this order" in wizard.html
    page = signed_in(BOSS).get(page_of(request)).text
    assert f"Should {KIM} set up order {order.number} for Contoso?" in page
    assert "at the latest for 90 days" in page
    assert "how long should it last?" not in page
    decides(BOSS, "approve")
    message = newest(KIM)
    assert "Provisioning administrator for this order" in message.body
    assert "until the order is set up, at the latest until" in message.body
    assert Member.objects.get(email=KIM).role == Member.Role.USER
    wizard.open()
    assert wizard.at == "review"


@pytest.mark.parametrize("posted", [{"right": "owner"}, {"right": ""}, {"right": None}])
def test_a_right_that_is_not_offered_is_asked_for_again_in_words(posted: dict[str, Any]) -> None:
    contoso(BOSS)
    wizard = Wizard(signed_in(KIM), an_own_order(contact=KIM))
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    page = wizard.fill("administrator", **posted)
    assert "Select which right you ask for" in page
    assert not AccessRequest.objects.exists()


def test_who_asks_for_the_other_right_asks_anew_and_the_first_request_ends() -> None:
    contoso(BOSS)
    wizard = asks(right="provisioning")
    assert "Ask for the other right" in wizard.html
    wizard.open("administrator")
    wizard.fill("administrator", right="full")
    states = {request.right: request.state.value for request in AccessRequest.objects.all()}
    assert states == {"provisioning": "ended", "full": "open"}


@pytest.mark.parametrize(("days", "lasts"), [("30", 30), ("0", None), (None, 365), ("", 365)])
def test_administrator_says_how_long_a_full_right_lasts(days: str | None, lasts: int | None) -> None:
    organization = contoso(BOSS)
    asks()
    fields = {"decision": "approve"} | ({} if days is None else {"days": days})
    with time_machine.travel("2030-01-01 12:00", tick=False):
        AccessRequest.objects.update(expires_at=timezone.now() + timedelta(days=1))
        Order.objects.update(closes_at=timezone.now() + timedelta(days=1))
        signed_in(BOSS).post(page_of(AccessRequest.objects.get()), fields)
        member, request = Member.objects.get(email=KIM), AccessRequest.objects.get()
        ends = timezone.now() + timedelta(days=lasts) if lasts else None
        assert (member.given_by, member.given_at, member.given_until) == (request.public_id, timezone.now(), ends)
        assert request.right_ends_at == ends
        assert actions.is_full_administrator(email=KIM, public_id=organization.public_id)
    if lasts:
        with time_machine.travel(timezone.now().replace(year=2031, month=6), tick=False):
            assert not actions.is_full_administrator(email=KIM, public_id=organization.public_id)
            assert AccessRequest.objects.get().state is AccessRequest.State.LAPSED


def test_a_length_that_is_not_offered_gives_nothing() -> None:
    contoso(BOSS)
    asks()
    url = page_of(AccessRequest.objects.get())
    for days in ("99999", "-1", "x"):
        page = signed_in(BOSS).post(url, {"decision": "approve", "days": days}, follow=True).text
        assert "Select how long the right should last" in page
    assert AccessRequest.objects.get().decision == ""


def test_nobody_gives_more_than_they_have() -> None:
    contoso(BOSS)
    asks()
    boss = signed_in(BOSS)
    boss.post(page_of(AccessRequest.objects.get()), {"decision": "approve", "days": "30"})
    own_end = Member.objects.get(email=KIM).given_until
    order, organization = an_own_order(contact=CHIEF), Organization.objects.get()
    chief = links.user_for(CHIEF)
    request = actions.ask_administrators(order=order, by=chief, organization=organization.public_id, right="full")
    signed_in(KIM).post(page_of(request), {"decision": "approve", "days": "0"})
    assert Member.objects.get(email=CHIEF).given_until == own_end


def test_only_right_of_an_organization_has_no_end() -> None:
    organization = contoso(members=(KIM,))
    member = directory.give_full_right(
        organization=organization, email=KIM, request=organization.public_id, until=timezone.now() + timedelta(days=1)
    )
    assert member.given_until is None


def test_organization_that_was_masked_for_the_person_who_asks_stays_unnamed_in_what_they_get() -> None:
    organization = contoso(BOSS, members=())
    order = an_own_order(contact=KIM)
    actions.ask_administrators(
        order=order, by=links.user_for(KIM), organization=organization.public_id, shown_name="An organization"
    )
    decides(BOSS, "decline", "No.")
    assert "Contoso" not in newest(KIM).body.replace("contoso.example.org", "")
    assert "An administrator of An organization declined" in newest(KIM).body
    page = signed_in(KIM).get(f"/orders/{order.number}/held/").text
    assert "Contoso" not in page
    signed_in(KIM).post(f"/orders/{order.number}/held/")
    assert AccessRequest.objects.latest("pk").shown_name == "An organization"
    decides(BOSS, "approve")
    assert "An administrator of An organization approved" in newest(KIM).body
    assert "Contoso" not in newest(KIM).body.replace("contoso.example.org", "")


# Seeing and taking back


def test_administrators_see_who_has_what_since_when_for_which_order_by_whose_decision() -> None:
    organization = contoso(BOSS, CHIEF)
    wizard = asks()
    decides(BOSS, "approve")
    chief = signed_in(CHIEF)
    page = chief.post(link_in(newest(CHIEF)), follow=True).text
    assert "take it back" in page
    assert "Rights given by request" in chief.get("/orders/").text
    assert chief.get("/rights/").url == f"/rights/{organization.public_id}/"  # type: ignore[attr-defined]
    page = chief.get("/rights/", follow=True).text
    for fact in (KIM, "Full administrator", wizard.order.number, BOSS, "In force"):
        assert fact in page
    page = chief.get(page_of_right(AccessRequest.objects.get())).text
    for fact in (KIM, "Full administrator", wizard.order.number, BOSS, "Take the right back"):
        assert fact in page
    assert "Rights given by request" not in signed_in(SAM).get("/orders/").text
    assert "nobody got a right by a request" in signed_in(SAM).get("/rights/").text


def test_right_taken_back_before_the_mapping_holds_the_order_again() -> None:
    organization = contoso(BOSS, CHIEF)
    wizard = asks()
    decides(BOSS, "approve")
    assert "Enter the reason" in takes_back(CHIEF, "")
    assert "Taken back" in takes_back(CHIEF, "Pat does this now.")
    member = Member.objects.get(organization=organization, email=KIM)
    assert (member.role, member.given_by, member.given_until) == (Member.Role.USER, None, None)
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.HELD
    request = AccessRequest.objects.get()
    assert (request.state.value, request.taken_back_reason) == ("taken_back", "Pat does this now.")
    kinds = list(Event.objects.filter(order=wizard.order).values_list("kind", "by__email"))[-2:]
    assert kinds == [("right_taken", CHIEF), ("held", CHIEF)]
    message = newest(KIM)
    assert message.subject == f"Order {wizard.order.number}: your right was taken back"
    assert "Pat does this now." in message.body
    assert CHIEF not in message.body
    page = wizard.client.post(link_in(message), follow=True).text
    assert "Your right was taken back" in page
    assert "Pat does this now." in page
    assert CHIEF not in page
    assert "Your right was taken back" in wizard.client.get("/orders/").text
    page = wizard.client.post(f"/orders/{wizard.order.number}/held/", follow=True).text
    assert "Waiting for an administrator of Contoso." in page
    decides(CHIEF, "approve")
    wizard.open()
    assert wizard.at == "review"


def test_right_taken_back_after_the_mapping_ends_the_set_up_by_this_person_until_it_is_given_again() -> None:
    contoso(BOSS)
    wizard = mapped()
    setup = Wizard(wizard.client, wizard.order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    assert setup.at == "review"
    takes_back(BOSS, "Talk to me first.")
    page = setup.fill("review")
    assert "Your right was taken back" in page
    assert "Talk to me first." in page
    assert "What you just sent was not saved" in page
    assert "Choose another organization" not in page
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.MAPPED
    with pytest.raises(Http404):
        actions.set_up(order=wizard.order, by=links.user_for(KIM), plans={"meetings": [SITE]})
    page = setup.client.post(f"/orders/{wizard.order.number}/held/", follow=True).text
    assert "Waiting for an administrator of Contoso." in page
    assert "Waiting for an administrator" in setup.client.get("/orders/").text
    assert "Should" in signed_in(BOSS).get(page_of(AccessRequest.objects.latest("pk"))).text
    decides(BOSS, "approve")
    setup.open()
    assert setup.at == "review"
    setup.fill("review")
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.SET_UP


def test_full_right_taken_back_stops_every_order_of_the_own_company_that_rests_on_it() -> None:
    organization = contoso(BOSS)
    wizard = mapped("full")
    kim, other = links.user_for(KIM), an_own_order(contact=KIM)
    existing = actions.Existing(organization.public_id)
    actions.map_order(order=other, by=kim, audience="own", partner=None, customer=existing)
    takes_back(BOSS)
    for order in (wizard.order, other):
        seen = signed_in(KIM).get(f"/orders/{order.number}/", follow=True)
        assert seen.redirect_chain[-1][0].endswith("/held/")
        assert "Not any more." in seen.text
        assert order.events.filter(kind="right_taken").count() == 1
    assert "Your right was taken back" in signed_in(KIM).get("/orders/").text
    signed_in(KIM).post(f"/orders/{other.number}/held/")
    decides(BOSS, "approve")
    assert "/services/" in signed_in(KIM).get(f"/orders/{other.number}/").url  # type: ignore[attr-defined]
    assert "/held/" in signed_in(KIM).get(f"/orders/{wizard.order.number}/").url  # type: ignore[attr-defined]


def test_who_became_an_administrator_another_way_goes_on_though_the_right_was_taken_back() -> None:
    contoso(BOSS)
    wizard = mapped()
    takes_back(BOSS)
    Member.objects.filter(email=KIM).update(role=Member.Role.FULL)
    url = f"/orders/{wizard.order.number}/held/"
    assert "You were added" in wizard.client.get(url).text
    page = wizard.client.post(url, follow=True)
    assert "/services/" in page.redirect_chain[-1][0]
    assert AccessRequest.objects.count() == 1


def test_right_that_has_ended_by_its_date_ends_the_set_up_and_can_be_asked_for_again() -> None:
    contoso(BOSS)
    wizard = mapped()
    AccessRequest.objects.update(right_ends_at=timezone.now() + timedelta(days=9))
    with time_machine.travel(timezone.now() + timedelta(days=10), tick=False):
        kim = signed_in(KIM)
        page = kim.get(f"/orders/{wizard.order.number}/", follow=True).text
        assert "Your right has ended" in page
        assert "Your right has ended" in kim.get("/orders/").text
        kim.post(f"/orders/{wizard.order.number}/held/")
        decides(BOSS, "approve")
        assert "/services/" in kim.get(f"/orders/{wizard.order.number}/").url  # type: ignore[attr-defined]


def test_right_for_one_order_is_over_when_the_order_is_set_up() -> None:
    contoso(BOSS)
    wizard = mapped()
    actions.set_up(order=wizard.order, by=links.user_for(KIM), plans={"meetings": [SITE]})
    request = AccessRequest.objects.get()
    page = signed_in(BOSS).get(page_of_right(request)).text
    assert "Ended" in page
    assert "Take the right back" not in page
    takes_back(BOSS)
    assert AccessRequest.objects.get().taken_back_at is None


def test_person_who_had_no_account_there_has_none_again() -> None:
    organization = contoso(BOSS)
    outsider = "kim@freelance.example"
    actions.ask_administrators(
        order=an_own_order(contact=outsider), by=links.user_for(outsider), organization=organization.public_id,
        right="full",
    )  # fmt: skip
    organization.refresh_from_db()
    before = organization.user_count
    decides(BOSS, "approve")
    takes_back(BOSS)
    organization.refresh_from_db()
    assert organization.user_count == before
    assert not Member.objects.filter(organization=organization, email=outsider).exists()


def test_nobody_decides_about_themselves_and_the_last_full_administrator_stays() -> None:
    organization = contoso(BOSS)
    asks()
    decides(BOSS, "approve")
    request = AccessRequest.objects.get()
    page = takes_back(KIM)
    assert "This is your own right" in page
    with pytest.raises(actions.OwnRight):
        actions.take_right_back(request=request, by=links.user_for(KIM), reason="Mine.")
    Member.objects.filter(email=BOSS).delete()
    with pytest.raises(directory.LastAdministrator):
        directory.take_full_right_back(organization=organization, email=KIM, request=request.public_id)
    assert Member.objects.get(email=KIM).role == Member.Role.FULL
    with pytest.raises(Http404):
        actions.take_right_back(request=request, by=links.user_for(BOSS), reason="No.")


def test_administrator_who_asks_is_not_asked_about_the_own_request() -> None:
    organization = contoso(BOSS, CHIEF)
    request = actions.ask_administrators(
        order=an_own_order(contact=BOSS), by=links.user_for(BOSS), organization=organization.public_id
    )
    assert list(request.approvers.values_list("user__email", flat=True)) == [CHIEF]


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_take_back_each_other_s_rights_at_once_leave_one() -> None:
    organization = contoso(BOSS)
    asks()
    request = AccessRequest.objects.get()
    decides(BOSS, "approve")
    other = actions.ask_administrators(
        order=an_own_order(contact=CHIEF), by=links.user_for(CHIEF), organization=organization.public_id, right="full"
    )
    decides(BOSS, "approve")
    Member.objects.filter(email=BOSS).delete()
    pairs = [(CHIEF, request), (KIM, other)]
    browsers = [signed_in(who) for who, _request in pairs]
    statuses = at_once(
        lambda index: browsers[index].post(page_of_right(pairs[index][1]), {"reason": "No."}).status_code, 2
    )
    assert sorted(statuses) in ([302, 302], [302, 404])
    assert Member.objects.filter(organization=organization, role=Member.Role.FULL).count() == 1
    assert AccessRequest.objects.exclude(taken_back_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_taking_back_and_confirming_at_once_leaves_no_set_up_without_a_right() -> None:
    contoso(BOSS)
    wizard = mapped()
    setup = Wizard(wizard.client, wizard.order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    boss, request = signed_in(BOSS), AccessRequest.objects.get()

    def act(index: int) -> None:
        if index:
            setup.fill("review")
        else:
            boss.post(page_of_right(request), {"reason": "No."})

    at_once(act, 2)
    order, request = Order.objects.get(), AccessRequest.objects.get()
    assert (order.state == Order.State.SET_UP) == (request.taken_back_at is None)


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("access_request_right_only_if_approved", {"right_ends_at": timezone.now()}),
        ("access_request_taken_back_says_who_and_why", {"approve": True, "taken_back_at": timezone.now()}),
        (
            "access_request_taken_back_by_somebody_else",
            {"approve": True, "taken_back_at": timezone.now(), "by": KIM, "taken_back_reason": "Mine."},
        ),
    ],
)
def test_database_refuses_half_a_right(constraint: str, change: dict[str, Any]) -> None:
    contoso(BOSS)
    asks()
    if change.pop("approve", False):
        decides(BOSS, "approve")
    if by := change.pop("by", None):
        change["taken_back_by"] = links.user_for(by)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        AccessRequest.objects.update(**change)


def test_database_refuses_a_member_s_right_without_its_request() -> None:
    contoso(BOSS)
    with pytest.raises(IntegrityError, match="member_right_given_says_by_which_request"), transaction.atomic():
        Member.objects.update(given_until=timezone.now())


# Full rights after the set-up


def test_partner_asks_for_full_rights_from_the_summary_and_gets_them() -> None:
    order = an_order_set_up_by_a_partner()
    sam = signed_in(SAM)
    summary = f"/orders/{order.number}/summary/"
    assert "Ask for full rights" in sam.get(summary).text
    page = sam.post(f"/orders/{order.number}/full-right/", follow=True).text
    assert "Waiting for an administrator of Contoso." in page
    assert BOSS not in page.partition("full-right")[2]
    sam.post(f"/orders/{order.number}/full-right/")
    request = AccessRequest.objects.get()
    assert (request.right, request.state.value) == ("full", "open")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    message = newest(BOSS)
    assert "has set up order" in message.body
    assert "the order waits" not in message.body
    page = signed_in(BOSS).post(link_in(message), follow=True).text
    assert f"Should {SAM} be a full administrator of Contoso?" in page
    assert "The order waits" not in page
    decides(BOSS, "approve")
    message = newest(SAM)
    assert "You have full rights now" in message.body
    assert "goes on where it was" not in message.body
    seen = sam.post(link_in(message), follow=True)
    assert seen.redirect_chain[-1][0] == summary
    assert "You are a full administrator of Contoso." in seen.text
    assert Member.objects.get(organization__name="Contoso", email=SAM).role == Member.Role.FULL


def test_partner_whose_request_after_the_set_up_is_declined_or_unanswered_has_a_next_step() -> None:
    order = an_order_set_up_by_a_partner()
    sam, ask = signed_in(SAM), f"/orders/{order.number}/full-right/"
    sam.post(ask)
    decides(BOSS, "decline", "We manage it ourselves.")
    message = newest(SAM)
    assert "The order is set up, and stays as it is." in message.body
    page = sam.get(f"/orders/{order.number}/summary/").text
    assert "We manage it ourselves." in page
    assert "Ask again" in page
    sam.post(ask)
    with time_machine.travel(timezone.now() + timedelta(days=15), tick=False):
        sam = signed_in(SAM)
        assert "has answered your request by" in sam.get(f"/orders/{order.number}/summary/").text
        sam.post(ask)
    assert AccessRequest.objects.count() == 3


def test_right_given_after_the_set_up_can_be_taken_back_and_the_order_stays_set_up() -> None:
    order = an_order_set_up_by_a_partner()
    sam = signed_in(SAM)
    sam.post(f"/orders/{order.number}/full-right/")
    decides(BOSS, "approve")
    takes_back(CHIEF, "The contract has ended.")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert not Member.objects.filter(organization__name="Contoso", email=SAM).exists()
    page = sam.get(f"/orders/{order.number}/summary/").text
    assert "The contract has ended." in page
    assert "Ask again" in page


def test_only_who_set_up_as_provisioning_administrator_can_ask_afterwards() -> None:
    order = an_order_set_up_by_a_partner()
    for who in (BOSS, "stranger@elsewhere.example"):
        assert signed_in(who).post(f"/orders/{order.number}/full-right/").status_code == 404
        with pytest.raises(Http404):
            actions.ask_for_full_right(order=order, by=links.user_for(who))
    own = an_own_order(contact=BOSS)
    contoso_id = Organization.objects.get(name="Contoso").public_id
    boss = links.user_for(BOSS)
    actions.map_order(order=own, by=boss, audience="own", partner=None, customer=actions.Existing(contoso_id))
    actions.set_up(order=own, by=boss, plans={"meetings": [SitePlan("contoso-two", "Europe/Paris", False, 250)]})
    page = signed_in(BOSS).get(f"/orders/{own.number}/summary/").text
    assert "Full administrator rights" not in page
    signed_in(BOSS).post(f"/orders/{own.number}/full-right/")
    assert not AccessRequest.objects.exists()
    assert not Part.objects.filter(role=Part.Role.APPROVER).exists()
    assert not Mail.objects.filter(event="access_requested").exists()


# Who sees rights


def test_rights_of_an_organization_are_its_full_administrators_only() -> None:
    organization = contoso(BOSS)
    other = an_organization("Fabrikam", administrators=["dana@fabrikam.example"])
    asks()
    decides(BOSS, "approve")
    request = AccessRequest.objects.get()
    Member.objects.create(organization=organization, email="plain@contoso.example.org")
    addresses = [f"/rights/{organization.public_id}/", page_of_right(request)]
    for who in ("plain@contoso.example.org", "dana@fabrikam.example", SAM):
        unknown = re.sub(TOKEN, "", signed_in(who).get(f"/rights/{request.public_id}/").text)
        for address in addresses:
            answer = signed_in(who).get(address)
            assert (answer.status_code, re.sub(TOKEN, "", answer.text)) == (404, unknown)
            assert signed_in(who).post(addresses[1], {"reason": "x"}).status_code == 404
    foreign = f"/rights/{other.public_id}/{request.public_id}/"
    assert signed_in("dana@fabrikam.example").get(foreign).status_code == 404
    assert AccessRequest.objects.get().taken_back_at is None
