"""Finds the organizations that an order may be for. Asking never writes.

Two round trips: one statement of b-tree look-ups (an arm for each kind of tie, each with its own LIMIT), one for the
facts of what it found. Statistics of use are stored on the organization, never counted here.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils import timezone

from orgs import normalize, ranking
from orgs.cards import FULL, Asked, Candidate, Viewer, as_seen_by, is_shared
from orgs.models import Domain, Member, Organization
from orgs.ranking import Code, Evidence

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


@dataclass(frozen=True)
class _Question:
    """What was asked, as it is looked up."""

    email: str
    name: str
    partners: bool

    @property
    def domain(self) -> str:
        """The email's domain where it can be evidence, else ""."""
        domain = normalize.email_domain(self.email)
        return "" if is_shared(domain) else domain


def find_candidates(
    *, email: str, company_name: str, partners: bool = False, limit: int = 10, viewer: Viewer = FULL
) -> Match:
    """Organizations that the administrator with this email, of a company of this name, may belong to.

    ``partners`` looks among partners only. ``viewer`` is who will read the answer; what they may not know is masked or
    left out (names without any tie), see :class:`orgs.cards.Viewer`.
    """
    question = _Question(normalize.email_key(email), company_name, partners)
    arms = [
        *_member_arms(question),
        *_seed_arms(question),
        *_domain_arms(question.domain),
        *_name_arms(question.name),
    ]
    candidates = _ranked(question, _look_up(arms, partners), viewer)
    kept = tuple(each for each in candidates if each.exact) or ()
    kept += tuple(each for each in candidates if not each.exact)[: max(0, limit - len(kept))]
    result = Result.NONE if not kept else Result.EXACT if kept[0].exact else Result.CANDIDATES
    return Match(result, kept)


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

    Raises :class:`SharedDomain` for free and disposable mail.
    """
    name = normalize.registrable_domain(domain.strip().rpartition("@")[2])
    if not name:
        return ()
    if is_shared(name):
        raise SharedDomain(name)
    question = _Question(normalize.email_key(email), company_name, partners)
    arms = [*_domain_arms(name, exact=True), *_member_arms(question)]
    found = {pk: rows for pk, rows in _look_up(arms, partners).items() if any(row[0] == "domain" for row in rows)}
    return _ranked(question, found, viewer, searched=name)[: min(limit, 10)]


def get_candidate(*, public_id: UUID, email: str, company_name: str, viewer: Viewer = FULL) -> Candidate | None:
    """One organization as a card again; None where there is none with this id."""
    organization = Organization.objects.filter(public_id=public_id).values_list("pk", flat=True).first()
    if organization is None:
        return None
    question = _Question(normalize.email_key(email), company_name, partners=False)
    arms = [*_member_arms(question), *_seed_arms(question), *_domain_arms(question.domain)]
    found = {organization: [], **{pk: rows for pk, rows in _look_up(arms, False).items() if pk == organization}}
    return next(iter(_ranked(question, found, viewer, keep_all=True)), None)


def near_duplicates(
    *, name: str, country: str, email: str, limit: int = 5, viewer: Viewer = FULL
) -> tuple[Candidate, ...]:
    """Organizations that a new one of this name may already be: shown once more before it is made."""
    question = _Question(normalize.email_key(email), name, partners=False)
    arms = [*_name_arms(name), *_domain_arms(question.domain), *_member_arms(question)]
    candidates = _ranked(question, _look_up(arms, False), viewer, country=country)
    return tuple(each for each in candidates if each.name_tie or each.exact)[:limit]


# Looking up. An arm is (SQL, parameters); each gives rows of (organization_id, arm, detail).
_Arm = tuple[str, list[object]]
_Rows = dict[int, list[tuple[str, str]]]
_MOST_ON_A_DOMAIN = 400
_MOST_OF_A_NAME = 40


def _member_arms(question: _Question) -> Iterable[_Arm]:
    if question.email:
        yield ("SELECT organization_id, 'member', role FROM orgs_member WHERE email = %s LIMIT 50", [question.email])


def _seed_arms(question: _Question) -> Iterable[_Arm]:
    """The older seed's rule: the first five characters of the name, and users at the same email domain.

    Steps through the index from organization to organization, however many users each has.
    """
    start = normalize.name_start(question.name)
    if not question.domain or not start:
        return
    yield (
        """SELECT o.id, 'seed', t.domain FROM (
               WITH RECURSIVE step(domain, organization_id) AS (
                   (SELECT email_domain, organization_id FROM orgs_member
                    WHERE email_domain = %s ORDER BY organization_id LIMIT 1)
                   UNION ALL
                   SELECT step.domain, (SELECT m.organization_id FROM orgs_member m
                       WHERE m.email_domain = step.domain AND m.organization_id > step.organization_id
                       ORDER BY m.organization_id LIMIT 1)
                   FROM step WHERE step.organization_id IS NOT NULL
               ) SELECT domain, organization_id FROM step WHERE organization_id IS NOT NULL LIMIT 1000
           ) t JOIN orgs_organization o ON o.id = t.organization_id WHERE o.name_start = %s LIMIT 50""",
        [question.domain, start],
    )


def _domain_arms(domain: str, *, exact: bool = False) -> Iterable[_Arm]:
    """Domains that were verified or claimed: this one, its relations by registrable domain, other TLDs."""
    if not domain:
        return
    columns = "SELECT organization_id, 'domain', status || ' ' || name FROM orgs_domain"
    registrable = normalize.registrable_domain(domain)
    yield (f"{columns} WHERE registrable = %s LIMIT {_MOST_ON_A_DOMAIN}", [registrable])
    if not exact:
        label = normalize.domain_label(domain)
        if len(label) >= 4:
            yield (f"{columns} WHERE label = %s LIMIT 60", [label])


def _name_arms(name: str) -> Iterable[_Arm]:
    key = normalize.name_key(name)
    if key:
        limit = _MOST_OF_A_NAME
        yield (f"SELECT id, 'name', '' FROM orgs_organization WHERE name_key = %s LIMIT {limit}", [key])  # noqa: S608
        yield (f"SELECT organization_id, 'name', '' FROM orgs_othername WHERE name_key = %s LIMIT {limit}", [key])  # noqa: S608


def _look_up(arms: Iterable[_Arm], partners: bool) -> _Rows:
    """Run the arms as one statement: what was found for each organization's pk."""
    arms = list(arms)
    found: _Rows = defaultdict(list)
    if not arms:
        return found
    union = " UNION ALL ".join(f"({sql})" for sql, _values in arms)
    values = [value for _sql, values in arms for value in values]
    if partners:
        union = (
            "SELECT t.* FROM ("  # noqa: S608 — arms hold no input, only placeholders
            f"{union}) AS t(id, arm, detail) JOIN orgs_organization o ON o.id = t.id WHERE o.is_partner"
        )
    with connection.cursor() as cursor:
        cursor.execute(union, values)
        for pk, arm, detail in cursor.fetchall():
            found[pk].append((arm, detail))
    return found


def _ranked(
    question: _Question,
    found: _Rows,
    viewer: Viewer,
    *,
    searched: str = "",
    country: str = "",
    keep_all: bool = False,
) -> tuple[Candidate, ...]:
    """Candidates with their evidence and cards, best first; what the viewer may not know is left out."""
    organizations = list(Organization.objects.filter(pk__in=found).prefetch_related("domains", "other_names"))
    now = timezone.now()
    scored: list[tuple[tuple[object, ...], Candidate]] = []
    for organization in organizations:
        use = ranking.Use(
            organization.active_subscription_count,
            organization.active_user_count,
            organization.last_activity_at,
            has_verified_domain=bool(organization.domains.all()),
        )
        evidence = _evidence(question, organization, found[organization.pk], use, searched, country)
        ties = [each for each in evidence if each.weight > 0]
        if not ties and not keep_all:
            continue
        score = max((each.weight for each in ties), default=0.0) + 0.2 * sum(each.weight for each in evidence)
        key = (not any(each.code in ranking.EXACT for each in evidence), *ranking.order_key(score, use))
        asked = Asked(question.email, question.name, searched or question.domain, chosen=keep_all)
        candidate = as_seen_by(viewer, organization, tuple(evidence), score, use, asked, now)
        if candidate is not None:
            scored.append((key, candidate))
    scored.sort(key=lambda pair: pair[0])
    return tuple(_mark_best([candidate for _key, candidate in scored]))


def _mark_best(candidates: Sequence[Candidate]) -> Iterable[Candidate]:
    """Mark the first one where both a domain and the name speak for it, and for no other as much."""
    for place, candidate in enumerate(candidates):
        clear = len(candidates) == 1 or candidates[1].score < candidate.score - 2
        strong = candidate.exact or (candidate.domain_tie and candidate.strong_name_tie)
        yield candidate.marked_best() if place == 0 and strong and clear else candidate


def _evidence(
    question: _Question,
    organization: Organization,
    rows: Iterable[tuple[str, str]],
    use: ranking.Use,
    searched: str,
    country: str,
) -> list[Evidence]:
    evidence: dict[Code, Evidence] = {}
    asked = searched or question.domain
    for arm, detail in rows:
        if arm == "member":
            code = Code.MEMBER if detail == Member.Role.USER else Code.ADMINISTRATOR
            evidence[code] = ranking.evidence(code)
        elif arm == "seed":
            evidence[Code.USERS_AND_NAME_START] = ranking.evidence(Code.USERS_AND_NAME_START, detail)
        elif arm == "domain":
            status, _space, name = detail.partition(" ")
            if is_shared(name):
                continue
            code = _domain_tie(asked, name, status)
            evidence[code] = ranking.evidence(code, name)
    name_tie = ranking.compare_names(
        question.name, organization.name, [other.name for other in organization.other_names.all()]
    )
    if name_tie:
        evidence[name_tie.code] = name_tie
    if country and organization.country and organization.country.code != country:
        evidence[Code.ANOTHER_COUNTRY] = ranking.evidence(Code.ANOTHER_COUNTRY)
    if ranking.is_quiet(use, timezone.now()):
        evidence[Code.NOT_ACTIVE] = ranking.evidence(Code.NOT_ACTIVE)
    if not use.has_verified_domain:
        evidence[Code.NO_VERIFIED_DOMAIN] = ranking.evidence(Code.NO_VERIFIED_DOMAIN)
    return list(evidence.values())


def _domain_tie(asked: str, name: str, status: str) -> Code:
    if name == asked:
        return Code.CLAIMED_DOMAIN if status == Domain.Status.CLAIMED else Code.VERIFIED_DOMAIN
    if normalize.registrable_domain(name) == normalize.registrable_domain(asked):
        return Code.SUB_DOMAIN
    return Code.OTHER_TLD
