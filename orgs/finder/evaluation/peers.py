"""Peers: other matching methods, measured on the same directory and questions as the finder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection
from rapidfuzz import fuzz, process

from orgs.finder.evaluation import splink_peer
from orgs.finder.evaluation.benchmark import Answer, Directory, Question, figures
from orgs.text import normalize

OLDER_RULE = """SELECT o.id FROM orgs_organization o JOIN orgs_domain d ON d.organization_id = o.id
    WHERE d.name = %s AND o.name_start = %s LIMIT 50"""
NEAREST = "SELECT id, 1 - (name_key <-> %s) FROM orgs_organization ORDER BY name_key <-> %s LIMIT 5"
_TOGETHER: Final = """
    SELECT found.id, found.key, similarity(found.key, %(name)s), found.is_tied FROM (
        SELECT o.id, o.name_key AS key, TRUE AS is_tied
          FROM orgs_domain d JOIN orgs_organization o ON o.id = d.organization_id WHERE d.registrable = %(domain)s
        UNION ALL
        SELECT n.organization_id, n.name_key, TRUE
          FROM orgs_domain d JOIN orgs_othername n USING (organization_id) WHERE d.registrable = %(domain)s
        UNION ALL
        (SELECT id, name_key, FALSE FROM orgs_organization ORDER BY name_key <-> %(name)s LIMIT 20)
        UNION ALL
        (SELECT organization_id, name_key, FALSE FROM orgs_othername ORDER BY name_key <-> %(name)s LIMIT 20)
    ) found"""
# Score for the same domain, added to a name similarity of 0 to 100, and for being the only organization with it. These
# were the best of several values tried on the public questions.
_DOMAIN_WORTH: Final = 70.0
_ALONE_WORTH: Final = 20.0
_SPLINK_LEAST: Final = 0.1  # match probability

# (primary key, score) of organizations, best first.
RankedOrganizations = Sequence[tuple[int, float]]


def older_rule_values(question: Question) -> list[str]:
    """Return the parameters of OLDER_RULE: the email's domain, and the first five characters of the name."""
    return [normalize.email_domain(question.email), normalize.name_start(question.name)]


def nearest_values(question: Question) -> list[str]:
    """Return the parameters of NEAREST."""
    return [normalize.name_key(question.name)] * 2


def domain_and_trigram(question: Question) -> RankedOrganizations:
    """Return the best five of all organizations at the email's registrable domain and the nearest names by trigrams."""
    domain, name = normalize.email_domain(question.email), normalize.name_key(question.name)
    tied = None if normalize.is_shared_domain(domain) else normalize.registrable_domain(domain)
    with connection.cursor() as cursor:
        cursor.execute(_TOGETHER, {"domain": tied, "name": name})
        rows = cursor.fetchall()
    at_domain = {pk for pk, _key, _similarity, is_tied in rows if is_tied}
    worth = _DOMAIN_WORTH + (_ALONE_WORTH if len(at_domain) == 1 else 0)
    scores: dict[int, float] = {}
    for pk, key, similarity, _is_tied in rows:
        score = (100 * similarity + fuzz.token_sort_ratio(name, key) + fuzz.token_set_ratio(name, key)) / 3
        scores[pk] = max(score + worth * (pk in at_domain), scores.get(pk, 0.0))
    return sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:5]


@contextmanager
def trigram_indexes() -> Iterator[None]:
    """Create trigram indexes and drop them afterwards, because the planner could use them for the finder."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
        for table in ("orgs_organization", "orgs_othername"):
            cursor.execute(f"CREATE INDEX bench_trigram_{table} ON {table} USING gist (name_key gist_trgm_ops)")
            cursor.execute(f"ANALYZE {table}")
        try:
            yield
        finally:
            for table in ("orgs_organization", "orgs_othername"):
                cursor.execute(f"DROP INDEX bench_trigram_{table}")


def measure(directory: Directory, questions: Sequence[Question], say: Callable[[str], object]) -> dict[str, Any]:
    """Return the figures of every peer by its name, on the loaded directory.

    ``say`` gets a sentence if a peer is left out.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, name_key FROM orgs_organization ORDER BY id")
        keys: dict[int, str] = dict(cursor.fetchall())

        def older_rule(question: Question) -> RankedOrganizations:
            cursor.execute(OLDER_RULE, older_rule_values(question))
            return [(pk, 1.0) for (pk,) in cursor.fetchall()]

        def trigram(question: Question) -> RankedOrganizations:
            cursor.execute(NEAREST, nearest_values(question))
            return [(pk, similarity) for pk, similarity in cursor.fetchall()]

        def all_names(question: Question) -> RankedOrganizations:
            asked = normalize.name_key(question.name)
            found = process.extract(asked, keys, scorer=fuzz.token_sort_ratio, limit=5)
            return [(pk, score) for _key, score, pk in found]

        result = {"the older rule alone": _figures(directory, questions, older_rule)}
        with trigram_indexes():
            result["trigram, nearest five names"] = _figures(directory, questions, trigram)
            result["rapidfuzz (token_sort_ratio) over all names"] = _figures(directory, questions, all_names)
            result["domain and trigram together, rescored"] = _figures(directory, questions, domain_and_trigram)
    try:
        linked = splink_peer.link(questions)
    except splink_peer.LeftOutError as left_out:
        say(str(left_out))
        return result
    odds = math.log2(_SPLINK_LEAST / (1 - _SPLINK_LEAST))
    for name, least in (
        ("Splink, all that it links", -math.inf),
        (f"Splink, from a match probability of {_SPLINK_LEAST}", odds),
    ):
        found = [[each for each in of_one if each[1] >= least] for of_one in linked.found]
        batch = {"batch": linked.milliseconds, "questions": len(questions)}
        result[name] = {**_of(directory, questions, found, [0.0] * len(found)), "latency_ms": batch}
    return result


def _figures(
    directory: Directory, questions: Sequence[Question], find: Callable[[Question], RankedOrganizations]
) -> dict[str, Any]:
    found, times = [], []
    for question in questions:
        start = time.perf_counter()
        found.append(find(question))
        times.append((time.perf_counter() - start) * 1000)
    return _of(directory, questions, found, times)


def _of(
    directory: Directory, questions: Sequence[Question], found: Sequence[RankedOrganizations], times: Sequence[float]
) -> dict[str, Any]:
    measured = figures(
        [
            Answer(question, [directory.external[pk] for pk, _score in of_one], False, taken)
            for question, of_one, taken in zip(questions, found, times, strict=True)
        ]
    )
    return {
        **{name: measured[name] for name in ("r_at_1", "r_at_5", "false_match_rate")},
        "r_at_1_cut": right_after_cut(directory, questions, found),
        "latency_ms": measured["latency_ms"],
    }


def right_after_cut(directory: Directory, questions: Sequence[Question], found: Sequence[RankedOrganizations]) -> float:
    """Return R@1 if only scores above the cut are shown, at which 5 % of unanswerable questions are false matches.

    The cut is chosen on the same questions that it is measured on, which favors the peer.
    """
    pairs = [(question, of_one[0]) for question, of_one in zip(questions, found, strict=True) if of_one]
    false = sorted((score for question, (_pk, score) in pairs if not question.expected), reverse=True)
    allowed = sum(not question.expected for question in questions) // 20
    cut = false[allowed] if len(false) > allowed else -math.inf
    right = sum(score > cut and directory.external[pk] == question.expected for question, (pk, score) in pairs)
    return round(right / max(1, sum(bool(question.expected) for question in questions)), 4)
