"""Country names in many languages as two-letter codes (ISO 3166-1). Plain Python."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages
from rapidfuzz import process

# Regions in CLDR's list that are not in ISO 3166-1. Kosovo (XK) is accepted because it is in common use.
_NO_COUNTRIES: Final = frozenset("AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ".split())
# Languages in which every country is recognized, besides the country's own languages.
_LANGUAGES: Final = ("en", "de", "fr", "es")
# Names and codes in common use that CLDR lacks, and formal names from ISO 3166-1.
_ALSO: Final[dict[str, str]] = {
    "BA": "Bosnia",
    "BN": "Brunei Darussalam",
    "BO": "Bolivia, Plurinational State of",
    "CD": "Congo, Democratic Republic of the|DR Congo|DRC|Zaire",
    "CG": "Republic of the Congo|Congo Republic",
    "CI": "Ivory Coast",
    "CN": "中國|People's Republic of China|PRC|Mainland China",
    "CV": "Cape Verde",
    "CZ": "Czech Republic|Tschechische Republik|République tchèque|República Checa",
    "DE": "Federal Republic of Germany|Bundesrepublik Deutschland|BRD",
    "FK": "Falkland Islands (Malvinas)|Malvinas",
    "FM": "Micronesia, Federated States of|Federated States of Micronesia",
    "FO": "Faeroe Islands",
    "GB": "United Kingdom of Great Britain and Northern Ireland|Great Britain|Britain|England|Scotland|Wales|"
    "Northern Ireland|Großbritannien|Grande-Bretagne|Gran Bretaña|U.K.",
    "GM": "The Gambia",
    "GR": "EL|Hellas|Hellenic Republic",
    "HK": "香港|Hong Kong|Hongkong",
    "IE": "Republic of Ireland|Eire",
    "IR": "Iran, Islamic Republic of|Islamic Republic of Iran",
    "KP": "Korea, Democratic People's Republic of|Democratic People's Republic of Korea|DPRK",
    "KR": "한국|Korea, Republic of|Republic of Korea|ROK",
    "LA": "Lao People's Democratic Republic|Lao PDR",
    "MD": "Moldova, Republic of|Republic of Moldova",
    "MK": "Macedonia|FYROM|Republic of North Macedonia|Mazedonien",
    "MM": "Burma",
    "MO": "澳門|澳门|Macau|Macao",
    "NL": "Holland|The Netherlands|Kingdom of the Netherlands",
    "PS": "Palestine, State of|State of Palestine|Palestine|Palästina",
    "RS": "Srbija",
    "RU": "Russian Federation|Russische Föderation",
    "SA": "السعودية",
    "SY": "Syrian Arab Republic",
    "SZ": "Swaziland",
    "TH": "ประเทศไทย",
    "TL": "East Timor",
    "TR": "Turkey|Republic of Turkey|Republic of Türkiye",
    "TW": "Taiwan, Province of China|Republic of China|Chinese Taipei",
    "TZ": "Tanzania, United Republic of|United Republic of Tanzania",
    "US": "United States of America|U.S.|U.S.A.|America|Vereinigte Staaten von Amerika|États-Unis d'Amérique|"
    "Estados Unidos de América|EE.UU.|EEUU",
    "VA": "Holy See|Vatican|Holy See (Vatican City State)",
    "VE": "Venezuela, Bolivarian Republic of",
    "VG": "Virgin Islands (British)|Virgin Islands, British",
    "VI": "Virgin Islands (U.S.)|Virgin Islands, U.S.|US Virgin Islands",
    "VN": "Viet Nam",
}
# Ambiguous names.
_SEVERAL: Final[dict[str, tuple[str, ...]]] = {
    "congo": ("CD", "CG"),
    "korea": ("KP", "KR"),
    "virgin islands": ("VG", "VI"),
    "saint martin": ("MF", "SX"),
}
_DROPPED: Final = frozenset({"the", "and", "und", "et", "y", "of", "de", "der", "die", "la", "le", "les", "el", "los"})


def find(text: str) -> str:
    """Return the code of a country; "" if it is unknown or ambiguous (see ``problem``)."""
    found = _found(text)
    return found[0] if len(found) == 1 else ""


def problem(text: str) -> str:
    """Return a sentence about a text that ``find`` doesn't know. It names the nearest country."""
    shown, found = text.strip()[:80], _found(text)
    if found:
        names = " or ".join(f"{code} ({_english()[code]})" for code in found)
        return f"A country is one alone, and “{shown}” is the name of several: enter {names}."
    near = process.extractOne(_key(text), list(_names()), score_cutoff=75) if len(_key(text)) > 3 else None
    codes = _names()[near[0]] if near else []
    meant = "".join(f" Likely meant: {_english()[code]} ({code})." for code in codes[:1])
    return f"A country is a code of two letters (ISO 3166-1), such as DE, or a name; “{shown}” is unknown.{meant}"


def codes() -> frozenset[str]:
    """Return all country codes."""
    return frozenset(_english())


@functools.lru_cache(maxsize=4096)
def _found(text: str) -> tuple[str, ...]:
    code = unicodedata.normalize("NFKC", text).strip().upper()
    if code in _english():
        return (code,)
    alias = get_global("territory_aliases").get(code, [])
    if alias and len(code) <= 3:
        return tuple(each for each in alias if each in _english())
    key = _key(text)
    return _SEVERAL.get(key) or tuple(_names().get(key) or _own_names().get(key) or ())


def _key(text: str) -> str:
    """Return a name without case, accents, punctuation and articles."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(
        char if char.isalnum() else "" if unicodedata.combining(char) or char in ".'’" else " " for char in plain
    )
    words = ["saint" if word in {"st", "sankt"} else word for word in letters.split()]
    return " ".join([word for word in words if word not in _DROPPED] or words)


@functools.cache
def _english() -> dict[str, str]:
    names = Locale("en").territories
    return {
        code: name for code, name in names.items() if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }


@functools.cache
def _names() -> dict[str, list[str]]:
    """Return codes by name in _LANGUAGES."""
    found: dict[str, list[str]] = {}
    for language in _LANGUAGES:
        _add(found, Locale(language).territories.items())
    for code, names in _ALSO.items():
        for name in names.split("|"):
            found[_key(name)] = [code]
    return found


@functools.cache
def _own_names() -> dict[str, list[str]]:
    """Return codes by name in each country's own languages."""
    found: dict[str, list[str]] = {}
    for code in _english():
        for language in get_official_languages(code, regional=True, de_facto=True):
            try:
                name = Locale.parse(language).territories.get(code)
            except (UnknownLocaleError, ValueError):
                continue
            if name:
                _add(found, [(code, name)])
    return found


def _add(found: dict[str, list[str]], names: Iterable[tuple[str, str]]) -> None:
    for code, name in names:
        if code in _english():
            codes = found.setdefault(_key(name), [])
            if code not in codes:
                codes.append(code)
