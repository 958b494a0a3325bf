"""Setting an order up: all of it once, or nothing, whoever comes at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from orgs.models import Organization
from provisioning.worker import tasks
from subscriptions import actions
from subscriptions.actions import Line, LocationPlan, Problem, Refused, SiteNameTaken, SitePlan
from subscriptions.models import Location, Order, Site, Subscription
from subscriptions.rules import validation
from tests.factories import set_up_order
from tests.subscriptions.test_orders import at_once, place

HEADQUARTERS = LocationPlan(
    name="Head office",
    country="DE",
    address={"street_address": "Unter den Linden 1", "postal_code": "10117", "city": "Berlin"},
    time_zone="Europe/Berlin",
    language="de",
    announcement_language="de",
    main_number="+4930123456",
)


def site(name: str, licenses: int = 250, early: bool = False, zone: str = "Europe/Berlin") -> SitePlan:
    return SitePlan(name=name, time_zone=zone, early_release=early, licenses=licenses)


def plans(sites: list[SitePlan], location: LocationPlan | None = HEADQUARTERS) -> dict[str, Any]:
    return {"meetings": sites, "calling": location}


def mapped_order(number: str = "V-1", lines: tuple[Line, ...] = (Line("meetings", 250), Line("calling", 40))) -> Order:
    """An order for a customer whose organizations are confirmed."""
    order, _ = place(number=number, lines=lines)
    partner = Organization.objects.get_or_create(name="Fabrikam Partners Ltd", country="GB", is_partner=True)[0]
    customer = Organization.objects.get_or_create(name="Contoso GmbH", country="DE")[0]
    Order.objects.filter(pk=order.pk).update(
        state="mapped", audience="customer", partner=partner, customer=customer, mapped_at="2026-11-01T09:00:00Z"
    )
    order.refresh_from_db()
    return order


@pytest.mark.django_db
def test_set_up_makes_subscriptions_sites_and_location_of_the_customer() -> None:
    order = set_up_order(
        order=mapped_order(),
        plans=plans([site("contoso-main", 200), site("contoso-lab", 50, early=True)]),
    )
    assert order.state == Order.State.SET_UP
    meetings, calling = Subscription.objects.order_by("-line__service")
    assert meetings.organization == calling.organization == order.customer
    assert meetings.ends_at == validation.add_months(meetings.starts_at, 12)
    assert [(row.position, row.name, row.licenses, row.early_release) for row in meetings.sites.all()] == [
        (1, "contoso-main", 200, False),
        (2, "contoso-lab", 50, True),
    ]
    assert calling.location.address == HEADQUARTERS.address
    order.customer.refresh_from_db()
    assert order.customer.active_subscription_count == 2


@pytest.mark.django_db
def test_subscription_that_ended_is_taken_off_its_organizations_number_once() -> None:
    order = set_up_order(order=mapped_order(), plans=plans([site("contoso")]))
    made = Subscription.objects.filter(line__order=order)
    end = max(made.values_list("ends_at", flat=True))
    for moment, active in ((end - timedelta(minutes=1), 2), (end, 0), (end + timedelta(days=1), 0)):
        with time_machine.travel(moment, tick=False):
            tasks.recount_use.func(timestamp=0)
            counted = made.filter(starts_at__lte=timezone.now(), ends_at__gt=timezone.now()).count()
        assert order.customer is not None
        customer = Organization.objects.get(pk=order.customer.pk)
        assert customer.active_subscription_count == counted == active


@pytest.mark.django_db
def test_second_set_up_finds_it_done_and_changes_nothing() -> None:
    order = mapped_order()
    first = set_up_order(order=order, plans=plans([site("contoso-main")]))
    again = set_up_order(order=order, plans=plans([site("something-else")], None))
    assert again.set_up_at == first.set_up_at
    assert Site.objects.get().name == "contoso-main"
    assert Organization.objects.get(name="Contoso GmbH").active_subscription_count == 2


@pytest.mark.django_db(transaction=True)
def test_fifty_set_ups_of_one_order_at_once_make_one_set_of_sites() -> None:
    order = mapped_order()
    results = at_once(
        50,
        lambda at: set_up_order(order=order, plans=plans([site("contoso-main", 200), site(f"contoso-{at:02}", 50)])),
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert len({result.set_up_at for result in results}) == 1
    assert Subscription.objects.count() == 2
    assert Site.objects.count() == 2
    assert Location.objects.count() == 1
    assert Organization.objects.get(name="Contoso GmbH").active_subscription_count == 2


@pytest.mark.django_db(transaction=True)
def test_one_name_wanted_by_many_orders_at_once_goes_to_one_and_nothing_half_is_done_for_the_others() -> None:
    orders = [mapped_order(f"V-{at}") for at in range(16)]
    results = at_once(
        16,
        lambda at: set_up_order(
            # In both directions, so that two who wait for each other would lock up.
            order=orders[at],
            plans=plans([site("contoso-all", 100), site("contoso-too", 150)][:: 1 if at % 2 else -1]),
        ),
    )
    assert len([result for result in results if isinstance(result, Order)]) == 1
    refusals = [result for result in results if isinstance(result, SiteNameTaken)]
    assert len(refusals) == 15
    assert {refusal.name for refusal in refusals} <= {"contoso-all", "contoso-too"}
    assert Site.objects.count() == 2
    assert Subscription.objects.count() == 2
    assert Order.objects.filter(state="set_up").count() == 1
    assert Organization.objects.get(name="Contoso GmbH").active_subscription_count == 2


@pytest.mark.django_db
def test_taken_name_leaves_the_order_mapped_and_another_name_sets_it_up() -> None:
    set_up_order(order=mapped_order("V-1"), plans=plans([site("contoso-main")]))
    order, elsewhere = mapped_order("V-2"), changed(name="Elsewhere")
    with pytest.raises(SiteNameTaken) as refusal:
        set_up_order(order=order, plans=plans([site("contoso-free", 100), site("contoso-main", 150)]))
    assert refusal.value.name == "contoso-main"
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert set_up_order(order=order, plans=plans([site("contoso-free")], elsewhere)).state == "set_up"


@pytest.mark.django_db
def test_location_has_a_name_of_its_own_in_its_organization_however_it_is_written() -> None:
    set_up_order(order=mapped_order("V-1"), plans=plans([site("contoso-main")], changed(name="Zentrale")))
    order = mapped_order("V-2")
    with pytest.raises(validation.Refused) as refusal:
        set_up_order(order=order, plans=plans([site("contoso-free")], changed(name=" ZENTRALE")))
    assert refusal.value.problem == Problem.LOCATION_NAME_TAKEN
    location = Location.objects.get()
    with pytest.raises(IntegrityError, match="location_name_of_one_order_in_its_organization"), transaction.atomic():
        Location.objects.create(
            subscription=Subscription.objects.get(line__order__number="V-1", line__service="meetings"),
            organization=location.organization, order=order, name="zentrale", country="DE", address={},
        )  # fmt: skip


@pytest.mark.django_db
def test_database_refuses_a_second_subscription_of_a_line() -> None:
    order = set_up_order(order=mapped_order(), plans=plans([site("contoso-main")]))
    line, customer = order.lines.get(service="meetings"), order.customer
    assert customer
    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(line=line, organization=customer, ends_at=datetime(2999, 1, 1, tzinfo=UTC))


def changed(**changes: Any) -> LocationPlan:
    return LocationPlan(**(vars(HEADQUARTERS) | changes))


ONE = [site("contoso-main")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sites", "location", "problem"),
    [
        ([], HEADQUARTERS, Problem.SITES_MISSING),
        ([site("contoso-main", 249)], HEADQUARTERS, Problem.SHARES),
        ([site("contoso-main", 251)], HEADQUARTERS, Problem.SHARES),
        ([site("contoso-main", 260), site("contoso-lab", -10)], HEADQUARTERS, Problem.SHARES),
        ([site("con")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("Contoso")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("contoso-")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("con--toso")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("1contoso")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("contoso\n")], HEADQUARTERS, Problem.SITE_NAME),
        ([site("c" * 64)], HEADQUARTERS, Problem.SITE_NAME),
        ([site("contoso", 100), site("contoso", 150)], HEADQUARTERS, Problem.SITE_NAME_TWICE),
        ([site("contoso", zone="Europe/Atlantis")], HEADQUARTERS, Problem.TIME_ZONE),
        ([site(f"contoso-{at}", 0) for at in range(52)], HEADQUARTERS, Problem.TOO_MANY_SITES),
        (ONE, None, Problem.LOCATION_MISSING),
        (ONE, changed(name=""), Problem.LOCATION_NAME),
        (ONE, changed(name="x" * 81), Problem.LOCATION_NAME),
        (ONE, changed(country="XX"), Problem.COUNTRY),
        (ONE, changed(address={"planet": "Mars"}), Problem.ADDRESS),
        (ONE, changed(address={"city": "a\0"}), Problem.ADDRESS),
        (ONE, changed(time_zone="../etc/passwd"), Problem.TIME_ZONE),
        (ONE, changed(language=""), Problem.LANGUAGE),
        (ONE, changed(announcement_language="english please"), Problem.ANNOUNCEMENT_LANGUAGE),
        (ONE, changed(main_number="030 123456"), Problem.MAIN_NUMBER),
    ],
)
def test_set_up_that_does_not_fit_the_order_is_refused_and_nothing_is_made(
    sites: list[SitePlan], location: LocationPlan | None, problem: Problem
) -> None:
    order = mapped_order()
    with pytest.raises(Refused) as refusal:
        set_up_order(order=order, plans=plans(sites, location))
    assert refusal.value.problem is problem
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_sites_and_location_are_refused_for_a_service_that_was_not_bought() -> None:
    only_calling = mapped_order("V-1", (Line("calling", 5),))
    with pytest.raises(Refused, match="unasked"):
        set_up_order(order=only_calling, plans=plans(ONE))
    only_meetings = mapped_order("V-2", (Line("meetings", 250),))
    with pytest.raises(Refused, match="unasked"):
        set_up_order(order=only_meetings, plans=plans(ONE))


@pytest.mark.django_db
def test_order_is_set_up_only_when_its_organizations_are_confirmed() -> None:
    order, _ = place()
    with pytest.raises(Refused, match="not_mapped"):
        set_up_order(order=order, plans=plans(ONE))
    cancelled = actions.cancel_order(order=mapped_order("V-2"))
    with pytest.raises(Refused, match="cancelled"):
        set_up_order(order=cancelled, plans=plans(ONE))


@pytest.mark.django_db
def test_order_that_is_set_up_can_be_neither_corrected_nor_cancelled() -> None:
    order = set_up_order(order=mapped_order(), plans=plans(ONE))
    with pytest.raises(Refused, match="already_set_up"):
        actions.cancel_order(order=order)
    with pytest.raises(Refused, match="already_set_up"):
        actions.correct_order(order=order, sold_to="X")


@given(start=st.datetimes(max_value=datetime(2999, 1, 1)), months=st.integers(1, 120))  # noqa: DTZ001
def test_months_later_is_the_same_day_or_the_last_of_its_month(start: datetime, months: int) -> None:
    later = validation.add_months(start, months)
    assert (later.year * 12 + later.month) - (start.year * 12 + start.month) == months
    assert later.day == start.day or (later.day < start.day and validation.add_months(later, 1).day in {28, 29, 30, 31})
