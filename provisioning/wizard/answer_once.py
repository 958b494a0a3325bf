"""One answer for several orders: the partner organization that a person chose in one order, for others of theirs.

Each order gets the answers in its draft as if they had been given in its own wizard: the search is counted, the form
decides whether the organization can be chosen, and the order is still reviewed and confirmed by itself.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from provisioning import actions
from provisioning.actions.drafts import draft_of
from provisioning.finder_gateway import signed_ids
from provisioning.models import Part, User
from provisioning.people.access import May, access_to, person
from provisioning.wizard.draft_storage import DraftStorage
from provisioning.wizard.engine import summary_rows
from provisioning.wizard.finder_lookups import FinderLookups
from provisioning.wizard.forms.customer import Intent
from provisioning.wizard.forms.organizations import PartnerChoice
from provisioning.wizard.steps import FINDER, dependent_steps, loadable_answers
from subscriptions.models import Order

# Each is a search, of which a person has a hundred in an hour.
MOST: Final = 50


class Outcome(enum.StrEnum):
    """What became of an order that was chosen."""

    ANSWERED = "answered"
    WAS_ANSWERED = "was_answered"  # before, perhaps by another browser: that answer stays
    NOT_OFFERED = "not_offered"  # the organization isn't among those that this order may choose


@dataclass(frozen=True)
class Source:
    """An order in which the person chose a partner organization that exists."""

    number: str
    organization: str  # its public id
    name: str  # as it was shown


def offered(user: User) -> tuple[list[Source], list[Order]]:
    """Return what can be taken over, each organization once, and the orders that have no partner yet. One query.

    Orders that the person has as contact, that are placed and open, and that aren't for the own company.
    """
    parts = Part.objects.filter(
        user=user,
        role=Part.Role.CONTACT,
        ended_at=None,
        order__state=Order.State.PLACED,
        order__closes_at__gt=timezone.now(),
    )
    sources: dict[str, Source] = {}
    targets = []
    for part in parts.select_related("order__draft").order_by("order__closes_at", "order_id"):
        kept = _kept(part.order)
        chosen = kept.get("partner", {}).get("organization")
        likely = "customer" if part.order.customer_name else "own"
        if kept.get("intent", {}).get("audience", likely) != "customer":
            continue
        if chosen is None:
            targets.append(part.order)
        elif chosen != "new":
            sources.setdefault(chosen, Source(part.order.number, chosen, kept["partner"]["name"]))
    return list(sources.values()), targets


def answer(request: HttpRequest, *, source: str, numbers: Sequence[str]) -> dict[str, Outcome]:
    """Take the partner organization of one order for others; return what became of each, by number.

    :param source: the number of the order in which it was chosen.
    :raises Http404: for an order that isn't this person's, before anything is written.
    """
    user = person(request)
    sources, _targets = offered(user)
    for number in (source, *numbers):
        access_to(user, number).require(May.FIND)
    chosen = next((each for each in sources if each.number == source), None)
    if chosen is None:
        raise Http404
    return {number: _answer(request, number, chosen) for number in numbers[:MOST]}


@transaction.atomic
def _answer(request: HttpRequest, number: str, source: Source) -> Outcome:
    access = access_to(request.user, number, lock=True, steps=True)
    access.require(May.FIND)
    order = access.order
    kept = _kept(order)
    if "partner" in kept or kept.get("intent", {}).get("audience", "customer") != "customer":
        return Outcome.WAS_ANSWERED
    storage = DraftStorage(f"find.{order.pk}", request, draft=draft_of(order))
    lookups = FinderLookups(access=access, query={})
    answers: dict[str, Any] = {"order": {"services": [], "administrator": False}}
    intent = Intent(
        data=MultiValueDict({"intent-audience": ["customer"]}),
        prefix="intent",
        order=order,
        answers=answers,
        **lookups.form_facts("intent", answers, ()),
    )
    if not intent.is_valid():
        return Outcome.NOT_OFFERED
    answers["intent"] = intent.answers()
    if question := lookups.question("partner", answers):
        actions.search(order=order, by=access.user, question=question)
    signed = signed_ids.sign(source.organization, order=order, user=access.user)
    partner = PartnerChoice(
        data=MultiValueDict({"partner-organization": [signed]}),
        prefix="partner",
        order=order,
        answers=answers,
        **lookups.form_facts("partner", answers, ()),
    )
    if not partner.is_valid() or partner.answers()["organization"] != source.organization:
        return Outcome.NOT_OFFERED
    if storage.keep("intent", intent.data, intent.answers(), summary_rows(intent), by=access.user.email):
        storage.reopen(dependent_steps(FINDER, "intent"))
    storage.keep("partner", partner.data, partner.answers(), summary_rows(partner), by=access.user.email)
    return Outcome.ANSWERED


def _kept(order: Order) -> dict[str, Any]:
    entries = draft_of(order).steps.get("find", {})
    return loadable_answers(FINDER, {name: entry["answer"] for name, entry in entries.items()})
