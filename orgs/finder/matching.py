"""Entry points of the finder. They only read.

A query goes through candidate generation, disclosure, features, scoring, evidence and cards; see the package's README.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils import timezone
from prometheus_client import Histogram

from orgs.finder import candidate_generation, disclosure, evidence_rules, feature_inputs, features, scoring
from orgs.finder.candidate_generation import Query, RetrievedOrganization
from orgs.finder.cards import FULL, Candidate, CardQuery, Viewer, is_shared, mask_for_viewer
from orgs.finder.disclosure import domain_tie, is_member
from orgs.finder.evidence_rules import Code, Evidence, UsageFigures
from orgs.finder.scoring import Scored
from orgs.models import Domain, Member, Organization
from orgs.text import normalize

__all__ = [
    "FULL",
    "Candidate",
    "Match",
    "Result",
    "SharedDomain",
    "Viewer",
    "find_candidates",
    "get_candidate",
    "near_duplicates",
    "search_by_domain",
]


class Result(enum.StrEnum):
    """The kind of answer: the address is a member's, there are candidates, or there are none."""

    EXACT = "exact"
    CANDIDATES = "candidates"
    NONE = "none"


class SharedDomain(Exception):
    """The domain is a shared one (free or disposable mail), so it is no evidence."""


@dataclass(frozen=True)
class Match:
    """The kind of answer and the candidates: organizations of the address first, then by score."""

    result: Result
    candidates: tuple[Candidate, ...]

    @property
    def exact(self) -> tuple[Candidate, ...]:
        """The organizations that the email address is a member of."""
        return tuple(candidate for candidate in self.candidates if candidate.exact)

    @property
    def preselected(self) -> Candidate | None:
        """The candidate to preselect: the only organization that the address is a member of, or None."""
        return self.exact[0] if len(self.exact) == 1 else None


SECONDS: Final = Histogram(
    "provisioning_finder_seconds",
    "Seconds of a question to the finder.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


@SECONDS.time()
def find_candidates(
    *,
    email: str,
    company_name: str,
    partners: bool = False,
    limit: int = 10,
    viewer: Viewer = FULL,
    country: str = "",
) -> Match:
    """Find the organizations that an administrator with this email address and company name may belong to.

    :param partners: find partners only.
    :param limit: the number of candidates, at most, unless the address is a member of more.
    :param viewer: who reads the answer; what they may not know is masked or left out.
    :param country: where the company is, if known (ISO 3166); another country is evidence against an organization.
    """
    query = _query(email, company_name)
    found, query_words = _found(query, viewer, partners=partners, only_at_own_domain=True)
    ranking_of = _rank(query, found, query_words)
    sure = ranking_of.shown >= scoring.weights().shown_from
    kept = [pk for pk in ranking_of.order if sure or _belongs(found[pk], ranking_of.by_pk.get(pk))]
    exact = [pk for pk in kept if is_member(found[pk])]
    others = [pk for pk in kept if not is_member(found[pk])]
    most = max(limit, len(exact))
    candidates = _candidates(query, found, ranking_of, [*exact, *others], viewer, limit=most, country=country)
    result = Result.NONE if not candidates else Result.EXACT if candidates[0].exact else Result.CANDIDATES
    return Match(result, candidates)


def search_by_domain(
    *,
    domain: str,
    email: str,
    company_name: str = "",
    partners: bool = False,
    limit: int = 10,
    viewer: Viewer = FULL,
) -> tuple[Candidate, ...]:
    """Find organizations with this registrable domain, best first, at most 10. Former owners come after current ones.

    :param domain: a domain or an email address at it; () is returned if it has no registrable domain.
    :raises SharedDomain: for free and disposable mail.
    """
    name = normalize.registrable_domain(domain.strip().rpartition("@")[2])
    if not name:
        return ()
    if is_shared(name):
        raise SharedDomain(name)
    query = candidate_generation.make_query(normalize.email_key(email), name, company_name)
    found, query_words = _found(query, viewer, partners=partners)
    found = {
        pk: one for pk, one in found.items() if one.former or any(domain_of(each) == name for each, _s in one.domains)
    }
    for one in found.values():  # that rule is about the domain of the own email address
        one.ties = [tie for tie in one.ties if tie[0] != "seed"]
    ranking_of = _rank(query, found, query_words)
    return _candidates(query, found, ranking_of, ranking_of.order, viewer, limit=min(limit, 10), searched=name)


def get_candidate(*, public_id: UUID, email: str, company_name: str, viewer: Viewer = FULL) -> Candidate | None:
    """Return the card of one organization; None if there is none with this public id, or it is closed."""
    open_ones = Organization.objects.filter(public_id=public_id, closed_at=None)
    organization = open_ones.values_list("pk", flat=True).first()
    if organization is None:
        return None
    query = _query(email, company_name)
    found, query_words = _found(query, viewer, also=[organization])
    found = {pk: one for pk, one in found.items() if pk == organization}
    if not found:  # closed since the first query
        return None
    ranking_of = _rank(query, found, query_words)
    return next(iter(_candidates(query, found, ranking_of, [organization], viewer, limit=1, chosen=True)), None)


def near_duplicates(
    *, name: str, country: str, email: str, limit: int = 5, viewer: Viewer = FULL
) -> tuple[Candidate, ...]:
    """Find organizations that may be the same as a new one of this name, to show them before it is created."""
    query = _query(email, name)
    found, query_words = _found(query, viewer)
    ranking_of = _rank(query, found, query_words)
    near = [pk for pk in ranking_of.order if is_member(found[pk]) or _is_near(ranking_of.by_pk.get(pk))]
    candidates = _candidates(query, found, ranking_of, near, viewer, limit=limit, country=country)
    return tuple(each for each in candidates if each.name_tie or each.exact)


# Added to the fitted scores, because the training data has no users, claimed domains or former domains. The first two
# decide between candidates with near scores and never outweigh a domain or a name. A former domain counts less than a
# verified one (about 8) and more than the same label under another suffix (about 4).
_EXTRA_SCORES = {Code.USERS_AND_NAME_START: 1.0, Code.CLAIMED_DOMAIN: 1.0, Code.FORMER_DOMAIN: 6.0}
_NEAR_SCORE = 0.25  # candidates whose scores differ less are ordered by own name, usage and recency
_MUCH_LOWER = 7.0  # a candidate tied only by name is left out if its score is this much below the best


@dataclass(frozen=True)
class _Ranking:
    """Primary keys best first, scored candidates, scores, the gate's probability, and the one that is marked."""

    order: list[int]
    by_pk: dict[int, Scored]
    scores: dict[int, float]
    shown: float
    best: int | None


def _query(email: str, name: str) -> Query:
    domain = normalize.email_domain(email)
    return candidate_generation.make_query(normalize.email_key(email), "" if is_shared(domain) else domain, name)


def _found(
    query: Query,
    viewer: Viewer,
    *,
    partners: bool = False,
    also: Sequence[int] = (),
    only_at_own_domain: bool = False,
) -> tuple[dict[int, RetrievedOrganization], list[candidate_generation.QueryWord]]:
    found, query_words = disclosure.disclosed_candidates(
        query, viewer, also=also, only_at_own_domain=only_at_own_domain
    )
    if partners:
        found = {pk: one for pk, one in found.items() if one.value("is_partner")}
    return found, query_words


def domain_of(name: str) -> str:
    """Return the registrable domain of an organization's domain."""
    return normalize.registrable_domain(name)


def _belongs(found: RetrievedOrganization, scored: Scored | None) -> bool:
    """Return whether more than a name ties the organization to the query; it is then shown whatever the gate says."""
    return _has_unfitted_tie(found) or (scored is not None and scored.tied)


def _has_unfitted_tie(found: RetrievedOrganization) -> bool:
    """Return whether a tie exists that the fitted features don't contain."""
    return bool(found.former) or _has_member_tie(found)


def _has_member_tie(found: RetrievedOrganization) -> bool:
    return any(arm in {"member", "seed"} for arm, _detail in found.ties)


def _is_near(scored: Scored | None) -> bool:
    if scored is None:
        return False
    features = scored.features
    return (
        bool(features["name_same"] or features["same_words"])
        or features["both_covered"] >= 0.5
        or features["reads_the_same"] >= 0.9
    )


def _rank(
    query: Query, found: dict[int, RetrievedOrganization], query_words: Sequence[candidate_generation.QueryWord]
) -> _Ranking:
    fitted = scoring.weights()
    asked = feature_inputs.query_input(query, query_words)
    must = {pk for pk, one in found.items() if _has_unfitted_tie(one)}
    described = features.compute_features(
        asked, [feature_inputs.organization_input(one) for one in found.values()], must
    )
    ranked = scoring.rank(described, fitted.ranker)
    likely = scoring.answer_probability(asked, ranked, fitted.gate)
    sure = likely >= fitted.shown_from and scoring.first_probability(asked, ranked, fitted.mark) >= fitted.best_from
    best = ranked[0].known.pk if sure else None
    scores = {each.known.pk: each.score + _extra_score(found[each.known.pk], query) for each in ranked}
    _rank_former_owners_last(scores, ranked, found)
    order = _order_by_usage(sorted(scores, key=lambda pk: (-scores[pk], pk)), scores, found, query.key)
    return _Ranking(order, {each.known.pk: each for each in ranked}, scores, likely, best)


def _extra_score(found: RetrievedOrganization, query: Query) -> float:
    total = sum(_EXTRA_SCORES[Code.USERS_AND_NAME_START] for arm, _detail in found.ties if arm == "seed")
    claimed = any(status == Domain.Status.CLAIMED and name == query.domain for name, status in found.domains)
    total += _EXTRA_SCORES[Code.CLAIMED_DOMAIN] if claimed else 0.0
    return total + (_EXTRA_SCORES[Code.FORMER_DOMAIN] if found.former else 0.0)


def _rank_former_owners_last(
    scores: dict[int, float], ranked: Sequence[Scored], found: dict[int, RetrievedOrganization]
) -> None:
    """Put organizations that only a former domain ties to the query after those that have the domain now."""
    owners = [scores[each.known.pk] for each in ranked if each.tied]
    if not owners:
        return
    for each in ranked:
        pk = each.known.pk
        if found[pk].former and not each.tied and not _has_member_tie(found[pk]):
            scores[pk] = min(scores[pk], max(owners) - 1.01 * _NEAR_SCORE)


def _order_by_usage(
    order: Sequence[int], scores: dict[int, float], found: dict[int, RetrievedOrganization], key: str
) -> list[int]:
    """Order candidates with near scores by equal own name, then usage, then recency."""
    result: list[int] = []
    group: list[int] = []
    for pk in order:
        if group and scores[group[0]] - scores[pk] > _NEAR_SCORE:
            result += sorted(group, key=lambda each: _usage_key(found[each], key))
            group = []
        group.append(pk)
    return result + sorted(group, key=lambda each: _usage_key(found[each], key))


def _usage_key(found: RetrievedOrganization, key: str) -> tuple[float, ...]:
    return (float(found.key != key), *evidence_rules.usage_sort_key(0.0, _use(found)))


def _use(found: RetrievedOrganization) -> UsageFigures:
    return UsageFigures(
        found.value("active_subscription_count"),
        found.value("active_user_count"),
        found.value("last_activity_at"),
        has_verified_domain=bool(found.domains),
        created_at=found.value("account_created_at"),
    )


def _candidates(
    query: Query,
    found: dict[int, RetrievedOrganization],
    ranking_of: _Ranking,
    order: Sequence[int],
    viewer: Viewer,
    *,
    limit: int,
    searched: str = "",
    country: str = "",
    chosen: bool = False,
) -> tuple[Candidate, ...]:
    """Return the cards as the viewer may see them, at most ``limit``."""
    now = timezone.now()
    asked = CardQuery(query.email, query.name, searched or query.domain, chosen=chosen)
    top = max((ranking_of.scores[pk] for pk in order), default=0.0)
    cards: list[Candidate] = []
    for pk in order:
        one, scored = found[pk], ranking_of.by_pk.get(pk)
        if not chosen and not _belongs(one, scored) and ranking_of.scores[pk] < top - _MUCH_LOWER:
            continue
        use = _use(one)
        evidence = _evidence(query, one, scored, use, searched, country)
        card = mask_for_viewer(viewer, one.organization, evidence, ranking_of.scores[pk], use, asked, now)
        if card is not None:
            cards.append(card.marked_best() if pk == ranking_of.best and not cards else card)
        if len(cards) >= limit:
            break
    return tuple(cards)


def _evidence(
    query: Query,
    found: RetrievedOrganization,
    scored: Scored | None,
    use: UsageFigures,
    searched: str,
    country: str,
) -> tuple[Evidence, ...]:
    """Return the evidence for a card: ties, names, and evidence against."""
    evidence: dict[Code, Evidence] = {}
    organization = found.organization
    for arm, detail in found.ties:
        if arm == "member":
            code = Code.MEMBER if detail == Member.Role.USER else Code.ADMINISTRATOR
            evidence[code] = evidence_rules.evidence(code)
        elif arm == "seed":
            evidence[Code.USERS_AND_NAME_START] = evidence_rules.evidence(Code.USERS_AND_NAME_START, query.domain)
    asked = searched or query.domain
    for name, status in found.domains if asked else ():
        code_or_none = domain_tie(asked, name, status)
        if code_or_none and not is_shared(name):
            evidence.setdefault(code_or_none, evidence_rules.evidence(code_or_none, name))
    for name, until in found.former[:1]:
        evidence[Code.FORMER_DOMAIN] = evidence_rules.evidence(Code.FORMER_DOMAIN, name, until=until)
    others = [name for name, _key in found.other_names]
    tie = evidence_rules.compare_names(query.name, organization.name, others)
    if tie is None and scored is not None:
        tie = _looser_name_tie(scored, [organization.name, *others])
    if tie:
        evidence[tie.code] = tie
    elif not evidence and scored is not None:
        evidence[Code.NEAR_NAME] = evidence_rules.evidence(Code.NEAR_NAME, organization.name, 0.5)
    expected = country or feature_inputs.domain_country(query.domain)
    if expected and organization.country and organization.country.code != expected:
        evidence[Code.ANOTHER_COUNTRY] = evidence_rules.evidence(Code.ANOTHER_COUNTRY, expected)
    if evidence_rules.is_inactive(use, timezone.now()):
        evidence[Code.NOT_ACTIVE] = evidence_rules.evidence(Code.NOT_ACTIVE)
    if not use.has_verified_domain:
        evidence[Code.NO_VERIFIED_DOMAIN] = evidence_rules.evidence(Code.NO_VERIFIED_DOMAIN)
    return tuple(evidence.values())


def _looser_name_tie(scored: Scored, names: Sequence[str]) -> Evidence | None:
    """Return name evidence from words, scripts and initials if no name is near by edit distance."""
    seen = scored.features
    if seen["short_form"] >= 0.9 or seen["short_form_of_asked"] >= 0.9:
        return evidence_rules.evidence(Code.ACRONYM, names[0])
    if seen["reads_the_same"] >= 0.8:
        return evidence_rules.evidence(Code.READS_THE_SAME, names[0])
    if seen["both_covered"] >= 0.25 or seen["any_name_covers"] >= 0.6:
        return evidence_rules.evidence(Code.SAME_WORDS, names[0])
    return None
