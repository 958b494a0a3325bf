"""The set-up-by date: reminders once and in time, a closed order that says what to do, and more time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import datetime, timedelta
from io import StringIO
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.base import ModelState
from django.test import Client, override_settings
from django.utils import timezone

from orgs.models import Member
from provisioning import actions
from provisioning.models import AccessRequest, Event, Mail, Reminder, User
from provisioning.people import links
from provisioning.wizard.set_up_lookups import SetUpLookups
from provisioning.worker import tasks
from subscriptions.models import Order, Site
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.validation import Line, Problem, Refused
from tests.driver import Wizard, form_fields
from tests.factories import (
    a_delegated_order,
    a_mapped_order,
    an_order,
    an_organization,
    an_own_order,
    line_rows,
    signed_in,
)
from tests.mailbox import deliver, link_in, newest

pytestmark = pytest.mark.django_db

Clock = time_machine.Traveller

SAM, ALEX, KIM, BOSS = "sam@partner.example", "alex@partner.example", "kim@contoso.example", "boss@contoso.example"
CUSTOMER, DESK = "it@contoso.example", "help@example.com"
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def swept() -> list[tuple[str, str]]:
    """Let the sweep do what it does three times a minute; return what mail that brought, as (to, subject)."""
    before = len(mail.outbox)
    tasks.sweep.func(timestamp=0)
    deliver()
    return sorted((message.to[0], str(message.subject)) for message in mail.outbox[before:])


def days_until_closing(order: Order) -> float:
    return (order.closes_at - order.placed_at) / DAY


# The date


def test_order_has_thirty_days_and_a_product_may_have_fewer() -> None:
    assert days_until_closing(an_order()) == 30
    with override_settings(SET_UP_DAYS=20, SET_UP_DAYS_BY_PRODUCT={"calling": 7}):
        assert days_until_closing(an_order(meetings=10)) == 20
        assert days_until_closing(an_order(meetings=10, calling=5)) == 7


@pytest.mark.parametrize("days", [-1, 0, 732])
def test_date_that_can_t_be_is_refused(days: int) -> None:
    with pytest.raises(Refused) as refused:
        actions.place_order(
            number=None, sold_to="X", contact_email=SAM, lines=[Line("meetings", 1)],
            set_up_by=timezone.now() + days * DAY,
        )  # fmt: skip
    assert refused.value.problem is Problem.SET_UP_BY
    assert not Order.objects.exists()


def test_database_keeps_the_date_after_the_placing_and_each_reminder_once() -> None:
    order = an_order()
    with pytest.raises(IntegrityError, match="order_closes_after_it_was_placed"), transaction.atomic():
        Order.objects.update(closes_at=order.placed_at)
    Reminder.objects.create(order=order, closes_at=order.closes_at, days=7)
    with pytest.raises(IntegrityError, match="reminder_once_for_a_date"), transaction.atomic():
        Reminder.objects.create(order=order, closes_at=order.closes_at, days=7)
    with pytest.raises(IntegrityError, match="reminder_at_a_known_time"), transaction.atomic():
        Reminder.objects.create(order=order, closes_at=order.closes_at, days=3)


def test_command_takes_a_day_and_prints_the_date() -> None:
    day = timezone.localdate() + 7 * DAY
    out = StringIO()
    arguments = ["--contact", SAM, "--company", "X", "--meetings", "1", "--set-up-by"]
    call_command("place_order", *arguments, day.isoformat(), "--json", stdout=out)
    until = datetime.fromisoformat(json.loads(out.getvalue())["set_up_by"])
    assert (until.date(), until.hour) == (day, 23)
    for wrong in ("tomorrow", "2020-01-01", "9999-12-31"):
        with pytest.raises(CommandError, match="Enter a set-up-by date that lies ahead"):
            call_command("place_order", *arguments, wrong)


def test_date_is_in_emails_and_where_somebody_acts(clock: Clock) -> None:
    clock.move_to(datetime(2026, 3, 2, 10, 30, tzinfo=timezone.get_default_timezone()))
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    for to in (SAM, CUSTOMER):
        assert "Set up by: 1 April 2026, 10:30 UTC" in newest(to).body
    assert "They have until 1 April 2026, 10:30 UTC" in signed_in(SAM).get(f"/orders/{order.number}/delegated/").text
    customer = Wizard(signed_in(CUSTOMER), order, "set_up")
    assert "set up by 1 April 2026" in customer.open()
    assert "Set it up by 1 April 2026, 10:30 UTC" in customer.fill("subscription", choice="later")
    assert "1 April 2026, 10:30 UTC" in customer.client.get("/orders/").text
    clock.shift(27 * DAY)
    customer.client.force_login(links.user_for(CUSTOMER))
    assert "set up by 1 April 2026, 10:30 UTC" in customer.open()


# Reminders


def test_contact_is_reminded_14_7_and_1_days_before_and_told_of_the_end(clock: Clock) -> None:
    order = an_order(contact=SAM)
    number = order.number
    deliver()
    assert swept() == []
    said = []
    for _hour in range(32 * 24):
        clock.shift(timedelta(hours=1))
        said += [((timezone.now() - order.closes_at) / DAY, each) for each in swept()]
    by = f"{order.closes_at:%-d %B %Y}"
    reminder = (SAM, f"Reminder: order {number} has to be set up by {by}")
    assert said == [
        (-14, reminder),
        (-7, reminder),
        (-1, reminder),
        (0, (DESK, f"Order {number} closed before it was set up")),
        (0, (SAM, f"Order {number} is closed")),
    ]
    kinds = [Event.Kind.REMINDED] * 3 + [Event.Kind.CLOSED]
    assert list(order.events.filter(kind__in=kinds).values_list("kind", flat=True)) == kinds


def test_seven_day_order_is_reminded_one_day_before_only(clock: Clock) -> None:
    with override_settings(SET_UP_DAYS=7):
        order = an_order(contact=SAM)
    deliver()
    days: list[int] = []
    for _hour in range(6 * 24 + 23):
        clock.shift(timedelta(hours=1))
        swept()
        days += list(Reminder.objects.exclude(days__in=days).values_list("days", flat=True))
    assert days == [1]
    assert Reminder.objects.get().order == order


def test_clock_that_jumps_ahead_sends_the_most_urgent_only_and_one_that_jumps_back_nothing(
    clock: Clock,
) -> None:
    order = an_order(contact=SAM)
    deliver()
    start = timezone.now()
    clock.move_to(order.closes_at - timedelta(hours=3))
    assert len(swept()) == 1
    for moment in (start, order.closes_at - 13 * DAY, order.closes_at - 2 * DAY, order.closes_at - timedelta(hours=1)):
        clock.move_to(moment)
        assert swept() == []
    clock.move_to(order.closes_at)
    assert len(swept()) == 2
    clock.move_to(start)
    assert swept() == []
    assert not order.is_closed
    clock.move_to(order.closes_at + DAY)
    assert swept() == []
    assert list(Reminder.objects.values_list("days", flat=True)) == [1, 0]


def test_jump_over_the_whole_time_only_says_that_it_closed(clock: Clock) -> None:
    an_order(contact=SAM)
    deliver()
    clock.shift(400 * DAY)
    assert [to for to, _subject in swept()] == [DESK, SAM]


def test_delegate_is_reminded_and_the_partner_told_who_has_it(clock: Clock) -> None:
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    deliver()
    clock.move_to(order.closes_at - 7 * DAY)
    assert [to for to, _subject in swept()] == [CUSTOMER, SAM]
    assert "Set Up Your Service" in newest(CUSTOMER).body
    assert f"It waits for {CUSTOMER}" in newest(SAM).body
    assert "See where it stands" in newest(SAM).body
    actions.take_over(order=order, by=links.user_for(SAM))
    deliver()
    clock.move_to(order.closes_at - DAY)
    assert [to for to, _subject in swept()] == [SAM]
    assert "Set Up Your Service" in newest(SAM).body


def held(**fields: Any) -> AccessRequest:
    """An order of Kim's that waits for an administrator of Contoso."""
    organization = an_organization("Contoso", members=[KIM], **fields)
    order = an_own_order(contact=KIM)
    return actions.ask_administrators(order=order, by=links.user_for(KIM), organization=organization.public_id)


def test_those_who_were_asked_are_reminded_while_the_request_is_open(clock: Clock) -> None:
    request = held(administrators=[BOSS, "gone@contoso.example", "out@contoso.example"])
    Member.objects.filter(email="gone@contoso.example").delete()
    User.objects.filter(email="out@contoso.example").update(is_active=False)
    deliver()
    order = request.order
    AccessRequest.objects.update(expires_at=order.closes_at - 3 * DAY)
    clock.move_to(order.closes_at - 7 * DAY)
    assert [to for to, _subject in swept()] == [BOSS, KIM]
    assert newest(BOSS).subject == f"Reminder: a request about order {order.number} waits for your decision"
    assert KIM in newest(BOSS).body
    assert "It waits for an administrator of the organization." in newest(KIM).body
    clock.move_to(order.closes_at - DAY)  # the request has expired: it is Kim's turn
    assert [to for to, _subject in swept()] == [KIM]
    assert "Set Up Your Service" in newest(KIM).body


def test_reminder_says_the_same_to_who_asked_whether_anybody_could_be_asked(clock: Clock) -> None:
    def reminded(request: AccessRequest) -> str:
        deliver()
        AccessRequest.objects.update(expires_at=request.order.closes_at)
        clock.move_to(request.order.closes_at - 7 * DAY)
        swept()
        text = newest(KIM).body.replace(request.order.number, "N")
        Reminder.objects.all().delete()
        Order.objects.update(state="cancelled")
        return text.partition("If nobody")[0].partition("/l/")[0]

    start = timezone.now()
    somebody = reminded(held(administrators=[BOSS]))
    clock.move_to(start)
    assert reminded(held()) == somebody


def test_nothing_is_said_of_orders_that_are_over(clock: Clock) -> None:
    done = a_mapped_order(contact=KIM, meetings=10)
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=10)
    actions.set_up(order=done, by=links.user_for(KIM), plans={"meetings": [site]})
    actions.cancel_order(order=an_own_order(contact=KIM), by=None)
    deliver()
    for days in (16, 23, 29, 31):
        clock.move_to(done.placed_at + days * DAY)
        assert swept() == []
    done.refresh_from_db()
    assert not done.is_closed
    assert signed_in(KIM).get(f"/orders/{done.number}/summary/").status_code == 200


def test_reminder_that_goes_out_late_says_what_holds_then(clock: Clock) -> None:
    order = an_order(contact=SAM)
    deliver()
    clock.move_to(order.closes_at - DAY)
    actions.look_after_dates()  # and the mail server is away
    reminder = Mail.objects.get(event="setup_reminder")
    moved = Order.objects.filter(pk=order.pk)
    said = []
    for change in ({"closes_at": order.closes_at + 5 * DAY}, {"closes_at": order.closes_at - 2 * DAY}):
        moved.update(**change)
        Mail.objects.filter(pk=reminder.pk).update(sent_at=None, tries=0)
        said.append(newest(SAM).subject)
    moved.update(state="cancelled")
    Mail.objects.filter(pk=reminder.pk).update(sent_at=None, tries=0)
    said.append(newest(SAM).subject)
    assert said == [
        f"Reminder: order {order.number} has to be set up by {order.closes_at + 5 * DAY:%-d %B %Y}",
        f"Order {order.number} is closed",
        f"Order {order.number} needs nothing more from you",
    ]


def killed(**_facts: Any) -> None:
    raise KeyboardInterrupt


def test_sweep_that_was_killed_says_it_the_next_time(clock: Clock, monkeypatch: Any) -> None:
    order = an_order(contact=SAM)
    deliver()
    clock.move_to(order.closes_at - DAY)
    with monkeypatch.context() as patch:
        patch.setattr("provisioning.history.record", killed)
        with pytest.raises(KeyboardInterrupt):
            tasks.sweep.func(timestamp=0)
    assert not Reminder.objects.exists()
    assert deliver() == []
    assert len(swept()) == 1


@pytest.mark.django_db(transaction=True)
def test_eight_sweeps_at_once_say_it_once() -> None:
    orders = [an_order(contact=f"sam{number}@partner.example") for number in range(3)]
    deliver()
    barrier = Barrier(8)

    def sweep(_index: int) -> None:
        try:
            barrier.wait(timeout=300)
            actions.look_after_dates()
        finally:
            connections.close_all()

    with time_machine.travel(max(order.closes_at for order in orders) - DAY, tick=False):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(sweep, range(8)))
        actions.look_after_dates()
    assert Reminder.objects.count() == Mail.objects.filter(event="setup_reminder").count() == 3


# Closed


def close(clock: Clock, order: Order) -> None:
    clock.move_to(order.closes_at)


def test_access_follows_the_date_without_any_job(clock: Clock) -> None:
    order = an_order(contact=SAM)
    clock.move_to(order.closes_at - timedelta(hours=1))
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    fields = form_fields(wizard.html)
    link = link_in(newest(SAM))
    close(clock, order)
    page = wizard.open()
    assert "This order is closed" in page
    assert "name order" in page
    assert f"{DESK}" in page
    fields |= {"intent-audience": ["other"], "intent-email": ["alex@partner.exam"]}
    page = wizard.client.post(wizard.url("intent"), fields, follow=True).text
    assert "The order closed before you sent this. What you typed is kept." in page
    assert "There is a problem" in wizard.client.get("/orders/").text
    for client in (Client(), wizard.client):
        page = client.get(link).text
        assert "This order is closed" in page
        assert "Partner Networks" not in page
        assert client.post(link).status_code == 200
    assert [message.to for message in mail.outbox] == [[SAM]]
    actions.extend_order(order=order, closes_at=timezone.now() + DAY)
    page = wizard.open()
    assert wizard.at == "intent"
    assert form_fields(page)["intent-audience"] == ["other"]
    assert form_fields(page)["intent-email"] == ["alex@partner.exam"]


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("hand over", lambda o, u: actions.hand_over(order=o, by=u, email=ALEX)),
        ("ask", lambda o, u: actions.ask_administrators(order=o, by=u, organization=an_organization().public_id)),
        ("resend", lambda o, u: actions.resend_link(order=o, by=u)),
        ("correct", lambda o, u: actions.correct_order(order=o, sold_to="Another")),
    ],
)
def test_no_action_goes_on_with_a_closed_order(clock: Clock, name: str, act: Callable[[Order, User], object]) -> None:
    order = an_order(contact=SAM)
    close(clock, order)
    rows = (Event.objects.count(), Mail.objects.count())
    with pytest.raises(Refused) as refused:
        act(order, links.user_for(SAM))
    assert refused.value.problem is Problem.CLOSED
    assert rows == (Event.objects.count(), Mail.objects.count())


def test_no_set_up_action_goes_on_with_a_closed_order(clock: Clock) -> None:
    order, user = a_delegated_order(contact=SAM, customer_email=CUSTOMER, meetings=10), links.user_for(SAM)
    close(clock, order)
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=10)
    acts: list[Callable[[], object]] = [
        lambda: actions.take_over(order=order, by=user),
        lambda: actions.postpone(order=order, by=user),
        lambda: actions.set_up(order=order, by=user, plans={"meetings": [site]}),
    ]
    for act in acts:
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.problem is Problem.CLOSED
    assert not Site.objects.exists()


def test_request_can_t_be_decided_while_closed_and_has_its_time_left_afterwards(
    clock: Clock,
) -> None:
    request = held(administrators=[BOSS])
    order = request.order
    AccessRequest.objects.update(expires_at=order.closes_at + 2 * DAY)
    close(clock, order)
    path = f"/orders/{order.number}/requests/{request.public_id}/"
    boss = signed_in(BOSS)
    assert "This order is closed" in boss.get(path).text
    boss.post(path, {"decision": "approve"})
    assert actions.decide(request=request, by=links.user_for(BOSS), approve=True).decision == ""
    clock.shift(10 * DAY)
    actions.extend_order(order=order, closes_at=timezone.now() + 30 * DAY)
    request.refresh_from_db()
    assert request.expires_at == timezone.now() + 2 * DAY
    assert "waits" not in newest(BOSS).subject
    assert newest(BOSS).subject == f"Order {order.number} is open again"
    assert "Approve" in boss.get(path).text
    boss.post(path, {"decision": "approve"})
    order.refresh_from_db()
    assert order.state == Order.State.PLACED


def ready_to_confirm(clock: Clock) -> Wizard:
    """The last step of a set-up, an hour before the order closes."""
    order = a_mapped_order(contact=KIM, meetings=10)
    clock.move_to(order.closes_at - timedelta(hours=1))
    setup = Wizard(signed_in(KIM), order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    assert setup.at == "review"
    return setup


def test_confirming_in_the_last_moment_counts(clock: Clock) -> None:
    setup = ready_to_confirm(clock)
    clock.move_to(setup.order.closes_at - timedelta(seconds=1))
    assert "Order summary" in setup.fill("review")


def test_date_that_passes_inside_the_confirming_keeps_the_answers(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = ready_to_confirm(clock)
    clock.move_to(setup.order.closes_at - timedelta(seconds=1))
    plans = SetUpLookups.plans

    def slow_plans(self: SetUpLookups, answers: Any) -> Any:
        clock.shift(2)  # the machine was busy
        return plans(self, answers)

    monkeypatch.setattr(SetUpLookups, "plans", slow_plans)
    page = setup.fill("review")
    assert "The order closed before you sent this. What you typed is kept." in page
    assert "This order is closed" in page
    assert not Site.objects.exists()
    actions.extend_order(order=setup.order, closes_at=timezone.now() + DAY)
    monkeypatch.undo()
    assert "contoso-one" in setup.open()
    assert "Order summary" in setup.fill("review")


# More time


def test_closed_order_goes_on_where_it_was_with_a_link_that_works(clock: Clock) -> None:
    setup = ready_to_confirm(clock)
    order = setup.order
    old = link_in(newest(KIM))
    close(clock, order)
    swept()
    clock.shift(10 * DAY)
    out = StringIO()
    call_command("extend_order", order.number, "--days", "20", "--reason", "Kim was ill", stdout=out)
    order.refresh_from_db()
    assert order.closes_at == timezone.now() + 20 * DAY
    assert order.closes_at.isoformat(timespec="seconds") in out.getvalue()
    message = newest(KIM)
    assert message.subject == f"Order {order.number} is open again"
    assert link_in(message) != old
    assert "Send me a code" in Client().get(link_in(message)).text
    assert "There is a newer email" in Client().get(old).text
    event = order.events.get(kind=Event.Kind.EXTENDED)
    assert (event.facts["reason"], event.facts["reopened"]) == ("Kim was ill", True)
    assert "contoso-one" in setup.open()
    assert setup.at == "review"
    clock.move_to(order.closes_at - DAY)
    assert [to for to, _subject in swept()] == [KIM]
    setup.client.force_login(links.user_for(KIM))
    setup.open()
    assert "Order summary" in setup.fill("review")
    deliver()
    clock.move_to(order.closes_at + DAY)
    assert swept() == []


def test_more_time_for_an_open_order_moves_its_reminders(clock: Clock) -> None:
    order = an_order(contact=SAM)
    clock.move_to(order.closes_at - 7 * DAY)
    deliver()
    swept()
    order = actions.extend_order(order=order, closes_at=order.closes_at + 10 * DAY)
    assert newest(SAM).subject == f"There is more time for order {order.number}"
    assert swept() == []
    for days, count in ((15, 0), (14, 1), (8, 0), (7, 1), (1, 1)):
        clock.move_to(order.closes_at - days * DAY)
        assert len(swept()) == count, days


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["NO-1", "--days", "3"], "There is no order NO-1."),
        (["--days", "0"], "Enter a set-up-by date that lies ahead"),
        (["--days", "many"], "Enter a set-up-by date that lies ahead"),
        (["--days", "99999999999"], "Enter a set-up-by date that lies ahead"),
    ],
)
def test_command_that_can_t_be_followed_says_why(arguments: list[str], sentence: str) -> None:
    order = an_order()
    arguments = arguments if arguments[0] == "NO-1" else [order.number, *arguments]
    with pytest.raises(CommandError, match=sentence):
        call_command("extend_order", *arguments)
    assert not order.events.filter(kind=Event.Kind.EXTENDED).exists()


def test_cancelled_or_set_up_orders_get_no_more_time_and_no_date_may_be_earlier() -> None:
    order, cancelled = an_order(), an_order()
    actions.cancel_order(order=cancelled, by=None)
    for each, days, problem in (
        (cancelled, 40, Problem.CANCELLED),
        (order, 10, Problem.NOT_LATER),
        (order, 800, Problem.SET_UP_BY),
    ):
        with pytest.raises(Refused) as refused:
            actions.extend_order(order=each, closes_at=timezone.now() + days * DAY)
        assert refused.value.problem is problem


def test_closed_order_that_is_cancelled_stays_cancelled(clock: Clock) -> None:
    order = an_order(contact=SAM)
    close(clock, order)
    swept()
    actions.cancel_order(order=order, by=None)
    assert "This order was cancelled" in signed_in(SAM).get(f"/orders/{order.number}/", follow=True).text
    with pytest.raises(Refused):
        actions.extend_order(order=order, closes_at=timezone.now() + DAY)


# At the order desk


@pytest.fixture
def desk() -> Client:
    client = signed_in("desk@vendor.example")
    User.objects.filter(email="desk@vendor.example").update(is_staff=True, is_superuser=True)
    return client


def test_desk_sees_what_closes_soon_or_has_closed_and_gives_many_more_time(clock: Clock, desk: Client) -> None:
    with override_settings(SET_UP_DAYS=10):
        soon, gone = an_order(contact=SAM), an_order(contact=ALEX)
    Order.objects.filter(pk=gone.pk).update(closes_at=timezone.now() + DAY)
    later = an_order(contact=KIM)
    clock.shift(2 * DAY)
    url = "/admin/subscriptions/order/"
    shown = {
        which: {each.number for each in (soon, gone, later) if each.number in desk.get(url, {"date": which}).text}
        for which in ("soon", "closed", "")
    }
    assert shown == {
        "soon": {soon.number}, "closed": {gone.number}, "": {soon.number, gone.number, later.number},
    }  # fmt: skip
    deliver()
    mail.outbox.clear()
    chosen = {"action": "give_more_time", "_selected_action": [soon.pk, gone.pk]}
    page = desk.post(url, chosen, follow=True)
    asked = page.redirect_chain[-1][0]
    assert gone.number in page.text
    assert "Say why they get more time." in desk.post(asked, {"set_up_by": "2020-01-01", "reason": ""}).text
    day = timezone.localdate() + 20 * DAY
    done = desk.post(asked, {"set_up_by": day.isoformat(), "reason": "Trade fair"}, follow=True)
    assert "2 orders have more time." in done.text
    assert {message.to[0] for message in deliver()} == {SAM, ALEX}
    for order in (soon, gone):
        order.refresh_from_db()
        assert order.closes_at.date() == day
        event = order.events.get(kind=Event.Kind.EXTENDED)
        assert event.by
        assert (event.by.email, event.facts["reason"]) == ("desk@vendor.example", "Trade fair")
    done = desk.post(asked, {"set_up_by": day.isoformat(), "reason": "Again"}, follow=True)
    assert done.text.count("Enter a date later than the one that the order has.") == 2


def test_desk_says_the_date_of_a_new_order_and_can_t_write_a_closed_one(clock: Clock, desk: Client) -> None:
    url = "/admin/subscriptions/order/"
    day = timezone.localdate() + 7 * DAY
    facts = {"sold_to": "X", "contact_email": SAM, **line_rows({"service": "meetings", "licenses": 5})}
    assert "lies ahead" in desk.post(f"{url}add/", {**facts, "set_up_by": "2020-01-01"}).text
    desk.post(f"{url}add/", {**facts, "set_up_by": day.isoformat()})
    order = Order.objects.get()
    assert order.closes_at.date() == day
    close(clock, order)
    page = desk.get(f"{url}{order.pk}/change/").text
    assert "Give more time" in page
    assert "closed" in page
    assert 'name="_save"' not in page
    assert "Send the link again" not in page
    desk.post(f"{url}{order.pk}/change/", {**facts, "sold_to": "Y"})
    order.refresh_from_db()
    assert order.sold_to == "X"
    page = desk.post(f"{url}{order.pk}/resend/", follow=True).text
    assert "This order is closed: its set-up-by date has passed." in page


def test_more_time_is_the_desk_s_to_give() -> None:
    order = an_order(contact=SAM)
    url = f"/admin/subscriptions/order/extend/?order={order.pk}"
    assert signed_in(SAM).get(url).status_code == 302
    reader = signed_in("reader@vendor.example")
    User.objects.filter(email="reader@vendor.example").update(is_staff=True)
    assert reader.get(url).status_code == 403
    assert reader.post(url, {"set_up_by": "2030-01-01", "reason": "x"}).status_code == 403


def test_sweep_reads_what_is_due_by_its_index() -> None:
    order = an_order()
    others = [copy(order) for _number in range(2_000)]
    for number, other in enumerate(others):
        other.pk, other.number, other.public_id, other._state = None, f"I-{number}", uuid4(), ModelState()
    Order.objects.bulk_create(others)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE subscriptions_order")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM subscriptions_order"
            " WHERE state IN ('placed', 'held', 'mapped') AND closes_at < now()"
        )
        assert "order_to_set_up_by_date" in str(cursor.fetchall())
