"""Files of orders over HTTP: planned and applied in the background, with progress, rows and a report."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from provisioning.models import Event
from provisioning.worker import tasks
from subscriptions.models import Order
from tests.factories import an_order, an_organization
from tests.provisioning.api.client import a_system

pytestmark = pytest.mark.django_db


def order(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "sold_to": "Partner Networks",
        "contact_email": "sam@partner.example",
        "customer": {"name": "Contoso", "email": "it@contoso.example"},
        "lines": [{"service": "meetings", "licenses": 25}],
        **changes,
    }


def work() -> None:
    tasks.work_on_batches.func()


def test_a_dry_run_is_read_row_by_row_and_applied_exactly() -> None:
    contoso = an_organization("Contoso", domains=["contoso.example"], country="DE")
    an_order(number="A-2", sold_to="Partner Networks", contact="sam@partner.example")
    crm = a_system("orders:write", "orders:read")
    body = [order("A-1"), order("A-2", customer={"name": "Contoso", "email": "x@gmail.com"}), order("A-3", lines=[])]
    batch = crm.ok("POST", "/orders/batches?dry_run=true", body, status=202)
    assert (batch["state"], batch["rows"]) == ("planning", 3)
    work()
    here = f"/orders/batches/{batch['id']}"
    batch = crm.ok("GET", here)
    assert (batch["state"], batch["planned"], batch["applied"]) == ("planned", 3, 0)
    assert batch["outcomes"] == {"new": 1, "unchanged": 0, "corrected": 1, "refused": 1}
    assert Order.objects.count() == 1

    page = crm.ok("GET", f"{here}/rows?limit=2")
    first, second = page["data"]
    [third] = crm.ok("GET", f"{here}/rows?limit=2&cursor={page['next_cursor']}")["data"]
    assert (first["outcome"], first["result"], first["suggestion"]) == ("new", None, None)
    changed = {each["field"]: (each["before"], each["after"]) for each in second["changes"]}
    assert changed["customer_email"] == ("it@contoso.example.org", "x@gmail.com")
    assert {each["kind"] for each in second["warnings"]} == {"free_mail", "same_customer"}
    sentence = "Say what was ordered: a number of licenses for at least one service."
    assert third["errors"] == [{"pointer": "/lines", "detail": sentence}]
    assert [row["number"] for row in crm.ok("GET", f"{here}/rows?outcome=refused")["data"]] == ["A-3"]
    # Facts of the directory are for keys that may ask the finder.
    finder = a_system("orders:read", "match:read", name="finder")
    row = finder.ok("GET", f"{here}/rows")["data"][0]
    assert (row["suggestion"]["id"], row["suggestion"]["best"]) == (str(contoso.public_id), True)

    for _time in range(2):
        assert crm.ok("POST", f"{here}/apply", status=202)["state"] == "applying"
    work()
    batch = crm.ok("GET", here)
    assert (batch["state"], batch["results"]) == ("applied", {"done": 2, "refused": 1, "changed": 0})
    placed = Order.objects.get(number="A-1").events.get(kind=Event.Kind.PLACED)
    assert placed.facts["key"] == "crm"
    assert Order.objects.get(number="A-2").customer_email == "x@gmail.com"
    report = crm.call("GET", f"{here}/report.csv")
    rows = list(csv.reader(report.getvalue().decode("utf-8-sig").splitlines()))
    assert [row[1:3] for row in rows[1:]] == [["A-1", "New"], ["A-2", "Corrected"], ["A-3", "Refused"]]


def test_csv_and_yaml_are_applied_at_once_and_the_same_file_again_changes_nothing() -> None:
    crm = a_system("orders:write")
    text = b"number,sold_to,contact_email,meetings\nB-1,Northwind,kim@northwind.example,50\n"
    yaml = (
        b"- {number: B-1, sold_to: Northwind, contact_email: kim@northwind.example,\n"
        b"   lines: [{service: meetings, licenses: 50}]}\n"
    )
    for media, content, outcome in (("text/csv", text, "new"), ("application/yaml", yaml, "unchanged")):
        batch = crm.ok("POST", "/orders/batches", content, status=202, content_type=media)
        work()
        batch = crm.ok("GET", f"/orders/batches/{batch['id']}")
        assert (batch["state"], batch["outcomes"][outcome], batch["results"]["done"]) == ("applied", 1, 1)
    # With an Idempotency-Key the same call is one batch.
    sent = [
        crm.ok("POST", "/orders/batches", [order("B-2")], status=202, **{"Idempotency-Key": "k"}) for _n in range(2)
    ]
    assert sent[0]["id"] == sent[1]["id"]


def test_what_is_no_file_of_orders_is_refused_and_needs_the_scope() -> None:
    crm = a_system("orders:write")
    for content, media in (
        (b"[", "application/json"),
        (b"\xff", "application/json"),
        (b"[]", "application/json"),
        (b"a: [", "application/yaml"),
        (b"PK\x03\x04", "text/csv"),
        (b"[]", "text/plain"),
    ):
        status, code, errors = crm.refused("POST", "/orders/batches", content, content_type=media)
        assert (status, code) == (422, "not-valid")
        assert errors[0]["detail"]
    large = b"[" + b" " * (10 * 1024 * 1024) + b"]"
    assert crm.refused("POST", "/orders/batches", large)[:2] == (413, "too-large")
    nobody = "/orders/batches/0190b8a0-0000-7000-8000-000000000000"
    assert crm.refused("GET", nobody)[:2] == (404, "not-found")
    reader = a_system("orders:read", name="reader")
    assert reader.refused("POST", "/orders/batches", [order("C-1")])[:2] == (403, "scope-missing")
    assert reader.refused("POST", f"{nobody}/apply")[:2] == (403, "scope-missing")
    other = a_system("match:read", name="other")
    assert {other.refused("GET", nobody + end)[1] for end in ("", "/rows", "/report.csv")} == {"scope-missing"}
