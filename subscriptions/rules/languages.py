"""Languages for a location's emails and announcements, in plain Python; names from CLDR (package babel)."""

from __future__ import annotations

import functools

from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages

# BCP 47 tags: languages that speech synthesis and email texts are commonly made in, regional where speech differs.
LANGUAGES = (
    "ar", "bg", "ca", "cs", "da", "de", "el", "en-AU", "en-GB", "en-US", "es-ES", "es-MX", "et", "fi", "fr-CA",
    "fr-FR", "he", "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt-BR", "pt-PT", "ro",
    "ru", "sk", "sl", "sr", "sv", "th", "tr", "uk", "vi", "zh-Hans", "zh-Hant",
)  # fmt: skip

_SPANISH_AMERICAS = frozenset("AR BO CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV UY VE US".split())
_TRADITIONAL_CHINESE = frozenset({"TW", "HK", "MO"})
# Where business is done in English, whatever the first official language.
_ENGLISH_AT_WORK = frozenset({"IN", "PK", "LK", "SG", "HK"})
_BRITISH_ENGLISH = frozenset({"GB", "IE", "ZA", "MT", "KE", "NG", "GH", "UG", "ZW"})


@functools.lru_cache(maxsize=4096)
def name(tag: str, locale: str = "en") -> str:
    """Return the language's own name, and the name in the reader's language where it differs: "Deutsch (German)"."""
    try:
        own_locale, reader = Locale.parse(tag, sep="-"), Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        return tag
    own = own_locale.get_display_name(own_locale) or tag
    read = own_locale.get_display_name(reader) or tag
    own = own[:1].upper() + own[1:]
    return own if own.casefold() == read.casefold() else f"{own} – {read}"


def choices(locale: str = "en") -> list[tuple[str, str]]:
    """Return (tag, name) of every language, by the name in the reader's language."""
    reader = Locale.parse(locale, sep="-")

    def order(tag: str) -> str:
        return (Locale.parse(tag, sep="-").get_display_name(reader) or tag).casefold()

    return [(tag, name(tag, locale)) for tag in sorted(LANGUAGES, key=order)]


@functools.lru_cache(maxsize=512)
def likely_language(country: str) -> str:
    """Return the language most used in a country (two-letter code), as one of LANGUAGES; US English for none."""
    country = country.upper()
    if country in _ENGLISH_AT_WORK:
        return "en-GB"
    for code in (*get_official_languages(country, regional=False, de_facto=True), "en"):
        language = code.split("_")[0]
        exact = f"{language}-{country}"
        if exact in LANGUAGES:
            return exact
        if language in LANGUAGES:
            return language
        if language == "zh":
            return "zh-Hant" if country in _TRADITIONAL_CHINESE or "Hant" in code else "zh-Hans"
        if language == "es":
            return "es-MX" if country in _SPANISH_AMERICAS else "es-ES"
        if language == "no":
            return "nb"
        if language == "pt":
            return "pt-PT"
        if language == "fr":
            return "fr-FR"
        if language == "en":
            return "en-GB" if country in _BRITISH_ENGLISH else "en-AU" if country == "NZ" else "en-US"
    return "en-US"
