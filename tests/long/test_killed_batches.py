"""Real workers, killed while they write batches of the directory: each row is written once, and its result says so."""

from __future__ import annotations

import json
import random
import time

import pytest

from orgs.models import Organization
from provisioning.models import DirectoryBatch
from tests.long.local_machine import eventually
from tests.long.test_killed_workers import Workers, server, workers  # noqa: F401 - fixtures
from tests.provisioning.api.client import a_system

pytestmark = pytest.mark.django_db(transaction=True)

ROWS, KILLS = 8000, 4


def test_batch_goes_on_after_its_workers_were_killed(workers: Workers) -> None:  # noqa: F811 - the fixture
    crm = a_system("directory:write")
    lines = [
        json.dumps({"external_id": f"C-{number}", "name": f"Company {number}", "domains": [{"name": f"c{number}.com"}]})
        for number in range(ROWS)
    ]
    body = "\n".join(lines).encode()
    batch = crm.ok("POST", "/directory/batches", body, status=202, content_type="application/x-ndjson")
    address = f"/directory/batches/{batch['id']}"
    chance = random.Random(5)
    killed_in_the_middle = 0
    for _kill in range(KILLS):
        before = crm.ok("GET", address)["done"]
        workers.start()
        eventually(lambda before=before: crm.ok("GET", address)["done"] > before, "a part is written", 120)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.3))
        workers.kill()
        progress = crm.ok("GET", address)
        killed_in_the_middle += progress["state"] == "running"
        assert Organization.objects.count() == progress["counts"]["created"] == progress["done"]
    assert killed_in_the_middle
    workers.start()
    eventually(lambda: not DirectoryBatch.objects.filter(finished_at=None).exists(), "the batch is finished", 180)
    assert crm.ok("GET", address)["counts"] == {"created": ROWS, "updated": 0, "unchanged": 0, "refused": 0}
    assert Organization.objects.count() == ROWS
