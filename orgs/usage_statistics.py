"""Usage statistics of organizations: combines figures that other systems report with figures counted here. SQL only.

- Users: the greater of the members counted here and the reported number, because a report often names only some people.
- Active users: the greater of both, at most the number of users. A report expires after ACTIVE_FOR.
- Last activity: the later of both.
- Subscriptions: the sum, because a report counts the subscriptions of other systems only.

The nightly count never overwrites a report, and a report never overwrites what happened here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

# A user is active if their last activity is at most this long ago.
ACTIVE_FOR: Final = timedelta(days=90)
# A reported last activity may be this far in the future: a date without a time, or clocks that differ.
CLOCK_TOLERANCE: Final = timedelta(days=1)

_UPDATE: Final = """
UPDATE orgs_organization o
SET user_count = computed.users, active_user_count = computed.active, last_activity_at = computed.last
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
) computed
WHERE computed.id = o.id AND (o.user_count, o.active_user_count, o.last_activity_at)
      IS DISTINCT FROM (computed.users, computed.active, computed.last)
"""


def update(organization_ids: list[int]) -> None:
    """Compute the figures of these organizations (primary keys) from their members and reports."""
    statement = _UPDATE.format(
        last="greatest(own.last, known.reported_activity_at)",
        members="WHERE m.organization_id = ANY(%(ids)s)",
        organizations="WHERE known.id = ANY(%(ids)s)",
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"since": timezone.now() - ACTIVE_FOR, "ids": organization_ids})


def update_all() -> int:
    """Count all organizations' users and active users again; return how many rows changed. Keeps the last activity."""
    statement = _UPDATE.format(last="known.last_activity_at", members="", organizations="")
    with connection.cursor() as cursor:
        cursor.execute(statement, {"since": timezone.now() - ACTIVE_FOR})
        return int(cursor.rowcount)
