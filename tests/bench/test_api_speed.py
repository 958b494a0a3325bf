"""How long the API takes to place and to read an order, beside a bare ninja view of one insert and one select.

Goals: place p50 12 ms, read p50 5 ms. Both are timed in turn, in process, through the whole of Django.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.urls import clear_url_caches, path
from ninja import NinjaAPI
from pytest_django import Settings

from provisioning import urls
from subscriptions.models import Order
from tests.provisioning.api.client import a_key, an_order_body

ROUNDS = 300
PLACE, READ = 12, 5  # milliseconds

bare = NinjaAPI(urls_namespace="bare", docs_url=None, openapi_url=None)


@bare.post("/rows")
def insert_and_select(request: HttpRequest) -> dict[str, Any]:
    """One insert and one select."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orgs_search (key, question, asked_at) VALUES (%s, %s, now()) RETURNING id",
            ["bench", str(time.time_ns())],
        )
        row = cursor.fetchone()
        cursor.execute("SELECT id, key, question FROM orgs_search WHERE id = %s", [row[0]])
        return {"row": cursor.fetchone()[0]}


@pytest.fixture
def _bare_view() -> Iterator[None]:
    added = path("bare/", bare.urls)
    urls.urlpatterns.insert(0, added)
    clear_url_caches()
    yield
    urls.urlpatterns.remove(added)
    clear_url_caches()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_bare_view")
def test_placing_and_reading_an_order(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.API_CALLS_A_MINUTE = 1_000_000
    client, headers = Client(), {"Authorization": f"Bearer {a_key()}"}
    times: dict[str, list[float]] = {"bare": [], "place": [], "read": []}

    def timed(name: str, call: Callable[[], Any], status: int) -> None:
        began = time.perf_counter()
        answer = call()
        times[name].append((time.perf_counter() - began) * 1000)
        assert answer.status_code == status, answer.content

    for number in range(ROUNDS):
        body = json.dumps(an_order_body(f"B-{number}", contact_email=f"sam{number}@partner.example.net"))
        timed("bare", lambda: client.post("/bare/rows"), 200)
        timed(
            "place",
            lambda body=body: client.post("/api/v1/orders", body, content_type="application/json", headers=headers),  # type: ignore[misc]
            201,
        )
        timed("read", lambda n=number: client.get(f"/api/v1/orders/B-{n}", headers=headers), 200)  # type: ignore[misc]
    assert Order.objects.count() == ROUNDS
    medians = {name: statistics.median(each[20:]) for name, each in times.items()}
    p95 = {name: statistics.quantiles(each[20:], n=20)[-1] for name, each in times.items()}
    with capsys.disabled():
        print()
        for name in times:
            print(f"{name}: p50 {medians[name]:.1f} ms, p95 {p95[name]:.1f} ms")
    assert medians["place"] <= PLACE
    assert medians["read"] <= READ
