"""Names written together or apart: "KUOW Public Radio", "kuowpublicradio", "K.U.O.W. Public-Radio". Plain Python.

An organization is looked up by its key without spaces (an index has it). What else a question may be as such a key is
made here: with legal forms and small words left out of a joined word, with short forms for long ones and the reverse.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from orgs.text import abbreviations, normalize, terms
from orgs.text.word_frequency import SHARES

MOST_KEYS: Final = 16
_LONGEST_JOINED: Final = 4  # words of a question that one word of the directory may be
# A word this long that is no usual one may be several.
_JOINED_FROM: Final = 7
_LEFT_FROM: Final = 4  # letters that are left of it
# Legal forms that end a joined word: those that hardly end any other.
_FORMS: Final = (
    *("incorporated", "corporation", "aktiengesellschaft", "gesellschaft", "limited", "company", "gmbh", "corp"),
    *("sarl", "ltda", "inc", "ltd", "llc", "plc", "srl"),
)


def joined(key: str) -> str:
    """Return a name key without spaces."""
    return key.replace(" ", "")


@lru_cache(maxsize=8192)
def keys(name: str) -> tuple[str, ...]:
    """Return the keys without spaces under which the directory may have a name, the likeliest first."""
    found: dict[str, None] = {}
    plain = normalize.words(name)
    ways = [plain, normalize.words(name, small=True), normalize.words(name, legal=True)]
    for words in dict.fromkeys(ways):
        found[joined(" ".join(words))[: normalize.KEY_LENGTH]] = None
    choices = [_written(word, last=place == len(plain) - 1) for place, word in enumerate(plain)]
    for words in itertools.islice(_nearest_first(choices), MOST_KEYS):
        found["".join(words)[: normalize.KEY_LENGTH]] = None
    return tuple(key for key in found if key)[:MOST_KEYS]


def _nearest_first(choices: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Every choice of one from each: first those that change one word, then those that change more."""
    first = tuple(each[0] for each in choices)
    for place, each in enumerate(choices):
        for other in each[1:]:
            yield (*first[:place], other, *first[place + 1 :])
    yield from itertools.islice(itertools.product(*choices), 4 * MOST_KEYS)


def _written(word: str, *, last: bool) -> tuple[str, ...]:
    """Return the ways in which one word may be written, as it is first."""
    ways = dict.fromkeys((word, *abbreviations.of(word)[:4]))
    if len(word) < _JOINED_FROM or word in SHARES or not word.isascii():
        return tuple(ways)
    for form in _FORMS if last else ():
        if word.endswith(form) and len(word) - len(form) >= _LEFT_FROM:
            ways[word.removesuffix(form)] = None
            break
    for one in tuple(ways):
        for small in normalize.SMALL:
            start, end, inside = one.startswith(small), one.endswith(small), one.find(small, 1)
            if len(one) - len(small) >= _LEFT_FROM and (start or end or inside > 0):
                ways[one.removeprefix(small).removesuffix(small) if start or end else one.replace(small, "")] = None
    for one in tuple(ways)[:4]:
        ways.update(dict.fromkeys(_ends_written(one)))
    return tuple(ways)


def _ends_written(word: str) -> Iterator[str]:
    """Yield a joined word with the short form that it begins or ends with written out, and the reverse."""
    begins = [other + word[size:] for size in range(2, len(word) - 2) for other in abbreviations.of(word[:size])[:3]]
    yield from begins
    for one in (word, *begins[:3]):
        for size in range(3, len(one) - 3):
            yield from (one[:-size] + other for other in abbreviations.of(one[-size:])[:3])


def neighbours(words: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield neighbouring words of a question as one word, each with the place of its first."""
    for size in range(2, _LONGEST_JOINED + 1):
        for place in range(len(words) - size + 1):
            together = "".join(words[place : place + size])
            if together.isascii() and 3 <= len(together) <= terms.LONGEST_REPAIRED:
                yield together, place
