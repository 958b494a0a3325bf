"""Figures of the directory API, by path: a delta sync by a batch, and what it costs where nothing differs.

    DIRECTORY_ROWS=1000000 pytest tests/bench/test_directory_batch_speed.py -s -n0

Asked: with 1,000,000 organizations and 1 % of them changed, the batch of the changed ones (10,000 rows) is written in
at most 60 s, by one worker. A batch has at most 10,000 rows, so smaller directories are measured with 1 % of them.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from django.db import connection

from orgs import importing
from orgs.models import Organization
from provisioning.worker import tasks
from tests.bench.test_import_speed import rows
from tests.provisioning.api.client import a_system

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("DIRECTORY_ROWS", "100000"))
SECONDS = 60


def batch_of(count: int, *, name: str) -> bytes:
    """Return a batch of every hundredth organization, with a domain, another name and two members each."""
    lines = []
    for number in range(0, count, 100):
        record = {
            "external_id": f"row-{number}",
            "name": f"Renamed {name} {number}",
            "country": "NZ",
            "domains": [{"name": f"renamed-{name}-{number}.example"}],
            "other_names": [{"name": f"Former {number}", "kind": "former"}],
            "members": [{"email": f"{who}@renamed-{name}-{number}.example"} for who in ("ada", "bob")],
            "users": number % 500,
        }
        lines.append(json.dumps(record))
    return "\n".join(lines).encode()


def test_one_per_cent_of_the_directory_is_synchronized_by_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "organizations.csv"
    path.write_text("\n".join(rows(ROWS)), encoding="utf-8")
    importing.import_file(path)
    assert Organization.objects.count() == ROWS
    crm = a_system("directory:write")
    changed = min(10_000, ROWS // 100)
    took = {}
    for what, outcome in (("1 % changed", "updated"), ("the same again", "unchanged")):
        body = batch_of(changed * 100, name="now")
        begun = time.perf_counter()
        batch = crm.ok("POST", "/directory/batches", body, status=202, content_type="application/x-ndjson")
        accepted = time.perf_counter() - begun
        while crm.ok("GET", f"/directory/batches/{batch['id']}")["state"] != "finished":
            tasks.write_directory_batches.func()
        took[what] = time.perf_counter() - begun
        counts = crm.ok("GET", f"/directory/batches/{batch['id']}")["counts"]
        assert counts[outcome] == changed
        print(f"{ROWS} organizations, {changed} rows, {what}: {took[what]:.1f} s (accepted in {accepted:.2f} s)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orgs_domain WHERE name LIKE 'renamed-now-%'")
        assert cursor.fetchone()[0] == changed
    assert took["1 % changed"] <= SECONDS
