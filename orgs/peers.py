"""What the finder is compared with, on the same directory and questions: simpler ways to find an organization."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connection
from rapidfuzz import fuzz, process

from orgs import normalize
from orgs.benchmark import Answer, Directory, Question, figures

OLDER_RULE = """SELECT o.id FROM orgs_organization o JOIN orgs_domain d ON d.organization_id = o.id
    WHERE d.name = %s AND o.name_start = %s LIMIT 50"""
NEAREST = "SELECT id FROM orgs_organization ORDER BY name_key <-> %s LIMIT 5"


def older_rule_values(question: Question) -> list[str]:
    """What the older rule asks for: the email's domain, and the first five characters of the name."""
    return [normalize.email_domain(question.email), normalize.name_start(question.name)]


def measure(directory: Directory, questions: Sequence[Question]) -> dict[str, Any]:
    """The figures of every peer on the directory that is loaded, by what the peer does."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
        cursor.execute("CREATE INDEX bench_trigram ON orgs_organization USING gist (name_key gist_trgm_ops)")
        cursor.execute("ANALYZE orgs_organization")
        cursor.execute("SELECT id, name_key FROM orgs_organization ORDER BY id")
        keys: dict[int, str] = dict(cursor.fetchall())

        def older_rule(question: Question) -> Iterable[int]:
            cursor.execute(OLDER_RULE, older_rule_values(question))
            return [pk for (pk,) in cursor.fetchall()]

        def trigram(question: Question) -> Iterable[int]:
            cursor.execute(NEAREST, [normalize.name_key(question.name)])
            return [pk for (pk,) in cursor.fetchall()]

        def all_names(question: Question) -> Iterable[int]:
            asked = normalize.name_key(question.name)
            return [pk for _key, _score, pk in process.extract(asked, keys, scorer=fuzz.token_sort_ratio, limit=5)]

        return {
            "the older rule alone": _figures(directory, questions, older_rule),
            "trigram, nearest five names": _figures(directory, questions, trigram),
            "rapidfuzz (token_sort_ratio) over all names": _figures(directory, questions, all_names),
        }


def _figures(
    directory: Directory, questions: Sequence[Question], find: Callable[[Question], Iterable[int]]
) -> dict[str, Any]:
    answers = []
    for question in questions:
        start = time.perf_counter()
        found = [directory.external[pk] for pk in find(question)]
        answers.append(Answer(question, found, False, (time.perf_counter() - start) * 1000))
    measured = figures(answers)
    return {name: measured[name] for name in ("r_at_1", "r_at_5", "false_match_rate", "latency_ms")}
