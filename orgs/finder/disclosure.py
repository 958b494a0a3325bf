"""What is left of a look-up for somebody who may not know all of it, before anything is put in order or scored.

A card that is left out must not show in another: not in its place, not in its mark, not in whether it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from orgs.finder import candidate_generation
from orgs.finder.candidate_generation import Found, Option, Question, Slot
from orgs.finder.cards import Viewer, is_shared
from orgs.finder.evidence_rules import Code
from orgs.models import Domain
from orgs.text import normalize

_NO_NAME: Final = "-"  # as a key: like no name that can be asked for


def disclosed_candidates(
    question: Question, viewer: Viewer, *, also: Sequence[int] = (), only_at_own_domain: bool = False
) -> tuple[dict[int, Found], list[Slot]]:
    """What may be the organization (and ``also`` these), as far as this viewer may know, and the question's words.

    Where the viewer chose the name, organizations that nothing but a name ties to the question are left out unless the
    viewer knows them, and words are known as themselves: how common one is in the directory, or how it is spelt there,
    would tell who is. The vendor's own words are compared with everything. For ``only_at_own_domain`` see below.
    """
    named = viewer.named(question.name)
    if named and viewer.only is None:
        found, slots = candidate_generation.generate_candidates(question, also)
    else:
        found, slots = _apart(question if named else replace(question, key=""), also)
    forget_members(question, found, viewer, only_at_own_domain=only_at_own_domain)
    forget_former_domains(question, found, viewer)
    found = {pk: one for pk, one in found.items() if pk in also or _may_tell(question, one, viewer, named=named)}
    if named:
        return found, slots
    return found, [Slot(word, options=[Option(word, 1.0, 1)]) for word in question.terms]


def _apart(question: Question, also: Sequence[int]) -> tuple[dict[int, Found], list[Slot]]:
    """Look up what the address leads to and what the name does, each for itself.

    Together, one would end the search for the other, also where it is left out afterwards.
    """
    by_name, slots = candidate_generation.generate_candidates(replace(question, email="", domain=""))
    by_address, _slots = candidate_generation.generate_candidates(replace(question, key="", terms=()), also)
    for pk, one in by_address.items():
        if one.ties and pk in by_name:
            by_name[pk].ties += one.ties
            by_name[pk].former = one.former
        elif one.ties:
            by_name[pk] = one
    return by_name, slots


def forget_members(
    question: Question, found: Mapping[int, Found], viewer: Viewer, *, only_at_own_domain: bool = False
) -> None:
    """Forget that somebody else's address is a member's, where nobody named the address or the organization.

    Pages for the address of an administrator, of a user and of nobody are then alike. ``only_at_own_domain``: but for
    an organization that has nothing else to do with the address's domain (a free-mail address, say). The seed's first
    rule finds it all the same, as one of the few that an order is shown.
    """
    if viewer.may_know_of(question.email):
        return
    for one in found.values():
        if not is_member(one):
            continue
        organization = one.organization
        if viewer.knows(organization, list(organization.domains.all()), ""):
            continue
        if only_at_own_domain and not _has_domain_tie(question, one):
            continue
        one.ties = [tie for tie in one.ties if tie[0] != "member"]


def forget_former_domains(question: Question, found: dict[int, Found], viewer: Viewer) -> None:
    """Forget who used a domain before, where the reader may not know the organization: somebody else may own it now.

    Of a domain that the reader chose, pages are then the same as if nobody had ever used it. The reader's own proved
    address, and one that the vendor named, still lead to the organization: to a card without facts (see cards),
    whose place and mark can't depend on its names either, so those are forgotten where nothing else ties it.
    """
    own = viewer.may_know_of(question.email) and normalize.email_domain(question.email) == question.domain
    for pk, one in list(found.items()):
        if not one.former:
            continue
        organization, member = one.organization, question.email if is_member(one) else ""
        if viewer.knows(organization, list(organization.domains.all()), member):
            continue
        if not own:
            one.former, one.ties = (), [tie for tie in one.ties if tie[0] != "former"]
            if not one.ties and not one.by_words:
                del found[pk]
        elif not (_has_domain_tie(question, one) or any(arm in {"member", "seed"} for arm, _detail in one.ties)):
            one.key, one.other_names = _NO_NAME, ()


def is_member(found: Found) -> bool:
    """Whether the question's address belongs to a member."""
    return any(arm == "member" for arm, _detail in found.ties)


def domain_tie(asked: str, name: str, status: str) -> Code | None:
    """How an organization's domain belongs together with the one that is asked for; None where it doesn't."""
    if name == asked:
        return Code.CLAIMED_DOMAIN if status == Domain.Status.CLAIMED else Code.VERIFIED_DOMAIN
    if normalize.registrable_domain(name) == normalize.registrable_domain(asked):
        return Code.SUB_DOMAIN
    if normalize.domain_label(name) == normalize.domain_label(asked):
        return Code.OTHER_TLD
    return None


def _has_domain_tie(question: Question, one: Found) -> bool:
    return bool(question.domain) and any(domain_tie(question.domain, *each) for each in one.domains)


def _may_tell(question: Question, one: Found, viewer: Viewer, *, named: bool) -> bool:
    """Whether it is one of the few that may be shown, if those are fixed, or the viewer belongs there; and whether more
    than a name the viewer chose leads to it, or the viewer knows it.
    """
    if viewer.names_customer or (named and viewer.only is None):
        return True
    organization, member = one.organization, question.email if is_member(one) else ""
    domains = list(organization.domains.all())
    if viewer.belongs_to(organization, domains, member):
        return True
    if viewer.only is not None and one.pk not in viewer.only:
        return False
    if named or one.former or any(arm in {"member", "seed"} for arm, _detail in one.ties):
        return True
    tied = any(domain_tie(question.domain, *each) for each in one.domains if not is_shared(each[0]))
    return bool(question.domain and tied) or viewer.knows(organization, domains, member)
