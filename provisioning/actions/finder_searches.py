"""Asking the organization finder: counted against the order and the person, and kept in the order's history."""

from __future__ import annotations

from django.db import transaction

from orgs import rate_limits
from provisioning import history
from provisioning.actions.orders import lock
from provisioning.finder_gateway import finder_questions
from provisioning.finder_gateway.finder_questions import Question
from provisioning.models import Event, User
from subscriptions.models import Order


@transaction.atomic
def search(*, order: Order, by: User, question: Question, more: bool = False) -> bool:
    """Run a search that the following page may show. Returns False where the order or the person may not search now.

    The same question asked again is counted and recorded once. At most a few organizations are shown that nothing ties
    the person to (``finder_questions.SHOWN_PER_QUESTION``), or with ``more`` as many as the order has left.
    """
    standing = finder_questions.usage_of(order, by, [question])
    new = question.digest not in standing.asked
    if new:
        if standing.free_at:
            return False
        order = lock(order)
        if not rate_limits.ask(
            finder_questions.rate_limit_key(order), question.digest, finder_questions.rate_limits_of(order, by)
        ):
            return False
    seen_by = finder_questions.viewer(order, by, named=question.named, partner_of=finder_questions.partner_of(by))
    match = finder_questions.find(question, seen_by)
    counted = finder_questions.counted_organizations(match)
    shown = set(counted) & set(standing.shown)
    at_once = rate_limits.ORGANIZATIONS if more else max(0, finder_questions.SHOWN_PER_QUESTION - len(shown))
    if set(counted) - shown and at_once and not standing.is_full:
        shown = rate_limits.disclose(finder_questions.rate_limit_key(order), counted, at_once=at_once)
    if new:
        values = (question.domain,) if question.domain else (question.email, question.name, question.country)
        facts = {
            "what": question.kind.value,
            "asked": [value for value in values if value],
            "shown": len(match.candidates) - len(counted) + len(shown),
        }
        history.record(order=order, kind=Event.Kind.SEARCHED, by=by, facts=facts)
    return True
