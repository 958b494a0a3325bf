"""The finder's statements are look-ups: asserted on their plans, and in round trips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from orgs import search_index
from orgs.finder import statements
from orgs.finder.matching import find_candidates
from orgs.models import Domain, Member, Organization, OtherName
from orgs.search_index import rebuild
from orgs.text import terms
from tests.databases import rolled_back

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def directory(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make some thousand organizations, so that the planner has a choice, and a trigram index that it must not take."""
    with django_db_blocker.unblock(), rolled_back():
        _make_directory()
        yield


def _make_directory() -> None:
    made = [
        Organization(name=f"Org {number} Contoso {number % 97}", name_key=f"org {number} contoso {number % 97}",
                     name_start="org 1")
        for number in range(3000)
    ]  # fmt: skip
    Organization.objects.bulk_create(made)
    Domain.objects.bulk_create(
        Domain(
            organization=each, name=f"org{each.pk}.example", registrable=f"org{each.pk}.example", label=f"org{each.pk}"
        )
        for each in made
    )
    OtherName.objects.bulk_create(
        OtherName(organization=each, name=f"Other {each.pk}", name_key=f"other {each.pk}") for each in made
    )
    Member.objects.bulk_create(
        Member(organization=each, email=f"ada@org{each.pk}.example", email_domain=f"org{each.pk}.example")
        for each in made
    )
    rebuild()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending forbids new indexes
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        cursor.execute("CREATE INDEX name_trigram ON orgs_organization USING gist (name_key gist_trgm_ops)")
        cursor.execute("CREATE INDEX other_trigram ON orgs_othername USING gin (name_key gin_trgm_ops)")
        cursor.execute("ANALYZE orgs_organization, orgs_domain, orgs_member, orgs_othername")
        cursor.execute("ANALYZE orgs_word, orgs_posting, orgs_spelling, orgs_wordpair")


# The index that each arm of a statement, and the facts of what it finds, are looked up by.
ARMS = {
    statements.TIES: (
        *("member_email", "member_email_domain", "domain_registrable", "domain_former", "domain_label"),
        *("organization_joined_name", "other_joined_name", "orgs_organization_pkey"),
        *("orgs_othername_organization_id", "orgs_domain_organization_id"),
    ),
    statements.BY_WORDS: (
        *("orgs_word_", "word_sound", "spelling_key", "word_pair_once", "orgs_posting_pkey"),
        *("orgs_organization_pkey", "orgs_othername_organization_id", "orgs_domain_organization_id"),
    ),
}

type Asked = tuple[str, dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """The finder's statements with their values, in the order in which they are run."""
    seen: list[Asked] = []
    run = statements.run

    def remembered(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        seen.append((sql, values))
        return run(sql, values)

    monkeypatch.setattr(statements, "run", remembered)
    return seen


def plan(sql: str, values: dict[str, Any]) -> str:
    """The plan that a statement's function took, as PostgreSQL logs it."""
    connection.ensure_connection()
    raw = connection.connection
    told: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        told.append(diagnostic.message_primary or "")

    with connection.cursor() as cursor:
        cursor.execute("LOAD 'auto_explain'")
        for setting, value in (
            *(("auto_explain.log_min_duration", "0"), ("auto_explain.log_nested_statements", "on")),
            *(("auto_explain.log_verbose", "on"), ("client_min_messages", "log")),
            # Small tables may be read whole where there is no choice but cost.
            ("enable_seqscan", "off"),
        ):
            cursor.execute(f"SET LOCAL {setting} = {value}")
        cursor.execute("DISCARD PLANS")
    raw.add_notice_handler(note)
    try:
        statements.run(sql, values)
    finally:
        raw.remove_notice_handler(note)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL auto_explain.log_min_duration = -1")
    of_statement = [each for each in told if "CTE Scan" in each]
    assert len(of_statement) == 1, told
    return of_statement[0]


def test_words_of_a_saved_organization_are_found_at_once_and_after_a_rebuild() -> None:
    Organization(name="Zorblax Quantum Devices").save()
    for _time in range(2):
        found = find_candidates(email="new@gmail.com", company_name="Quantum Zorblacks Devices")
        assert [each.organization.name for each in found.candidates] == ["Zorblax Quantum Devices"]
        search_index.rebuild()


def test_functions_are_made_anew_by_a_migration_and_not_needed_before_it() -> None:
    Organization(name="Zorblax Quantum Devices").save()
    made = [statements.function(sql) for sql in (statements.TIES, statements.BY_WORDS)]

    def found() -> list[str]:
        statements._installed.clear()  # as in a process that has just started
        answer = find_candidates(email="new@gmail.com", company_name="Quantum Zorblacks Devices")
        return [each.organization.name for each in answer.candidates]

    with connection.cursor() as cursor:
        for each in made:
            cursor.execute("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = %s", [each.name])
            cursor.execute(f"DROP FUNCTION {cursor.fetchone()[0]}")
        assert found() == ["Zorblax Quantum Devices"]
        assert not statements._installed
        for number in range(9):  # those of earlier versions
            cursor.execute(f"CREATE FUNCTION orgs_find_00000000000{number}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        call_command("migrate", verbosity=0)
        assert found() == ["Zorblax Quantum Devices"]
        assert statements._installed == {each.name for each in made}
        cursor.execute("SELECT proname FROM pg_proc WHERE proname ~ '^orgs_find_' ORDER BY oid DESC")
        there = [name for (name,) in cursor.fetchall()]
        assert there == [
            *(each.name for each in reversed(made)),
            *(f"orgs_find_00000000000{n}" for n in range(8, 2, -1)),
        ]


@pytest.mark.usefixtures("directory")
def test_statements_never_read_whole_tables_and_take_no_trigram_index_for_equality(asked: list[Asked]) -> None:
    find_candidates(email="new@somewhere.example", company_name="Orgg 77 Contosoo")
    assert [sql for sql, _values in asked] == [statements.TIES, statements.BY_WORDS]
    for sql, values in tuple(asked):
        found = plan(sql, values)
        assert re.search(r"\$\d", found), "not the generic plan"
        assert "Seq Scan on public.orgs_" not in found, found
        assert "trigram" not in found, found
        for index in ARMS[sql]:
            assert re.search(rf"Index (Only )?Scan.* using {index}|Bitmap Index Scan on {index}", found), index


@pytest.mark.usefixtures("directory")
def test_finder_takes_one_round_trip_where_that_settles_it_and_else_two(asked: list[Asked]) -> None:
    first = Organization.objects.order_by("pk").first()
    assert first is not None
    for name in (first.name, "Quite different"):
        asked.clear()
        with CaptureQueriesContext(connection) as queries:
            find_candidates(email=f"new@org{first.pk}.example", company_name=name)
        assert [sql for sql, _values in asked] == [statements.TIES]
        assert not queries.captured_queries  # nothing of Django's beside them
    asked.clear()
    find_candidates(email="new@somewhere.example", company_name="Quite different")
    assert [sql for sql, _values in asked] == [statements.TIES, statements.BY_WORDS]


@pytest.mark.usefixtures("directory")
def test_sounds_made_in_the_database_are_those_of_python() -> None:
    for name in ("Accelerex Hoffmann Oy", "Yellow Whaam Aaahh", "École Zürich Šļ", "Xxyzzy Committee", "A1 Beee 2b"):
        Organization(name=name).save()
    rebuild()
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, sound FROM orgs_word")
        assert all(terms.sound(word) == sound for word, sound in cursor.fetchall())
