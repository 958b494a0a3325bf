"""Somebody who guesses ten thousand names and domains in one order."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from orgs.models import Organization, Search
from provisioning import actions
from provisioning.finder_gateway import finder_questions
from provisioning.finder_gateway.finder_questions import Kind, Question
from provisioning.models import Event
from provisioning.people import links
from tests.factories import an_order
from tests.provisioning.wizard.test_enumeration import EVE, MOST, directory, guesses

__all__ = ["directory"]

pytestmark = pytest.mark.django_db


def test_ten_thousand_names_and_domains_show_an_order_ten_organizations(directory: list[Organization]) -> None:
    order = an_order(contact=EVE, customer="Company Nobody Holding", customer_email="")  # near to many of the names
    eve = links.user_for(EVE)
    seen_by = finder_questions.viewer(order, eve, named=True, partner_of=frozenset())
    learned: set[int] = set()
    counted = 0
    clock = timezone.now()
    with time_machine.travel(clock, tick=False) as travel:
        for number, (name, domain) in enumerate(guesses(2500)):
            if number % 500 == 0:  # comes back every hour
                travel.shift(timedelta(hours=1, seconds=1))
            asked = Question(Kind.MATCH, partners=False, named=True, email=f"boss@{domain}", name=name)
            questions = (
                asked,
                Question(Kind.MATCH, partners=False, named=True, email=EVE, name=name),
                Question(Kind.DOMAIN, partners=False, named=True, email=EVE, name="", domain=domain),
                Question(Kind.DUPLICATES, partners=False, named=True, email=EVE, name=name, country="DE"),
            )
            for question in questions:
                if actions.search(order=order, by=eve, question=question, more=True):
                    counted += 1
                    shown = finder_questions.usage_of(order, eve).shown
                    answer = finder_questions.answer(question, seen_by, shown)
                    learned |= {each.organization.pk for each in answer.candidates}
    assert 0 < len(learned) <= MOST
    assert counted == Search.objects.count() == 5 * finder_questions.PER_ORDER
    assert order.events.filter(kind=Event.Kind.SEARCHED).count() == counted
