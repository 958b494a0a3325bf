"""Site names: what they may be, what is kept back, and what is offered instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.rules import sites
from subscriptions.rules.sites import SiteNameProblem

# The database's own rule (constraint site_name_is_a_host_label).
HOST_LABEL = re.compile(r"[a-z](-?[a-z0-9])+")


@pytest.mark.parametrize(
    "name", ["acme", "a1b2", "acme-berlin", "a" * 63, "x-y-z", "contoso2026", "mall", "mails-r-us"]
)
def test_a_site_may_have_this_name(name: str) -> None:
    assert sites.problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", SiteNameProblem.MISSING),
        ("abc", SiteNameProblem.SHORT),
        ("a" * 64, SiteNameProblem.LONG),
        ("1acme", SiteNameProblem.START),
        ("-acme", SiteNameProblem.START),
        ("acme-", SiteNameProblem.HYPHENS),
        ("ac--me", SiteNameProblem.HYPHENS),
        ("xn--mller-kva", SiteNameProblem.HYPHENS),
        ("ac me", SiteNameProblem.CHARACTERS),
        ("ac_me", SiteNameProblem.CHARACTERS),
        ("ACME", SiteNameProblem.CHARACTERS),
        ("müller", SiteNameProblem.OTHER_SCRIPT),
        ("аcme", SiteNameProblem.OTHER_SCRIPT),  # a Cyrillic а
        ("admin", SiteNameProblem.RESERVED),
        ("adm1n", SiteNameProblem.RESERVED),
        ("l0gin", SiteNameProblem.RESERVED),
        ("adrnin", SiteNameProblem.RESERVED),
        ("web-mail", SiteNameProblem.RESERVED),
        ("wpad", SiteNameProblem.RESERVED),
    ],
)
def test_a_site_may_not_have_this_name(name: str, problem: SiteNameProblem) -> None:
    assert sites.problem(name) is problem


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        (" ACME ", "acme"),
        ("https://acme.meet.example.com/join?x=1", "acme"),
        ("acme.meet.example.com", "acme"),
        ("acme.example.org", "acme.example.org"),
    ],
)
def test_capitals_and_whole_urls_are_understood(typed: str, folded: str) -> None:
    assert sites.fold(typed, "meet.example.com") == folded


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Müller & Söhne GmbH", "mueller-soehne-gmbh"),
        ("Büro München", "buero-muenchen"),
        ("Bu\u0308ro Mu\u0308nchen", "buero-muenchen"),  # decomposed, as some systems paste it
        ("東京 支社", "dongjing-zhishe"),
        ("ООО Ромашка", "ooo-romashka"),
        ("O'Brien", "obrien"),
        ("7-Seas", "seas"),
        ("…", ""),
        ("123", ""),
    ],
)
def test_names_of_other_scripts_have_a_plain_form(text: str, plain: str) -> None:
    assert sites.plain_form(text) == plain


def test_umlauts_are_written_as_the_country_writes_them() -> None:
    assert sites.plain_form("Göteborg", "SE") == "goteborg"
    assert sites.plain_form("Köln", "DE") == "koeln"


@pytest.mark.parametrize(
    ("one", "other"),
    [("acme", "acrne"), ("acme", "ac-me"), ("contoso", "c0nt0so"), ("mail-co", "rnailco"), ("will", "w1ll"),
     ("will", "wi11"), ("vvill", "will"), ("acme-10", "acmelo")],
)  # fmt: skip
def test_names_that_can_be_taken_for_each_other_have_one_shape(one: str, other: str) -> None:
    assert sites.shape(one) == sites.shape(other)


@pytest.mark.parametrize(("one", "other"), [("acme", "acne"), ("acme-2", "acme-3"), ("contoso", "contosa")])
def test_names_that_differ_to_the_eye_have_two_shapes(one: str, other: str) -> None:
    assert sites.shape(one) != sites.shape(other)


@given(st.from_regex(HOST_LABEL, fullmatch=True), st.integers(0, 60))
def test_a_shape_is_no_longer_than_a_name_and_hyphens_do_not_count(name: str, at: int) -> None:
    assert len(sites.shape(name)) <= len(name)
    assert sites.shape(name[:at] + "-" + name[at:]) == sites.shape(name)


def test_however_many_are_taken_three_are_found_and_asked_for_together() -> None:
    asked = []

    def unusable(names: Sequence[str]) -> set[str]:
        asked.append(names)
        return {name for name in names if not re.search(r"-\d{3}$", name)}

    assert sites.alternatives("acme", unusable, country="DE") == ["acme-100", "acme-101", "acme-102"]
    assert len(asked) < 12


@given(st.text(max_size=100))
def test_a_name_without_a_problem_is_one_that_the_database_takes(text: str) -> None:
    name = sites.fold(text)
    if sites.problem(name) is None:
        assert HOST_LABEL.fullmatch(name)
        assert 4 <= len(name) <= 63


@given(st.text(max_size=100), st.sets(st.sampled_from(["acme", "acme-de", "acme-group"])))
def test_alternatives_keep_the_rules_and_are_free(wanted: str, taken: set[str]) -> None:
    offered = sites.alternatives(wanted, lambda names: taken & set(names), country="DE")
    assert len(offered) == len(set(offered)) <= 3
    for name in offered:
        assert sites.problem(name) is None
        assert name not in taken


def test_a_taken_name_gets_three_alternatives() -> None:
    taken = {"acme", "acme-de", *(f"acme-{n}" for n in range(2, 20))}
    assert sites.alternatives("Acme", lambda names: taken & set(names), country="DE") == [
        "acme-meetings",
        "acme-group",
        "acme-team",
    ]


@given(st.integers(0, 1_000_000), st.integers(1, 51))
def test_an_even_split_adds_up_and_differs_by_one_at_most(total: int, parts: int) -> None:
    shares = sites.split_evenly(total, parts)
    assert len(shares) == parts
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1
