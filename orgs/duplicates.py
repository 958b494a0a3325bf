"""Finds pairs of organizations that are likely the same one, each with the reason. Reads only.

Two organizations are a pair if they have the same name, or the name of one is another name of the other, and

- they have the same registrable domain, now or before, unless it is a shared domain; or
- they are in the same country, and one of them has no current domain. Acronyms, and names that more than _USUAL
  organizations of the country have, don't count here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from django.db import connection, transaction

from orgs.finder.cards import is_shared
from orgs.models import LikelyDuplicate

# Pairs that are kept, at most. The strongest reasons come first.
MOST: Final = 10_000
# Organizations with one name and domain that are compared with each other: 45 pairs.
_MOST_OF_A_NAME: Final = 10
# A name that more organizations of a country have is a common one ("General Hospital").
_USUAL: Final = 4

_Why = LikelyDuplicate.Why

# One pass over the names finds those that are the own name of an organization and a name of another one.
_PAIRS: Final = """
WITH named AS (
    SELECT name_key, id, true AS own, true AS distinctive FROM orgs_organization WHERE closed_at IS NULL
    UNION ALL
    SELECT n.name_key, n.organization_id, false, n.kind <> 'acronym'
    FROM orgs_othername n JOIN orgs_organization o ON o.id = n.organization_id WHERE o.closed_at IS NULL
), several AS MATERIALIZED (
    SELECT name_key FROM named WHERE name_key <> '' GROUP BY name_key HAVING min(id) < max(id) AND bool_or(own)
), known AS MATERIALIZED (
    SELECT name_key, id, bool_or(own) AS own, bool_or(distinctive) AS distinctive
    FROM named JOIN several USING (name_key) GROUP BY name_key, id
), placed AS MATERIALIZED (
    SELECT name_key, registrable, id, own,
           row_number() OVER (PARTITION BY name_key, registrable ORDER BY own DESC, id) AS place
    FROM (
        SELECT DISTINCT known.name_key, domain.registrable, known.id, known.own
        FROM known JOIN orgs_domain domain ON domain.organization_id = known.id
        WHERE domain.registrable <> ''
    ) each_once
), landed AS MATERIALIZED (
    SELECT known.*, o.country, count(*) OVER (PARTITION BY known.name_key, o.country) AS have_it,
           NOT EXISTS (
               SELECT FROM orgs_domain domain WHERE domain.organization_id = known.id AND domain.status <> 'former'
           ) AS without_domain
    FROM known JOIN orgs_organization o USING (id) WHERE o.country <> ''
), pairs AS (
    SELECT one.id, other.id AS other_id, one.registrable AS domain,
           CASE WHEN one.own AND other.own THEN 1 ELSE 2 END AS reason
    FROM placed one JOIN placed other USING (name_key, registrable)
    WHERE one.id < other.id AND (one.own OR other.own)
          AND one.place <= %(most)s AND other.place <= %(most)s
    UNION ALL
    SELECT one.id, other.id, '', CASE WHEN one.own AND other.own THEN 3 ELSE 4 END
    FROM landed one JOIN landed other USING (name_key, country)
    WHERE one.id < other.id AND (one.own OR other.own) AND one.distinctive AND other.distinctive
          AND (one.without_domain OR other.without_domain) AND one.have_it <= %(usual)s
)
SELECT id, other_id, domain, reason FROM pairs
WHERE NOT EXISTS (
    SELECT FROM orgs_likelyduplicate kept
    WHERE kept.organization_id = pairs.id AND kept.other_id = pairs.other_id AND kept.dismissed_at IS NOT NULL
)
ORDER BY reason, id, other_id, domain
"""
_REASONS: Final = {
    1: _Why.SAME_NAME_DOMAIN,
    2: _Why.OTHER_NAME_DOMAIN,
    3: _Why.SAME_NAME_COUNTRY,
    4: _Why.OTHER_NAME_COUNTRY,
}


class Pair(NamedTuple):
    """Two organizations by primary key, the lower one first, and the reason."""

    organization_id: int
    other_id: int
    why: LikelyDuplicate.Why
    domain: str  # the common registrable domain, "" if it isn't the reason


def find_pairs(*, limit: int = MOST) -> list[Pair]:
    """Return at most ``limit`` likely duplicates, each pair once with its strongest reason, the strongest first.

    Dismissed pairs are left out.
    """
    found: dict[tuple[int, int], Pair] = {}
    with transaction.atomic(), connection.chunked_cursor() as rows:
        rows.execute(_PAIRS, {"most": _MOST_OF_A_NAME, "usual": _USUAL})
        for pk, other, domain, reason in rows:
            if len(found) == limit:
                break
            if (pk, other) not in found and not (domain and is_shared(domain)):
                found[pk, other] = Pair(pk, other, _REASONS[reason], domain)
    return list(found.values())
