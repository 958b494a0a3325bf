"""Search terms of names: words, character n-grams, misspellings, sounds, Latin readings. Plain Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from anyascii import anyascii

LONGEST: Final = 60
LONGEST_REPAIRED: Final = 24

_HAN: Final = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
_KANA: Final = r"\u3040-\u309f\u30a0-\u30ff\uff66-\uff9f"
_HANGUL: Final = r"\uac00-\ud7a3"
_JOINED: Final = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
_RUN: Final = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<kana>[{_KANA}]+)|(?P<hangul>[{_HANGUL}]+)|(?P<joined>[{_JOINED}]+)"
    rf"|(?P<plain>[^{_HAN}{_KANA}{_HANGUL}{_JOINED}]+)"
)
# A small kana modifies the one before it (written as a mark and the full-sized one); a small tsu doubles the next
# consonant.
_SMALL: Final = str.maketrans(
    dict(
        zip(
            "ャュョゃゅょァィゥェォぁぃぅぇぉ", [f"'{full}" for full in "ヤユヨやゆよアイウエオあいうえお"], strict=True
        )
    )
    | {"ー": "", "ッ": "*", "っ": "*"}
)
_W: Final = re.compile(r"(?<![a-z])u'|(?<=[aeiou])u'")
_BEFORE_SMALL: Final = re.compile(r"[aeiou]?'")
_DOUBLES: Final = re.compile(r"\*(?=([a-z]?))")
_LONG: Final = re.compile(r"(?<=[aeiou])(?:(?<=[ou])u|(?<=o)o)")
_VOWELS: Final = re.compile(r"(?<=.)[aeiouyhw]+")
_DOUBLED: Final = re.compile(r"(.)\1+")
# Letters that different romanizations use for the same sound.
_SOUNDS: Final = str.maketrans(
    {"c": "k", "q": "k", "z": "s", "v": "b", "f": "p", "g": "k", "d": "t", "j": "s", "l": "r"}
)


@lru_cache(maxsize=65536)
def of_word(word: str) -> tuple[str, ...]:
    """Return the terms of one word of a name key: the word, or n-grams in scripts without spaces."""
    if word.isascii():
        return (word[:LONGEST],)
    found: list[str] = []
    for match in _RUN.finditer(word):
        run = match[0]
        if match.lastgroup == "han":
            found += _pieces(run, 2)
        elif match.lastgroup == "kana":
            if len(run) > 1 and (latin := _romaji(run)):
                found.append(latin[:LONGEST])
        elif match.lastgroup == "hangul":
            found += _pieces(run, 2)
        elif match.lastgroup == "joined":
            found += _pieces(run, 4)
        else:
            found.append(run[:LONGEST])
    return tuple(found)


def _pieces(run: str, size: int) -> list[str]:
    """Return all n-grams of this size; the whole run if it is shorter."""
    return [run[i : i + size] for i in range(len(run) - size + 1)] or [run]


@lru_cache(maxsize=16384)
def readings(word: str) -> tuple[tuple[str, int], ...]:
    """Return Latin readings of pieces of a word in another script, each with the index of its term.

    These are pinyin of two to four characters, romanized Hangul, and the beginnings and ends of a run of kana.
    """
    if word.isascii():
        return ()
    found: dict[str, int] = {}
    place = 0
    for match in _RUN.finditer(word):
        run = match[0]
        if match.lastgroup in {"han", "hangul"}:
            for size in (2, 3, 4):
                for start in range(len(run) - size + 1):
                    found.setdefault(latin(run[start : start + size]), place + start)
            place += max(len(run) - 1, 1)
        elif match.lastgroup == "kana":
            if len(run) > 1:
                for size in range(3, len(run)):
                    for part in (run[:size], run[-size:]):
                        if len(reading := _romaji(part)) >= 4:
                            found.setdefault(reading, place)
                place += 1
        elif match.lastgroup == "joined":
            place += max(len(run) - 3, 1)
        else:
            place += 1
    return tuple(found.items())


def latin(run: str) -> str:
    """Return a text in Latin letters and digits."""
    return "".join(char for char in anyascii(run).lower() if char.isalnum())


def _romaji(run: str) -> str:
    """Return a run of kana in Latin letters in the usual spelling of names: "トウキョウ" is "tokyo"."""
    latin = "".join(char for char in anyascii(run.translate(_SMALL)).lower() if char.isalnum() or char in "'*")
    for kana, plain in (("shi'y", "sh"), ("chi'y", "ch"), ("ji'y", "j"), ("i'y", "y")):
        latin = latin.replace(kana, plain)
    latin = _DOUBLES.sub(r"\1", _BEFORE_SMALL.sub("", _W.sub("w", latin)))
    return _LONG.sub("", latin)


@lru_cache(maxsize=65536)
def of_key(key: str) -> tuple[str, ...]:
    """Return the terms of a name key, in order."""
    return tuple(term for word in key.split(" ") if word for term in of_word(word))


def reading(key: str) -> str:
    """Return a whole name key in Latin letters without spaces."""
    return "".join(piece for word in key.split(" ") for piece in _latin_runs(word))


def _latin_runs(word: str) -> Iterator[str]:
    if word.isascii():
        yield word
        return
    for match in _RUN.finditer(word):
        yield _romaji(match[0]) if match.lastgroup == "kana" else latin(match[0])


def distinct(keys: Iterable[str]) -> set[str]:
    """Return the distinct terms of these name keys."""
    return {term for key in keys for term in of_key(key)}


def spellings(word: str) -> tuple[str, ...]:
    """Return the word, and the word with each letter left out; () for words that are too short or too long."""
    if not 4 <= len(word) <= LONGEST_REPAIRED or not word.isascii() or word.isdigit():
        return ()
    return (word, *dict.fromkeys(word[:i] + word[i + 1 :] for i in range(len(word))))


@lru_cache(maxsize=65536)
def sound(word: str) -> str:
    """Return a phonetic key of a word: its consonants, with similar ones merged; "" if fewer than three remain."""
    if not word.isascii() or word.isdigit():
        return ""
    bare = _DOUBLED.sub(r"\1", _VOWELS.sub("", word.replace("x", "ks").translate(_SOUNDS)))
    return bare[:30] if len(bare) >= 3 else ""
