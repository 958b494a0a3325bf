"""*My orders* of somebody with many: search, filters, pages, the states of the task list, few statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from provisioning import actions
from provisioning.models import AccessRequest, Mail, Part
from provisioning.pages import order_list, task_list
from provisioning.people import links
from provisioning.people.order_index import briefs
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

KIM, SAM, BOSS, CUSTOMER = "kim@contoso.com", "sam@partner.example", "boss@adventure.example", "it@contoso.com"


def _held(state: str) -> Order:
    boss = an_organization("Adventure", administrators=[BOSS], members=[KIM])
    order = an_own_order(contact=KIM)
    actions.ask_administrators(order=order, by=links.user_for(KIM), organization=boss.public_id)
    asked = AccessRequest.objects.filter(order=order)
    if state == "expired":
        asked.update(expires_at=timezone.now() - timedelta(hours=1))
    if state in {"approved", "declined"}:
        approve = state == "approved"
        actions.decide(request=asked.get(), by=links.user_for(BOSS), approve=approve, reason="No.")
    return order


def _closed(order: Order) -> Order:
    ago = timezone.now() - timedelta(days=40)
    Order.objects.filter(pk=order.pk).update(placed_at=ago, date_set_at=ago, closes_at=ago + timedelta(days=30))
    return order


def _handed_over(*, bounced: bool = False) -> None:
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=KIM)
    if bounced:
        part = Part.objects.get(order=order, ended_at=None)
        Mail.objects.filter(link__part=part).update(bounced_at=timezone.now())


def _set_up() -> None:
    order = a_mapped_order(contact=KIM, meetings=10)
    site = SitePlan(name=f"site-{order.pk}", time_zone="Europe/Paris", early_release=False, licenses=10)
    actions.set_up(order=order, by=links.user_for(KIM), plans={"meetings": [site]})


def _taken_over() -> None:
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    actions.take_over(order=order, by=links.user_for(SAM))


def _delegate_bounced() -> None:
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    part = Part.objects.get(order=order, role=Part.Role.DELEGATE)
    Mail.objects.filter(link__part=part).update(bounced_at=timezone.now())


STORIES: list[Callable[[], object]] = [
    lambda: an_own_order(contact=KIM),
    lambda: a_mapped_order(contact=KIM),
    lambda: _held("open"),
    lambda: _held("expired"),
    lambda: _held("approved"),
    lambda: _held("declined"),
    lambda: _closed(an_own_order(contact=KIM)),
    lambda: _closed(a_mapped_order(contact=KIM)),
    lambda: actions.cancel_order(order=an_own_order(contact=KIM), by=None),
    _handed_over,
    lambda: _handed_over(bounced=True),
    lambda: a_delegated_order(contact=SAM, customer_email=CUSTOMER),
    _delegate_bounced,
    _taken_over,
    _set_up,
]


def test_the_list_has_the_states_and_the_order_of_the_task_list() -> None:
    for story in STORIES:
        story()
    for email in (KIM, SAM, BOSS, CUSTOMER):
        user = links.user_for(email)
        told = [(each.order.number, each.state, each.title) for each in task_list.entries(user) or []]
        assert [(each.number, each.state, each.title) for each in briefs(user)] == told
        assert told


def test_a_person_with_many_orders_searches_filters_and_turns_pages() -> None:
    for number in range(44):
        an_order(contact=SAM, number=f"M-{number:03d}", customer=f"Customer {number} GmbH")
    named = an_order(contact=SAM, number="M-900", customer="Ｆabrikam & Söhne <b>")
    actions.hand_over(order=named, by=links.user_for(SAM), email=KIM)
    actions.cancel_order(order=Order.objects.get(number="M-000"), by=None)
    client = signed_in(SAM)

    page = client.get("/orders/")
    assert page.text.count("<li class=") == order_list.PER_PAGE
    assert "Page 1 of 3" in page.text
    numbers = []
    for at in (1, 2, 3):
        numbers += [line.brief.number for line in client.get(f"/orders/?page={at}").context["lines"]]
    assert len(set(numbers)) == 45
    assert numbers[-2:] == ["M-900", "M-000"]

    def found(query: str) -> list[str]:
        return [line.brief.number for line in client.get(f"/orders/?{query}").context["lines"]]

    assert found("q=m-017") == ["M-017"]
    assert found("q=CUSTOMER+43+gmbh") == ["M-043"]
    assert found("q=fabrikam") == ["M-900"]
    assert found("show=others") == ["M-900"]
    assert found("show=ended") == ["M-000"]
    assert found("show=ended&q=customer+7") == []
    # What nobody offers is as if it weren't there.
    assert len(found("show=x&page=nonsense")) == len(found("page=999")) + 15 == 20
    text = client.get("/orders/?q=%22%3E%3Cscript%3E").text
    assert "<script>" not in text
    assert "No order fits" in text
    # Others find nothing of it, and few orders look as before.
    assert "/orders/M-017/" not in signed_in(CUSTOMER).get("/orders/?q=M-017").text
    assert signed_in(KIM).get("/orders/").context["entries"][0].order.number == "M-900"


def test_the_search_reads_only_what_the_person_can_read() -> None:
    order = _held("open")
    Order.objects.filter(pk=order.pk).update(sold_to="Secret Holdings", customer_name="Hidden Ltd")
    boss = links.user_for(BOSS)
    asked = order_list.Asked
    assert order_list.context(boss, asked(words="adventure"))["found"] == 1
    assert order_list.context(boss, asked(words="secret"))["found"] == 0
    assert order_list.context(boss, asked(words="hidden"))["found"] == 0


@pytest.mark.parametrize("orders", [30, 90])
def test_the_list_takes_five_statements_however_many_orders_there_are(orders: int) -> None:
    for _number in range(orders):
        an_order(contact=SAM)
    client = signed_in(SAM)
    for query in ("", "?q=contoso&show=mine&page=2"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/orders/{query}").status_code == 200
        assert len(queries) <= 5
