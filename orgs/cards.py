"""A candidate as a card, and how much of it the person who asks may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.utils.translation import gettext as _

from orgs import normalize, ranking, wording
from orgs.models import Domain, Organization
from orgs.ranking import Code, Evidence, Use


def is_shared(domain: str) -> bool:
    """Whether a domain is never evidence: free and disposable mail, and the operator's own ``SHARED_DOMAINS``."""
    return normalize.is_shared_domain(domain, frozenset(getattr(settings, "SHARED_DOMAINS", ())))


@dataclass(frozen=True)
class Viewer:
    """Who reads the answer, and what they have proved.

    ``proved_email``: an address whose mailbox they proved with a code. ``ordered_name`` and ``ordered_email``: the
    customer as the order names it, which the vendor placed. ``names_customer``: whatever is asked for was named by the
    vendor (the order desk, measurements). ``partner_of``: primary keys of the organizations they are partner of record
    of. What a person types counts for nothing.
    """

    proved_email: str = ""
    names_customer: bool = False
    partner_of: frozenset[int] = frozenset()
    ordered_name: str = ""
    ordered_email: str = ""
    budget: str = ""  # what masked cards are counted under, see orgs.budgets; "" counts nothing

    def knows(self, organization: Organization, domains: Sequence[Domain], member: str) -> bool:
        """Whether this person may see the organization's facts; ``member`` is an address that belongs to it, or ""."""
        emails = {normalize.email_key(email) for email in (self.proved_email, self.ordered_email) if email}
        if self.names_customer or organization.pk in self.partner_of or member in emails:
            return True
        if self.ordered_name:
            others = [other.name for other in organization.other_names.all()]
            if ranking.compare_names(self.ordered_name, organization.name, others):
                return True
        own = {domain for email in emails if not is_shared(domain := normalize.email_domain(email))}
        return any(domain == each.name or domain.endswith(f".{each.name}") for domain in own for each in domains)


FULL: Final = Viewer(names_customer=True)


@dataclass(frozen=True)
class Asked:
    """What was asked: the address, the company's name, the domain, and whether this organization was chosen already."""

    email: str
    name: str
    domain: str
    chosen: bool = False


@dataclass(frozen=True)
class Candidate:
    """An organization that may be the right one, with the evidence, and what the card shows of it.

    Templates read the ``shown_…`` fields, ``tie``, ``reasons``, ``warnings`` and ``domains``, which are masked where
    they have to be; ``organization`` is for the actions that follow.
    """

    organization: Organization
    evidence: tuple[Evidence, ...]
    score: float
    best: bool
    masked: bool
    tie: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    domains: tuple[tuple[str, str], ...]
    shown_name: str
    shown_country: str
    shown_users: str
    shown_activity: str
    shown_subscriptions: str
    shown_created: str
    shown_origin: str

    @classmethod
    def of(
        cls, organization: Organization, evidence: tuple[Evidence, ...], score: float, use: Use, now: datetime
    ) -> Self:
        """The full card."""
        return cls(
            organization=organization,
            evidence=evidence,
            score=score,
            best=False,
            masked=False,
            tie=wording.tie(evidence),
            reasons=wording.reasons(evidence),
            warnings=wording.warnings(use, now),
            domains=tuple((each.name, str(each.get_status_display())) for each in organization.domains.all()),
            shown_name=organization.name,
            shown_country=str(organization.country.name) if organization.country else "",
            shown_users=wording.users(organization.user_count, organization.active_user_count),
            shown_activity=wording.activity(organization.last_activity_at),
            shown_subscriptions=wording.number(organization.active_subscription_count),
            shown_created=wording.date(organization.account_created_at),
            shown_origin=str(organization.get_origin_display()),
        )

    @property
    def exact(self) -> bool:
        """Whether the email address belongs to a member of the organization."""
        return any(each.code in ranking.EXACT for each in self.evidence)

    @property
    def is_administrator(self) -> bool:
        """Whether the email address belongs to an administrator of the organization."""
        return any(each.code == Code.ADMINISTRATOR for each in self.evidence)

    @property
    def domain_tie(self) -> bool:
        """Whether the email's domain ties it to the organization."""
        return any(each.code in ranking.DOMAIN_TIES for each in self.evidence)

    @property
    def name_tie(self) -> bool:
        """Whether one of the organization's names is the same or near."""
        return any(each.code in ranking.NAME_TIES for each in self.evidence)

    @property
    def strong_name_tie(self) -> bool:
        """Whether one of the organization's names is the same."""
        return any(each.code in ranking.SAME_NAMES for each in self.evidence)

    def marked_best(self) -> Self:
        """The same card with the mark *Best match*."""
        return replace(self, best=True)


def as_seen_by(
    viewer: Viewer,
    organization: Organization,
    evidence: tuple[Evidence, ...],
    score: float,
    use: Use,
    asked: Asked,
    now: datetime,
) -> Candidate | None:
    """The card with what the viewer may know; None where they may not even know that it is there (names alone)."""
    card = Candidate.of(organization, evidence, score, use, now)
    # Whatever finds the customer by the name that the order gives it, the vendor named it.
    named = viewer.ordered_name and normalize.name_key(asked.name) == normalize.name_key(viewer.ordered_name)
    if named and any(each.code in ranking.NAME_TIES - {Code.NEAR_NAME} for each in evidence):
        return card
    if viewer.knows(organization, list(organization.domains.all()), asked.email if card.exact else ""):
        return card
    if not card.domain_tie and not card.exact and not asked.chosen:
        return None
    if card.strong_name_tie and asked.name:
        name = asked.name
    elif card.domain_tie:
        name = _("An organization at %(domain)s") % {"domain": asked.domain}
    else:
        name = _("The organization of this email address") if card.exact else ""
    return replace(
        card,
        masked=True,
        tie=wording.tie(evidence, masked=True),
        reasons=wording.reasons(evidence, masked=True),
        warnings=wording.warnings(use, now, masked=True),
        domains=tuple(pair for pair in card.domains if pair[0] == asked.domain),
        shown_name=name,
        shown_country="",
        shown_users=wording.band(organization.user_count),
        shown_activity=wording.activity_band(organization.last_activity_at, now),
        shown_subscriptions=wording.band(organization.active_subscription_count),
        shown_created="",
        shown_origin="",
    )
