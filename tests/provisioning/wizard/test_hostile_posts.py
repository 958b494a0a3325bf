"""Whatever is sent to either wizard, nothing breaks and nothing is lost.

Hypothesis posts through the real addresses. The normal run is short; for a long one:
``HYPOTHESIS_EXAMPLES=5000 pytest tests/provisioning/wizard/test_hostile_posts.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from orgs.models import Member, Organization
from provisioning.models import Draft
from provisioning.wizard import steps
from subscriptions.models import Order, Site
from tests.databases import rolled_back
from tests.driver import Wizard, form_fields
from tests.factories import an_order, an_organization, signed_in

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "15"))
hostile = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

SAM = "sam@partner.example"
SCRIPT = '"><script>alert(1)</script>'
STEPS = {"find": [step.name for step in steps.FINDER], "set_up": [step.name for step in steps.SETUP]}
CONFIRMS = {("find", "intent"), ("find", "administrator"), ("find", "review"), ("set_up", "review")}
FORGED = (
    "step", "wizard_goto_step", "find-current_step", "order", "user", "is_staff", "back", "add", "remove", "split",
    "revision", "csrfmiddlewaretoken", "domain", "partner-domain", "customer-domain", "customer-organization",
    "partner-organization", "customer-check-duplicate", "partner-check-duplicate", "intent-audience", "intent-email",
    "review-delegate", "additional-TOTAL_FORMS", "additional-INITIAL_FORMS", "additional-MAX_NUM_FORMS",
    "additional-0-name", "additional-1-name", "additional-99-name", "additional-999-name", "additional--1-name",
    "additional-0-DELETE", "licenses-site_site-one", "licenses-site_", "__proto__", "", "\0", "x" * 5000,
)  # fmt: skip
NASTY = (
    "", " ", "\0", "a\0b", "\ufffd", "\u202eexe.piz", "\u2066a", "\x1b[31m", "\r\nSet-Cookie: a=b", "x" * 300,
    "x" * 100_000, "9" * 5000, "-1", "0", "1e9", "NaN", "٣", "ＡＢＣ", "on", "new", "yes", "no", "later", "now",
    "other", "own", "customer", "DE", "US", "XX", "Europe/Berlin", "Europe/Paris", "../../etc/passwd", "{{ 7*7 }}",
    "%s%n", "'; --", SCRIPT, "sam@partner.example", "a@b.example", "it@contoso.example", "contoso.example", "gmail.com",
    "xn--", "xn--a-ecp.example", "a" * 64 + ".example", "." * 300, "00000000-0000-0000-0000-000000000000", "0.", "1.x",
    "99999999999999999999.0000000000000000", "0.0.0", "2", "50", "999", "1000000000000", "site-one", "site-two",
)  # fmt: skip
text = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=20).map(lambda some: SCRIPT + some),
)


@dataclass(frozen=True)
class Place:
    """A wizard with every step of it answered."""

    wizard: Wizard
    flow: str


def a_finder() -> Wizard:
    """A partner's order, both organizations new, up to the review."""
    an_organization("Contoso", domains=["contoso.example"], administrators=["it@contoso.example"])
    an_organization("Other", domains=["other.example"], administrators=["boss@other.example"])
    order = an_order(contact=SAM, customer="Fabrikam", customer_email="it@fabrikam.example")
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Partner Networks")
    wizard.fill("customer-details")
    wizard.make("customer", "Fabrikam")
    assert wizard.at == "review"
    return wizard


def an_asker() -> Wizard:
    """An own order of somebody who isn't an administrator of their company, up to asking."""
    an_organization("Adventure", administrators=["boss@adventure.example"], members=["lee@adventure.example"])
    order = an_order(contact="lee@adventure.example", sold_to="Adventure", customer="")
    wizard = Wizard(signed_in("lee@adventure.example"), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    assert wizard.at == "administrator"
    return wizard


def a_set_up() -> Wizard:
    """A mapped order with both services and two sites, up to the review."""
    an_organization("Northwind", administrators=["kim@northwind.example"])
    order = an_order(contact="kim@northwind.example", sold_to="Northwind", customer="", meetings=10, calling=5)
    finder = Wizard(signed_in("kim@northwind.example"), order)
    finder.open()
    finder.fill("intent", audience="own")
    finder.fill("customer")
    finder.fill("review")
    wizard = Wizard(finder.client, order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="site-one", time_zone="Europe/Paris", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "site-two", "0__early_release": "no"})
    wizard.fill("licenses", **{"site_site-one": "7", "site_site-two": "3"})
    wizard.fill_headquarters()
    assert wizard.at == "review"
    return wizard


@pytest.fixture(scope="module")
def places(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Place]]:
    """Answer the wizards once; each test undoes what it writes."""
    with django_db_blocker.unblock(), rolled_back():
        yield [Place(a_finder(), "find"), Place(an_asker(), "find"), Place(a_set_up(), "set_up")]


def kept(wizard: Wizard) -> dict[str, Any]:
    """The order's kept answers by step."""
    draft = Draft.objects.get(order=wizard.order)
    return {name: entry["answer"] for name, entry in draft.steps.get(wizard.flow, {}).items()}


def typed(wizard: Wizard) -> set[str]:
    """The steps of which something typed is kept."""
    draft = Draft.objects.get(order=wizard.order)
    return {key.partition(".")[2] for of_person in draft.typed.values() for key in of_person}


def rows() -> tuple[int, ...]:
    """Counts of what only a confirmation may make."""
    return tuple(model.objects.count() for model in (Organization, Member, Site, Order))


def check(place: Place, step: str, send: Any) -> None:
    """Send something to a step; nothing breaks, and what was answered is there unless the step itself was answered."""
    wizard = place.wizard
    with rolled_back():
        answers, counts, state = kept(wizard), rows(), Order.objects.get(pk=wizard.order.pk).state
        response = send(wizard.client, wizard.url(step))
        assert response.status_code in {200, 302, 400, 404, 405}, response.status_code
        assert "<script>alert" not in response.content.decode(errors="replace")
        if response.status_code == 302:
            shown = wizard.client.get(response["Location"], follow=True)
            assert shown.status_code == 200
            assert "<script>alert" not in shown.content.decode()
        else:
            assert kept(wizard) == answers
        if (place.flow, step) in CONFIRMS:
            return  # a confirmation, a hand-over: what it does has tests of its own
        assert rows() == counts
        assert Order.objects.get(pk=wizard.order.pk).state in {state, Order.State.PLACED}
        after = kept(wizard)
        if after.get(step) == answers.get(step):
            assert after == answers
        else:
            assert {name: after[name] for name in after if name != step} == {
                name: answer for name, answer in answers.items() if name != step and name in after
            }
            lost = set(answers) - set(after)
            assert lost <= typed(wizard)


@pytest.mark.parametrize("which", range(3), ids=["finder", "asking", "set-up"])
@hostile
@given(data=st.data())
def test_hostile_fields_break_nothing_and_lose_nothing(places: list[Place], which: int, data: st.DataObject) -> None:
    place = places[which]
    step = data.draw(st.sampled_from([*STEPS[place.flow], "no-such-step", "-", "review--"]))
    fields: dict[str, Any] = {}
    if step in STEPS[place.flow] and data.draw(st.booleans()):
        fields = dict(form_fields(place.wizard.open(step)))
    names = st.one_of(st.sampled_from([*FORGED, *fields]), text.map(lambda some: f"{step}-{some}"[:200]))
    forged = st.dictionaries(names, st.lists(text, min_size=1, max_size=3), max_size=6)
    fields |= data.draw(forged)
    query = data.draw(st.one_of(st.just(""), st.sampled_from(NASTY).map(lambda some: f"?domain={quote(some[:2000])}")))
    check(place, step, lambda client, url: client.post(url + query, fields))


@pytest.mark.parametrize("which", range(3), ids=["finder", "asking", "set-up"])
@hostile
@given(data=st.data())
def test_hostile_addresses_show_a_page(places: list[Place], which: int, data: st.DataObject) -> None:
    place = places[which]
    step = data.draw(st.sampled_from([*STEPS[place.flow], "no-such-step"]))
    names = st.sampled_from(["domain", "problem", "changed", "kept", "customer-domain", "revision", "page", "\0"])
    query = "&".join(
        f"{quote(name)}={quote(value[:2000])}"
        for name, value in data.draw(st.lists(st.tuples(names, text), max_size=3))
    )
    query += data.draw(
        st.sampled_from(["", "&%", "&%zz=%00", "&domain=%ff%fe", "&domain=%ed%a0%80", "&&&=", "&domain"])
    )
    check(place, step, lambda client, url: client.get(f"{url}?{query}"))


FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"
PART = b"--a\r\nContent-Disposition: form-data; name="
BODIES = [
    (b"", ""),
    (b"", FORM),
    (b"%", FORM),
    (b"intent-audience=%ff%fe&%zz=%&=&&;=%00", FORM),
    (b"intent-audience=%ed%a0%80", FORM),
    (b"intent-audience=own", "application/x-www-form-urlencoded; charset=utf-16"),
    (b"intent-audience=own", "application/x-www-form-urlencoded; charset=nonsense"),
    (b'{"intent-audience": "own"}', "application/json"),
    (b"\x80\x02K\x01.", "application/octet-stream"),
    (b"<x/>", "text/xml"),
    (b"x", "multipart/form-data"),
    (b"x", "multipart/form-data; boundary="),
    (PART + b"\"intent-audience\"\r\n\r\nown", PARTS),
    (PART + b"\"\x00\"; filename=\"../x\"\r\n\r\n\xff\r\n--a--\r\n", PARTS),
    (PART + b"\"intent-email\"\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--a--\r\n", PARTS),
    (PART + b"\"intent-email\"\r\n\r\n\xed\xa0\x80\r\n--a--\r\n", PARTS),
    (b"&".join(b"a%d=1" % number for number in range(1500)), FORM),
    (b"additional-0-name=" + b"x" * 1_000_000, FORM),
    (b"intent-email=" + b"x" * 3_000_000, FORM),
    (b"intent-email=" + "\u202e".encode() * 300_000, FORM),
    (b"additional-TOTAL_FORMS=" + b"9" * 100_000, FORM),
    (b"&".join(b"additional-%d-name=x" % number for number in range(999)), FORM),
]  # fmt: skip


def test_hostile_bodies_break_nothing_and_lose_nothing(places: list[Place]) -> None:
    for number, (body, content_type) in enumerate(BODIES):
        for place in places:
            names = STEPS[place.flow]
            step = names[number % len(names)]

            def send(client: Client, url: str, body: bytes = body, content_type: str = content_type) -> Any:
                return client.generic("POST", url, body, content_type=content_type)

            check(place, step, send)


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-in/code/", "/language/", "/l/x/", "/sign-in/sign-out/"])
def test_pages_around_the_wizard_take_hostile_posts(client: Client, path: str) -> None:
    client.post("/sign-in/", {"email": SAM})
    for nasty in (*NASTY, SCRIPT):
        fields = dict.fromkeys(("email", "code", "next", "language", "action", "login"), nasty)
        response = client.post(path, fields)
        assert response.status_code < 500
        assert "<script>alert" not in response.content.decode()
        assert "//" not in response.get("Location", "")
    for body, content_type in BODIES:
        assert client.generic("POST", path, body, content_type=content_type).status_code < 500


# Drafts that an older version, or somebody's repair, left behind

ENTRY = {"data": {"x": ["y"]}, "answer": {}, "display": [["a", "b"]], "revision": 1, "by": "a@b.example",
         "at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.just("x")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["organization", "name", "audience", "address", "country", "x"]), inner),
    ),
    max_leaves=4,
)
ANSWERS = st.one_of(
    JSON,
    st.sampled_from([
        {}, [], [[]], [{}], {"organization": 7, "name": None}, {"organization": "no-uuid", "name": "x"},
        {"organization": "00000000-0000-7000-8000-000000000000", "name": "Gone"}, {"duplicate": "x", "name": "x"},
        {"duplicate": "00000000-0000-7000-8000-000000000000", "name": "Gone"}, {"audience": "alien", "email": ""},
        {"audience": ["own"]}, {"site-one": 10, "other": "three"}, {"no-such-site": 10},
        {"name": "HQ", "country": "ZZ"},
        {"name": "HQ", "country": "AQ"}, {"site_name": "x", "time_zone": "Mars/Olympus", "early_release": "maybe",
         "additional_urls": True}, {"choice": "never"}, {"delegate": "yes"},
    ]),
)  # fmt: skip


def walk(place: Place, step: str) -> None:
    """Open a step, press Next where that leads, then confirm; nothing breaks."""
    client = place.wizard.client
    page = client.get(place.wizard.url(step) + "?changed", follow=True)
    assert page.status_code == 200
    fields = form_fields(page.content.decode())
    assert client.post(page.request["PATH_INFO"], fields).status_code == 302
    assert client.post(place.wizard.url(step), {**fields, "back": "1"}).status_code == 302
    assert client.post(place.wizard.url("review"), fields, follow=True).status_code == 200


@pytest.mark.parametrize("which", range(3), ids=["finder", "asking", "set-up"])
@hostile
@given(data=st.data())
def test_draft_that_cannot_be_read_is_asked_again(places: list[Place], which: int, data: st.DataObject) -> None:
    place = places[which]
    with rolled_back():
        draft = Draft.objects.get(order=place.wizard.order)
        entries = draft.steps[place.flow]
        entries["unknown-step"] = dict(ENTRY)
        step = data.draw(st.sampled_from(STEPS[place.flow]))
        part = data.draw(st.sampled_from(["entry", "answer", "data", "display", "revision", "by", "at", "missing"]))
        entry = entries.setdefault(step, dict(ENTRY))
        if part == "entry":
            entries[step] = data.draw(JSON)
        elif part == "missing":
            entry.pop(data.draw(st.sampled_from(sorted(entry))))
        else:
            entry[part] = data.draw(ANSWERS)
        draft.save()
        walk(place, step)


@pytest.mark.parametrize("broken", [[], "x", 7, {"find": [], "set_up": {"meetings": 1}}])
def test_draft_that_is_no_draft_begins_again(places: list[Place], broken: Any) -> None:
    for place in places[1:]:
        for column in ({"steps": broken}, {"typed": broken}, {"steps": broken, "typed": {"1": broken}}):
            with rolled_back():
                Draft.objects.filter(order=place.wizard.order).update(**column)
                walk(place, STEPS[place.flow][-2])


def test_answer_that_cannot_be_read_is_asked_again_with_what_was_posted_filled_in(places: list[Place]) -> None:
    wizard = places[2].wizard
    draft = Draft.objects.get(order=wizard.order)
    for broken in ("answer", "revision", "at"):
        entry = draft.steps["set_up"]["location"]
        before = entry.pop(broken)
        draft.save()
        page = wizard.open()
        assert wizard.at == "location"
        assert 'value="Headquarters"' in page
        entry[broken] = before
    draft.save()
    wizard.open()
    assert wizard.at == "review"
