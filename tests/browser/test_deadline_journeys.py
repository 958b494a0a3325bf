"""The set-up-by date with a moved clock: the reminder, the closing and more time, at two browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from provisioning.models import User
from provisioning.worker import tasks
from subscriptions.models import Order
from tests import mailbox
from tests.browser.conftest import Watch
from tests.browser.person import Person
from tests.factories import a_delegated_order, a_mapped_order

KIM, SAM, CUSTOMER, DESK = "kim@contoso.com", "sam@partnernet.com", "it@contoso.com", "desk@vendor.example"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The server's clock; the browsers keep their own."""
    with time_machine.travel(timezone.now(), tick=True) as traveller:
        yield traveller


def sweep() -> None:
    """Do what a worker does three times a minute."""
    tasks.sweep.func(timestamp=0)
    mailbox.deliver()


def at_the_desk(person: Callable[..., Person]) -> Person:
    desk = person(DESK)
    User.objects.filter(email=DESK).update(is_staff=True, is_superuser=True)
    return desk


def test_contact_is_reminded_comes_too_late_and_finishes_where_the_order_was_when_the_desk_gives_more_time(
    person: Callable[..., Person], clock: time_machine.Traveller
) -> None:
    order = a_mapped_order(contact=KIM, meetings=10)
    kim = person(KIM)
    kim.open(order)
    kim.answer("Review your subscription", then="Setup now")
    kim.name_the_site("contoso")
    kim.sees("Review the information")

    clock.move_to(order.closes_at - timedelta(hours=20))
    sweep()
    assert mailbox.newest(KIM).subject.startswith(f"Reminder: order {order.number} has to be set up by ")
    clock.move_to(order.closes_at + timedelta(minutes=1))
    kim.open_link()
    kim.sees("This order is closed")
    sweep()
    assert mailbox.newest(KIM).subject == f"Order {order.number} is closed"
    assert "help@example.com" in {to for message in mail.outbox[-2:] for to in message.to}

    desk = at_the_desk(person)
    desk.page.goto("/admin/subscriptions/order/?date=closed")
    desk.page.get_by_role("link", name=order.number).click()
    desk.page.get_by_role("link", name="Give more time").click()
    day = timezone.localdate() + timedelta(days=10)
    desk.page.get_by_label("Set up by").fill(day.isoformat())
    desk.page.get_by_label("Reason").fill("Kim was on holiday")
    desk.page.get_by_role("button", name="Give more time").click()
    desk.reads("1 order has more time.", "Kim was on holiday")

    assert mailbox.newest(KIM).subject == f"Order {order.number} is open again"
    kim.come_in_by_email()
    kim.confirm_and_close("contoso.meet.example.com")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP


def test_delegated_order_reminds_both_and_what_is_sent_too_late_is_kept_for_when_there_is_more_time(
    person: Callable[..., Person], clock: time_machine.Traveller, watch: Watch
) -> None:
    watch.expected.add(404)  # what is typed last is asked for when the order has closed
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    clock.move_to(order.closes_at - timedelta(days=6))
    sweep()
    assert f"It waits for {CUSTOMER}" in mailbox.newest(SAM).body
    customer, sam = person(CUSTOMER), person(SAM)
    customer.open_link()
    customer.press("Continue")
    customer.answer("Review your subscription", then="Setup now")
    customer.sees("Meeting setup")
    customer.enter("Site name", "contoso-by-it")

    clock.move_to(order.closes_at)
    customer.press("Next")
    customer.sees("This order is closed")
    customer.reads("What you typed is kept.")
    sam.page.goto("/orders/")
    sam.reads("There is a problem", "The order closed on")

    desk = at_the_desk(person)
    desk.page.goto("/admin/subscriptions/order/?date=closed")
    desk.page.get_by_role("checkbox", name="Select all objects on this page for an action").check()
    desk.page.get_by_role("combobox", name="Action").select_option(label="Give more time")
    desk.page.get_by_role("button", name="Run").click()
    desk.page.get_by_label("Set up by").fill((timezone.localdate() + timedelta(days=3)).isoformat())
    desk.page.get_by_label("Reason").fill("Asked for by phone")
    desk.page.get_by_role("button", name="Give more time").click()
    desk.reads("has more time")

    customer.open_link()
    customer.press("Continue")
    customer.sees("Meeting setup")
    assert customer.field("Site name").input_value() == "contoso-by-it"
