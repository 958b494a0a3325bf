"""Rate limits of the finder: questions per time window, and different organizations shown in total, by key.

The counters are in PostgreSQL, so they hold for all processes. ``ask``, ``spend`` and ``disclose`` write and belong to
POST requests; ``read`` and ``is_spent`` only read. A question counts once per key; showing its answer again is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import Counter

from orgs.models import Search, SearchBudget

ORGANIZATIONS: Final = 10
SEARCHES: Final = 60
WINDOW: Final = timedelta(hours=1)
REFUSALS: Final = Counter("provisioning_finder_refusals", "Questions of the finder that were refused by a limit.")


@dataclass(frozen=True)
class Usage:
    """What was asked and shown under a key so far.

    ``asked``: the given questions that were counted. ``shown``: primary keys of organizations, first shown first.
    ``free_at``: when the next question can be asked, None if now. ``most``: organizations that may be shown in total.
    """

    asked: frozenset[str]
    shown: tuple[int, ...]
    free_at: datetime | None
    most: int = ORGANIZATIONS

    @property
    def is_full(self) -> bool:
        """Whether the number of organizations is used up."""
        return len(self.shown) >= self.most


def read(
    key: str, questions: Iterable[str] = (), limits: Mapping[str, int] | None = None, window: timedelta = WINDOW
) -> Usage:
    """Return what was asked and shown under a key. ``limits``: the limits of a question, as for ``spend``."""
    names = {name[:300]: most for name, most in (limits or {}).items()}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT b.key, b.searches, b.since_at, b.organization_ids, ARRAY(
                   SELECT s.question FROM orgs_search s WHERE s.key = b.key AND s.question = ANY(%s)
               ) FROM orgs_searchbudget b WHERE b.key = ANY(%s)""",
            [list(questions), [key[:300], *names]],
        )
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    now = timezone.now()
    used_up = [
        since_at + window
        for name, (searches, since_at, *_rest) in rows.items()
        if name in names and searches >= names[name] and since_at + window > now
    ]
    _searches, _since_at, shown, asked = rows.get(key[:300], (0, now, (), ()))
    return Usage(frozenset(asked), tuple(shown), max(used_up, default=None))


def ask(key: str, question: str, limits: Mapping[str, int], window: timedelta = WINDOW) -> bool:
    """Count a question, once per key. Return False, and count nothing, if a limit is used up."""
    with transaction.atomic():
        SearchBudget.objects.bulk_create([SearchBudget(key=key[:300])], ignore_conflicts=True)
        _search, new = Search.objects.get_or_create(key=key[:300], question=question)
        if new and not spend(limits, window):
            transaction.set_rollback(True)
            return False
    return True


def spend(limits: Mapping[str, int] | Iterable[str], window: timedelta = WINDOW) -> bool:
    """Count one question against every key. Return False, and count nothing, if one of them is used up.

    :param limits: the number of questions in the window by key, or only keys (SEARCHES each).
    """
    wanted = dict(limits) if isinstance(limits, Mapping) else dict.fromkeys(limits, SEARCHES)
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        for key in sorted(wanted):  # the same lock order in all requests prevents deadlocks
            cursor.execute(
                """INSERT INTO orgs_searchbudget AS b (key, searches, since_at, organization_ids)
                   VALUES (%s, 1, %s, '{}')
                   ON CONFLICT (key) DO UPDATE SET
                       searches = CASE WHEN b.since_at <= %s THEN 1 ELSE b.searches + 1 END,
                       since_at = CASE WHEN b.since_at <= %s THEN excluded.since_at ELSE b.since_at END
                   RETURNING searches""",
                [key[:300], now, now - window, now - window],
            )
            if cursor.fetchone()[0] > wanted[key]:
                REFUSALS.inc()
                transaction.set_rollback(True)
                return False
    return True


@dataclass(frozen=True)
class Count:
    """How often a key was counted in its window, and when the window ends."""

    used: int
    resets_at: datetime


def count(key: str, window: timedelta) -> Count:
    """Count one under a key, also over any limit, and return what was counted in its window.

    One statement that doesn't wait for the disk: after a crash of the database the last counts may be missing.
    """
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS mode)
               INSERT INTO orgs_searchbudget AS b (key, searches, since_at, organization_ids)
               SELECT %s, 1, %s, '{}' FROM fast
               ON CONFLICT (key) DO UPDATE SET
                   searches = CASE WHEN b.since_at <= %s THEN 1 ELSE b.searches + 1 END,
                   since_at = CASE WHEN b.since_at <= %s THEN excluded.since_at ELSE b.since_at END
               RETURNING searches, since_at""",
            [key[:300], now, now - window, now - window],
        )
        used, since_at = cursor.fetchone()
    return Count(used, since_at + window)


def is_spent(key: str, most: int, window: timedelta = WINDOW) -> bool:
    """Return whether ``most`` questions were counted under this key in the window. Counts nothing."""
    since = timezone.now() - window
    return SearchBudget.objects.filter(key=key[:300], since_at__gte=since, searches__gte=most).exists()


def disclose(
    key: str, organization_ids: Iterable[int], most: int = ORGANIZATIONS, at_once: int = ORGANIZATIONS
) -> set[int]:
    """Return which of these organizations (primary keys) may be shown under this key, and record them as shown.

    Those shown before may always be shown; of the others the first ones, at most ``at_once`` now and ``most`` in total.
    """
    asked = list(dict.fromkeys(organization_ids))
    if not asked:
        return set()
    SearchBudget.objects.bulk_create([SearchBudget(key=key[:300])], ignore_conflicts=True)
    with transaction.atomic():
        budget = SearchBudget.objects.select_for_update().get(key=key[:300])
        shown = budget.organization_ids
        left = min(most - len(shown), at_once)
        new = [pk for pk in asked if pk not in shown][: max(0, left)]
        if new:
            budget.organization_ids = [*shown, *new]
            budget.save(update_fields=["organization_ids"])
        return {pk for pk in asked if pk in budget.organization_ids}
