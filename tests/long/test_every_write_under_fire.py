"""Every kind of write while processes and the database are killed: each is done once, and nothing is half done.

``KILLS=10000 SEED=7 pytest tests/long/test_every_write_under_fire.py``: how many random faults (150), and which. For
each fault four writes of random kinds are posted through the web, then something is killed, stopped or put to sleep.
Whoever got no answer posts again, as a person would, until it is done. Then each write is in the histories exactly
once, and all chains are whole. Asked for by path.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from provisioning import actions
from provisioning.history import verification
from provisioning.models import AccessRequest, Draft, Event, OperatorEvent, Question, User
from provisioning.people import links
from subscriptions.models import Order
from tests.driver import Wizard, form_fields
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in
from tests.long.local_machine import eventually
from tests.long.test_provisioning_under_fire import FAULTS, Person, World, _asked, world

__all__ = ["world"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="stops the database server"),
]

DESK = "desk@vendor.example.com"
SECONDS = 60


@dataclass
class Write:
    """One write: who posts what where, and how often it is done (1 in the end)."""

    person: Person
    times: Callable[[], int]
    kind: str = ""

    def is_done(self) -> bool:
        """Say whether it is done; post it again where it isn't."""
        if _asked(lambda: self.times() > 0):
            return True
        self.person.post()
        return False


def events(order: Order, kind: Event.Kind) -> Callable[[], int]:
    """Return a question how often this is in the order's history."""
    return lambda: Event.objects.filter(order=order, kind=kind).count()


class Kinds:
    """Makes writes, each with rows of its own."""

    def __init__(self, world: World) -> None:
        self.world, self.number = world, 0
        self.desk = signed_in(DESK)

    def make(self, kind: str) -> Write:
        """Return a write of this kind, ready to be posted."""
        self.number += 1
        write: Write = getattr(self, kind)(f"x{self.number}")
        write.kind = kind
        return write

    def _by(self, client: Client, path: str, fields: dict[str, Any]) -> Person:
        return Person(self.world, client, path, fields)

    def place(self, name: str) -> Write:
        fields = {"number": f"P-{name}", "sold_to": f"Company {name}", "contact_email": f"kim@{name}.example",
                  "meetings": "5", "term_months": "12"}  # fmt: skip
        person = self._by(self.desk, "/admin/subscriptions/order/add/", fields)
        return Write(person, lambda: Event.objects.filter(order__number=f"P-{name}", kind="placed").count())

    def correct(self, name: str) -> Write:
        order = an_order(contact=f"sam@{name}.example")
        fields = {"number": order.number, "sold_to": f"Corrected {name}", "contact_email": order.contact_email,
                  "customer_name": order.customer_name, "customer_email": order.customer_email, "meetings": "250",
                  "term_months": "12"}  # fmt: skip
        path = f"/admin/subscriptions/order/{order.pk}/change/"
        return Write(self._by(self.desk, path, fields), events(order, Event.Kind.CORRECTED))

    def cancel(self, name: str) -> Write:
        order = an_order(contact=f"sam@{name}.example")
        path = f"/admin/subscriptions/order/{order.pk}/cancel/"
        return Write(self._by(self.desk, path, {}), events(order, Event.Kind.CANCELLED))

    def extend(self, name: str) -> Write:
        order = an_order(contact=f"sam@{name}.example")
        day = (timezone.now() + timedelta(days=90)).date().isoformat()
        path = f"/admin/subscriptions/order/extend/?order={order.pk}"
        person = self._by(self.desk, path, {"set_up_by": day, "reason": name})
        return Write(person, events(order, Event.Kind.EXTENDED))

    def take_back(self, name: str) -> Write:
        sam = f"sam@{name}.example"
        order = an_order(contact=sam)
        actions.hand_over(order=order, by=links.user_for(sam), email=f"alex@{name}.example")
        person = self._by(signed_in(sam), f"/orders/{order.number}/handed-over/", {})
        return Write(person, events(order, Event.Kind.TAKEN_BACK))

    def answer(self, name: str) -> Write:
        kim = f"kim@{name}.example"
        order = an_own_order(contact=kim, sold_to=name)
        wizard = Wizard(signed_in(kim), order)
        wizard.open()
        fields = {**form_fields(wizard.html), "intent-audience": "own"}
        person = self._by(wizard.client, wizard.url("intent"), fields)
        drafts = Draft.objects.filter(order=order)
        return Write(person, lambda: sum("intent" in draft.steps.get("find", {}) for draft in drafts.all()))

    def map(self, name: str) -> Write:
        kim = f"kim@{name}.example"
        order = an_own_order(contact=kim, sold_to=name)
        wizard = Wizard(signed_in(kim), order)
        wizard.open()
        wizard.fill("intent", audience="own")
        wizard.fill("customer")
        wizard.fill("customer-new", name=f"{name} {name}", vertical="retail", country="US")
        if wizard.at == "customer-check":
            wizard.fill("customer-check", duplicate="new")
        assert wizard.at == "review", wizard.at
        person = self._by(wizard.client, wizard.url("review"), form_fields(wizard.html))
        return Write(person, events(order, Event.Kind.MAPPED))

    def set_up(self, name: str) -> Write:
        kim = f"kim@{name}.example"
        organization = an_organization(f"Company {name}", administrators=[kim])
        order = a_mapped_order(contact=kim, customer=organization, meetings=5)
        wizard = Wizard(signed_in(kim), order, "set_up")
        wizard.open()
        wizard.fill("subscription", choice="now")
        wizard.fill("meetings", site_name=f"at-once-{name}", time_zone="Europe/Paris", early_release="no")
        assert wizard.at == "review", wizard.at
        person = self._by(wizard.client, wizard.url("review"), form_fields(wizard.html))
        return Write(person, events(order, Event.Kind.SETTING_UP))

    def decide(self, name: str) -> Write:
        kim, boss = f"kim@{name}.example", f"boss@{name}.example"
        an_organization(f"Firm {name}", administrators=[boss], members=[kim])
        order = an_own_order(contact=kim, sold_to=f"Firm {name}")
        wizard = Wizard(signed_in(kim), order)
        wizard.open()
        wizard.fill("intent", audience="own")
        wizard.fill("customer")
        wizard.fill("administrator", right="full")
        request = AccessRequest.objects.get(order=order)
        path = f"/orders/{order.number}/requests/{request.public_id}/"
        person = self._by(signed_in(boss), path, {"decision": "approve"})
        return Write(person, events(order, Event.Kind.APPROVED))

    def ask(self, name: str) -> Write:
        order = self._delegated(name)
        path = f"/orders/{order.number}/questions/"
        fields = {"subject": "meetings", "text": f"Question {name}?"}
        person = self._by(signed_in(order.contact_email), path, fields)
        return Write(person, lambda: Question.objects.filter(order=order).count())

    def _delegated(self, name: str) -> Order:
        return a_delegated_order(
            contact=f"sam@{name}.example", customer=f"Customer {name}", customer_email=f"it@{name}c.example"
        )

    def role(self, name: str) -> Write:
        email = f"{name}@vendor.example.com"
        person = self._by(self.desk, "/admin/operators/", {"email": email, "role": "viewer"})
        return Write(person, lambda: OperatorEvent.objects.filter(kind="role", facts__person=email).count())

    def erase(self, name: str) -> Write:
        sam = f"sam@{name}.example"
        order = an_order(contact=sam)
        actions.cancel_order(order=order, by=None)
        person = self._by(self.desk, "/admin/people/", {"email": sam, "erase": "1", "sure": "1"})
        return Write(person, events(order, Event.Kind.PERSON_ERASED))


KINDS = ("place", "correct", "cancel", "extend", "take_back", "answer", "map", "set_up", "decide", "ask", "role",
         "erase")  # fmt: skip


@pytest.fixture(autouse=True)
def _at_the_desk() -> None:
    User.objects.create_superuser(DESK)


def test_every_write_is_done_once_whatever_is_killed(world: World) -> None:
    kills, chance = int(os.environ.get("KILLS", "150")), random.Random(int(os.environ.get("SEED", "1")))
    faults = [fault for fault in FAULTS if fault != "broker killed"]
    kinds, done, struck = Kinds(world), Counter[str](), Counter[str]()
    everything: list[Write] = []
    for _kill in range(kills):
        writes = [kinds.make(kind) for kind in chance.choices(KINDS, k=4)]
        everything += writes
        for write in writes:
            write.person.begin()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [chance.random() * 0.3])
        fault = chance.choices(faults, weights=[3, 5, 3, 1])[0]
        struck[fault] += 1
        world.strike(fault)
        world.mend()
        for write in writes:
            if write.person.thread:
                write.person.thread.join(60)
            eventually(write.is_done, f"{write.kind} is done: {write.person.path}", SECONDS)
            done[write.kind] += 1
        world.end_sleepers()
    for write in everything:
        assert write.times() == 1, (write.kind, write.person.path)
    for order in Order.objects.iterator():
        assert verification.check(order).problem == "", order.number
    assert verification.check_operators_log().problem == ""
    print(f"{kills} faults ({dict(struck)}), {sum(done.values())} writes: {dict(done)}")
