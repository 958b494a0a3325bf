"""Statistics of use: how what other systems reported counts together with what is counted here. SQL only.

Users: the members that are known here, or what was reported, whichever is more: a source that reports figures often
names only some of the people. Active users: the same, but what was reported counts for ACTIVE_FOR after the report, as
an own user's last activity does, and never more than there are users. Last activity: the later one. Subscriptions:
those that were set up here and those that were reported, added up: the report is about other systems' subscriptions.
So a nightly count never overwrites a report, and a report never overwrites what happened here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

# A user is active who did something in this time.
ACTIVE_FOR: Final = timedelta(days=90)
# A report's last activity may be so much later than it is here: a date without a time, clocks that differ.
CLOCKS_DIFFER: Final = timedelta(days=1)

_SETTLE: Final = """
UPDATE orgs_organization o
SET user_count = settled.users, active_user_count = settled.active, last_activity_at = settled.last
FROM (
    SELECT known.id, counted.users,
           least(counted.users, greatest(coalesce(own.active, 0), CASE
               WHEN known.reported_at >= %(since)s THEN coalesce(known.reported_active_user_count, 0) ELSE 0 END
           )) AS active,
           {last} AS last
    FROM orgs_organization known
    LEFT JOIN (
        SELECT m.organization_id, count(*) AS users, count(*) FILTER (WHERE m.last_active_at >= %(since)s) AS active,
               max(m.last_active_at) AS last
        FROM orgs_member m {members} GROUP BY m.organization_id
    ) own ON own.organization_id = known.id
    CROSS JOIN LATERAL (
        SELECT greatest(coalesce(own.users, 0), coalesce(known.reported_user_count, 0)) AS users
    ) counted
    {organizations}
) settled
WHERE settled.id = o.id AND (o.user_count, o.active_user_count, o.last_activity_at)
      IS DISTINCT FROM (settled.users, settled.active, settled.last)
"""


def settle(organization_ids: list[int]) -> None:
    """Make the figures of these organizations follow from their members and from what was reported."""
    statement = _SETTLE.format(
        last="greatest(own.last, known.reported_activity_at)",
        members="WHERE m.organization_id = ANY(%(ids)s)",
        organizations="WHERE known.id = ANY(%(ids)s)",
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"since": timezone.now() - ACTIVE_FOR, "ids": organization_ids})


def settle_all() -> int:
    """Count users and active users of every organization again; how many were wrong. The last activity stays."""
    statement = _SETTLE.format(last="known.last_activity_at", members="", organizations="")
    with connection.cursor() as cursor:
        cursor.execute(statement, {"since": timezone.now() - ACTIVE_FOR})
        return int(cursor.rowcount)
