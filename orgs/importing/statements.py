"""SQL statements of the import. Parameters are the arrays of ``slices``, one element per row or part.

Each statement looks up rows by index, because a slice is small and the directory may be large.
"""

from __future__ import annotations

from typing import Final

from orgs.importing.slices import REMOVED

_FILE: Final = """
    file AS MATERIALIZED (
        SELECT * FROM unnest(
            %(external_id)s::text[], %(name)s::text[], %(country)s::text[], %(vertical)s::text[],
            %(is_partner)s::boolean[], %(status)s::text[], %(users)s::int[], %(active_users)s::int[],
            %(subscriptions)s::int[], %(last_activity)s::timestamptz[]
        ) WITH ORDINALITY AS row(external_id, name, country, vertical, is_partner, status, users, active_users,
                                 subscriptions, last_activity, at)
    )
"""
# True if a row's own columns differ from the organization's.
_OWN_DIFFER: Final = """
    (o.name <> f.name OR o.country <> f.country OR o.vertical <> f.vertical OR o.is_partner <> f.is_partner)
"""
_USE_DIFFERS: Final = """
    (f.users IS DISTINCT FROM o.reported_user_count AND f.users IS NOT NULL
     OR f.active_users IS DISTINCT FROM o.reported_active_user_count AND f.active_users IS NOT NULL
     OR f.subscriptions IS DISTINCT FROM o.reported_subscription_count AND f.subscriptions IS NOT NULL
     OR f.last_activity IS DISTINCT FROM o.reported_activity_at AND f.last_activity IS NOT NULL
     OR num_nonnulls(f.users, f.active_users, f.subscriptions, f.last_activity) > 0
        AND (o.reported_at IS NULL OR o.reported_at < %(report_again)s))
"""
_CLOSES: Final = "(f.status = 'closed' AND o.closed_at IS NULL)"
# One that was merged into another one stays closed.
_OPENS: Final = """
    (o.closed_at IS NOT NULL AND (f.status = 'open' OR %(full)s AND f.status IS DISTINCT FROM 'closed')
     AND NOT EXISTS (SELECT FROM orgs_organizationmerge merged WHERE merged.gone_id = o.id))
"""

# The places in the slice of rows that are new or differ.
FIND_DIFFERENT: Final = f"""
WITH {_FILE}, known AS MATERIALIZED (
    SELECT f.at, o.id, coalesce({_OWN_DIFFER}, false) OR coalesce({_USE_DIFFERS}, false)
           OR coalesce({_CLOSES}, false) OR coalesce({_OPENS}, false) OR o.id IS NULL AS differs
    FROM file f LEFT JOIN orgs_organization o ON o.external_id = f.external_id
)
SELECT at FROM known WHERE differs
UNION
SELECT part.at FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_domain d ON d.organization_id = known.id AND d.name = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN d.id IS NOT NULL
      ELSE (d.status, d.imported) IS DISTINCT FROM (split_part(part.kind, '@', 1), true)
           OR split_part(part.kind, '@', 2) NOT IN ('', d.used_until) END
UNION
SELECT part.at FROM unnest(%(other_name_at)s::int[], %(other_name_kind)s::text[], %(other_name_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_othername n ON n.organization_id = known.id AND n.name = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN n.id IS NOT NULL
      ELSE (n.kind, n.imported) IS DISTINCT FROM (part.kind, true) END
UNION
SELECT part.at FROM unnest(%(member_at)s::int[], %(member_kind)s::text[], %(member_name)s::text[])
    AS part(at, kind, name)
JOIN known ON known.at = part.at AND NOT known.differs
LEFT JOIN orgs_member m ON m.organization_id = known.id AND m.email = part.name
WHERE CASE part.kind WHEN '{REMOVED}' THEN m.id IS NOT NULL AND (m.given_by IS NULL OR m.role_before <> '')
      ELSE (CASE WHEN m.given_by IS NULL THEN m.role ELSE m.role_before END, m.imported)
           IS DISTINCT FROM (part.kind, true) END
"""  # noqa: S608 — names of ours only

INSERT_ORGANIZATIONS: Final = f"""
WITH {_FILE}, keys AS MATERIALIZED (
    SELECT * FROM unnest(%(public_id)s::uuid[], %(name_key)s::text[], %(name_start)s::text[], %(origin)s::text[])
    WITH ORDINALITY AS row(public_id, name_key, name_start, origin, at)
)
INSERT INTO orgs_organization (public_id, external_id, name, name_key, name_start, country, vertical, is_partner,
    origin, account_created_at, user_count, active_user_count, active_subscription_count, closed_at)
SELECT k.public_id, f.external_id, f.name, k.name_key, k.name_start, coalesce(f.country, ''),
       coalesce(f.vertical, ''), coalesce(f.is_partner, false), k.origin, %(now)s, 0, 0, 0,
       CASE WHEN f.status = 'closed' THEN %(now)s::timestamptz END
FROM file f JOIN keys k USING (at) WHERE f.at <> ALL(%(known)s::int[]) ORDER BY f.at
RETURNING external_id, id
"""  # noqa: S608 — names of ours only

UPDATE_ORGANIZATIONS: Final = f"""
WITH {_FILE}, keys AS MATERIALIZED (
    SELECT * FROM unnest(%(name_key)s::text[], %(name_start)s::text[], %(ids)s::bigint[])
    WITH ORDINALITY AS row(name_key, name_start, id, at)
), differs AS MATERIALIZED (
    SELECT f.*, k.name_key, k.name_start, k.id, coalesce({_OWN_DIFFER}, false) AS own,
           coalesce({_USE_DIFFERS}, false) AS use, coalesce({_CLOSES}, false) AS closes,
           coalesce({_OPENS}, false) AS opens
    FROM file f JOIN keys k USING (at) JOIN orgs_organization o ON o.id = k.id
)
UPDATE orgs_organization o SET
    name = f.name, name_key = f.name_key, name_start = f.name_start, country = coalesce(f.country, o.country),
    vertical = coalesce(f.vertical, o.vertical), is_partner = coalesce(f.is_partner, o.is_partner),
    closed_at = CASE WHEN f.closes THEN %(now)s WHEN NOT f.opens THEN o.closed_at END,
    reported_user_count = coalesce(f.users, o.reported_user_count),
    reported_active_user_count = coalesce(f.active_users, o.reported_active_user_count),
    reported_subscription_count = coalesce(f.subscriptions, o.reported_subscription_count),
    reported_activity_at = coalesce(f.last_activity, o.reported_activity_at),
    reported_at = CASE WHEN f.use THEN %(now)s ELSE o.reported_at END,
    active_subscription_count = greatest(0, o.active_subscription_count + coalesce(
        f.subscriptions - coalesce(o.reported_subscription_count, 0), 0))
FROM differs f WHERE o.id = f.id AND (f.own OR f.use OR f.closes OR f.opens)
RETURNING f.own, f.closes, f.opens
"""  # noqa: S608 — names of ours only

FIND_CLAIMED_BY_ANOTHER: Final = """
WITH asked AS MATERIALIZED (
    SELECT place, (%(ids)s::bigint[])[at] AS id, (%(line)s::int[])[at] AS line, name,
           row_number() OVER (PARTITION BY name ORDER BY place) AS nth
    FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[])
         WITH ORDINALITY AS part(at, kind, name, place) WHERE kind = 'claimed'
)
SELECT place, line, name FROM asked WHERE nth > 1 OR EXISTS (
    SELECT FROM orgs_domain d WHERE d.name = asked.name AND d.status = 'claimed' AND d.organization_id <> asked.id)
"""
UPSERT_DOMAINS: Final = f"""
INSERT INTO orgs_domain (organization_id, name, registrable, label, status, used_until, imported)
SELECT (%(ids)s::bigint[])[at], name, registrable, label, split_part(kind, '@', 1), split_part(kind, '@', 2), true
FROM unnest(%(domain_at)s::int[], %(domain_kind)s::text[], %(domain_name)s::text[], %(registrable)s::text[],
            %(label)s::text[]) WITH ORDINALITY AS part(at, kind, name, registrable, label, place)
WHERE kind <> '{REMOVED}' AND place <> ALL(%(taken)s::int[]) ORDER BY 1, 2
ON CONFLICT (organization_id, name) DO UPDATE SET status = excluded.status, imported = true,
    used_until = CASE excluded.status WHEN 'former'
        THEN coalesce(nullif(excluded.used_until, ''), orgs_domain.used_until) ELSE '' END
WHERE (orgs_domain.status, orgs_domain.imported) IS DISTINCT FROM (excluded.status, true)
      OR excluded.used_until NOT IN ('', orgs_domain.used_until)
"""  # noqa: S608 — names of ours only
UPSERT_OTHER_NAMES: Final = f"""
INSERT INTO orgs_othername (organization_id, name, name_key, kind, imported)
SELECT (%(ids)s::bigint[])[at], name, name_key, kind, true
FROM unnest(%(other_name_at)s::int[], %(other_name_kind)s::text[], %(other_name_name)s::text[],
            %(other_name_key)s::text[]) AS part(at, kind, name, name_key)
WHERE kind <> '{REMOVED}' ORDER BY 1, 2
ON CONFLICT (organization_id, name) DO UPDATE SET kind = excluded.kind, name_key = excluded.name_key, imported = true
WHERE (orgs_othername.kind, orgs_othername.name_key, orgs_othername.imported)
      IS DISTINCT FROM (excluded.kind, excluded.name_key, true)
"""  # noqa: S608 — names of ours only
# A right that a request gave is kept; the role in the file applies after it ends.
UPSERT_MEMBERS: Final = f"""
INSERT INTO orgs_member (organization_id, email, email_domain, role, imported)
SELECT (%(ids)s::bigint[])[at], name, email_domain, kind, true
FROM unnest(%(member_at)s::int[], %(member_kind)s::text[], %(member_name)s::text[], %(member_domain)s::text[])
     AS part(at, kind, name, email_domain)
WHERE kind <> '{REMOVED}' ORDER BY 1, 2
ON CONFLICT (organization_id, email) DO UPDATE SET imported = true,
    role = CASE WHEN orgs_member.given_by IS NULL THEN excluded.role ELSE orgs_member.role END,
    role_before = CASE WHEN orgs_member.given_by IS NULL THEN orgs_member.role_before ELSE excluded.role END
WHERE (CASE WHEN orgs_member.given_by IS NULL THEN orgs_member.role ELSE orgs_member.role_before END,
       orgs_member.imported) IS DISTINCT FROM (excluded.role, true)
"""  # noqa: S608 — names of ours only
INSERT_POSTINGS: Final = """
INSERT INTO orgs_posting (word, organization_id)
SELECT word, (%(ids)s::bigint[])[at] FROM unnest(%(word_at)s::int[], %(word)s::text[]) AS part(at, word)
WHERE at = ANY(%(new)s::int[]) ORDER BY 1, 2
RETURNING word
"""
