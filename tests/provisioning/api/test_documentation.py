"""The OpenAPI document and its file, the page, and the examples of the page, run by curl."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.test import Client
from ninja import Schema
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from orgs.models import Organization
from provisioning.api.changelog import CHANGES, VERSIONS, Change
from provisioning.api.routers import openapi_document
from provisioning.models import SCOPES
from subscriptions.models import ProvisioningRequest
from tests.provisioning.api.client import Api, a_key, an_order_body
from tests.provisioning.api.openapi_file import FILE, digest_before, digest_of, fault_of, text_of_document
from tests.provisioning.api.test_orders import confirm


def test_document_is_the_file_and_each_change_has_its_entry_in_the_changelog() -> None:
    text = text_of_document()
    assert FILE.read_text() == text, "python -m tests.provisioning.api.openapi_file writes it"
    assert fault_of(CHANGES, digest=digest_of(text), before=digest_before()) == ""
    assert VERSIONS[-1] == CHANGES[0].version
    assert json.loads(Client().get("/api/v1/openapi.json").content) == json.loads(text)


def test_a_change_without_an_entry_of_its_own_is_told() -> None:
    first, second = Change("2026-11-27", "First.", "a"), Change("2026-11-27", "Second.", "b")
    assert fault_of([second, first], digest="b", before="a") == ""
    assert "needs an entry" in fault_of([first], digest="b", before="a")
    assert "used again" in fault_of([first._replace(document="b")], digest="b", before="a")
    assert "same document" in fault_of([second, first._replace(document="b")], digest="b", before=None)


def test_every_operation_is_documented_with_an_example_and_its_scope() -> None:
    html = Client().get("/api/docs/").content.decode()
    document, ids = openapi_document(), set()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.add(operation["operationId"])
            assert operation["summary"]
            assert operation["description"]
            assert operation["x-codeSamples"], (method, path)
            assert operation["security"] == [{"Key": []}]
            assert set(operation["x-scopes"]) <= set(SCOPES)
            assert f'id="{operation["operationId"]}"' in html
            names = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
            assert ("Idempotency-Key" in names) == (method == "post")
            success = [status for status in operation["responses"] if int(status) < 300]
            assert success, (method, path)
    assert len(ids) == sum(len(methods) for methods in document["paths"].values())
    for change in CHANGES:
        assert change.text in html
    assert "Fields of the answer" in html
    assert "With <code>If-None-Match</code> and the ETag" in html
    assert html.index('id="placeOrder"') < html.index('id="startOrderBatch"')
    for short in ("/api/", "/api/docs"):
        assert Client().get(short)["Location"] == "/api/docs/"


def test_every_schema_has_a_name_of_its_own() -> None:
    openapi_document()
    found, left = [], [Schema]
    while left:
        found += (below := left.pop().__subclasses__())
        left += below
    names = Counter(each.__name__ for each in set(found) if each.__module__.startswith("provisioning.api."))
    assert "OrganizationBatch" in names
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.django_db(transaction=True)
def test_every_example_runs(live_server: LiveServer, settings: Settings, tmp_path: Path) -> None:
    settings.PROVISIONING = {"meetings": "callback"}
    settings.OUTGOING_ALLOW_PRIVATE = [ip_network("127.0.0.0/8")]
    order, key = confirm(), a_key()
    api, receiver = Api(key), "http://127.0.0.1:9/webhooks"
    api.post("/webhook-endpoints", {"url": receiver})
    endpoint = api.json["id"]
    api.post("/webhook-endpoints", {"url": receiver})
    removed = api.json["id"]
    api.post("/orders/batches?dry_run=true", [an_order_body("CRM-1")])
    orders = api.json["id"]
    api.post("/directory/batches", b'{"external_id": "C-9", "name": "Initech"}', content_type="application/x-ndjson")
    variables = {
        "API": f"{live_server.url}/api/v1",
        "KEY": key,
        "BATCH_ID": api.json["id"],
        "ENDPOINT_ID": endpoint,
        "OLD_ENDPOINT_ID": removed,
        "RECEIVER": receiver,
        "ORGANIZATION_ID": str(Organization.objects.get(name="Contoso").public_id),
        "ORDER": order.number,
        "REQUEST_ID": str(ProvisioningRequest.objects.get().public_id),
        "PATH": os.environ["PATH"],
        "NO_PROXY": "*",
    }
    run = []
    methods = [pair for each in openapi_document()["paths"].values() for pair in each.items()]
    # What deletes comes last.
    for _method, operation in sorted(methods, key=lambda pair: pair[0] == "delete"):
        for sample in operation["x-codeSamples"]:
            own = {"BATCH_ID": orders} if "/orders/batches/" in sample["source"] else {}
            script = f'curl() {{ command curl -sS --fail-with-body "$@"; }}\n{sample["source"]}'
            done = subprocess.run(
                ["bash", "-c", script], env=variables | own, cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, (sample["source"], done.stdout, done.stderr)
            run.append(operation["operationId"])
    assert {"placeOrder", "cancelOrder", "reportProvisioning"} <= set(run)
    assert (tmp_path / "summary.pdf").read_bytes().startswith(b"%PDF")
