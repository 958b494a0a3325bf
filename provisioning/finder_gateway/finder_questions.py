"""A search of an order in the organization finder: the question, the viewer, and the candidates that may be shown.

The only module of ``provisioning`` that calls the finder. A new search is a write (``actions.search``, in a POST): it
counts against the rate limits of order and person, and the candidates that it shows count too. A page only reads: it
shows the results of searches that were counted.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from orgs import rate_limits
from orgs.finder import matching
from orgs.finder.cards import Candidate, Viewer, disclosed, is_shared
from orgs.finder.matching import Match, Result
from orgs.text import normalize, pasted_text
from provisioning.models import User
from subscriptions.models import Order

# Searches in an hour. A person who makes a few mistakes needs five or six.
PER_ORDER: Final = 60
PER_PERSON: Final = 100
# Candidates that one search may show, of the ten that an order may; the rest is left for later searches.
SHOWN_PER_QUESTION: Final = 6


class Kind(enum.StrEnum):
    """The kinds of searches."""

    MATCH = "match"  # whose email address and company name is this?
    DOMAIN = "domain"  # who has verified this domain?
    DUPLICATES = "duplicates"  # is there an organization already that is nearly the same as a new one?


@dataclass(frozen=True)
class Question:
    """A search of an order; ``named``: it is for the customer, whom the order may name."""

    kind: Kind
    partners: bool
    named: bool
    email: str
    name: str
    domain: str = ""
    country: str = ""

    @property
    def digest(self) -> str:
        """A hash of the question. A repeated question is not counted again."""
        values = [self.kind, self.partners, normalize.email_key(self.email), self.name.strip(), self.domain]
        return hashlib.sha256(json.dumps([*values, self.country]).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """Candidates that may be shown; ``withheld``: there are more, which were not counted as shown."""

    match: Match
    withheld: bool = False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates, best first."""
        return self.match.candidates


NOTHING: Final = Answer(Match(Result.NONE, ()))


def clean_domain(typed: str) -> str:
    """Return what somebody registered of a domain or an address that was typed, or ""; free mail is left as it is."""
    return normalize.registrable_domain(pasted_text.domain(typed))


def is_free_mail(domain: str) -> bool:
    """Return whether this is the domain of a free mail provider."""
    return is_shared(domain)


def rate_limit_key(order: Order) -> str:
    """Return what an order's answers are counted under.

    Where the order desk corrects whom the order names, it is as if nothing had been asked.
    """
    named = f"{order.customer_name}\n{order.customer_email}".strip()
    mark = hashlib.sha256(named.encode()).hexdigest()[:8] if named else "-"
    return f"order:{order.number}:{mark}"


def rate_limits_of(order: Order, user: User) -> dict[str, int]:
    """Return the rate limits of a search: searches an hour by key."""
    return {f"order:{order.number}": PER_ORDER, f"person:{user.pk}": PER_PERSON}


def usage_of(order: Order, user: User, questions: Sequence[Question] = ()) -> rate_limits.Usage:
    """Return the usage of an order: searches, shown organizations, and when the next search is allowed."""
    digests = [question.digest for question in questions]
    return rate_limits.read(rate_limit_key(order), digests, rate_limits_of(order, user))


def partner_of(user: User) -> frozenset[int]:
    """Return the organizations that this person's own one is partner of record of: an order was mapped to both."""
    mapped = Order.objects.filter(partner__members__email=user.email, customer__isnull=False)
    return frozenset(mapped.order_by().values_list("customer_id", flat=True).distinct())


def viewer(order: Order, user: User, *, named: bool, partner_of: frozenset[int]) -> Viewer:
    """Return the viewer of an answer. The customer that the order names is a tie; typed values are not."""
    return Viewer(
        proved_email=user.email,
        partner_of=partner_of,
        ordered_name=order.customer_name if named else "",
        ordered_email=order.customer_email if named else "",
        sold_to=order.sold_to,
    )


def find(question: Question, seen_by: Viewer) -> Match:
    """Run the search without counting it; the caller removes candidates that may not be shown."""
    if question.kind is Kind.MATCH:
        return matching.find_candidates(
            email=question.email, company_name=question.name, partners=question.partners, viewer=seen_by
        )
    if question.kind is Kind.DOMAIN:
        found = matching.search_by_domain(
            domain=question.domain,
            email=question.email,
            company_name=question.name,
            partners=question.partners,
            viewer=seen_by,
        )
        return Match(Result.CANDIDATES if found else Result.NONE, found)
    near = matching.near_duplicates(name=question.name, country=question.country, email=question.email, viewer=seen_by)
    near = tuple(each for each in near if each.organization.is_partner or not question.partners)
    return Match(Result.CANDIDATES if near else Result.NONE, near)


def counted_organizations(match: Match) -> list[int]:
    """Return the organizations of an answer that count as shown, the best first."""
    return [each.organization.pk for each in match.candidates if each.counted]


def answer(question: Question, seen_by: Viewer, shown: Sequence[int]) -> Answer:
    """Return the answer to a counted question, with only those counted candidates that are in ``shown``."""
    if len(shown) >= rate_limits.ORGANIZATIONS:  # withheld candidates must not influence the shown ones
        seen_by = replace(seen_by, only=frozenset(shown))
    match = find(question, seen_by)
    kept = disclosed(match.candidates, shown)
    result = Result.NONE if not kept else match.result
    if result is Result.EXACT and not kept[0].exact:
        result = Result.CANDIDATES
    return Answer(Match(result, kept), withheld=len(kept) < len(match.candidates))


def shown_candidate(public_id: UUID, question: Question, seen_by: Viewer, shown: Sequence[int]) -> Candidate | None:
    """Return the card of an organization that was chosen; None where it is gone, or was never shown."""
    card = matching.get_candidate(public_id=public_id, email=question.email, company_name=question.name, viewer=seen_by)
    return next(iter(disclosed([card], shown)), None) if card else None
