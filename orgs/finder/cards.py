"""A candidate as a card, and how much of it the person who asks may see."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.utils.translation import gettext as _

from orgs.finder import evidence_rules, evidence_sentences
from orgs.finder.evidence_rules import Code, Evidence, Use
from orgs.models import Domain, Organization
from orgs.text import normalize


def is_shared(domain: str) -> bool:
    """Whether a domain is never evidence: free and disposable mail, and the operator's own ``SHARED_DOMAINS``."""
    return normalize.is_shared_domain(domain, frozenset(getattr(settings, "SHARED_DOMAINS", ())))


@dataclass(frozen=True)
class Viewer:
    """Who reads the answer, and what they have proved.

    ``proved_email``: an address whose mailbox they proved with a code. ``ordered_name`` and ``ordered_email``: the
    customer as the order names it, which the vendor placed. ``names_customer``: whatever is asked for was named by the
    vendor (the order desk, measurements). ``sold_to``: the company that the vendor sold the order to. ``partner_of``:
    primary keys of the organizations they are partner of record of. ``only``: where it is fixed, the organizations
    that they may be shown besides those they belong to. What a person types counts for nothing.
    """

    proved_email: str = ""
    names_customer: bool = False
    partner_of: frozenset[int] = frozenset()
    ordered_name: str = ""
    ordered_email: str = ""
    sold_to: str = ""
    only: frozenset[int] | None = None

    def named(self, name: str) -> bool:
        """Whether this name is the vendor's word, not one that the person chose."""
        words = {normalize.name_key(each) for each in (self.ordered_name, self.sold_to) if each}
        return self.names_customer or normalize.name_key(name) in words

    def may_know_of(self, email: str) -> bool:
        """Whether this person may be told that this address belongs to somebody: their own, or one the vendor named."""
        own = {normalize.email_key(each) for each in (self.proved_email, self.ordered_email) if each}
        return self.names_customer or normalize.email_key(email) in own

    def belongs_to(self, organization: Organization, domains: Sequence[Domain], member: str) -> bool:
        """Whether this person has proved a tie of their own; ``member`` is an address that belongs to it, or ""."""
        if self.names_customer or organization.pk in self.partner_of:
            return True
        proved = normalize.email_key(self.proved_email)
        return bool(proved) and (member == proved or _is_at(proved, domains))

    def knows(self, organization: Organization, domains: Sequence[Domain], member: str) -> bool:
        """Whether this person may see the organization's facts: by a tie of their own, or by what the order names."""
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
    """Whether this address is at one of these domains, or below one; at a former one it may be anybody's."""
    domain = normalize.email_domain(email)
    if not domain or is_shared(domain):
        return False
    return any(normalize.is_within(domain, each.name) for each in domains if each.is_current)


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
    # Nothing proves a tie of the reader's own: the card counts as one of the few that an order shows, see rate_limits.
    counted: bool = False
    value: str = ""  # what a form posts for it

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
        """Whether a domain that the organization used before is all but names that ties it to what was asked."""
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
        """The same card with the mark *Best match*."""
        return replace(self, best=True)


def _domains(organization: Organization, evidence: Sequence[Evidence]) -> tuple[tuple[str, str], ...]:
    """The names of its domains and whether they are verified or claimed: first those that tie it to the question."""
    ties = {each.about for each in evidence if each.code in evidence_rules.DOMAIN_TIES}
    ordered = sorted(organization.domains.all(), key=lambda each: each.name not in ties)
    return tuple((each.name, str(each.get_status_display())) for each in ordered)


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
    codes = {each.code for each in evidence}
    domains, member = list(organization.domains.all()), asked.email if codes & evidence_rules.EXACT else ""
    belongs = viewer.belongs_to(organization, domains, member)
    if belongs or _is_named(viewer, codes, asked) or viewer.knows(organization, domains, member):
        card = replace(Candidate.of(organization, evidence, score, use, now), counted=not belongs)
        return card if not member or viewer.may_know_of(member) else _without_role(card)
    if not codes & (evidence_rules.DOMAIN_TIES | evidence_rules.EXACT) and not asked.chosen:
        return None
    return replace(_masked(Candidate.of(organization, evidence, score, use, now), use, asked, now), counted=True)


def _is_named(viewer: Viewer, codes: Set[Code], asked: Asked) -> bool:
    """Whether the vendor named it: the name that the order gives the customer finds it.

    A few of the same words don't count where it takes an address of the reader's choice to find it.
    """
    if not viewer.ordered_name or normalize.name_key(asked.name) != normalize.name_key(viewer.ordered_name):
        return False
    loose = codes & (evidence_rules.NAME_TIES - evidence_rules.SAME_NAMES - {Code.NEAR_NAME})
    by_address = codes & (evidence_rules.DOMAIN_TIES | evidence_rules.EXACT) and not viewer.may_know_of(asked.email)
    return bool(codes & evidence_rules.SAME_NAMES or (loose and not by_address))


def _without_role(card: Candidate) -> Candidate:
    """The card without what somebody else's address, which nobody named, is in the organization."""
    exact = [each for each in card.evidence if each.code in evidence_rules.EXACT]
    rest = [each for each in card.evidence if each.code not in evidence_rules.EXACT]
    reasons = (*evidence_sentences.reasons(exact, masked=True), *evidence_sentences.reasons(rest))
    return replace(card, tie=evidence_sentences.tie(exact, masked=True), reasons=reasons)


def _masked(card: Candidate, use: Use, asked: Asked, now: datetime) -> Candidate:
    """The card with the name as it was typed, bands instead of counts, and no domain but the one that was asked."""
    organization = card.organization
    # Which country it is in could be found out by naming one after the other.
    evidence = tuple(each for each in card.evidence if each.code is not Code.ANOTHER_COUNTRY)
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


def _without_facts(card: Candidate, asked: Asked) -> Candidate:
    """The card of an organization that nothing but a former domain leads to: whoever owns the domain now learns no more
    than that it was used before, whatever name they type.
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
    """The candidates that may be shown where these organizations (``shown``, first shown first) were counted.

    Masked cards that would read the same get a letter, so that two people can talk about them and one chooses what one
    means: "An organization at contoso.com (B)". The letter is the organization's place among those that the order was
    ever shown. So it stays the same on every page, and says nothing of the organization; the country, which would tell
    three branches apart just as well, is a fact that nothing proves the reader may know.
    """
    kept = [card for card in candidates if not card.counted or card.organization.pk in shown]
    names = [card.shown_name for card in kept]
    return tuple(_lettered(card, shown) if card.masked and names.count(card.shown_name) > 1 else card for card in kept)


def _lettered(card: Candidate, shown: Sequence[int]) -> Candidate:
    letter = chr(ord("A") + list(shown).index(card.organization.pk) % 26)
    return replace(card, shown_name=_("%(name)s (%(letter)s)") % {"name": card.shown_name, "letter": letter})
