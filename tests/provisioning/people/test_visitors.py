"""What strangers can make grow: little for each network, little in all, and nothing of it after an hour."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db.models import Sum
from django.db.models.functions import Length
from django.test import Client
from django.utils import timezone

from orgs.models import SearchBudget
from provisioning.models import SignInCode
from provisioning.people import links, sign_in, visitors
from tests.factories import an_order, signed_in
from tests.mailbox import newest_code

pytestmark = pytest.mark.django_db
KIM = "kim@contoso.example.org"


def ask(number: int, address: str, **more: Any) -> int:
    """Ask for a code with a new browser; return the status."""
    return Client().post("/sign-in/", {"email": f"n{number}@nowhere.example"}, REMOTE_ADDR=address, **more).status_code


def stored() -> tuple[int, int]:
    """Return how many sessions there are, and how many characters are in them."""
    rows = Session.objects.annotate(length=Length("session_data"))
    return rows.count(), rows.aggregate(all=Sum("length"))["all"] or 0


def test_flood_of_requests_for_codes_is_bounded_for_a_network_and_in_all_and_ends_within_the_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visitors, "CODES", {"network": 5, "all": 12})
    signed_in(KIM)
    others = stored()[0]
    assert [ask(number, "203.0.113.1") for number in range(9)] == [302] * 5 + [429] * 4
    # Addresses of one IPv6 network are one visitor's; every further network has its own limit, up to that of all.
    assert [ask(number, f"2001:db8::{number:x}") for number in range(20, 29)] == [302] * 5 + [429] * 4
    assert [ask(number, f"198.51.100.{number}") for number in range(40, 60)] == [302] * 2 + [429] * 18
    assert SignInCode.objects.count() == 12
    assert stored()[0] - others == 12
    assert stored()[1] < (12 + others) * 2000
    assert SearchBudget.objects.filter(key__startswith="visitor").count() <= 5
    page = Client().post("/sign-in/", {"email": KIM}, REMOTE_ADDR="203.0.113.1", HTTP_ACCEPT_LANGUAGE="de")
    assert "Zu viele Codes angefordert" in page.content.decode()
    # Whoever has a link gets in meanwhile.
    order = an_order(contact="sam@partner.example")
    path = re.sub(r"^https?://[^/]+", "", links.url_for(order.links.get()))
    sam = Client()
    assert sam.post(path, REMOTE_ADDR="203.0.113.1").status_code == 302
    sam.post("/sign-in/code/", {"code": newest_code("sam@partner.example")}, REMOTE_ADDR="203.0.113.1")
    assert sam.get("/orders/").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        sign_in.forget_old_codes()
        visitors.forget()
        assert SignInCode.objects.filter(user=None).count() == 0
        assert stored()[0] == others + 1  # those who are signed in
        assert sam.get("/orders/").status_code == 200
        assert not SearchBudget.objects.filter(key__startswith="visitor").exists()
        assert ask(99, "203.0.113.1") == 302


def test_flood_of_challenges_for_passkeys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "PASSKEYS", {"network": 3, "all": 5})
    asked = [
        Client().post("/sign-in/passkey/options/sign-in/", REMOTE_ADDR=f"198.51.100.{at // 4}") for at in range(12)
    ]
    assert [answer.status_code for answer in asked] == [200] * 3 + [429] + [200] * 2 + [429] * 6
    assert stored()[0] == 5


def test_flood_of_answers_without_signing_in_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "ANSWERS", {"network": 3, "all": 7})
    order = an_order()
    path = f"/orders/{order.number}/organizations/"

    def post(address: str) -> None:
        Client().post(path, {"wizard-current_step": "audience", "text": "x" * 60_000}, REMOTE_ADDR=address)

    for number in range(8):
        post("203.0.113.1")
        post(f"198.51.100.{number}")
    count, length = stored()
    assert length < 7 * 100_000
    assert Session.objects.annotate(length=Length("session_data")).filter(length__gt=1000).count() <= 7
    assert count <= 16
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        sign_in.forget_old_codes()
        assert stored() == (0, 0)
