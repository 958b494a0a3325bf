"""Keys without spaces, so that "KUOW Public Radio" and "kuowpublicradio" are found alike. Plain Python.

Name keys are indexed without spaces. ``keys`` returns variants of a query's key: without legal forms and small words
inside a joined word, and with short and long forms exchanged.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from orgs.text import abbreviations, normalize, terms
from orgs.text.word_frequency import SHARES

MOST_KEYS: Final = 16
_LONGEST_JOINED: Final = 4  # query words that may be one word in the directory
# A word with at least this many letters that isn't common may be several words.
_JOINED_FROM: Final = 7
_LEFT_FROM: Final = 4  # letters that must remain of it
# Legal forms at the end of a joined word; only those that few other words end with.
_FORMS: Final = (
    *("incorporated", "corporation", "aktiengesellschaft", "gesellschaft", "limited", "company", "gmbh", "corp"),
    *("sarl", "ltda", "inc", "ltd", "llc", "plc", "srl"),
)


def joined(key: str) -> str:
    """Return a name key without spaces."""
    return key.replace(" ", "")


@lru_cache(maxsize=8192)
def keys(name: str) -> tuple[str, ...]:
    """Return at most MOST_KEYS keys without spaces under which a name may be stored, the likeliest first."""
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
    """Yield combinations of the words' variants: first those that change one word, then those that change more."""
    first = tuple(each[0] for each in choices)
    for place, each in enumerate(choices):
        for other in each[1:]:
            yield (*first[:place], other, *first[place + 1 :])
    yield from itertools.islice(itertools.product(*choices), 4 * MOST_KEYS)


def _written(word: str, *, last: bool) -> tuple[str, ...]:
    """Return variants of a word, the word itself first."""
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
    """Yield a joined word with an abbreviation at its beginning or end exchanged for the long form, or the reverse."""
    begins = [other + word[size:] for size in range(2, len(word) - 2) for other in abbreviations.of(word[:size])[:3]]
    yield from begins
    for one in (word, *begins[:3]):
        for size in range(3, len(one) - 3):
            yield from (one[:-size] + other for other in abbreviations.of(one[-size:])[:3])


def neighbours(words: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield adjacent words of a query joined to one word, each with the index of the first."""
    for size in range(2, _LONGEST_JOINED + 1):
        for place in range(len(words) - size + 1):
            together = "".join(words[place : place + size])
            if together.isascii() and 3 <= len(together) <= terms.LONGEST_REPAIRED:
                yield together, place
