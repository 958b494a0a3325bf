"""How much somebody who proved no tie to an organization may ask and see, kept in PostgreSQL so that it holds for all
processes: a number of searches in a time, and a number of different organizations for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from orgs.models import SearchBudget

ORGANIZATIONS: Final = 10
SEARCHES: Final = 60
WINDOW: Final = timedelta(hours=1)


def spend(limits: Mapping[str, int] | Iterable[str], window: timedelta = WINDOW) -> bool:
    """Count one search against every key; False (and nothing counted) where one of them has none left.

    ``limits`` gives each key's number of searches in the window, or just the keys (SEARCHES each).
    """
    wanted = dict(limits) if isinstance(limits, Mapping) else dict.fromkeys(limits, SEARCHES)
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        for key in sorted(wanted):  # always in the same order, so that two requests never wait for each other
            cursor.execute(
                """INSERT INTO orgs_searchbudget AS b (key, searches, since_at, organization_ids)
                   VALUES (%s, 1, %s, '{}')
                   ON CONFLICT (key) DO UPDATE SET
                       searches = CASE WHEN b.since_at < %s THEN 1 ELSE b.searches + 1 END,
                       since_at = CASE WHEN b.since_at < %s THEN excluded.since_at ELSE b.since_at END
                   RETURNING searches""",
                [key[:300], now, now - window, now - window],
            )
            if cursor.fetchone()[0] > wanted[key]:
                transaction.set_rollback(True)
                return False
    return True


def is_spent(key: str, most: int, window: timedelta = WINDOW) -> bool:
    """Whether this key has none left of so many in the window; counts nothing."""
    since = timezone.now() - window
    return SearchBudget.objects.filter(key=key[:300], since_at__gte=since, searches__gte=most).exists()


def disclose(key: str, organization_ids: Iterable[int], most: int = ORGANIZATIONS) -> set[int]:
    """Which of these organizations may be shown under this key: those shown before, and new ones while any are left."""
    asked = list(dict.fromkeys(organization_ids))
    if not asked:
        return set()
    SearchBudget.objects.bulk_create([SearchBudget(key=key[:300])], ignore_conflicts=True)
    with transaction.atomic():
        budget = SearchBudget.objects.select_for_update().get(key=key[:300])
        shown = budget.organization_ids
        new = [pk for pk in asked if pk not in shown][: max(0, most - len(shown))]
        if new:
            budget.organization_ids = [*shown, *new]
            budget.save(update_fields=["organization_ids"])
        return {pk for pk in asked if pk in budget.organization_ids}
