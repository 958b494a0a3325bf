"""The order desk's queue of what failed or can't be reached: what it shows, and what an operator does about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.fulfillment import transitions
from provisioning.fulfillment.outcomes import Failed, Rejected, Running, Unreachable
from provisioning.models import Event
from provisioning.people import links
from subscriptions.models import Order, ProvisioningRequest, Site
from tests.factories import a_mapped_order, an_organization, line_rows, signed_in
from tests.mailbox import deliver
from tests.scripted import CALLS, an_operator, confirmed, outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]

KIM = "kim@contoso.example.org"
QUEUE = "admin:subscriptions_provisioningrequest_changelist"
FAILED = Failed("quota", "The cluster is full.", answer='507 {"error": "full"}')


@pytest.fixture
def desk() -> Client:
    return signed_in(an_operator().email)


def failed_orders(count: int) -> list[Order]:
    """Return orders of Contoso whose Meetings failed."""
    contoso = an_organization("Contoso", administrators=[KIM])
    orders = [a_mapped_order(customer=contoso, meetings=100) for _order in range(count)]
    for number, order in enumerate(orders):
        confirmed(order, site=f"contoso-{number}")
    script("meetings", *[FAILED] * count)
    work()
    return orders


def choose(desk: Client, action: str, orders: list[Order]) -> str:
    """Choose an action for the requests of these orders in the queue; return the address of the page that asks."""
    requests = ProvisioningRequest.objects.filter(order__in=orders, superseded_at=None)
    chosen = {"action": action, "_selected_action": [request.pk for request in requests]}
    answer = desk.post(reverse(QUEUE), chosen)
    assert answer.status_code == 302
    return str(answer["Location"])


def state_of(order: Order) -> str:
    return Order.objects.get(pk=order.pk).state


def test_queue_has_what_failed_with_the_problem_and_leads_to_the_order(desk: Client) -> None:
    [order] = failed_orders(1)
    page = desk.get(reverse(QUEUE)).text
    assert "The cluster is full. (quota)" in page
    assert f'<a href="{reverse("admin:subscriptions_order_change", args=[order.pk])}">{order.number}</a>' in page
    request = transitions.current(order).get()
    page = desk.get(reverse("admin:subscriptions_provisioningrequest_change", args=[request.pk])).text
    for words in ("The cluster is full.", "507 {&quot;error&quot;: &quot;full&quot;}", "Retry", "Mark as done"):
        assert words in page
    page = desk.get(reverse("admin:subscriptions_order_change", args=[order.pk])).text
    assert "The cluster is full." in page
    assert "Retry" in page
    assert order.number in desk.get(reverse("admin:subscriptions_order_changelist"), {"set_up": "failed"}).text


def test_queue_has_what_is_out_of_reach_for_ten_minutes_and_nothing_else(desk: Client) -> None:
    order, other = a_mapped_order(meetings=10), a_mapped_order(contact="lee@adventure.example", meetings=10)
    confirmed(order)
    script("meetings", Unreachable("Nobody answers."))
    work()
    assert order.number not in desk.get(reverse(QUEUE)).text
    ProvisioningRequest.objects.update(unreachable_since=F("unreachable_since") - timedelta(minutes=11))
    confirmed(other, "lee@adventure.example", site="adventure")
    script("meetings", Unreachable("Nobody answers."), Rejected("/sites/0/name", "Taken."))
    work()
    page = desk.get(reverse(QUEUE)).text
    assert order.number in page
    assert "Out of reach; tried again" in page
    assert other.number not in page
    refused = desk.get(reverse(QUEUE), {"queue": "refused"}).text
    assert other.number in refused
    assert order.number not in refused


def test_order_that_nobody_brings_further_is_seen_by_its_date(desk: Client) -> None:
    order = a_mapped_order(meetings=10)
    confirmed(order)
    script("meetings", Rejected("/sites/0/name", "Taken."))
    work()
    orders = reverse("admin:subscriptions_order_changelist")
    assert order.number not in desk.get(reverse(QUEUE)).text
    assert order.number not in desk.get(orders, {"date": "overdue"}).text
    ahead = timezone.now() + timedelta(days=400)
    with time_machine.travel(ahead, tick=True):
        desk = signed_in(an_operator().email)
        assert order.number in desk.get(reverse(QUEUE)).text
        page = desk.get(orders, {"date": "overdue"}).text
        assert order.number in page
        assert "Past its date since" in page
        assert "1 order is cancelled." in desk.post(choose(desk, "cancel_order", [order]), follow=True).text


def test_desk_gets_one_email_for_what_fails_together(settings: Settings) -> None:
    settings.ORDER_DESK_EMAIL = "desk@vendor.example"
    orders = failed_orders(3)
    assert transitions.tell_desk() == 0  # more may fail in the same moment
    ProvisioningRequest.objects.update(state_since=F("state_since") - timedelta(minutes=2))
    assert transitions.tell_desk() == 3
    assert transitions.tell_desk() == 0
    transitions.retry(request=transitions.current(orders[0]).get(), by=an_operator())
    [told] = [each for each in deliver() if each.to == ["desk@vendor.example"]]
    assert told.subject == "2 set-ups have failed"
    assert "Meetings, line 1: The cluster is full. (quota)" in told.body
    assert orders[0].number not in told.body
    assert [order.number in told.body for order in orders[1:]] == [True, True]
    assert reverse(QUEUE) in told.body
    # What fails again is told again, but not before some time has passed.
    script("meetings", FAILED)
    work()
    ProvisioningRequest.objects.update(state_since=F("state_since") - timedelta(minutes=2))
    assert transitions.tell_desk() == 0
    ProvisioningRequest.objects.update(told_desk_at=F("told_desk_at") - timedelta(minutes=16))
    assert transitions.tell_desk() == 1


def test_desk_takes_a_line_out_that_was_taken_back(desk: Client) -> None:
    order = a_mapped_order(meetings=10, calling=5)
    confirmed(order)
    script("meetings", Running())
    script("calling", Running())
    work()
    actions.stop_set_up(order=order, by=links.user_for(KIM))
    address = reverse("admin:subscriptions_order_change", args=[order.pk])
    kept = {"sold_to": order.sold_to, "contact_email": order.contact_email, "number": order.number}
    lines = (
        {"number": 1, "service": "meetings", "product": "Meetings", "licenses": 10, "DELETE": "on"},
        {"number": 2, "service": "calling", "product": "Calling", "licenses": 5},
    )
    assert desk.post(address, kept | line_rows(*lines, initial=2)).status_code == 302
    assert [line.service for line in order.lines.all()] == ["calling"]
    work()
    assert sorted(job.service for call, job in CALLS if call == "undo") == ["calling", "meetings"]


def test_several_are_retried_at_once_and_those_that_went_on_are_said(desk: Client) -> None:
    orders = failed_orders(3)
    address = choose(desk, "retry", orders)
    transitions.retry(request=transitions.current(orders[0]).get(), by=an_operator())
    assert "It is asked for again, as a new request." in desk.get(address).text
    page = desk.post(address, follow=True).text
    assert "2 are asked for again." in page
    assert f"{orders[0].number}, Meetings × 100: Nothing of this order is being set up now" in page
    work()
    assert [state_of(order) for order in orders] == [Order.State.SET_UP] * 3
    assert Site.objects.count() == 3
    [again] = Event.objects.filter(order=orders[1], kind=Event.Kind.RETRIED)
    assert again.by == an_operator()


def test_marking_as_done_needs_a_reason_which_stands_in_the_history(desk: Client) -> None:
    [order] = failed_orders(1)
    address = choose(desk, "mark_done", [order])
    assert "Enter a reason" in desk.post(address, {"reason": " "}).text
    assert state_of(order) == Order.State.SETTING_UP
    page = desk.post(address, {"reason": "Made by hand, ticket 4711."}, follow=True).text
    assert "1 is marked as done." in page
    assert "Made by hand, ticket 4711." in page
    assert state_of(order) == Order.State.SET_UP
    assert Site.objects.get().name == "contoso-0"
    assert "4711" not in signed_in(KIM).get(f"/orders/{order.number}/history/").text


def test_several_orders_are_cancelled_at_once_each_once(desk: Client) -> None:
    orders = failed_orders(2)
    address = choose(desk, "cancel_order", orders)
    assert "This can’t be undone." in desk.get(address).text
    assert "2 orders are cancelled." in desk.post(address, follow=True).text
    assert [state_of(order) for order in orders] == [Order.State.CANCELLED] * 2


def test_order_that_is_being_set_up_can_be_cancelled_from_its_page_and_not_corrected(desk: Client) -> None:
    order = a_mapped_order(meetings=100)
    confirmed(order)
    script("meetings", Running())
    work()
    page = desk.get(reverse("admin:subscriptions_order_change", args=[order.pk])).text
    assert 'name="_save"' not in page
    cancel = reverse("admin:subscriptions_order_cancel", args=[order.pk])
    assert "What exists outside is deleted there" in desk.get(cancel).text
    CALLS.clear()
    desk.post(cancel)
    work()
    assert state_of(order) == Order.State.CANCELLED
    assert [call for call, _job in CALLS] == ["undo"]


def test_request_can_only_be_read(desk: Client) -> None:
    [order] = failed_orders(1)
    address = reverse("admin:subscriptions_provisioningrequest_change", args=[transitions.current(order).get().pk])
    assert desk.post(address, {"state": "succeeded"}).status_code == 403
    assert desk.get(reverse("admin:subscriptions_provisioningrequest_changelist") + "add/").status_code in {302, 403}
    assert state_of(order) == Order.State.SETTING_UP
