"""How names, addresses and domains are compared."""

from __future__ import annotations

import pytest

from orgs.text import normalize, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Contoso GmbH", "CONTOSO"),
        ("Müller & Söhne KG", "Muller and Sohne"),
        ("The University of Łódź", "University Lodz"),
        ("I.B.M. Corp.", "IBM"),
        ("Øresund A/S", "Oresund"),
        ("S.p.A. Fiat", "Fiat S.p.A."),
        ("株式会社日立製作所", "日立製作所"),
        ("(주)삼성", "삼성"),
        ("ООО «Газпром»", "Gazprom"),
        ("UMR8164", "UMR 8164"),
        ("ﬁnance Ｃｏ．", "finance"),
    ],
)
def test_names_that_are_the_same_have_one_key(one: str, other: str) -> None:
    assert normalize.name_key(one) == normalize.name_key(other) != ""


@pytest.mark.parametrize("name", ["AG", "Ltd", "S.A.", "株式会社", "The", "Co., Ltd."])
def test_name_of_legal_forms_alone_keeps_a_key(name: str) -> None:
    assert normalize.name_key(name)


@pytest.mark.parametrize(
    ("domain", "registrable"),
    [
        ("mail.contoso.co.uk", "contoso.co.uk"),
        ("contoso.com.", "contoso.com"),
        ("name.github.io", "name.github.io"),
        ("co.uk", ""),
        ("localhost", ""),
        ("", ""),
        ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("straße.de", "xn--strae-oqa.de"),  # somebody else's than strasse.de
        ("CONTOSO。com", "contoso.com"),
        ("ｃontoso.com", "contoso.com"),
        ("сontoso.com", "xn--ontoso-hrf.com"),  # begins with a Cyrillic letter
    ],
)
def test_registrable_domain_is_what_somebody_registered(domain: str, registrable: str) -> None:
    assert normalize.registrable_domain(domain) == registrable


@pytest.mark.parametrize(
    "domain",
    [
        *("gmail.com", "qq.com", "mail.ru", "mailinator.com", "sub.gmail.com", "com", ""),
        *("GMAIL.COM.", "gmail。com", "ｇmail.com", "gm\u00adail.com", "gmail.com\u200b"),  # the same in disguise
        *("contoso.onmicrosoft.com", "privaterelay.appleid.com"),
    ],
)
def test_mail_for_everybody_is_shared(domain: str) -> None:
    assert normalize.is_shared_domain(domain)


@pytest.mark.parametrize("domain", ["contoso.com", "nus.edu.sg", "ox.ac.uk"])
def test_own_domains_are_not_shared(domain: str) -> None:
    assert not normalize.is_shared_domain(domain)


@pytest.mark.parametrize(
    ("domain", "name", "within"),
    [
        ("contoso.com", "contoso.com", True),
        ("mail.contoso.com", "contoso.com", True),
        ("notcontoso.com", "contoso.com", False),
        ("contoso.uk.com", "uk.com", False),
        ("council.gov.uk", "gov.uk", False),
    ],
)
def test_nobody_is_within_a_public_suffix(domain: str, name: str, within: bool) -> None:
    assert normalize.is_within(domain, name) is within


def test_operator_can_add_shared_domains() -> None:
    assert normalize.is_shared_domain("mail.isp.example", frozenset({"isp.example"}))


@pytest.mark.parametrize(
    ("name", "start"), [(" Contoso", "conto"), ("IBM", "ibm"), ("STRASSE", "stras"), ("A & B", "a & b"), ("", "")]
)
def test_name_start_is_the_first_five_characters_as_written(name: str, start: str) -> None:
    assert normalize.name_start(name) == start


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("contoso", ("contoso",)),
        ("中京油脂", ("中京", "京油", "油脂")),
        ("トウキョウ", ("tokyo",)),
        ("경북대학교", ("경북", "북대", "대학", "학교")),
    ],
)
def test_words_are_taken_to_pieces_by_script(word: str, found: tuple[str, ...]) -> None:
    assert terms.of_word(word) == found


@pytest.mark.parametrize(
    ("one", "other"), [("samsung", "samseong"), ("chemical", "kemikaru"), ("hosokawa", "hosogawa")]
)
def test_words_that_sound_alike_have_one_sound(one: str, other: str) -> None:
    assert terms.sound(one) == terms.sound(other) != ""


def test_misspelling_shares_a_spelling_with_the_word() -> None:
    assert set(terms.spellings("contoso")) & set(terms.spellings("contsoo"))
    assert terms.spellings("abc") == ()
