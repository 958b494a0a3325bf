"""What a CRM does with orders through the API, and what people, the desk and the history get of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.history import verification
from provisioning.history.event_sentences import DESK, sentences_for
from provisioning.models import Event, Mail
from provisioning.rules import refusals
from provisioning.worker import tasks
from subscriptions.models import Document, Order, ProvisioningRequest
from subscriptions.rules.validation import Problem, Refused
from tests.driver import Wizard
from tests.factories import a_mapped_order, an_order, signed_in
from tests.provisioning.api.client import Api, a_key, an_order_body

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"


@pytest.fixture
def api() -> Api:
    """The CRM, with a key for everything."""
    return Api(a_key())


def confirm(meetings: int = 250) -> Order:
    """Return an order whose set-up a person has confirmed."""
    wizard = Wizard(signed_in(KIM), a_mapped_order(meetings=meetings), "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso-main", time_zone="Europe/Berlin", early_release="no")
    wizard.fill("review")
    return wizard.order


def test_an_order_is_placed_once_and_read(api: Api) -> None:
    answer = api.post("/orders", an_order_body())
    assert answer.status_code == 201
    assert answer["Location"].endswith("/api/v1/orders/CRM-1")
    placed = api.json
    order = Order.objects.get()
    assert placed["id"] == str(order.public_id)
    assert placed["lines"] == [{"number": 1, **line} for line in an_order_body()["lines"]]
    assert placed["customer"] == an_order_body()["customer"]
    assert (placed["state"], placed["is_closed"]) == ("placed", False)
    assert placed["placed_at"].endswith("Z")
    assert abs(datetime.fromisoformat(placed["set_up_by"]) - order.closes_at) < timedelta(seconds=1)
    mail = Mail.objects.get()
    assert (mail.event, mail.to) == ("order_placed", "sam@partner.example.net")

    # The same number with the same facts, however they are written: the same order, as it is.
    again = an_order_body(contact_email=" Sam@Partner.Example.net ", sold_to="Partner Networks ")
    assert api.post("/orders", again).status_code == 200
    assert api.json == placed
    assert (Order.objects.count(), Mail.objects.count()) == (1, 1)
    lines = an_order_body()["lines"]
    others: dict[str, dict[str, Any]] = {
        "/sold_to": {"sold_to": "Somebody else"},
        "/contact_email": {"contact_email": "kim@partner.example.net"},
        "/customer/name": {"customer": {"name": "Fabrikam", "email": "it@contoso.example.org"}},
        "/customer/email": {"customer": {"name": "Contoso"}},
        "/lines": {"lines": [lines[0] | {"licenses": 251}]},
        "/set_up_by": {"set_up_by": (timezone.now() + timedelta(days=99)).isoformat()},
    }
    for pointer, other in others.items():
        answer = api.post("/orders", an_order_body(**other))
        assert (answer.status_code, api.problem, list(api.faults)) == (409, "order-differs", [pointer])
    assert api.post("/orders", an_order_body(customer=None)).status_code == 409
    assert list(api.faults) == ["/customer/name", "/customer/email"]
    order.refresh_from_db()
    assert (order.sold_to, Mail.objects.count()) == ("Partner Networks", 1)

    read = api.get("/orders/CRM-1")
    assert api.json == placed
    assert api.get("/orders/CRM-1", if_none_match=read["ETag"]).status_code == 304
    assert api.get("/orders/CRM-2").status_code == 404
    # A contact that the order had once is no other fact; the product and the term may be left out.
    actions.correct_order(order=order, contact_email="kim@partner.example.net")
    assert api.post("/orders", an_order_body()).status_code == 200
    short = {"sold_to": "Contoso", "contact_email": KIM, "lines": [{"service": "calling", "licenses": 5}]}
    assert api.post("/orders", short).status_code == 201
    assert api.json["lines"] == [
        {"number": 1, "service": "calling", "product": "Calling", "licenses": 5, "term_months": 12}
    ]
    assert (api.json["number"][:3], api.json["customer"]) == ("PO-", None)
    day = (timezone.now() + timedelta(days=40)).date()
    api.post("/orders", an_order_body("CRM-3", set_up_by=str(day)))
    assert api.json["set_up_by"] == f"{day}T23:59:59Z"


LINE = an_order_body()["lines"][0]
REFUSED: list[tuple[dict[str, Any], str, Problem]] = [
    ({"number": "a b"}, "/number", Problem.NUMBER),
    ({"number": "x" * 41}, "/number", Problem.NUMBER),
    ({"number": 5}, "/number", Problem.NUMBER),
    ({"sold_to": ""}, "/sold_to", Problem.SOLD_TO),
    ({"sold_to": None}, "/sold_to", Problem.SOLD_TO),
    ({"sold_to": "x" * 201}, "/sold_to", Problem.SOLD_TO),
    ({"contact_email": "sam"}, "/contact_email", Problem.CONTACT_EMAIL),
    ({"contact_email": "a@example.com, b@example.com"}, "/contact_email", Problem.SEVERAL_ADDRESSES),
    ({"customer": {"name": "x\u202ey"}}, "/customer/name", Problem.CUSTOMER_NAME),
    ({"customer": {"name": "Contoso", "email": "it"}}, "/customer/email", Problem.CUSTOMER_EMAIL),
    ({"customer": {"email": "a@example.com, b@example.com"}}, "/customer/email", Problem.SEVERAL_ADDRESSES),
    ({"lines": []}, "/lines", Problem.NO_LINES),
    ({"lines": None}, "/lines", Problem.NO_LINES),
    ({"lines": [LINE | {"service": "mail"}]}, "/lines/0/service", Problem.SERVICE),
    ({"lines": [LINE, LINE | {"service": "calling", "licenses": 0}]}, "/lines/1/licenses", Problem.LICENSES),
    ({"lines": [LINE | {"licenses": 10**30}]}, "/lines/0/licenses", Problem.LICENSES),
    ({"lines": [LINE | {"licenses": "5"}]}, "/lines/0/licenses", Problem.LICENSES),
    ({"lines": [LINE | {"term_months": 121}]}, "/lines/0/term_months", Problem.TERM),
    ({"lines": [LINE | {"product": "x" * 81}]}, "/lines/0/product", Problem.PRODUCT),
    ({"lines": [LINE | {"number": 0}]}, "/lines/0/number", Problem.LINE_NUMBER),
    ({"lines": [LINE | {"number": 1}] * 2}, "/lines/1/number", Problem.LINE_NUMBER_TWICE),
    ({"set_up_by": "2020-01-01"}, "/set_up_by", Problem.SET_UP_BY),
    ({"set_up_by": "soon"}, "/set_up_by", Problem.SET_UP_BY),
]


def test_a_value_is_refused_at_its_place_with_the_sentence_of_the_form(api: Api) -> None:
    for change, pointer, problem in REFUSED:
        answer = api.post("/orders", an_order_body(**change))
        assert (answer.status_code, api.problem) == (422, "not-valid"), change
        assert api.faults == {pointer: refusals.sentence(Refused(problem))}, change
    api.post("/orders", {"color": 1})
    assert set(api.faults) == {"/sold_to", "/contact_email", "/lines", "/color"}
    assert not Order.objects.exists()


def test_an_order_is_corrected_as_long_as_it_is_as_it_was_read(api: Api) -> None:
    api.post("/orders", an_order_body())
    etag = api.get("/orders/CRM-1")["ETag"]
    first = api.patch("/orders/CRM-1", {"sold_to": "Partner Networks Ltd"}, if_match=etag)
    assert (first.status_code, api.json["sold_to"], api.json["lines"][0]["licenses"]) == (
        200,
        "Partner Networks Ltd",
        250,
    )
    api.patch("/orders/CRM-1", {"sold_to": "Too late"}, if_match=etag)
    assert (api.answer.status_code, api.problem) == (412, "changed-meanwhile")
    for path, body in (("cancel", None), ("extend", {"days": 1}), ("contact", {"contact_email": KIM})):
        assert api.post(f"/orders/CRM-1/{path}", body, if_match=f"W/{first['ETag']}").status_code == 412
    assert first["ETag"] == api.get("/orders/CRM-1?expand=history")["ETag"]
    lines = [LINE | {"licenses": 300, "number": 10}, LINE | {"licenses": 50, "number": 20, "product": "Meetings APAC"}]
    assert api.patch("/orders/CRM-1", {"lines": lines, "customer": None}, if_match="*").status_code == 200
    assert (api.json["customer"], [(line["number"], line["licenses"]) for line in api.json["lines"]]) == (
        None,
        [(10, 300), (20, 50)],
    )
    api.patch("/orders/CRM-1", {"contact_email": "sam"})
    assert api.faults == {"/contact_email": refusals.sentence(Refused(Problem.CONTACT_EMAIL))}
    api.patch("/orders/CRM-1", {"number": "CRM-2"})
    assert list(api.faults) == ["/number"]
    order = Order.objects.get()
    corrected = Event.objects.filter(order=order, kind="corrected")
    assert [set(event.facts["changes"]) for event in corrected] == [
        {"sold_to"},
        {"lines", "customer_name", "customer_email"},
    ]


def test_what_the_desk_does_to_an_order_a_system_can_do_too(api: Api) -> None:
    api.post("/orders", an_order_body())
    api.post("/orders/CRM-1/contact", {"contact_email": KIM})
    assert api.json["contact_email"] == KIM
    api.post("/orders/CRM-1/contact", {"contact_email": KIM})
    api.post("/orders/CRM-1/resend")
    until = datetime.fromisoformat(api.json["set_up_by"])
    api.post("/orders/CRM-1/extend", {"days": 14, "reason": "Holidays."})
    assert datetime.fromisoformat(api.json["set_up_by"]) - until == timedelta(days=14)
    api.post("/orders/CRM-1/extend", {"set_up_by": str(until.date())})
    assert api.faults == {"/set_up_by": refusals.sentence(Refused(Problem.NOT_LATER))}
    for body in ({}, {"days": 1, "set_up_by": "2040-01-01"}):
        assert api.post("/orders/CRM-1/extend", body).status_code == 422
    assert [(mail.event, mail.to) for mail in Mail.objects.order_by("pk")] == [
        ("order_placed", "sam@partner.example.net"),
        ("order_placed", KIM),
        ("order_placed", KIM),
        ("order_extended", KIM),
    ]
    # Handed to the order desk, nobody else can do anything with it until it is released.
    api.post("/orders/CRM-1/hand-to-desk", {"reason": ""})
    assert api.faults == {"/reason": refusals.sentence(Refused(Problem.REASON))}
    for _twice in range(2):
        api.post("/orders/CRM-1/hand-to-desk", {"reason": "Disputed.", "message": "We clear something up."})
        assert api.json["is_on_hold"]
    assert "We clear something up." in signed_in(KIM).get("/orders/CRM-1/", follow=True).content.decode()
    api.post("/orders/CRM-1/resend")
    assert (api.answer.status_code, api.problem) == (409, "on-hold")
    assert [order["number"] for order in api.get("/orders?state=on_hold").json()["data"]] == ["CRM-1"]
    assert api.post("/orders/CRM-1/notes", {"text": "Called on Monday."}).status_code == 201
    assert "Called on Monday." in api.json["sentence"]
    for _twice in range(2):
        api.post("/orders/CRM-1/release")
        assert not api.json["is_on_hold"]
    Mail.objects.filter(event="order_extended").delete()
    # An order that has closed says so, and goes on when it gets more time.
    Order.objects.update(
        placed_at=timezone.now() - timedelta(days=9),
        date_set_at=timezone.now() - timedelta(days=9),
        closes_at=timezone.now() - timedelta(days=1),
    )
    api.post("/orders/CRM-1/resend")
    assert (api.answer.status_code, api.problem) == (409, "closed")
    assert api.json["detail"] == refusals.sentence(Refused(Problem.CLOSED))
    assert api.get("/orders/CRM-1").status_code == 200
    assert api.json["is_closed"]
    api.post("/orders/CRM-1/extend", {"days": 3})
    assert not api.json["is_closed"]

    for _twice in range(2):
        assert api.post("/orders/CRM-1/cancel").status_code == 200
        assert api.json["state"] == "cancelled"
    api.patch("/orders/CRM-1", {"sold_to": "x"})
    assert (api.answer.status_code, api.problem) == (409, "cancelled")
    assert Mail.objects.filter(event="order_cancelled").count() == 1

    order = Order.objects.get()
    assert not verification.check(order).problem
    events = Event.objects.filter(order=order).select_related("by")
    assert {event.facts.get("key") for event in events} == {"crm"}
    told = " ".join(line.sentence for line in sentences_for(events, DESK))
    assert "The API key “crm” placed the order" in told
    assert "The API key “crm” cancelled the order." in told
    assert "crm" not in signed_in(KIM).get("/orders/CRM-1/history/").content.decode()
    api.get("/orders/CRM-1/history?limit=2")
    newest = api.json
    assert (newest["data"][0]["kind"], newest["data"][0]["api_key"]) == ("cancelled", "crm")
    seen = list(newest["data"])
    while newest["next_cursor"]:
        api.get(f"/orders/CRM-1/history?limit=2&cursor={newest['next_cursor']}")
        newest = api.json
        seen += newest["data"]
    assert [event["hash"] for event in reversed(seen)] == [event.hash for event in events.order_by("position")]


def test_orders_are_listed_by_what_is_asked_a_page_at_a_time(api: Api) -> None:
    for number in range(5):
        an_order(number=f"L-{number}", contact=f"sam{number}@partner.example.net", customer=f"Customer {number}")
    cancelled, closed = Order.objects.get(number="L-1"), Order.objects.filter(number="L-2")
    actions.cancel_order(order=cancelled, by=None)
    old = timezone.now() - timedelta(days=9)
    closed.update(placed_at=old, date_set_at=old, closes_at=timezone.now() - timedelta(days=1))

    def numbers(query: str) -> list[str]:
        assert api.get(f"/orders{query}").status_code == 200, api.json
        return [order["number"][2:] for order in api.json["data"]]

    assert numbers("") == ["4", "3", "2", "1", "0"]
    assert api.json["next_cursor"] is None
    assert api.json["data"][0] == api.get("/orders/L-4").json()  # and nothing that only an order can expand
    assert numbers("?limit=2") == ["4", "3"]
    cursor = api.json["next_cursor"]
    an_order(number="L-5", customer="Later")  # what is placed meanwhile shifts nothing
    assert numbers(f"?limit=2&cursor={cursor}") == ["2", "1"]
    assert numbers(f"?limit=2&cursor={api.json['next_cursor']}") == ["0"]
    assert api.json["next_cursor"] is None
    today, before = timezone.now().date(), (timezone.now() - timedelta(days=5)).isoformat().replace("+", "%2B")
    for query, found in {
        "state=cancelled": "1",
        "state=cancelled,closed": "21",
        f"placed_before={before}": "2",
        f"placed_from={today}&q=customer": "4310",
        f"set_up_by_before={today + timedelta(days=1)}": "2",
        f"set_up_by_from={today + timedelta(days=1)}&contact=sam3@partner.example.net": "3",
        "contact=SAM4@partner.example.net": "4",
        "customer=omer%203": "3",
        "customer=it@contoso.example.org&q=L-0": "0",
        "q=partner%20customer%202": "2",
        "q=sam1@": "1",
        "q=%25": "",
    }.items():
        assert "".join(numbers(f"?{query}")) == found, query


def test_provisioning_and_summary_are_those_of_the_pages(api: Api, settings: Settings) -> None:
    settings.PROVISIONING = {}
    order = confirm()
    assert api.get(f"/orders/{order.number}/provisioning").status_code == 200
    request = ProvisioningRequest.objects.get()
    assert [(each["id"], each["state"], each["licenses"]) for each in api.json["data"]] == [
        (str(request.public_id), "succeeded", 250)
    ]
    api.get(f"/orders/{order.number}/summary")
    summary = api.json
    assert (summary["number"], summary["state"]) == (order.number, "set_up")
    assert summary["set_up_at"].endswith("Z")
    assert "contoso-main" in json.dumps(summary)
    api.get(f"/orders/{order.number}?expand=history,provisioning,summary")
    assert api.json["summary"] == summary
    assert api.json["provisioning"][0]["id"] == str(request.public_id)
    assert api.json["history"][0]["kind"]
    assert api.json["customer_organization"]["name"] == "Contoso"
    api.get(f"/orders/{order.number}?expand=secrets")
    assert list(api.faults) == ["expand"]

    tasks.make_pdfs(Document.objects.latest("pk").pk)
    page = signed_in(KIM).get(f"/orders/{order.number}/summary.pdf")
    document = api.get(f"/orders/{order.number}/summary.pdf")
    assert (document.status_code, document["Content-Type"]) == (200, "application/pdf")
    assert document.content == page.content
    assert document["ETag"] == page["ETag"]
    assert api.get(f"/orders/{order.number}/summary.pdf", if_none_match=page["ETag"]).status_code == 304
    assert api.get(f"/orders/{order.number}/summary.pdf?language=xx").status_code == 422
    assert Api(a_key("reader", ["documents:read"])).get(f"/orders/{order.number}/summary").status_code == 200
    assert Api(a_key("other", ["orders:read"])).get(f"/orders/{order.number}/summary.pdf").status_code == 403
    api.post(f"/orders/{order.number}/cancel")
    assert (api.answer.status_code, api.problem) == (409, "already-set-up")
    early = an_order()
    api.get(f"/orders/{early.number}/summary.pdf")
    assert (api.answer.status_code, api.problem) == (409, "no-summary-yet")


def test_an_order_that_is_being_set_up_is_cancelled_with_what_was_begun(api: Api, settings: Settings) -> None:
    settings.PROVISIONING = {"meetings": "callback"}
    order = confirm()
    api.patch(f"/orders/{order.number}", {"sold_to": "x"})
    assert (api.answer.status_code, api.problem) == (409, "being-set-up")
    request = ProvisioningRequest.objects.get()
    assert api.call("PUT", f"/provisioning/{request.public_id}", {"state": "running"}).status_code == 200
    assert api.post(f"/orders/{order.number}/cancel").status_code == 200
    request.refresh_from_db()
    assert (api.json["state"], request.state) == ("cancelled", "cancelled")
    api.call("PUT", f"/provisioning/{request.public_id}", {"state": "succeeded"})
    assert (api.answer.status_code, api.problem) == (409, "over")


def test_times_are_in_utc_whatever_the_vendors_zone(api: Api, settings: Settings) -> None:
    settings.TIME_ZONE = "America/New_York"
    day = (timezone.now() + timedelta(days=40)).date()
    api.post("/orders", an_order_body(set_up_by=str(day)))
    until = datetime.fromisoformat(api.json["set_up_by"])
    assert api.json["set_up_by"].endswith("Z")
    assert until.astimezone(UTC).date() == day + timedelta(days=1)
    assert datetime.fromisoformat(api.json["placed_at"]).tzinfo == UTC
