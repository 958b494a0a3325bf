"""A typed client that openapi-python-client generates from the description places and reads an order."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from subscriptions.models import Order
from tests.provisioning.api.client import a_key, an_order_body
from tests.provisioning.api.openapi_file import FILE


@pytest.mark.django_db(transaction=True)
def test_generated_client_places_and_reads_an_order(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yml"
    config.write_text("post_hooks: []\n")
    to = tmp_path / "generated_client"
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(FILE), "--meta", "none"]
    subprocess.run([*command, "--output-path", str(to), "--config", str(config)], check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(tmp_path))

    def module(name: str) -> Any:
        return importlib.import_module(f"generated_client.{name}")

    client = module("client").AuthenticatedClient(base_url=live_server.url, token=a_key())
    body = module("models.new_order").NewOrder.from_dict(an_order_body())
    placed = module("api.orders.place_order").sync(client=client, body=body, idempotency_key="a")
    assert placed.number == "CRM-1"
    read = module("api.orders.read_order").sync("CRM-1", client=client)
    order = Order.objects.get()
    assert (read.id, read.sold_to, read.lines[0].licenses) == (order.public_id, "Partner Networks", 250)
    assert abs(read.set_up_by - order.closes_at) < timedelta(milliseconds=1)
    refused = module("api.orders.read_order").sync_detailed("CRM-2", client=client)
    assert (refused.status_code, refused.parsed.status) == (404, 404)
    sys.modules.pop("generated_client", None)
