"""Candidates as cards, and the masking of a card for its viewer."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.utils.translation import gettext as _

from orgs.finder import evidence_rules, evidence_sentences
from orgs.finder.evidence_rules import Code, Evidence, UsageFigures
from orgs.models import Domain, Organization
from orgs.text import normalize


def is_shared(domain: str) -> bool:
    """Return whether a domain is never evidence: free and disposable mail, and the setting ``SHARED_DOMAINS``."""
    return normalize.is_shared_domain(domain, frozenset(getattr(settings, "SHARED_DOMAINS", ())))


@dataclass(frozen=True)
class Viewer:
    """Who reads the cards, and what they have proved. What a person types is never proof.

    - ``proved_email``: an address whose mailbox they proved with a code.
    - ``names_customer``: the vendor chose the query (the order desk, measurements), so everything may be shown.
    - ``partner_of``: primary keys of organizations whose partner of record they are.
    - ``ordered_name``, ``ordered_email``: the customer as the vendor's order names it.
    - ``sold_to``: the company that the vendor sold the order to.
    - ``only``: primary keys of the organizations they may be shown besides those they belong to; None for no limit.
    """

    proved_email: str = ""
    names_customer: bool = False
    partner_of: frozenset[int] = frozenset()
    ordered_name: str = ""
    ordered_email: str = ""
    sold_to: str = ""
    only: frozenset[int] | None = None

    def named(self, name: str) -> bool:
        """Return whether the vendor chose this name, not the person."""
        words = {normalize.name_key(each) for each in (self.ordered_name, self.sold_to) if each}
        return self.names_customer or normalize.name_key(name) in words

    def may_know_of(self, email: str) -> bool:
        """Return whether the viewer may learn that an address is a member's: their own, or one the vendor named."""
        own = {normalize.email_key(each) for each in (self.proved_email, self.ordered_email) if each}
        return self.names_customer or normalize.email_key(email) in own

    def belongs_to(self, organization: Organization, domains: Sequence[Domain], member: str) -> bool:
        """Return whether the viewer has proved a tie of their own; ``member`` is an address of a member, or ""."""
        if self.names_customer or organization.pk in self.partner_of:
            return True
        proved = normalize.email_key(self.proved_email)
        return bool(proved) and (member == proved or _is_at(proved, domains))

    def knows(self, organization: Organization, domains: Sequence[Domain], member: str) -> bool:
        """Return whether the viewer may see the organization's facts, by an own tie or by what the order names."""
        if self.belongs_to(organization, domains, member):
            return True
        ordered = normalize.email_key(self.ordered_email)
        if ordered and (member == ordered or _is_at(ordered, domains)):
            return True
        if not self.ordered_name:
            return False
        others = [other.name for other in organization.other_names.all()]
        return evidence_rules.compare_names(self.ordered_name, organization.name, others) is not None


def _is_at(email: str, domains: Sequence[Domain]) -> bool:
    """Return whether an address is at or below one of these domains; former ones don't count: others may own them."""
    domain = normalize.email_domain(email)
    if not domain or is_shared(domain):
        return False
    return any(normalize.is_within(domain, each.name) for each in domains if each.is_current)


FULL: Final = Viewer(names_customer=True)


@dataclass(frozen=True)
class CardQuery:
    """The parts of the query that a masked card may repeat; ``chosen``: the organization was chosen before."""

    email: str
    name: str
    domain: str
    chosen: bool = False


@dataclass(frozen=True)
class Candidate:
    """A candidate with its evidence and the text of its card.

    Templates read the ``shown_…`` fields, ``tie``, ``reasons``, ``warnings`` and ``domains``, which are masked if
    necessary. ``organization`` is never masked; it is for actions only.
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
    # The viewer has no proven tie, so the card counts against the number that an order is shown, see orgs.rate_limits.
    counted: bool = False
    value: str = ""  # the form value of the card

    @classmethod
    def of(
        cls, organization: Organization, evidence: tuple[Evidence, ...], score: float, use: UsageFigures, now: datetime
    ) -> Self:
        """Make the unmasked card."""
        return cls(
            organization=organization,
            evidence=evidence,
            score=score,
            best=False,
            masked=False,
            tie=evidence_sentences.tie(evidence),
            reasons=evidence_sentences.reasons(evidence),
            warnings=evidence_sentences.warnings(evidence, use, now),
            domains=_domains(organization, evidence),
            shown_name=organization.name,
            shown_country=str(organization.country.name) if organization.country else "",
            shown_users=evidence_sentences.users(organization.user_count, organization.active_user_count),
            shown_activity=evidence_sentences.activity(organization.last_activity_at),
            shown_subscriptions=evidence_sentences.number(organization.active_subscription_count),
            shown_created=evidence_sentences.date(organization.account_created_at),
            shown_origin=str(organization.get_origin_display()),
        )

    @property
    def exact(self) -> bool:
        """Whether the email address belongs to a member of the organization."""
        return any(each.code in evidence_rules.EXACT for each in self.evidence)

    @property
    def is_administrator(self) -> bool:
        """Whether the email address belongs to an administrator of the organization."""
        return any(each.code == Code.ADMINISTRATOR for each in self.evidence)

    @property
    def domain_tie(self) -> bool:
        """Whether the email's domain ties it to the organization."""
        return any(each.code in evidence_rules.DOMAIN_TIES for each in self.evidence)

    @property
    def only_former_domain(self) -> bool:
        """Whether a former domain is the only tie besides names."""
        codes = {each.code for each in self.evidence} & (evidence_rules.DOMAIN_TIES | evidence_rules.EXACT)
        return codes == {Code.FORMER_DOMAIN}

    @property
    def name_tie(self) -> bool:
        """Whether one of the organization's names is the same or near."""
        return any(each.code in evidence_rules.NAME_TIES for each in self.evidence)

    @property
    def strong_name_tie(self) -> bool:
        """Whether one of the organization's names is the same."""
        return any(each.code in evidence_rules.SAME_NAMES for each in self.evidence)

    def marked_best(self) -> Self:
        """Return the card with the mark *Best match*."""
        return replace(self, best=True)


def _domains(organization: Organization, evidence: Sequence[Evidence]) -> tuple[tuple[str, str], ...]:
    """Return (name, status) of the domains, those that tie the organization to the query first."""
    ties = {each.about for each in evidence if each.code in evidence_rules.DOMAIN_TIES}
    ordered = sorted(organization.domains.all(), key=lambda each: each.name not in ties)
    return tuple((each.name, str(each.get_status_display())) for each in ordered)


def mask_for_viewer(
    viewer: Viewer,
    organization: Organization,
    evidence: tuple[Evidence, ...],
    score: float,
    use: UsageFigures,
    asked: CardQuery,
    now: datetime,
) -> Candidate | None:
    """Return the card as the viewer may see it; None if they may not know that it exists (only a name ties it)."""
    codes = {each.code for each in evidence}
    domains, member = list(organization.domains.all()), asked.email if codes & evidence_rules.EXACT else ""
    belongs = viewer.belongs_to(organization, domains, member)
    if belongs or _is_named(viewer, codes, asked) or viewer.knows(organization, domains, member):
        card = replace(Candidate.of(organization, evidence, score, use, now), counted=not belongs)
        return card if not member or viewer.may_know_of(member) else _without_role(card)
    if not codes & (evidence_rules.DOMAIN_TIES | evidence_rules.EXACT) and not asked.chosen:
        return None
    return replace(_masked(Candidate.of(organization, evidence, score, use, now), use, asked, now), counted=True)


def _is_named(viewer: Viewer, codes: Set[Code], asked: CardQuery) -> bool:
    """Return whether the customer's name in the order finds the organization.

    A loose name tie doesn't count if an address that the viewer chose is also needed to find it.
    """
    if not viewer.ordered_name or normalize.name_key(asked.name) != normalize.name_key(viewer.ordered_name):
        return False
    loose = codes & (evidence_rules.NAME_TIES - evidence_rules.SAME_NAMES - {Code.NEAR_NAME})
    by_address = codes & (evidence_rules.DOMAIN_TIES | evidence_rules.EXACT) and not viewer.may_know_of(asked.email)
    return bool(codes & evidence_rules.SAME_NAMES or (loose and not by_address))


def _without_role(card: Candidate) -> Candidate:
    """Return the card without the role of the address, which is neither the viewer's nor named by the vendor."""
    exact = [each for each in card.evidence if each.code in evidence_rules.EXACT]
    rest = [each for each in card.evidence if each.code not in evidence_rules.EXACT]
    reasons = (*evidence_sentences.reasons(exact, masked=True), *evidence_sentences.reasons(rest))
    return replace(card, tie=evidence_sentences.tie(exact, masked=True), reasons=reasons)


def _masked(card: Candidate, use: UsageFigures, asked: CardQuery, now: datetime) -> Candidate:
    """Return the card with the name as typed, ranges instead of counts, and no domain except for the query's."""
    organization = card.organization
    evidence = tuple(each for each in card.evidence if each.code not in evidence_rules.NOT_ON_MASKED_CARDS)
    if card.only_former_domain:
        return _without_facts(card, asked)
    if card.strong_name_tie and asked.name:
        name = asked.name
    elif card.domain_tie:
        name = _("An organization at %(domain)s") % {"domain": asked.domain}
    else:
        name = _("The organization of this email address") if card.exact else ""
    return replace(
        card,
        masked=True,
        tie=evidence_sentences.tie(evidence, masked=True),
        reasons=evidence_sentences.reasons(evidence, masked=True),
        warnings=evidence_sentences.warnings(evidence, use, now, masked=True),
        domains=tuple(pair for pair in card.domains if pair[0] == asked.domain),
        shown_name=name,
        shown_country="",
        shown_users=evidence_sentences.band(organization.user_count),
        shown_activity=evidence_sentences.activity_band(organization.last_activity_at, now),
        shown_subscriptions=evidence_sentences.band(organization.active_subscription_count),
        shown_created="",
        shown_origin="",
    )


def _without_facts(card: Candidate, asked: CardQuery) -> Candidate:
    """Return the card of an organization that only a former domain ties to the query.

    The viewer may own the domain now. They learn only that it was used before, whatever name they type.
    """
    evidence = tuple(each for each in card.evidence if each.code is Code.FORMER_DOMAIN)
    return replace(
        card,
        evidence=evidence,
        masked=True,
        tie=evidence_sentences.tie(evidence, masked=True),
        reasons=evidence_sentences.reasons(evidence, masked=True),
        warnings=(),
        domains=(),
        shown_name=_("An organization that used %(domain)s before") % {"domain": asked.domain},
        shown_country="",
        shown_users="",
        shown_activity="",
        shown_subscriptions="",
        shown_created="",
        shown_origin="",
    )


def disclosed(candidates: Sequence[Candidate], shown: Sequence[int]) -> tuple[Candidate, ...]:
    """Return the candidates that may be shown, given the counted organizations.

    :param shown: primary keys of the organizations that the order was ever shown, first shown first.

    Masked cards with equal names get a letter, such as "An organization at contoso.com (B)", so that people can tell
    them apart. The letter is the place in ``shown``: it is the same on every page and reveals nothing. The country
    would also tell them apart, but the viewer may not know it.
    """
    kept = [card for card in candidates if not card.counted or card.organization.pk in shown]
    names = [card.shown_name for card in kept]
    return tuple(_lettered(card, shown) if card.masked and names.count(card.shown_name) > 1 else card for card in kept)


def _lettered(card: Candidate, shown: Sequence[int]) -> Candidate:
    letter = chr(ord("A") + list(shown).index(card.organization.pk) % 26)
    return replace(card, shown_name=_("%(name)s (%(letter)s)") % {"name": card.shown_name, "letter": letter})
