"""How long a kept order summary takes to be downloaded, of the server's time. Asked for by path.

From the request to the last byte of the answer inside the process that serves it, with all middleware, session and
rights; beside it, a request that does nothing but ``SELECT 1``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from provisioning import actions
from provisioning.people import links
from provisioning.urls import urlpatterns as own_urls
from provisioning.worker import tasks
from subscriptions.models import Document
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from tests.factories import a_mapped_order, signed_in

pytestmark = pytest.mark.django_db
KIM = "kim@contoso.example.org"
ROUNDS = 200


def select_one(request: HttpRequest) -> HttpResponse:
    """The least that a page with a database does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("1")


urlpatterns = [*own_urls, path("select-one/", select_one)]


def median(*works: Callable[[], Any]) -> list[float]:
    """The median time in milliseconds of each work, taking turns."""
    times: list[list[float]] = [[] for _work in works]
    for _round in range(ROUNDS):
        for at, work in enumerate(works):
            begun = time.perf_counter()
            work()
            times[at].append((time.perf_counter() - begun) * 1000)
    return [statistics.median(each) for each in times]


@pytest.mark.parametrize("sites", [3, 50])
def test_downloading_a_kept_pdf_takes_no_more_than_ten_milliseconds(sites: int) -> None:
    order = a_mapped_order(contact=KIM, meetings=250, calling=40)
    share = 250 // sites
    rows = [SitePlan(f"contoso-{at:02}", "Europe/Berlin", False, share) for at in range(sites - 1)]
    rows.append(SitePlan("contoso-last", "Europe/Berlin", True, 250 - share * (sites - 1)))
    place = LocationPlan("Headquarters", "DE", {"city": "Berlin", "street_address": "Weg 1"})
    actions.set_up(order=order, by=links.user_for(KIM), plans={"meetings": rows, "calling": place})
    tasks.make_pdfs.func(pk=Document.objects.get().pk)
    client = signed_in(KIM)
    url = f"/orders/{order.number}/summary.pdf"
    tag = client.get(url)["ETag"]
    with override_settings(ROOT_URLCONF=__name__):
        kept, unchanged, one = median(
            lambda: client.get(url),
            lambda: client.get(url, headers={"If-None-Match": tag}),
            lambda: client.get("/select-one/"),
        )
    size = len(client.get(url).content)
    print(f"\n{sites} sites, {size:,} bytes: {kept:.1f} ms, unchanged {unchanged:.1f} ms, SELECT 1 {one:.1f} ms")
    assert kept <= 10
