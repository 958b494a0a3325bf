"""No page of people asks the database more than ten times, but for one: every page and state of the gallery."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browser.gallery import SCENES
from tests.factories import signed_in

pytestmark = pytest.mark.django_db
MOST = 10
# Pages that are still above it: who had the order, the one try to make a PDF, and the review after a refusal, which
# asks for the requests and the lines of each service.
ABOVE = {"handed-over": 11, "handed-over-came-back": 11, "being-made": 15, "refused-review": 12}
# The finder's review of organizations that exist asks each rule about each of them, when it plans and when it shows.
REVIEW = 18


@pytest.mark.parametrize("name", SCENES)
def test_no_page_asks_more_than_ten_times(name: str) -> None:
    asked = {}
    for sight in SCENES[name]():
        client = signed_in(sight.who) if sight.who else Client()
        if sight.demo != settings.DEMO:
            continue
        with CaptureQueriesContext(connection) as queries:
            client.get(sight.path)
        asked[sight.name] = sum("SAVEPOINT" not in query["sql"] for query in queries.captured_queries)
    print(asked)
    most = {sight: REVIEW if sight.startswith("review") and name != "setting-up" else MOST for sight in asked} | ABOVE
    assert not {sight: count for sight, count in asked.items() if count > most[sight]}
