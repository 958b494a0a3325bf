"""How long *My orders* takes for somebody with 2,000 orders. Asked for by path."""

from __future__ import annotations

import statistics
import time

import pytest
from django.db import connection
from django.template import Template
from django.test.utils import CaptureQueriesContext, _TestState

from provisioning.models import Part
from provisioning.people import links
from subscriptions.models import Order
from tests.factories import a_delegated_order, an_order, signed_in

pytestmark = pytest.mark.django_db
SAM = "sam@partner.example.net"
ORDERS = 2_000
ROUNDS = 100


def test_two_thousand_orders_are_listed_in_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Template, "_render", _TestState.saved_data.template_render)  # type: ignore[attr-defined]
    a_delegated_order(contact=SAM)
    first = an_order(contact=SAM)
    user = links.user_for(SAM)
    facts = {
        name: getattr(first, name)
        for name in ("sold_to", "contact_email", "customer_email", "placed_at", "date_set_at", "closes_at")
    }
    orders = Order.objects.bulk_create(
        Order(number=f"B-{n}", customer_name=f"Customer {n}", **facts) for n in range(ORDERS)
    )
    Part.objects.bulk_create(Part(order=order, user=user, role=Part.Role.CONTACT) for order in orders)
    client = signed_in(SAM)
    for query in ("", "?q=customer+19&show=mine&page=2"):
        times = []
        for _round in range(ROUNDS):
            begun = time.perf_counter()
            assert client.get(f"/orders/{query}").status_code == 200
            times.append((time.perf_counter() - begun) * 1000)
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/orders/{query}")
        p95 = statistics.quantiles(times[5:], n=20)[-1]
        print(f"\n/orders/{query}: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, {len(queries)} statements")
        assert len(queries) <= 5
        assert p95 <= 100
