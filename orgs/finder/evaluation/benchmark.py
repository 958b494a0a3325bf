"""Measures the finder on a directory and questions from files, in a separate schema of the database."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import uuid_utils.compat as uuid
from django.db import connection
from django.utils import timezone

from orgs import search_index
from orgs.finder.matching import find_candidates
from orgs.text import normalize
from orgs.text.table_files import FileRefused, TableFile

# Of the files with organizations, with their other names, and with questions.
COLUMNS: Final = (
    *("org_id", "name", "country", "domain", "alias", "provenance"),
    *("query_company_name", "query_email", "expected_org_id", "kind", "email_kind"),
)
_TABLES: Final = (
    *("orgs_organization", "orgs_othername", "orgs_domain", "orgs_member"),
    *("orgs_word", "orgs_spelling", "orgs_posting", "orgs_wordpair"),
)


@dataclass(frozen=True)
class Question:
    """A question and the external id of the right organization, "" if it is not in the directory."""

    name: str
    email: str
    expected: str
    kind: str
    email_kind: str


@dataclass
class Answer:
    """The finder's answer: external ids of the candidates, best first, and whether the first is marked *Best match*."""

    question: Question
    shown: list[str]
    marked: bool
    milliseconds: float


@dataclass
class Directory:
    """A loaded directory: external ids by primary key, and the reverse."""

    external: dict[int, str] = field(default_factory=dict)  # primary key -> id in the file
    pks: dict[str, int] = field(default_factory=dict)


def read(path: Path, *required: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with all its columns.

    :raises FileRefused: a required column is missing, or any row can't be read: a part of a file isn't measured.
    """
    with TableFile(path, columns=COLUMNS, required=required, others=True) as table:
        for _line, row in table:
            yield row
        for each in table.refused:
            raise FileRefused(f"{path}, line {each.line}: {each.reason}")


def questions(path: Path) -> list[Question]:
    """Return the questions of a CSV file: query_company_name, query_email, expected_org_id, kind, email_kind."""
    return [
        Question(
            row["query_company_name"],
            row["query_email"],
            row["expected_org_id"],
            row["kind"],
            row.get("email_kind", ""),
        )
        for row in read(path, "query_company_name", "query_email", "expected_org_id", "kind")
    ]


def questions_by_other_name(organizations: Path, other_names: Path, number: int) -> list[Question]:
    """Return ``number`` questions that ask for an organization by one of its other names. Deterministic.

    Every second one has an email address at the organization's domain (email_kind "corp"), the others free mail.
    """
    domains = {row["org_id"]: row["domain"].split() for row in read(organizations, "org_id", "domain")}
    names = {
        (row["org_id"], row["alias"]) for row in read(other_names, "org_id", "alias") if domains.get(row["org_id"])
    }
    some = sorted(names, key=lambda pair: hashlib.md5(" ".join(pair).encode()).digest())[:number]  # noqa: S324
    return [
        Question(name, f"admin@{domains[of][0]}", of, "other-name", "corp")
        if at % 2
        else Question(name, "admin@gmail.com", of, "other-name", "free")
        for at, (of, name) in enumerate(some)
    ]


def taken_out(asked: Iterable[Question], organizations: Path) -> frozenset[str]:
    """Return ids of organizations to leave out of a directory: those asked for in another script, and one in eight."""
    native = {each.expected for each in asked if each.expected and normalize.is_native(each.name)}
    return frozenset(native | {row["org_id"] for row in read(organizations) if _digest(row["org_id"]) % 8 == 0})


def questions_taken_out(
    asked: Iterable[Question], organizations: Path, other_names: Path, out: Container[str], number: int
) -> list[Question]:
    """Return questions for organizations that were left out: those in ``asked``, and ``number`` others.

    Those in ``asked`` are also asked from free mail. The others ask by one of the organization's names, half of them in
    another script as far as there are such names, from free mail and from its own domain in turn.
    """
    found: list[Question] = []
    for each in asked:
        if each.expected in out:
            found += [each, replace(each, email="admin@gmail.com", kind="asked-out", email_kind="free")]
    domains = {row["org_id"]: row["domain"].split() for row in read(organizations)}
    names = [(row["org_id"], row["name"]) for row in read(organizations)]
    names += [(row["org_id"], row["alias"]) for row in read(other_names)]
    names = sorted({pair for pair in names if pair[0] in out and domains[pair[0]]}, key=lambda pair: _digest(*pair))
    native = [pair for pair in names if normalize.is_native(pair[1])][: number // 2]
    latin = [pair for pair in names if not normalize.is_native(pair[1])][: number // 2]
    for at, (of, name) in enumerate((*native, *latin)):
        email, kind = (f"admin@{domains[of][0]}", "corp") if at % 2 else ("admin@gmail.com", "free")
        found.append(Question(name, email, of, "made-out", kind))
    return found


def questions_by_spacing(organizations: Path, number: int) -> list[Question]:
    """Return ``number`` questions whose name has its spaces elsewhere, every third with a typing error. Deterministic.

    Half of them are from free mail, the others from a domain that no organization has.
    """
    rng = random.Random(20261127)  # noqa: S311 — repeatable, not secret
    rows = [row for row in read(organizations) if row["name"].isascii() and 10 <= len(row["name"]) <= 40]
    found: list[Question] = []
    for at, row in enumerate(sorted(rows, key=lambda row: _digest(row["org_id"]))[:number]):
        words = row["name"].split()
        if len(words) > 1:
            place = rng.randrange(len(words) - 1)
            whole = len(words) <= 3 and at % 2
            together = [*words[:place], words[place] + words[place + 1], *words[place + 2 :]]
            name = "".join(words) if whole else " ".join(together)
        else:
            place = len(row["name"]) // 2
            name = row["name"][:place] + " " + row["name"][place:]
        if at % 3 == 0:
            place = rng.randrange(1, len(name) - 1)
            name = name[:place] + name[place + 1 :]
        email = "admin@gmail.com" if at % 4 < 2 else f"admin@a-domain-of-nobody-{at}.example"
        found.append(Question(name, email, row["org_id"], "spacing", "free"))
    return found


def _digest(*parts: str) -> int:
    return int(hashlib.md5(" ".join(parts).encode()).hexdigest(), 16)  # noqa: S324 — for a choice that stays the same


@contextmanager
def own_schema(name: str = "", *, keep: bool = False) -> Iterator[None]:
    """Put empty copies of the directory's tables first in this connection's search path; drop them unless ``keep``."""
    schema = name or f"bench_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchone()[0] != connection.connection.info.backend_pid:
            raise RuntimeError("Set DATABASE_URL to PostgreSQL itself: a pooler gives these tables to other people.")
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in _TABLES:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {schema}.{table} (LIKE public.{table} INCLUDING ALL)")
        cursor.execute(f"SET search_path TO {schema}, public")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO DEFAULT")
            if not keep:
                cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def load(organizations: Path, other_names: Path | None, without: Container[str] = ()) -> Directory:
    """Fill the schema from CSV files (org_id, name, country, domain; org_id, alias), except for ids in ``without``."""
    directory = Directory()
    now = timezone.now()
    with connection.cursor() as cursor:
        domains: list[tuple[int, str]] = []
        with cursor.copy(f"COPY orgs_organization ({ORGANIZATION}) FROM STDIN") as copy:
            for pk, row in enumerate(read(organizations, *COLUMNS[:4]), start=1):
                if row["org_id"] in without:
                    continue
                directory.external[pk], directory.pks[row["org_id"]] = row["org_id"], pk
                copy.write_row(organization_row(pk, row["org_id"], row["name"], row["country"], now))
                domains += [(pk, domain) for domain in row["domain"].split()]
        with cursor.copy("COPY orgs_domain (organization_id, name, registrable, label, status) FROM STDIN") as copy:
            for pk, domain in domains:
                copy.write_row(domain_row(pk, domain))
        with cursor.copy("COPY orgs_othername (organization_id, name, name_key, kind) FROM STDIN") as copy:
            seen: set[tuple[int, str]] = set()
            for row in read(other_names, "org_id", "alias") if other_names else ():
                key = (directory.pks.get(row["org_id"], 0), row["alias"][:200])
                if key[0] and key not in seen:
                    seen.add(key)
                    copy.write_row((*key, normalize.name_key(key[1]), "trading"))
        for table in _TABLES[:4]:
            cursor.execute(f"ANALYZE {table}")
    search_index.rebuild()
    return directory


ORGANIZATION: Final = (
    "id, public_id, external_id, name, name_key, name_start, country, vertical, is_partner, origin, "
    "account_created_at, user_count, active_user_count, active_subscription_count"
)


def organization_row(pk: int, external_id: str, name: str, country: str, now: Any) -> tuple[object, ...]:
    """Return an organization as a row for COPY, in the order of ORGANIZATION."""
    name = name[:200]
    keys = (normalize.name_key(name), normalize.name_start(name))
    return (pk, uuid.uuid7(), external_id, name, *keys, country, "", False, "direct_order", now, 0, 0, 0)


def domain_row(pk: int, domain: str) -> tuple[object, ...]:
    """Return a verified domain as a row for COPY."""
    name = normalize.ascii_domain(domain)
    return (pk, name, normalize.registrable_domain(name), normalize.domain_label(name)[:63], "verified")


def answer(directory: Directory, asked: Iterable[Question]) -> list[Answer]:
    """Ask every question with the product's thresholds, as a viewer who may see everything."""
    answers: list[Answer] = []
    for question in asked:
        start = time.perf_counter()
        match = find_candidates(email=question.email, company_name=question.name)
        taken = (time.perf_counter() - start) * 1000
        shown = [directory.external[each.organization.pk] for each in match.candidates]
        answers.append(Answer(question, shown, bool(match.candidates) and match.candidates[0].best, taken))
    return answers


def figures(answers: Sequence[Answer], siblings: Sequence[Answer] = ()) -> dict[str, Any]:
    """Return the figures of a set of answers: all, by kind of question, and by kind of email address."""
    result = _figures(answers)
    if siblings:
        result["siblings_listed"] = _share(bool(each.shown) for each in siblings)
        result["siblings_best_match"] = _share(each.marked for each in siblings)
    for name, key in (("by_kind", "kind"), ("by_email_kind", "email_kind")):
        groups: dict[str, list[Answer]] = defaultdict(list)
        for each in answers:
            groups[getattr(each.question, key)].append(each)
        result[name] = {group: _figures(of_group) for group, of_group in sorted(groups.items())}
    return result


def _figures(answers: Sequence[Answer]) -> dict[str, Any]:
    answerable = [each for each in answers if each.question.expected]
    unanswerable = [each for each in answers if not each.question.expected]
    marked = [each for each in answerable if each.marked]
    times = sorted(each.milliseconds for each in answers)
    return {
        "questions": len(answers),
        "r_at_1": _share(each.shown[:1] == [each.question.expected] for each in answerable),
        "r_at_5": _share(each.question.expected in each.shown[:5] for each in answerable),
        "false_match_rate": _share(bool(each.shown) for each in unanswerable),
        "wrong_first": _share(bool(each.shown) and each.shown[0] != each.question.expected for each in answerable),
        "best_match_share": _share(each.marked for each in answerable),
        "best_match_precision": _share(each.shown[0] == each.question.expected for each in marked),
        "latency_ms": percentiles(times),
    }


def _share(flags: Iterable[bool]) -> float | None:
    values = list(flags)
    return round(sum(values) / len(values), 4) if values else None


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of sorted milliseconds; {} without any."""
    if not times:
        return {}

    def at(share: float) -> float:
        return round(times[min(len(times) - 1, int(len(times) * share))], 3)

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}
