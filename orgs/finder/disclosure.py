"""Disclosure policy: removes candidates and ties that the viewer may not know, before ranking and scoring.

A removed candidate must not influence the others: not their rank, their mark, or whether they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from orgs.finder import candidate_generation
from orgs.finder.candidate_generation import Query, QueryWord, RetrievedOrganization, WordMatch
from orgs.finder.cards import Viewer, is_shared
from orgs.finder.evidence_rules import Code
from orgs.models import Domain
from orgs.text import normalize

_NO_NAME: Final = "-"  # a name key that no query can have


def disclosed_candidates(
    query: Query, viewer: Viewer, *, also: Sequence[int] = (), only_at_own_domain: bool = False
) -> tuple[dict[int, RetrievedOrganization], list[QueryWord]]:
    """Return the candidates that this viewer may know of, by primary key, and the query's words.

    If the viewer chose the name, organizations that only a name ties to the query are left out unless the viewer may
    know them. The query's words then have no variants, because the frequency or spelling of a word in the directory
    would reveal names. A name that the vendor chose is compared without these limits.

    :param also: primary keys of organizations to return besides.
    :param only_at_own_domain: see remove_member_ties.
    """
    named = viewer.named(query.name)
    if named and viewer.only is None:
        found, query_words = candidate_generation.generate_candidates(query, also)
    else:
        found, query_words = _generate_separately(query if named else replace(query, key=""), also)
    remove_member_ties(query, found, viewer, only_at_own_domain=only_at_own_domain)
    remove_former_domains(query, found, viewer)
    found = {pk: one for pk, one in found.items() if pk in also or _may_disclose(query, one, viewer, named=named)}
    if named:
        return found, query_words
    return found, [QueryWord(word, options=[WordMatch(word, 1.0, 1)]) for word in query.terms]


def _generate_separately(query: Query, also: Sequence[int]) -> tuple[dict[int, RetrievedOrganization], list[QueryWord]]:
    """Generate candidates for the address and for the name separately.

    In a common query one could settle the search for the other, even if it is removed afterwards.
    """
    by_name, query_words = candidate_generation.generate_candidates(replace(query, email="", domain=""))
    by_address, _slots = candidate_generation.generate_candidates(replace(query, key="", terms=()), also)
    for pk, one in by_address.items():
        if one.ties and pk in by_name:
            by_name[pk].ties += one.ties
            by_name[pk].former = one.former
        elif one.ties:
            by_name[pk] = one
    return by_name, query_words


def remove_member_ties(
    query: Query, found: Mapping[int, RetrievedOrganization], viewer: Viewer, *, only_at_own_domain: bool = False
) -> None:
    """Remove member ties if the address is neither the viewer's nor named by the vendor.

    Pages for the address of an administrator, a user or nobody are then equal.

    :param only_at_own_domain: keep ties to organizations without the address's domain (a free-mail address, for
        example). The specification requires that they are found; they count against what an order is shown.
    """
    if viewer.may_know_of(query.email):
        return
    for one in found.values():
        if not is_member(one):
            continue
        organization = one.organization
        if viewer.knows(organization, list(organization.domains.all()), ""):
            continue
        if only_at_own_domain and not _has_domain_tie(query, one):
            continue
        one.ties = [tie for tie in one.ties if tie[0] != "member"]


def remove_former_domains(query: Query, found: dict[int, RetrievedOrganization], viewer: Viewer) -> None:
    """Remove ties by former domains if the viewer may not know the organization, because others may own them now.

    For a domain that the viewer chose, pages are then the same as if nobody had ever used it. The viewer's proved
    address and one that the vendor named still find the organization, as a card without facts (see cards). Its names
    are removed if nothing else ties it, so that its rank and mark don't depend on them.
    """
    own = viewer.may_know_of(query.email) and normalize.email_domain(query.email) == query.domain
    for pk, one in list(found.items()):
        if not one.former:
            continue
        organization, member = one.organization, query.email if is_member(one) else ""
        if viewer.knows(organization, list(organization.domains.all()), member):
            continue
        if not own:
            one.former, one.ties = (), [tie for tie in one.ties if tie[0] != "former"]
            if not one.ties and not one.word_score:
                del found[pk]
        elif not (_has_domain_tie(query, one) or any(arm in {"member", "seed"} for arm, _detail in one.ties)):
            one.key, one.other_names = _NO_NAME, ()


def is_member(found: RetrievedOrganization) -> bool:
    """Return whether the query's address is a member's."""
    return any(arm == "member" for arm, _detail in found.ties)


def domain_tie(asked: str, name: str, status: str) -> Code | None:
    """Return the tie between the query's domain and a current domain of an organization; None if there is none."""
    if name == asked:
        return Code.CLAIMED_DOMAIN if status == Domain.Status.CLAIMED else Code.VERIFIED_DOMAIN
    if normalize.registrable_domain(name) == normalize.registrable_domain(asked):
        return Code.SUB_DOMAIN
    if normalize.domain_label(name) == normalize.domain_label(asked):
        return Code.OTHER_TLD
    return None


def _has_domain_tie(query: Query, one: RetrievedOrganization) -> bool:
    return bool(query.domain) and any(domain_tie(query.domain, *each) for each in one.domains)


def _may_disclose(query: Query, one: RetrievedOrganization, viewer: Viewer, *, named: bool) -> bool:
    """Return whether the viewer may know of a candidate.

    They may if they belong to it. Else it must be in ``viewer.only`` if that is set, and be tied by more than a name
    that the viewer chose, or be known to the viewer.
    """
    if viewer.names_customer or (named and viewer.only is None):
        return True
    organization, member = one.organization, query.email if is_member(one) else ""
    domains = list(organization.domains.all())
    if viewer.belongs_to(organization, domains, member):
        return True
    if viewer.only is not None and one.pk not in viewer.only:
        return False
    if named or one.former or any(arm in {"member", "seed"} for arm, _detail in one.ties):
        return True
    tied = any(domain_tie(query.domain, *each) for each in one.domains if not is_shared(each[0]))
    return bool(query.domain and tied) or viewer.knows(organization, domains, member)
