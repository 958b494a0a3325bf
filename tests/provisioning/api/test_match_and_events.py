"""What a CRM asks: which organization is meant, and what happened since it last asked."""

from __future__ import annotations

from typing import Any

import pytest

from orgs import rate_limits
from orgs.models import Domain, Search, SearchBudget
from provisioning import actions
from provisioning.actions.directory import MATCHES
from provisioning.models import MatchQuestion, User
from tests.factories import a_mapped_order, an_order, an_organization, signed_in
from tests.provisioning.api.client import a_system

pytestmark = pytest.mark.django_db


def test_candidates_are_answered_as_the_desk_sees_them_and_the_question_is_logged() -> None:
    contoso = an_organization(
        "Contoso", domains=["contoso.example"], administrators=["ada@contoso.example"], country="DE", external_id="C-1"
    )
    Domain(organization=contoso, name="contoso.de", status="claimed").save()
    an_organization("Contoso Iberia", domains=["contoso.es"], country="ES")
    crm = a_system("match:read")
    asked = {"email": "new@contoso.example", "company_name": "Contoso", "country": "US"}
    answer = crm.ok("POST", "/match", asked)
    assert answer["result"] == "candidates"
    first = answer["candidates"][0]
    assert (first["external_id"], first["id"], first["name"], first["best"]) == (
        "C-1", str(contoso.public_id), "Contoso", True,
    )  # fmt: skip
    assert {each["name"] for each in first["domains"]} == {"contoso.example", "contoso.de"}
    assert {each["code"] for each in first["evidence"]} >= {"another_country"}
    assert first["tie"]
    assert first["usage"]["users"] == 1
    assert crm.ok("POST", "/match", {"email": "ada@contoso.example"})["candidates"][0]["exact"]
    assert crm.ok("POST", "/match", {"company_name": "Nobody knows this"}) == {"result": "none", "candidates": []}
    log = list(
        MatchQuestion.objects.order_by("pk").values_list("asked_by", "email", "company_name", "country", "result")
    )
    assert log == [
        ("crm", "new@contoso.example", "Contoso", "US", "candidates"),
        ("crm", "ada@contoso.example", "", "", "exact"),
        ("crm", "", "Nobody knows this", "", "none"),
    ]
    # It counts against the key, and against nobody's search limit.
    assert list(
        SearchBudget.objects.filter(searches__gt=0).exclude(key__startswith="api:").values_list("key", flat=True)
    ) == ["match:crm"]
    assert not Search.objects.exists()
    User.objects.create_superuser("desk@vendor.example")
    page = signed_in("desk@vendor.example").get("/admin/provisioning/matchquestion/")
    assert "Nobody knows this" in page.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/company_name"), ({"email": "nobody"}, "/email"), ({"company_name": "x", "country": "Germny"}, "/country"),
     ({"company_name": "x", "limit": 26}, "/limit"), ({"company_name": "x" * 201}, "/company_name"),
     ({"company_name": "x", "size": 5}, "/size")],
)  # fmt: skip
def test_question_that_is_none_is_refused_and_not_logged(body: dict[str, Any], pointer: str) -> None:
    status, code, errors = a_system("match:read").refused("POST", "/match", body)
    assert (status, code, errors[0]["pointer"]) == (422, "not-valid", pointer)
    assert not MatchQuestion.objects.exists()


def test_match_needs_its_own_scope_and_ends_at_its_limit() -> None:
    other = a_system("directory:read", "orders:read", name="a")
    assert other.refused("POST", "/match", {"email": "x@y.example"})[0] == 403
    rate_limits.spend({"match:crm": MATCHES})
    SearchBudget.objects.filter(key="match:crm").update(searches=MATCHES)
    response = a_system("match:read").call("POST", "/match", {"company_name": "Contoso"})
    assert (response.status_code, response["Retry-After"]) == (429, "3600")


def test_events_say_what_webhooks_would_have_said_since_a_cursor() -> None:
    system = a_system("events:read")
    assert system.ok("GET", "/events") == {"data": [], "next": 0, "has_more": False}
    first = a_mapped_order()
    second = an_order()
    actions.correct_order(order=second, sold_to="Initech")
    page = system.ok("GET", "/events?limit=2")
    assert [each["type"] for each in page["data"]] == ["order.placed", "order.mapped"]
    assert page["has_more"]
    assert page["data"][1]["data"]["order"] == {
        "id": str(first.public_id), "number": first.number, "state": "mapped",
    }  # fmt: skip
    rest = system.ok("GET", f"/events?after={page['next']}")
    assert [(each["type"], each["data"]["order"]["number"]) for each in rest["data"]] == [
        ("order.placed", second.number),
        ("order.corrected", second.number),
    ]
    assert not rest["has_more"]
    assert system.ok("GET", f"/events?after={rest['data'][-1]['id']}")["data"] == []
    assert system.ok("GET", f"/events?after={rest['next']}")["next"] == rest["next"]
    actions.cancel_order(order=second, by=None)
    [new] = system.ok("GET", f"/events?after={rest['next']}")["data"]
    assert (new["type"], new["position"] > rest["next"]) == ("order.cancelled", True)
    assert len(system.ok("GET", f"/events?order={second.number}")["data"]) == 3
    picked = system.ok("GET", "/events?types=order.cancelled,order.mapped")["data"]
    assert [each["type"] for each in picked] == ["order.mapped", "order.cancelled"]
    assert len(system.ok("GET", "/events?types=order.*")["data"]) == 5
    assert system.ok("GET", "/events?types=subscription.*")["data"] == []


def test_wrong_parameters_of_events_are_named() -> None:
    system = a_system("events:read")
    for query, parameter in (
        ("after=x", "after"), ("after=-1", "after"), ("types=order.drawn", "types"), ("limit=0", "limit"),
        ("limit=1001", "limit"), ("order=%00", "order"), ("afer=5", "afer"),
        ("after=0190b8a0-0000-7000-8000-000000000000", "after"), ("after=" + "-" * 36, "after"),
    ):  # fmt: skip
        status, code, errors = system.refused("GET", f"/events?{query}")
        assert (status, code, errors[0]["parameter"]) == (422, "not-valid", parameter), query
    assert a_system("orders:read", name="x").refused("GET", "/events")[0] == 403
