"""Health: what a load balancer, a monitor and an operator are told, and what strangers aren't."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Mail
from subscriptions.models import ProvisioningRequest
from tests.database_door import a_door
from tests.factories import a_mapped_order
from tests.scripted import confirmed, outside  # noqa: F401 - a fixture

STRANGER: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9"}
NAMES = [
    *("database", "migrations", "static files"),
    *("worker", "outbox", "webhooks", "provisioning", "mail", "disk"),
]


def beat(seconds_ago: int) -> None:
    """A worker that reported so many seconds ago."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))",
            [seconds_ago],
        )


def lines(client: Client, **asked: str) -> dict[str, str]:
    """The lines of /readyz by name."""
    text = client.get("/readyz").content.decode().splitlines()
    return dict(line.split(": ", 1) for line in text[1:])


@pytest.mark.django_db
def test_each_part_has_its_line_for_the_monitoring_and_one_word_for_strangers(
    client: Client, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["setup.example.com"]  # a probe asks by address
    settings.SECURE_SSL_REDIRECT = True
    beat(5)
    assert list(lines(client)) == NAMES
    assert all(says.startswith("ok (") for says in lines(client).values()), lines(client)
    assert lines(client)["worker"].startswith("ok (1 worker, the last report ")
    answer = client.get("/readyz", **STRANGER)
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]
    # A proxy on this machine that BEHIND_PROXY doesn't tell of passes strangers on.
    assert client.get("/readyz", HTTP_X_FORWARDED_FOR="203.0.113.9").content == b"ok\n"
    settings.BEHIND_PROXY = True
    assert client.get("/readyz", HTTP_X_FORWARDED_FOR="127.0.0.1, 203.0.113.9").content == b"ok\n"
    assert len(client.get("/readyz", HTTP_X_FORWARDED_FOR="203.0.113.9, 127.0.0.1").content.splitlines()) == 10
    assert client.get("/livez").content == b"ok\n"
    assert client.post("/readyz").status_code == 405


@pytest.mark.django_db
@pytest.mark.usefixtures("outside")
def test_what_is_late_or_gone_is_told_and_ends_status_with_1(client: Client, settings: Settings) -> None:
    beat(90)
    confirmed(a_mapped_order(meetings=100))
    Mail.objects.update(next_try_at=timezone.now() - timedelta(minutes=10))
    ProvisioningRequest.objects.update(next_try_at=timezone.now() - timedelta(minutes=20))
    found = lines(client)
    assert found["worker"].startswith("not ok (0 workers, the last report 9")
    # The transaction of this test began some seconds ago, and so did the database's "now".
    assert re.match(r"not ok \(1 waiting, the longest due for (?:59|60)\d s", found["outbox"]), found
    assert re.match(r"not ok \(1 waiting, the longest due for (?:119|120)\d s", found["provisioning"]), found
    # Web hosts go on without a worker; whoever wants to count everything asks so.
    assert client.get("/readyz").status_code == 200
    assert client.get("/readyz?all").status_code == 503
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 1, "password": "hidden", "timeout": 1},
        }
    }
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("status", "--json", stdout=out)
    assert end.value.code == 1
    parts = json.loads(out.getvalue())["parts"]
    assert list(parts) == NAMES
    assert [name for name, part in parts.items() if not part["ok"]] == ["worker", "outbox", "provisioning", "mail"]
    assert "ConnectionRefusedError" in parts["mail"]["says"]
    assert "hidden" not in out.getvalue()


@pytest.mark.django_db
def test_missing_tables_and_files_make_the_host_not_ready(client: Client, settings: Settings, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'orgs' AND name LIKE '0001%'")
    assert client.get("/readyz").status_code == 503
    assert lines(client)["migrations"].startswith("not ok (orgs.0001_organizations is not applied: run python3 manage")
    assert client.get("/readyz", **STRANGER).content == b"not ok\n"


@pytest.mark.django_db(transaction=True)
def test_database_that_is_away_is_one_line_and_no_page(client: Client) -> None:
    with a_door() as door:
        assert client.get("/readyz").status_code == 200
        door.close()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "database: not ok (" in answer.content.decode()
        assert "worker: not ok (unknown while the database is away)" in answer.content.decode()
        assert client.get("/livez").status_code == 200
        door.open()
        connection.close()  # as at the end of a request
        assert client.get("/readyz").status_code == 200
