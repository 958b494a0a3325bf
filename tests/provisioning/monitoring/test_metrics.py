"""Metrics: what is counted, who sees it, several processes together; rules and board name only what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as product
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from orgs import rate_limits
from orgs.finder.matching import find_candidates
from tests.factories import a_mapped_order, an_order
from tests.mailbox import deliver
from tests.scripted import confirmed, outside  # noqa: F401 - a fixture

PACKAGE = Path(product.BASE_DIR) / "provisioning" / "monitoring"
STRANGER: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9"}


def samples(client: Client, **asked: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the values of /metrics by name and labels."""
    text = client.get("/metrics", **asked).content.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    """Return one value; 0 where it was never counted."""
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.mark.django_db
@pytest.mark.usefixtures("outside")
def test_journey_is_counted_by_route_and_the_queues_come_from_the_database(client: Client) -> None:
    before = samples(client)
    an_order()
    client.get("/sign-in/")
    client.get("/l/no-such-token/")
    client.get("/nowhere/secret@example.com")
    find_candidates(email="kim@contoso.example", company_name="Contoso")
    rate_limits.spend({"one": 0})
    waiting = samples(client)
    sent = len(deliver())
    confirmed(a_mapped_order(meetings=100))
    after = samples(client)

    def grew(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    route = "provisioning_http_requests_total"
    assert grew(route, method="GET", route="sign-in/", status="200") == 1
    assert grew(route, method="GET", route="l/<str:token>/", status="404") == 1
    assert grew(route, method="GET", route="unknown", status="404") == 1
    assert grew("provisioning_http_request_seconds_count", route="sign-in/") == 1
    assert grew("provisioning_finder_seconds_count") >= 1
    assert grew("provisioning_finder_refusals_total") == 1
    assert grew("provisioning_emails_total", kind="mail", outcome="sent") == sent == 1
    assert value(waiting, "provisioning_queue_waiting", queue="outbox") == 1
    assert value(after, "provisioning_requests", state="waiting", driver="scripted") == 1
    assert value(after, "provisioning_part_ok", part="database") == 1
    assert "secret@example.com" not in str(after)
    assert "no-such-token" not in str(after)


@pytest.mark.django_db
def test_metrics_are_for_the_monitoring_and_for_the_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", **STRANGER).status_code == 403
    assert client.get("/metrics", **STRANGER, HTTP_AUTHORIZATION="Bearer ").status_code == 403
    settings.METRICS_TOKEN = "a token of twenty letters"
    assert client.get("/metrics", **STRANGER, HTTP_AUTHORIZATION="Bearer another").status_code == 403
    answer = client.get("/metrics", **STRANGER, HTTP_AUTHORIZATION=f"Bearer {settings.METRICS_TOKEN}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")


@pytest.mark.django_db
def test_rules_and_board_name_only_metrics_that_exist(client: Client) -> None:
    text = client.get("/metrics").content.decode()
    known = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        known |= {name + end for end in (("_bucket", "_count", "_sum") if kind == "histogram" else ("",))}
    rules = yaml.safe_load((PACKAGE / "alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((PACKAGE / "grafana.json").read_text())
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expression in expressions for name in re.findall(r"\bprovisioning_\w+", expression)}
    assert len(named) > 10
    assert not named - known
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)


def test_processes_of_a_host_are_counted_together(tmp_path: Path) -> None:
    script = (
        "import os, django; django.setup()\n"
        "from provisioning.monitoring import metrics\n"
        "for child in range(2):\n"
        "    if not os.fork():\n"
        "        metrics.count_request(method='GET', route='sign-in/', status=200, seconds=0.1)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "metrics.EMAILS.labels('mail', 'sent').inc()\n"
        "metrics.FromDatabase.collect = lambda self: iter(())\n"  # no database here
        "print(metrics.render().decode())\n"
    )
    environment = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=product.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'provisioning_http_requests_total{method="GET",route="sign-in/",status="200"} 2.0' in shown.stdout, (
        shown.stderr
    )
    assert 'provisioning_emails_total{kind="mail",outcome="sent"} 1.0' in shown.stdout
