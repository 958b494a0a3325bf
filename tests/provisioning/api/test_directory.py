"""The directory over HTTP: another system keeps organizations current by its own ids."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from orgs.finder.matching import find_candidates
from orgs.models import Domain, Member, Organization
from provisioning import actions
from provisioning.actions import directory
from provisioning.models import DirectoryBatch, DirectoryBatchPart, Event
from provisioning.people import links
from provisioning.worker import tasks
from tests.factories import a_mapped_order, an_organization, an_own_order
from tests.provisioning.api.client import Api, a_system

pytestmark = pytest.mark.django_db

AT = "/directory/organizations"
CONTOSO: dict[str, Any] = {
    "name": "Contoso GmbH",
    "country": "DE",
    "vertical": "Retail",
    "is_partner": False,
    "domains": [
        {"name": "contoso.com"},
        {"name": "contoso.de", "status": "claimed"},
        {"name": "fabrikam.com", "status": "former", "used_until": "2022"},
    ],
    "other_names": [{"name": "CTS", "kind": "acronym"}, {"name": "A|B: Trading"}],
    "members": [{"email": "Ada@contoso.com", "role": "full"}, {"email": "bob@contoso.com"}],
    "users": 120,
    "active_users": 80,
    "active_subscriptions": 3,
    "last_activity": "2026-01-31T12:00:00Z",
}


@pytest.fixture
def crm() -> Api:
    """The vendor's CRM."""
    return a_system("directory:write")


def test_organization_is_created_read_updated_and_kept_by_its_external_id(crm: Api) -> None:
    made = crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    assert (made["external_id"], made["created_here"], made["status"]) == ("C-1001", False, "open")
    assert {(each["name"], each["status"], each["used_until"]) for each in made["domains"]} == {
        ("contoso.com", "verified", ""), ("contoso.de", "claimed", ""), ("fabrikam.com", "former", "2022"),
    }  # fmt: skip
    assert {(each["name"], each["kind"]) for each in made["other_names"]} == {
        ("CTS", "acronym"),
        ("A|B: Trading", "trading"),
    }
    assert [(each["email"], each["role"]) for each in made["members"]] == [
        ("ada@contoso.com", "full"),
        ("bob@contoso.com", "user"),
    ]
    usage = made["usage"]
    assert (usage["users"], usage["active_users"], usage["active_subscriptions"]) == (120, 80, 3)
    assert usage["last_activity"] == "2026-01-31T12:00:00Z"
    assert crm.ok("PUT", f"{AT}/C-1001", CONTOSO) == made  # the same again changes nothing
    assert crm.ok("GET", f"{AT}/C-1001") == crm.ok("GET", f"{AT}/id:{made['id']}") == made
    # The finder has it at once, by its domain, another name, and as a member.
    assert [each.organization.external_id for each in find_candidates(email="", company_name="CTS").candidates]
    assert find_candidates(email="ada@contoso.com", company_name="").result == "exact"
    # What is left out is kept; a list that is sent is complete.
    changed = crm.ok(
        "PUT", f"{AT}/C-1001", {"name": "Contoso AG", "members": [{"email": "ada@contoso.com", "role": "full"}]}
    )
    assert (changed["name"], changed["country"], len(changed["domains"]), len(changed["members"])) == (
        "Contoso AG", "DE", 3, 1,
    )  # fmt: skip


def test_change_of_what_changed_meanwhile_is_refused(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    read = crm.call("GET", f"{AT}/C-1001")["ETag"]
    assert crm.call("GET", f"{AT}/C-1001", **{"If-None-Match": read}).status_code == 304
    assert crm.call("PUT", f"{AT}/C-1001", {"name": "Contoso AG"}, **{"If-Match": read}).status_code == 200
    late = crm.refused("PUT", f"{AT}/C-1001", {"name": "Contoso SE"}, **{"If-Match": read})
    assert late[:2] == (412, "changed-meanwhile")
    assert crm.refused("PUT", f"{AT}/C-2", {"name": "New"}, **{"If-Match": "*"})[0] == 412
    assert [each["name"] for each in crm.ok("GET", AT)["data"]] == ["Contoso AG"]
    assert crm.call("GET", f"{AT}/C-1001", **{"If-None-Match": read}).status_code == 200


def test_external_id_is_stored_without_what_nobody_sees(crm: Api) -> None:
    assert crm.ok("PUT", f"{AT}/%20C-7%09", {"name": "Contoso"}, status=201)["external_id"] == "C-7"
    assert crm.ok("PUT", f"{AT}/C-7", {"name": "Contoso"})["external_id"] == "C-7"
    status, _code, errors = crm.refused("PUT", f"{AT}/%20%20", {"name": "Contoso"})
    assert (status, errors[0]["pointer"]) == (422, "/external_id")


def test_what_people_entered_is_not_removed(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    row = Organization.objects.get()
    Domain(organization=row, name="contoso.at").save()
    Member(organization=row, email="boss@contoso.com", role=Member.Role.FULL).save()
    left = crm.ok("PUT", f"{AT}/C-1001", {"name": "Contoso GmbH", "domains": [], "members": []})
    assert [each["name"] for each in left["domains"]] == ["contoso.at"]
    assert [each["email"] for each in left["members"]] == ["boss@contoso.com"]


def test_list_is_found_by_name_domain_member_and_paged(crm: Api) -> None:
    for number in range(5):
        crm.ok("PUT", f"{AT}/C-{number}", {"name": f"Company {number}", "is_partner": number == 3}, status=201)
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    for filters in ("name=contoso", "name=CTS", "domain=contoso.de", "email=ADA@contoso.com", "external_id=C-1001"):
        assert [each["external_id"] for each in crm.ok("GET", f"{AT}?{filters}")["data"]] == ["C-1001"], filters
    assert [each["external_id"] for each in crm.ok("GET", f"{AT}?is_partner=true")["data"]] == ["C-3"]
    seen, cursor = [], ""
    while True:
        page = crm.ok("GET", f"{AT}?limit=4&expand=members&cursor={cursor}")
        seen += [(each["external_id"], len(each["members"])) for each in page["data"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == [(f"C-{number}", 0) for number in range(5)] + [("C-1001", 2)]
    assert [each["email"] for each in crm.ok("GET", f"{AT}/C-1001/members?limit=1")["data"]] == ["ada@contoso.com"]


def test_what_the_wizard_made_is_listed_and_gets_the_crms_id(crm: Api) -> None:
    order = actions.map_order(
        order=an_own_order(contact="kim@initech.example", sold_to="Initech"),
        by=links.user_for("kim@initech.example"), audience="own", partner=None,
        customer=actions.New(name="Initech", vertical="", country="US", administrator_email="kim@initech.example"),
    )  # fmt: skip
    assert order.customer
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    [made] = crm.ok("GET", f"{AT}?created_here=true")["data"]
    assert (made["name"], made["external_id"], made["created_here"]) == ("Initech", None, True)
    link = f"{AT}/id:{made['id']}/external-id"
    assert crm.refused("PUT", f"{AT}/id:{made['id']}", {"name": "Initech"})[:2] == (409, "no-external-id")
    assert crm.refused("PUT", link, {"external_id": "C-1001"})[:2] == (409, "external-id-taken")
    linked = crm.ok("PUT", link, {"external_id": "C-2002"})
    assert (linked["id"], linked["external_id"], linked["created_here"]) == (made["id"], "C-2002", False)
    assert crm.ok("PUT", link, {"external_id": "C-2002"}) == linked
    assert crm.refused("PUT", link, {"external_id": "C-3"})[:2] == (409, "has-external-id")
    assert crm.ok("GET", f"{AT}?created_here=true")["data"] == []
    assert crm.ok("PUT", f"{AT}/C-2002", {"name": "Initech Inc"})["id"] == made["id"]


def test_closed_organization_is_found_by_nobody_until_it_is_opened(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    for _again in range(2):
        closed = crm.ok("POST", f"{AT}/C-1001/close")
        assert (closed["status"], bool(closed["closed_at"])) == ("closed", True)
    assert find_candidates(email="ada@contoso.com", company_name="Contoso").candidates == ()
    assert crm.ok("GET", f"{AT}?status=open")["data"] == []
    assert crm.ok("POST", f"{AT}/C-1001/reopen")["status"] == "open"
    found = find_candidates(email="", company_name="Contoso GmbH").candidates
    assert [each.organization.external_id for each in found] == ["C-1001"]


def test_two_are_merged_and_the_order_says_which_system_did_it(crm: Api) -> None:
    order = a_mapped_order()
    gone = order.customer
    assert gone
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    kept = crm.ok("POST", f"{AT}/id:{gone.public_id}/merge", {"into": "C-1001"})
    assert kept["external_id"] == "C-1001"
    order.refresh_from_db()
    assert order.customer
    assert order.customer.external_id == "C-1001"
    merged = Event.objects.get(order=order, kind=Event.Kind.MERGED)
    assert "crm" in f"{merged.who} {merged.facts}"
    shown = crm.ok("GET", f"{AT}/id:{gone.public_id}")
    assert (shown["status"], shown["merged_into"]) == ("closed", kept["id"])
    assert crm.refused("POST", f"{AT}/id:{gone.public_id}/reopen")[:2] == (409, "merged")
    assert crm.refused("POST", f"{AT}/C-1001/merge", {"into": "C-1001"})[:2] == (409, "cannot-merge")
    status, code, errors = crm.refused("POST", f"{AT}/C-1001/merge", {"into": "nobody"})
    assert (status, code, errors[0]["pointer"]) == (422, "not-valid", "/into")


def test_member_is_ended_but_not_the_last_administrator(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO | {"users": None, "active_users": None}, status=201)
    crm.ok("DELETE", f"{AT}/C-1001/members/BOB@contoso.com", status=204)
    assert crm.refused("DELETE", f"{AT}/C-1001/members/bob@contoso.com")[:2] == (404, "not-found")
    assert crm.refused("DELETE", f"{AT}/C-1001/members/ada@contoso.com")[:2] == (409, "last-administrator")
    left = crm.ok("GET", f"{AT}/C-1001")
    assert ([each["email"] for each in left["members"]], left["usage"]["users"]) == (["ada@contoso.com"], 1)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "/name", "1 to 200 characters"),
    ({"name": "x" * 201}, "/name", "1 to 200 characters"),
    ({}, "/name", "required"),
    ({"name": "x", "country": "Germny"}, "/country", "Germany (DE)"),
    ({"name": "x", "color": "red"}, "/color", ""),
    ({"name": "x", "users": 5, "active_users": 6}, "/active_users", "not more active_users"),
    ({"name": "x", "users": -1}, "/users", ""),
    ({"name": "x", "users": 10**400}, "/users", ""),
    ({"name": "x", "last_activity": "2999-01-01"}, "/last_activity", "past date"),
    ({"name": "x", "last_activity": "0001-01-01T00:00:00+14:00"}, "/last_activity", "past date"),
    ({"name": "x", "domains": [{"name": "contoso.com"}, {"name": "no domain"}]}, "/domains/1", "like contoso.com"),
    ({"name": "x", "domains": [{"name": "x.com", "status": "owned"}]}, "/domains/0/status", ""),
    ({"name": "x", "members": [{"email": "nobody"}]}, "/members/0", "an email address"),
    ({"name": "x", "other_names": [{"name": ""}]}, "/other_names/0", "1 to 200 characters"),
    ({"name": "x", "status": "gone"}, "/status", ""),
]


@pytest.mark.parametrize(("record", "pointer", "sentence"), WRONG, ids=[str(row[0])[:40] for row in WRONG])
def test_wrong_record_is_refused_as_a_whole_with_pointer_and_sentence(
    record: dict[str, Any], pointer: str, sentence: str, crm: Api
) -> None:
    status, code, errors = crm.refused("PUT", f"{AT}/C-1", record)
    assert (status, code) == (422, "not-valid")
    [found] = [each for each in errors if each["pointer"] == pointer]
    assert sentence in found["detail"]
    assert not Organization.objects.exists()


def test_domain_that_another_one_claims_is_refused_and_nothing_is_written(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    record = {"name": "Other", "domains": [{"name": "contoso.de", "status": "claimed"}]}
    _status, _code, errors = crm.refused("PUT", f"{AT}/C-2", record)
    assert errors[0]["pointer"] == "/domains"
    assert "claimed by one organization alone" in errors[0]["detail"]
    assert Organization.objects.count() == 1


def test_ids_that_lead_nowhere_and_keys_that_may_not() -> None:
    an_organization("Contoso")
    reader, other = a_system("directory:read"), a_system("orders:write", name="shop")
    assert reader.refused("GET", f"{AT}/none")[:2] == (404, "not-found")
    assert reader.refused("GET", f"{AT}/id:none")[:2] == (404, "not-found")
    assert reader.refused("GET", "/directory/batches/0190b8a0-0000-7000-8000-000000000000")[:2] == (404, "not-found")
    assert reader.refused("PUT", f"{AT}/C-1", {"name": "x"})[:2] == (403, "scope-missing")
    assert reader.refused("POST", "/directory/batches", b"{}")[:2] == (403, "scope-missing")
    assert other.refused("GET", AT)[:2] == (403, "scope-missing")
    assert reader.refused("GET", f"{AT}?colour=red")[0] == 422


def ndjson(*records: dict[str, Any] | bytes) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in records) + b"\n"


def send(crm: Api, body: bytes, status: int = 202) -> Any:
    return crm.ok("POST", "/directory/batches", body, status=status, content_type="application/x-ndjson")


def results(crm: Api, batch: Any, filters: str = "") -> list[Any]:
    found, cursor = [], ""
    while cursor is not None:
        page = crm.ok("GET", f"/directory/batches/{batch['id']}/rows?cursor={cursor}{filters}")
        found += page["data"]
        cursor = page["next_cursor"]
    return sorted(found, key=lambda each: each["line"])


def test_batch_runs_in_the_background_and_reports_each_row(crm: Api) -> None:
    crm.ok("PUT", f"{AT}/C-1001", CONTOSO, status=201)
    body = ndjson(
        {"external_id": "C-1001", **CONTOSO},
        {"external_id": "C-1", "name": "Fabrikam", "domains": [{"name": "fabrikam.example"}]},
        {"external_id": "C-2", "name": "Nowhere", "country": "Germny"},
        b"not json",
        b"",
        {"external_id": "C-3", "name": "x", "colour": "red"},
        {"external_id": "C-1", "name": "Twice"},
        {"external_id": "C-4", "name": "Claims", "domains": [{"name": "contoso.de", "status": "claimed"}]},
        {"external_id": "C-1002", "name": "Northwind"},
        b'{"external_id": "C-5", "name": "a\\u0000b"}',
        b'{"external_id": "C-6", "name": "\\ud800"}',
    )
    batch = send(crm, body)
    assert (batch["state"], batch["rows"], batch["done"]) == ("running", 10, 5)
    assert Organization.objects.count() == 1  # nothing yet
    tasks.write_directory_batches.func()
    batch = crm.ok("GET", f"/directory/batches/{batch['id']}")
    assert (batch["state"], batch["done"]) == ("finished", 10)
    assert batch["counts"] == {"created": 2, "updated": 0, "unchanged": 1, "refused": 7}
    rows = results(crm, batch)
    assert [(each["line"], each["outcome"]) for each in rows] == [
        (1, "unchanged"), (2, "created"), (3, "refused"), (4, "refused"), (6, "refused"), (7, "refused"),
        (8, "refused"), (9, "created"), (10, "refused"), (11, "refused"),
    ]  # fmt: skip
    errors = {
        each["line"]: (each["errors"][0]["pointer"], each["errors"][0]["detail"]) for each in rows if each["errors"]
    }
    assert errors[3][0] == "/country"
    assert "Germany (DE)" in errors[3][1]
    assert errors[6][0] == "/colour"
    assert errors[7] == ("/external_id", "The external id is in line 2 already; what that line says is kept.")
    assert "claimed by one organization alone" in errors[8][1]
    assert [each["line"] for each in results(crm, batch, "&outcome=created")] == [2, 9]
    assert set(Organization.objects.values_list("external_id", flat=True)) == {"C-1", "C-1001", "C-1002"}
    again = send(crm, body)
    tasks.write_directory_batches.func()
    assert crm.ok("GET", f"/directory/batches/{again['id']}")["counts"]["unchanged"] == 3


def test_batch_goes_on_where_a_worker_stopped(crm: Api) -> None:
    batch = send(crm, ndjson(*({"external_id": f"C-{n}", "name": f"Company {n}"} for n in range(1000))))
    assert directory.write_next_part()
    progress = crm.ok("GET", f"/directory/batches/{batch['id']}")
    assert (progress["state"], progress["done"], progress["counts"]["created"]) == ("running", 400, 400)
    assert Organization.objects.count() == 400
    tasks.sweep.func(timestamp=0)
    tasks.write_directory_batches.func()
    assert crm.ok("GET", f"/directory/batches/{batch['id']}")["counts"]["created"] == 1000
    assert Organization.objects.count() == 1000
    assert DirectoryBatchPart.objects.exclude(records=[]).count() == 0
    assert len(results(crm, batch)) == 1000
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        tasks.recount_use.func(timestamp=0)
        assert not DirectoryBatch.objects.exists()


def test_body_that_is_no_batch_is_refused(crm: Api) -> None:
    for body in (b"", b"\n\n", b"{}\n" * 10_001):
        status, code, _errors = crm.refused("POST", "/directory/batches", body, content_type="application/x-ndjson")
        assert (status, code) == (422, "not-valid")
    assert crm.refused("POST", "/directory/batches", {"external_id": "x"})[0] == 422  # JSON, not NDJSON
    long = b"x" * 20_000_001
    assert crm.refused("POST", "/directory/batches", long, content_type="application/x-ndjson")[:2] == (
        413,
        "too-large",
    )
    assert not DirectoryBatch.objects.exists()


def test_same_batch_with_one_idempotency_key_is_one_batch(crm: Api) -> None:
    body = ndjson({"external_id": "C-1", "name": "Contoso"})
    sent = [
        crm.ok(
            "POST", "/directory/batches", body, status=202,
            content_type="application/x-ndjson", **{"Idempotency-Key": "night-1"},
        )
        for _again in range(2)
    ]  # fmt: skip
    assert sent[0] == sent[1]
    assert DirectoryBatch.objects.count() == 1
