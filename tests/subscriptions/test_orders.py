"""Placing, correcting and cancelling orders, on a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from orgs.models import Organization
from subscriptions import actions
from subscriptions.actions import Line, Problem, Refused
from subscriptions.models import Order, OrderLine
from subscriptions.summary import build_summary

MEETINGS = Line("meetings", 250)
CALLING = Line("calling", 40, 36, "Calling Professional")


def place(**changes: Any) -> tuple[Order, bool]:
    facts: dict[str, Any] = {
        "number": "V-1",
        "sold_to": "Fabrikam Partners Ltd",
        "contact_email": "Pat@Fabrikam.example.com",
        "customer_name": "Contoso GmbH",
        "customer_email": "anna@contoso.com",
        "lines": [MEETINGS, CALLING],
    }
    return actions.place_order(**(facts | changes))


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` returned or raised on that many connections, all started together."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(at: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=300)
            results[at] = work(at)
        except Exception as error:
            results[at] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db
def test_placed_order_has_its_lines_with_meetings_first() -> None:
    order, created = place()
    assert created
    assert order.state == Order.State.PLACED
    assert order.contact_email == "pat@fabrikam.example.com"
    assert [(line.service, line.product, line.licenses, line.term_months) for line in order.lines.all()] == [
        ("meetings", "Meetings", 250, 12),
        ("calling", "Calling Professional", 40, 36),
    ]


@pytest.mark.django_db
def test_same_number_twice_is_one_order_and_the_first_one_stays() -> None:
    first, _ = place()
    second, created = place(sold_to="Somebody else", lines=[MEETINGS])
    assert not created
    assert second == first
    assert second.sold_to == "Fabrikam Partners Ltd"
    assert second.lines.count() == 2


@pytest.mark.django_db
def test_order_without_number_gets_the_next_one_and_skips_those_used_by_hand() -> None:
    first, _ = place(number=None)
    prefix, _, digits = first.number.partition("-")
    assert prefix == "PO"
    assert int(digits) > 100_000
    by_hand, _ = place(number=f"PO-{int(digits) + 1}")
    third, created = place(number=None)
    assert created
    assert third != by_hand
    assert third.number == f"PO-{int(digits) + 2}"


@pytest.mark.django_db(transaction=True)
def test_same_number_on_many_connections_at_once_is_one_order() -> None:
    results = at_once(12, lambda _: place())
    assert [created for _, created in results].count(True) == 1
    assert len({order.pk for order, _ in results}) == 1
    assert Order.objects.get().lines.count() == 2


@pytest.mark.django_db(transaction=True)
def test_orders_without_number_at_once_each_get_their_own() -> None:
    results = at_once(12, lambda _: place(number=None))
    assert len({order.number for order, created in results if created}) == 12


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": "a/b"}, Problem.NUMBER),
        ({"number": "ü"}, Problem.NUMBER),
        ({"number": "x" * 41}, Problem.NUMBER),
        ({"number": ".."}, Problem.NUMBER),
        ({"sold_to": ""}, Problem.SOLD_TO),
        ({"sold_to": "  "}, Problem.SOLD_TO),
        ({"sold_to": "a\0b"}, Problem.SOLD_TO),
        ({"sold_to": "a\ud800"}, Problem.SOLD_TO),
        ({"sold_to": "a\nb"}, Problem.SOLD_TO),
        ({"sold_to": "Contoso \u202etxt"}, Problem.SOLD_TO),
        ({"sold_to": "\u200b\u200d"}, Problem.SOLD_TO),
        ({"sold_to": "x" * 201}, Problem.SOLD_TO),
        ({"customer_name": "a\0"}, Problem.CUSTOMER_NAME),
        ({"contact_email": ""}, Problem.CONTACT_EMAIL),
        ({"contact_email": "pat"}, Problem.CONTACT_EMAIL),
        ({"contact_email": "a@b.com\nBcc: c@d.com"}, Problem.SEVERAL_ADDRESSES),
        ({"contact_email": "Pat <pat>"}, Problem.CONTACT_EMAIL),
        ({"contact_email": "a@" + "b" * 400 + ".com"}, Problem.CONTACT_EMAIL),
        ({"customer_email": "anna@"}, Problem.CUSTOMER_EMAIL),
        ({"lines": []}, Problem.NO_LINES),
        ({"lines": [Line("fax", 1)]}, Problem.SERVICE),
        ({"lines": [MEETINGS, Line("meetings", 999_751)]}, Problem.TOO_MANY_LICENSES),
        ({"lines": [Line("meetings", 1, number=7), Line("calling", 1, number=7)]}, Problem.LINE_NUMBER_TWICE),
        ({"lines": [Line("meetings", 1, number=0)]}, Problem.LINE_NUMBER),
        ({"lines": [Line("meetings", 1, number=True)]}, Problem.LINE_NUMBER),
        ({"lines": [Line("meetings", 1, number=1_000_000_000)]}, Problem.LINE_NUMBER),
        ({"lines": [Line("meetings", 0)]}, Problem.LICENSES),
        ({"lines": [Line("meetings", 1_000_001)]}, Problem.LICENSES),
        ({"lines": [Line("meetings", True)]}, Problem.LICENSES),
        ({"lines": [Line("meetings", 10**30)]}, Problem.LICENSES),
        ({"lines": [Line("meetings", 1, 0)]}, Problem.TERM),
        ({"lines": [Line("meetings", 1, 121)]}, Problem.TERM),
        ({"lines": [Line("meetings", 1, 12, "x" * 81)]}, Problem.PRODUCT),
    ],
)
def test_order_that_cannot_be_is_refused_with_a_code_and_nothing_is_written(
    changes: dict[str, Any], problem: Problem
) -> None:
    with pytest.raises(Refused) as refusal:
        place(**changes)
    assert refusal.value.problem is problem
    assert not Order.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["株式会社東方", "شركة النور", "חברת אור", "บริษัท ไทย", "कंपनी", "O’Neill & Söhne", "‌می‌روم"]
)
def test_names_in_any_script_are_kept_as_they_are_written(name: str) -> None:
    order, _ = place(sold_to=name)
    order.refresh_from_db()
    assert order.sold_to == name


@pytest.mark.django_db
@settings(max_examples=150)
@given(sold_to=st.text(max_size=300), email=st.text(max_size=60) | st.emails(), number=st.text(max_size=50))
def test_any_text_is_stored_or_refused_with_a_code(sold_to: str, email: str, number: str) -> None:
    try:
        order, _ = place(sold_to=sold_to, contact_email=email, number=number)
    except Refused:
        return
    order.refresh_from_db()
    assert 1 <= len(order.sold_to) <= 200
    assert order.contact_email == order.contact_email.lower()


@pytest.mark.django_db
def test_order_is_corrected_before_the_mapping_line_by_line() -> None:
    order, _ = place()
    kept = order.lines.get(service="meetings").pk
    order = actions.correct_order(order=order, contact_email="Kim@fabrikam.com", lines=[Line("meetings", 300)])
    order.refresh_from_db()
    assert order.contact_email == "kim@fabrikam.com"
    assert order.sold_to == "Fabrikam Partners Ltd"
    line = order.lines.get()
    assert (line.pk, line.licenses) == (kept, 300)


def mapped(order: Order) -> Order:
    customer = Organization.objects.create(name="Contoso GmbH", country="DE")
    Order.objects.filter(pk=order.pk).update(
        state="mapped", audience="own", customer=customer, mapped_at="2026-11-01T00:00:00Z"
    )
    order.refresh_from_db()
    return order


@pytest.mark.django_db
def test_contact_and_customer_are_fixed_once_the_organizations_are_confirmed_but_lines_are_not() -> None:
    order = mapped(place()[0])
    for name, value in (("contact_email", "kim@fabrikam.com"), ("customer_name", "X"), ("customer_email", "x@x.com")):
        late: dict[str, Any] = {name: value}
        with pytest.raises(Refused) as refusal:
            actions.correct_order(order=order, **late)
        assert refusal.value.problem is Problem.ALREADY_MAPPED
    same = order.contact_email
    order = actions.correct_order(order=order, contact_email=same, sold_to="Fabrikam AG", lines=[Line("meetings", 9)])
    order.refresh_from_db()
    assert order.sold_to == "Fabrikam AG"
    assert order.lines.get().licenses == 9


@pytest.mark.django_db
def test_cancelled_order_stays_cancelled_and_cannot_be_corrected() -> None:
    order, _ = place()
    cancelled = actions.cancel_order(order=order)
    assert cancelled.state == Order.State.CANCELLED
    again = actions.cancel_order(order=order)
    assert again.cancelled_at == cancelled.cancelled_at
    with pytest.raises(Refused) as refusal:
        actions.correct_order(order=order, sold_to="X")
    assert refusal.value.problem is Problem.CANCELLED


@pytest.mark.django_db
def test_service_may_have_a_long_code() -> None:
    order, _created = place()
    code = "contact_center_for_the_whole_organization"[:40]
    OrderLine.objects.create(order=order, number=3, service=code, product="Contact Center", licenses=5)
    assert [line.service for line in build_summary(order).lines] == ["meetings", "calling", code]
