"""Finds the organizations that an order may be for. Asking never writes.

Two round trips (candidate_generation), then arithmetic: features with names (features), a ranker and a gate (scoring),
and the evidence a person reads. Statistics of use are stored on the organization, never counted here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from orgs.finder import candidate_generation, disclosure, evidence_rules, feature_inputs, features, scoring
from orgs.finder.candidate_generation import Found, Question
from orgs.finder.cards import FULL, Asked, Candidate, Viewer, as_seen_by, is_shared
from orgs.finder.disclosure import domain_tie, is_member
from orgs.finder.evidence_rules import Code, Evidence
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
    """One of the three answers, by the second seed's first sentences."""

    EXACT = "exact"
    CANDIDATES = "candidates"
    NONE = "none"


class SharedDomain(Exception):
    """Anybody can have an address at this domain, so it says nothing about an organization."""


@dataclass(frozen=True)
class Match:
    """The answer and its candidates: those the email belongs to first, then by evidence."""

    result: Result
    candidates: tuple[Candidate, ...]

    @property
    def exact(self) -> tuple[Candidate, ...]:
        """The organizations that the email address belongs to."""
        return tuple(candidate for candidate in self.candidates if candidate.exact)

    @property
    def preselected(self) -> Candidate | None:
        """The one candidate that may be chosen beforehand: the only organization the email address belongs to."""
        return self.exact[0] if len(self.exact) == 1 else None


def find_candidates(
    *, email: str, company_name: str, partners: bool = False, limit: int = 10, viewer: Viewer = FULL
) -> Match:
    """Organizations that the administrator with this email, of a company of this name, may belong to.

    ``partners`` looks among partners only. ``viewer`` is who will read the answer; what they may not know is masked or
    left out (names without any tie), see :class:`orgs.finder.cards.Viewer`.
    """
    question = _question(email, company_name)
    found, slots = _found(question, viewer, partners=partners, only_at_own_domain=True)
    ranking_of = _rank(question, found, slots)
    sure = ranking_of.shown >= scoring.weights().shown_from
    kept = [pk for pk in ranking_of.order if sure or _belongs(found[pk], ranking_of.by_pk.get(pk))]
    exact = [pk for pk in kept if is_member(found[pk])]
    others = [pk for pk in kept if not is_member(found[pk])]
    candidates = _candidates(question, found, ranking_of, [*exact, *others], viewer, limit=max(limit, len(exact)))
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
    """Organizations that have verified or claimed exactly this registrable domain, best first, never more than 10.

    Those that used it before come after those that have it now.

    Raises :class:`SharedDomain` for free and disposable mail.
    """
    name = normalize.registrable_domain(domain.strip().rpartition("@")[2])
    if not name:
        return ()
    if is_shared(name):
        raise SharedDomain(name)
    question = candidate_generation.make_question(normalize.email_key(email), name, company_name)
    found, slots = _found(question, viewer, partners=partners)
    found = {
        pk: one for pk, one in found.items() if one.former or any(domain_of(each) == name for each, _s in one.domains)
    }
    for one in found.values():  # the older rule is about the own email's domain, not about one that is searched for
        one.ties = [tie for tie in one.ties if tie[0] != "seed"]
    ranking_of = _rank(question, found, slots)
    return _candidates(question, found, ranking_of, ranking_of.order, viewer, limit=min(limit, 10), searched=name)


def get_candidate(*, public_id: UUID, email: str, company_name: str, viewer: Viewer = FULL) -> Candidate | None:
    """One organization as a card again; None where there is none with this id, or it has closed."""
    open_ones = Organization.objects.filter(public_id=public_id, closed_at=None)
    organization = open_ones.values_list("pk", flat=True).first()
    if organization is None:
        return None
    question = _question(email, company_name)
    found, slots = _found(question, viewer, also=[organization])
    found = {pk: one for pk, one in found.items() if pk == organization}
    if not found:  # closed a moment ago
        return None
    ranking_of = _rank(question, found, slots)
    return next(iter(_candidates(question, found, ranking_of, [organization], viewer, limit=1, chosen=True)), None)


def near_duplicates(
    *, name: str, country: str, email: str, limit: int = 5, viewer: Viewer = FULL
) -> tuple[Candidate, ...]:
    """Organizations that a new one of this name may already be: shown once more before it is made."""
    question = _question(email, name)
    found, slots = _found(question, viewer)
    ranking_of = _rank(question, found, slots)
    near = [pk for pk in ranking_of.order if is_member(found[pk]) or _is_near(ranking_of.by_pk.get(pk))]
    candidates = _candidates(question, found, ranking_of, near, viewer, limit=limit, country=country)
    return tuple(each for each in candidates if each.name_tie or each.exact)


# Putting in order. The scores come from what is fitted; what the data it was fitted on does not have (users, claimed
# and former domains) is added by hand: the first two never outweigh a domain or a name, they decide between those that
# are near. A former domain is worth less than a verified one (about 8), and more than another ending (about 4).
_BY_HAND = {Code.USERS_AND_NAME_START: 1.0, Code.CLAIMED_DOMAIN: 1.0, Code.FORMER_DOMAIN: 6.0}
_AS_GOOD_AS = 0.25  # scores this near belong together: the own name, use and recency decide
_FAR_BEHIND = 7.0  # what only a name suggests is left out where something else is so much better


@dataclass(frozen=True)
class _Ranking:
    """Primary keys best first, what was scored, and how likely the answer is among them."""

    order: list[int]
    by_pk: dict[int, Scored]
    scores: dict[int, float]
    shown: float
    best: int | None


def _question(email: str, name: str) -> Question:
    domain = normalize.email_domain(email)
    return candidate_generation.make_question(normalize.email_key(email), "" if is_shared(domain) else domain, name)


def _found(
    question: Question,
    viewer: Viewer,
    *,
    partners: bool = False,
    also: Sequence[int] = (),
    only_at_own_domain: bool = False,
) -> tuple[dict[int, Found], list[candidate_generation.Slot]]:
    found, slots = disclosure.disclosed_candidates(question, viewer, also=also, only_at_own_domain=only_at_own_domain)
    if partners:
        found = {pk: one for pk, one in found.items() if one.value("is_partner")}
    return found, slots


def domain_of(name: str) -> str:
    """What somebody registered of an organization's domain."""
    return normalize.registrable_domain(name)


def _belongs(found: Found, scored: Scored | None) -> bool:
    """Whether more than a name ties the organization to the email: then it is shown whatever the gate says."""
    return _is_tied_by_hand(found) or (scored is not None and scored.tied)


def _is_tied_by_hand(found: Found) -> bool:
    """Whether something ties it to the email that the fitted features don't have."""
    return bool(found.former) or _is_tied_by_users(found)


def _is_tied_by_users(found: Found) -> bool:
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


def _rank(question: Question, found: dict[int, Found], slots: Sequence[candidate_generation.Slot]) -> _Ranking:
    fitted = scoring.weights()
    asked = feature_inputs.question_input(question, slots)
    must = {pk for pk, one in found.items() if _is_tied_by_hand(one)}
    described = features.describe(asked, [feature_inputs.organization_input(one) for one in found.values()], must)
    ranked = scoring.rank(described, fitted.ranker)
    likely = scoring.shown(asked, ranked, fitted.gate)
    sure = likely >= fitted.shown_from and scoring.is_right(asked, ranked, fitted.mark) >= fitted.best_from
    best = ranked[0].known.pk if sure else None
    scores = {each.known.pk: each.score + _by_hand(found[each.known.pk], question) for each in ranked}
    _put_former_owners_behind(scores, ranked, found)
    order = _by_use(sorted(scores, key=lambda pk: (-scores[pk], pk)), scores, found, question.key)
    return _Ranking(order, {each.known.pk: each for each in ranked}, scores, likely, best)


def _by_hand(found: Found, question: Question) -> float:
    total = sum(_BY_HAND[Code.USERS_AND_NAME_START] for arm, _detail in found.ties if arm == "seed")
    claimed = any(status == Domain.Status.CLAIMED and name == question.domain for name, status in found.domains)
    total += _BY_HAND[Code.CLAIMED_DOMAIN] if claimed else 0.0
    return total + (_BY_HAND[Code.FORMER_DOMAIN] if found.former else 0.0)


def _put_former_owners_behind(scores: dict[int, float], ranked: Sequence[Scored], found: dict[int, Found]) -> None:
    """Let who has the email's domain now come before those that nothing but having used it before ties to it."""
    owners = [scores[each.known.pk] for each in ranked if each.tied]
    if not owners:
        return
    for each in ranked:
        pk = each.known.pk
        if found[pk].former and not each.tied and not _is_tied_by_users(found[pk]):
            scores[pk] = min(scores[pk], max(owners) - 1.01 * _AS_GOOD_AS)


def _by_use(order: Sequence[int], scores: dict[int, float], found: dict[int, Found], key: str) -> list[int]:
    """The same order, but among those that belong as well as another, the own name decides, then use, then recency."""
    result: list[int] = []
    group: list[int] = []
    for pk in order:
        if group and scores[group[0]] - scores[pk] > _AS_GOOD_AS:
            result += sorted(group, key=lambda each: _use_key(found[each], key))
            group = []
        group.append(pk)
    return result + sorted(group, key=lambda each: _use_key(found[each], key))


def _use_key(found: Found, key: str) -> tuple[float, ...]:
    return (float(found.key != key), *evidence_rules.order_key(0.0, _use(found)))


def _use(found: Found) -> evidence_rules.Use:
    return evidence_rules.Use(
        found.value("active_subscription_count"),
        found.value("active_user_count"),
        found.value("last_activity_at"),
        has_verified_domain=bool(found.domains),
        created_at=found.value("account_created_at"),
    )


def _candidates(
    question: Question,
    found: dict[int, Found],
    ranking_of: _Ranking,
    order: Sequence[int],
    viewer: Viewer,
    *,
    limit: int,
    searched: str = "",
    country: str = "",
    chosen: bool = False,
) -> tuple[Candidate, ...]:
    """The cards, as the viewer may see them; what the viewer may not know is left out."""
    now = timezone.now()
    asked = Asked(question.email, question.name, searched or question.domain, chosen=chosen)
    top = max((ranking_of.scores[pk] for pk in order), default=0.0)
    cards: list[Candidate] = []
    for pk in order:
        one, scored = found[pk], ranking_of.by_pk.get(pk)
        if not chosen and not _belongs(one, scored) and ranking_of.scores[pk] < top - _FAR_BEHIND:
            continue
        use = _use(one)
        evidence = _evidence(question, one, scored, use, searched, country)
        card = as_seen_by(viewer, one.organization, evidence, ranking_of.scores[pk], use, asked, now)
        if card is not None:
            cards.append(card.marked_best() if pk == ranking_of.best and not cards else card)
        if len(cards) >= limit:
            break
    return tuple(cards)


def _evidence(
    question: Question, found: Found, scored: Scored | None, use: evidence_rules.Use, searched: str, country: str
) -> tuple[Evidence, ...]:
    """What a person is told: the ties, the names, and what speaks against."""
    evidence: dict[Code, Evidence] = {}
    organization = found.organization
    for arm, detail in found.ties:
        if arm == "member":
            code = Code.MEMBER if detail == Member.Role.USER else Code.ADMINISTRATOR
            evidence[code] = evidence_rules.evidence(code)
        elif arm == "seed":
            evidence[Code.USERS_AND_NAME_START] = evidence_rules.evidence(Code.USERS_AND_NAME_START, question.domain)
    asked = searched or question.domain
    for name, status in found.domains if asked else ():
        code_or_none = domain_tie(asked, name, status)
        if code_or_none and not is_shared(name):
            evidence.setdefault(code_or_none, evidence_rules.evidence(code_or_none, name))
    for name, until in found.former[:1]:
        evidence[Code.FORMER_DOMAIN] = evidence_rules.evidence(Code.FORMER_DOMAIN, name, until=until)
    others = [name for name, _key in found.other_names]
    tie = evidence_rules.compare_names(question.name, organization.name, others)
    if tie is None and scored is not None:
        tie = _looser_name_tie(scored, [organization.name, *others])
    if tie:
        evidence[tie.code] = tie
    elif not evidence and scored is not None:
        evidence[Code.NEAR_NAME] = evidence_rules.evidence(Code.NEAR_NAME, organization.name, 0.5)
    expected = country or feature_inputs.domain_country(question.domain)
    if expected and organization.country and organization.country.code != expected:
        evidence[Code.ANOTHER_COUNTRY] = evidence_rules.evidence(Code.ANOTHER_COUNTRY, expected)
    if evidence_rules.is_quiet(use, timezone.now()):
        evidence[Code.NOT_ACTIVE] = evidence_rules.evidence(Code.NOT_ACTIVE)
    if not use.has_verified_domain:
        evidence[Code.NO_VERIFIED_DOMAIN] = evidence_rules.evidence(Code.NO_VERIFIED_DOMAIN)
    return tuple(evidence.values())


def _looser_name_tie(scored: Scored, names: Sequence[str]) -> Evidence | None:
    """What words, scripts and initials say where the names are not near letter by letter."""
    seen = scored.features
    if seen["short_form"] >= 0.9 or seen["short_form_of_asked"] >= 0.9:
        return evidence_rules.evidence(Code.ACRONYM, names[0])
    if seen["reads_the_same"] >= 0.8:
        return evidence_rules.evidence(Code.READS_THE_SAME, names[0])
    if seen["both_covered"] >= 0.25 or seen["any_name_covers"] >= 0.6:
        return evidence_rules.evidence(Code.SAME_WORDS, names[0])
    return None
