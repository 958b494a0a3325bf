"""How long a file of 5,000 orders takes to be planned and to be applied. Asked for by path.

The directory has organizations for half of the customers; each order has a customer of its own, so that the finder is
asked 5,000 times. One process works; in production several workers share a batch.
"""

from __future__ import annotations

import json
import time

import pytest

from orgs.importing import import_file
from provisioning.bulk import batches
from provisioning.models import OrderBatch
from subscriptions.models import Order

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = 5_000


def test_five_thousand_orders_are_planned_and_applied_in_a_minute_each(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("bench") / "organizations.csv"
    rows = [f"c{n},Customer {_word(n)} Works,DE,customer{n}.example" for n in range(0, ORDERS, 2)]
    directory.write_text("external_id,name,country,domains\n" + "\n".join(rows), encoding="utf-8")
    import_file(directory, lambda _read: None)
    content = json.dumps([_order(n) for n in range(ORDERS)]).encode()

    begun = time.perf_counter()
    batch = batches.create(name="orders.json", content=content)
    read = time.perf_counter() - begun
    _work(batch)
    planned = time.perf_counter() - begun
    assert batches.progress(batch)["outcome_new"] == ORDERS

    begun = time.perf_counter()
    batches.start_applying(batch)
    _work(batch)
    applied = time.perf_counter() - begun
    assert Order.objects.count() == ORDERS

    begun = time.perf_counter()
    again = batches.create(name="orders.json", content=content, apply=True)
    _work(again)
    repeated = time.perf_counter() - begun
    assert batches.progress(again)["outcome_unchanged"] == ORDERS
    print(
        f"\n{ORDERS} orders: read {read:.1f} s, read and planned {planned:.1f} s, applied {applied:.1f} s, "
        f"the same file again {repeated:.1f} s"
    )
    assert max(planned, applied, repeated) <= 60


def _work(batch: OrderBatch) -> None:
    while batches.step(batch.pk):
        pass


def _word(n: int) -> str:
    return "".join("abcdefghij"[int(digit)] * 2 for digit in str(n)).capitalize()


def _order(n: int) -> dict[str, object]:
    return {
        "number": f"CRM-{n}",
        "sold_to": "Partner Networks",
        "contact_email": f"sam{n % 50}@partner.example.net",
        "customer": {"name": f"Customer {_word(n)} Works GmbH", "email": f"it@customer{n}.example"},
        "lines": [{"service": "meetings", "licenses": 100 + n % 50}, {"service": "calling", "licenses": 10}],
    }
