"""How long a file of 5,000 orders takes to be planned and to be applied. Asked for by path.

The directory has the organizations of half of the customers, with real names; each order has a customer of its own, so
that the finder is asked 5,000 times. One process works; in production several workers share a batch.
"""

from __future__ import annotations

import csv
import itertools
import json
import lzma
import time
from pathlib import Path

import pytest

from provisioning.bulk import batches
from provisioning.models import OrderBatch
from subscriptions.models import Order
from tests.factories import an_organization

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = 5_000
DIRECTORY = Path(__file__).resolve().parents[2] / "provisioning/local/demo/data/orgs.csv.xz"


def test_five_thousand_orders_are_planned_and_applied_in_a_minute_each(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    companies = _companies()
    for company in companies[::2]:
        an_organization(company["name"], domains=[company["domain"]], country=company["country"])
    content = json.dumps([_order(n, company) for n, company in enumerate(companies)]).encode()

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


def _companies() -> list[dict[str, str]]:
    """Return names and domains of real organizations, from the demo's directory."""
    with lzma.open(DIRECTORY, "rt", encoding="utf-8") as file:
        return list(itertools.islice((row for row in csv.DictReader(file) if row["domain"]), ORDERS))


def _order(n: int, company: dict[str, str]) -> dict[str, object]:
    return {
        "number": f"CRM-{n}",
        "sold_to": "Partner Networks",
        "contact_email": f"sam{n % 50}@partner.example.net",
        "customer": {"name": company["name"], "email": f"it@{company['domain']}"},
        "lines": [{"service": "meetings", "licenses": 100 + n % 50}, {"service": "calling", "licenses": 10}],
    }
