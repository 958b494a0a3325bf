"""Codes, addresses, domains and numbers as they are pasted: tables of what is taken, and of what is left to refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgs.text import pasted_text
from provisioning.people.sign_in import LETTERS
from subscriptions.rules import sites
from subscriptions.summary import verification_codes


@pytest.mark.parametrize(
    "typed",
    [
        *("BCDF-GHJK", "bcdf ghjk", "BCDFGHJK", "B C D F G H J K", "BCDF‐GHJK", "BCDF‑GHJK", "BCDF–GHJK", "BCDF—GHJK"),
        *(
            "BCDF−GHJK",
            "BCDFーGHJK",
            "BCDF－GHJK",
            "ＢＣＤＦ－ＧＨＪＫ",
            "ｂｃｄｆ－ｇｈｊｋ",
            "BCDF\u00a0GHJK",
            "BCDF\u2009-\u2009GHJK",
        ),
        *("\u200bBCDF\u200b-GHJK\ufeff", "“BCDF-GHJK”", "'BCDF-GHJK'.", "«BCDF-GHJK»", "„BCDF-GHJK“", "`BCDF-GHJK`,"),
        *("Code: BCDF-GHJK", "Code：BCDF-GHJK", "Your code is BCDF-GHJK.", "Ihr Code: BCDF-GHJK", "(BCDF-GHJK)"),
        *("ВСDF-GНJК", "\u202aBCDF-GHJK\u202c"),
    ],
)
def test_a_code_is_read_however_it_was_pasted(typed: str) -> None:
    assert pasted_text.code(typed, alphabet=LETTERS, length=8) == "BCDFGHJK"


def test_what_looks_alike_counts_only_where_one_letter_does() -> None:
    assert pasted_text.code("8CDF-GHJ1", alphabet=LETTERS, length=8) == "BCDFGHJL"
    assert pasted_text.code("5CDF-2HJK", alphabet=LETTERS, length=8) == "SCDFZHJK"
    for ambiguous in ("0CDF-GHJK", "BCDF-GHJ", "BCDF-GHJK-LMNP", "BCDF-GHJK or LMNP-QRST", "", "Code:"):
        assert pasted_text.code(ambiguous, alphabet=LETTERS, length=8) == ""
    assert verification_codes.normalize_code("Verification code: oF7k—9qwd—2mxi.") == "0F7K9QWD2MX1"
    assert verification_codes.normalize_code("https://setup.example.com/verify/4F7K-9QWD-2MXA/") == "4F7K9QWD2MXA"


@pytest.mark.parametrize(
    "typed",
    [
        *("sam@contoso.example", " sam@contoso.example\n", "Sam <sam@contoso.example>", "<sam@contoso.example>"),
        *('"Lovelace, Sam" <sam@contoso.example>', "Lovelace, Sam <sam@contoso.example>", "sam@contoso.example."),
        *("mailto:sam@contoso.example?subject=x", "<mailto:sam@contoso.example>", "MAILTO:sam%40contoso.example"),
        *(
            "sam@contoso.example,",
            "sam@contoso.example;",
            "“sam@contoso.example”",
            "'sam@contoso.example'",
            "sam＠contoso.example",
        ),
        *(
            "sam\u200b@contoso.example",
            "\u202asam@contoso.example\u202c",
            "sam@contoso.example\u00a0",
            "ｓａｍ＠ｃｏｎｔｏｓｏ．ｅｘａｍｐｌｅ",
        ),
        *(
            "sam @ contoso.example",
            "E-mail: sam@contoso.example",
            "sam@contoso.example <sam@contoso.example>",
            "sam@contoso。example",
        ),
        *(
            "[sam@contoso.example](mailto:sam@contoso.example)",
            "sam@contoso.example (work)",
            "sam@contoso.example, sam@contoso.example",
        ),
    ],
)
def test_an_address_is_read_however_it_was_pasted(typed: str) -> None:
    assert pasted_text.emails(typed) == ["sam@contoso.example"]


@pytest.mark.parametrize(
    "typed",
    [
        *("a@x.example, b@y.example", "a@x.example b@y.example", "a@x.example;b@y.example", "a@x.example\nb@y.example"),
        *("A <a@x.example>, B <b@y.example>", "a@x.example and b@y.example", "b@y.example <a@x.example>"),
        "mailto:a@x.example,b@y.example",
    ],
)
def test_two_addresses_are_two(typed: str) -> None:
    assert sorted(pasted_text.emails(typed)) == ["a@x.example", "b@y.example"]


@pytest.mark.parametrize(
    "typed", ["sam smith@contoso.example", "Sam sam@contoso.example", "a@b@c", "sam", '"a b"@x.example']
)
def test_what_is_no_address_or_can_be_read_in_two_ways_stays_as_it_is(typed: str) -> None:
    assert pasted_text.emails(typed) == [typed]


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        *(
            (each, "contoso.com")
            for each in (
                "contoso.com",
                "CONTOSO.com.",
                "https://www.contoso.com/path?q#f",
                "@contoso.com",
                "sam@contoso.com",
                "Sam <sam@contoso.com>",
                "mailto:sam@contoso.com",
                "contoso.com:8080",
                "www.contoso.com",
                "*.contoso.com",
                "“contoso.com”",
                " contoso.com ",
                "ｃｏｎｔｏｓｏ．ｃｏｍ",
                "contoso。com",
                "http://contoso.com",
                "contoso\u200b.com",
            )
        ),
        ("www.gov.uk", "www.gov.uk"),
        ("mail.contoso.co.uk", "mail.contoso.co.uk"),
        ("München.de", "xn--mnchen-3ya.de"),
        *((each, "") for each in ("", "contoso", "contoso.com, fabrikam.com", "not a domain", "https://", "a..b", "-")),
    ],
)
def test_a_domain_is_read_out_of_what_has_one(typed: str, domain: str) -> None:
    assert pasted_text.domain(typed) == domain


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        *(
            (each, 1000)
            for each in (
                "1000",
                " 1000 ",
                "1,000",
                "1.000",
                "1 000",
                "1\u00a0000",
                "1\u202f000",
                "1\u2009000",
                "1'000",
                "1’000",
                "１０００",
                "１，０００",
                "١٠٠٠",
                "١٬٠٠٠",
                "۱۰۰۰",
                "“1,000”",
                "१०००",
            )
        ),
        ("1,234,567", 1234567),
        ("12,34,567", 1234567),
        ("007", 7),
        *(
            (each, None)
            for each in (
                "",
                "1.5",
                "1,5",
                "0.500",
                "0,500",
                "1000.000",
                "1.000,000",
                "1,000.00",
                "1,00",
                "12,34",
                "1 00",
                "-5",
                "1e3",
                "½",
                "5²",
                "٣٫٥",
                "ten",
                "1 or 2",
                "9" * 16,
                "1" + " " * 200 + "000",
            )
        ),
    ],
)
def test_a_number_is_read_with_its_groups_and_never_changes_its_meaning(typed: str, number: int | None) -> None:
    assert pasted_text.whole_number(typed) == number


def test_numbers_of_orders_and_names_of_sites_lose_what_stands_around_them() -> None:
    for typed in ("PO-100001", " PO–100001. ", "“PO‑100001”", "Order: PO-100001", "#PO-100001", "ＰＯ－１００００１"):
        assert pasted_text.order_number(typed) == "PO-100001"
    for typed in (
        "Contoso-Team",
        "“contoso‑team”",
        "https://contoso-team.meet.example.com/",
        "ｃｏｎｔｏｓｏ－ｔｅａｍ.",
    ):
        assert sites.fold(typed, "meet.example.com") == "contoso-team"


@given(st.text(max_size=80))
def test_any_text_is_taken_and_cleaning_twice_is_cleaning_once(text: str) -> None:
    for clean in (pasted_text.plain, pasted_text.bare, pasted_text.domain, pasted_text.short, pasted_text.order_number):
        once = clean(text)
        assert clean(once) == once or clean is pasted_text.order_number
    pasted_text.code(text, alphabet=LETTERS, length=8)
    pasted_text.whole_number(text)
    assert len(pasted_text.emails(text)) <= text.count("@") + text.count("＠") + text.count("﹫") + 1
