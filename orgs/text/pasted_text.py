"""Cleans pasted text in fields for codes, email addresses, domains and numbers. Plain Python.

Nothing is guessed: an ambiguous text is returned unchanged, or as an empty value, so that the field refuses it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

from orgs.text import normalize

_LONGEST: Final = 5_000
_QUOTES: Final = " '\"`‘’‚‛“”„‟«»‹›′″〝〞〟「」『』"
_BRACKETS: Final = "()[]{}<>〈〉《》【】"
_ENDS: Final = ".,;:!?。、…"
# Invisible characters outside the category Cf, and variation selectors.
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\ufffc") | {chr(code) for code in range(0xFE00, 0xFE10)}
_MINUS: Final = frozenset("\u2212\u2043\u02d7\u00af")
_LONG_VOWEL: Final = "\u30fc"  # ー, which Japanese keyboards produce for a hyphen
# Cyrillic and Greek capitals that look like Latin ones.
_SAME_SHAPE: Final = str.maketrans("АВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEKMHOPCTXIJSABEZHIKMNOPTYX")
# Characters that look alike. Applied if exactly one of them is in a code's alphabet.
_LOOKS_LIKE: Final = {
    "0": "O", "O": "0", "1": "IL", "I": "1L", "L": "1I", "|": "1IL", "2": "Z", "Z": "2", "5": "S", "S": "5", "6": "G",
    "G": "6", "8": "B", "B": "8",
}  # fmt: skip
_QUOTED_LOCAL_PART: Final = re.compile(r'"[^"]+"@\S+')
_IN_ANGLES: Final = re.compile(r"<([^<>]*@[^<>]*)>")
_WHOLE_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_GROUPED: Final = (
    re.compile(r"[1-9]\d{0,2}(?:([ .,'])\d{3})(?:\1\d{3})*"),
    re.compile(r"[1-9]\d?,(?:\d{2},)*\d{3}"),  # lakhs: 1,00,000
)


def plain(text: str, *, long_vowel: bool = False) -> str:
    """Return a text in NFKC without invisible characters, with plain spaces and dashes, and single spaces.

    :param long_vowel: whether a Japanese long vowel mark is replaced by a dash.
    """
    text = text[:_LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.replace("´", "'"))
    found = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cf" or char in _UNSEEN:
            continue
        if category[0] == "Z" or char in "\t\n\r\v\f\x85":
            char = " "
        elif category == "Pd" or char in _MINUS or (long_vowel and char == _LONG_VOWEL):
            char = "-"
        found.append(char)
    return " ".join("".join(found).split())


def _without(text: str, start: str, end: str) -> str:
    before = None
    while text != before:
        before, text = text, text.lstrip(start).rstrip(end)
    return text


def bare(text: str) -> str:
    """Return a text without surrounding quotes and brackets, and without punctuation at its end."""
    return _without(text, _QUOTES + _BRACKETS, _QUOTES + _BRACKETS + _ENDS)


def code(typed: str, *, alphabet: str, length: int) -> str:
    """Return the characters of a typed code, with or without groups of four, also within a sentence; "" if none.

    A character that isn't in the alphabet is replaced by the only one in it that looks like it, if there is one.
    """
    text = bare(plain(typed, long_vowel=True)).upper().translate(_SAME_SHAPE)
    looks = {
        char: like[0]
        for char, likes in _LOOKS_LIKE.items()
        if char not in alphabet and len(like := [each for each in likes if each in alphabet]) == 1
    }
    letters = f"[{re.escape(alphabet + ''.join(looks))}]"
    groups = "-?".join([letters + "{4}"] * (length // 4))
    in_sentence = set(re.findall(rf"(?<![\w-]){groups}(?![\w-])", text))
    for attempt in (text, text.rpartition(":")[2], *(in_sentence if len(in_sentence) == 1 else ())):
        packed = "".join(looks.get(char, char) for char in attempt if char.isalnum() or char in looks)
        if len(packed) == length and set(packed) <= set(alphabet):
            return packed
    return ""


def emails(typed: str) -> list[str]:
    """Return the email addresses in a text such as ``Sam <sam@contoso.com>``, with ``mailto:`` or marks around it.

    Each is returned once, in the order and case of the text. A text without an address is returned itself.
    """
    text = plain(typed)
    if "mailto:" in text.lower():
        text = text.replace("%40", "@")
    if "@" not in text or _QUOTED_LOCAL_PART.fullmatch(text):
        return [text] if text else []
    in_angles = _IN_ANGLES.findall(text)
    found = [_address(each) for each in in_angles]
    for part in re.split(r"[,;|()\[\]{}]", re.sub(r"<[^<>]*>", ",", text) if in_angles else text):
        words = [word for word in part.split() if "@" in word]
        if in_angles:
            found += [each for word in words if _WHOLE_ADDRESS.fullmatch(each := _address(word))]
        elif len(words) > 1:
            found += map(_address, words)
        elif words:
            found.append(_address(part))
    return list({each.casefold(): each for each in reversed(found)}.values())[::-1] or [text]


def _address(text: str) -> str:
    """Return an address without ``mailto:``, a label before it ("Email:") and marks around it."""
    text = _without(text, _QUOTES + _BRACKETS, _QUOTES + _BRACKETS + _ENDS)
    if (mailto := re.match(r"(?:.*\s)?mailto:/*", text, re.IGNORECASE)) is not None:
        text = unquote(text[mailto.end() :].partition("?")[0])
    elif (label := re.match(r"[^@:]{1,40}:\s*(?=\S+@)", text)) is not None:
        text = text[label.end() :]
    if re.fullmatch(r"\S+ ?@ ?\S+", text):
        text = text.replace(" ", "")
    name, at, domain = _without(text, _QUOTES, _QUOTES + _ENDS).rpartition("@")
    return f"{name}{at}{domain.replace('。', '.')}"


def domain(typed: str) -> str:
    """Return the domain of a URL, an email address or ``@contoso.com`` in ASCII; "" if there is none.

    ``www`` is removed, unless it is part of the registrable domain (``www.gov.uk``).
    """
    if not _DOMAIN.fullmatch(typed):
        text = re.sub(r"^[a-z][a-z0-9+.-]*:(?://|(?=[^/]*@))", "", bare(plain(typed)).lower())
        text = re.split(r"[/?#\\]", text)[0].rpartition("@")[2]
        typed = normalize.ascii_domain(bare(re.sub(r":\d*$", "", text)).replace("。", ".").removeprefix("*."))
        if not _DOMAIN.fullmatch(typed):
            return ""
    shorter = typed.removeprefix("www.")
    return shorter if shorter != typed and normalize.registrable_domain(shorter) else typed


def whole_number(typed: str) -> int | None:
    """Return a whole number in digits of any script, with or without grouping; None if it isn't one.

    ``1,000``, ``1.000``, ``1 000``, ``1'000`` and ``1,00,000`` are whole numbers; ``1.5``, ``0.500`` and ``1000.000``
    aren't.
    """
    if len(typed) > 100 or any(unicodedata.category(char) == "No" for char in typed):
        return None  # "5²" is not 52
    text = plain(typed).replace("٬", ",").replace("’", "'").replace("،", ",")
    text = _without(text, _QUOTES, _QUOTES)
    text = "".join(str(unicodedata.decimal(char, char)) for char in text)
    if any(pattern.fullmatch(text) for pattern in _GROUPED):
        text = re.sub(r"\D", "", text)
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def short(typed: str) -> str:
    """Return an order, postal or phone number without surrounding marks and with plain dashes."""
    return _without(plain(typed, long_vowel=True), _QUOTES, _QUOTES + ".,;")


def order_number(typed: str) -> str:
    """Return an order number without a label ("Order: 100001", "#100001")."""
    return short(typed).rpartition(":")[2].strip(" #")
