"""Short forms of words in organizations' names, from ``abbreviations.txt`` beside this file. Plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final


def _read(path: Path) -> Mapping[str, tuple[str, ...]]:
    longs: dict[str, dict[str, None]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            short, _equals, long = line.partition("=")
            for word in short.split():
                longs[word].update(dict.fromkeys(long.split()))
    return {short: tuple(words) for short, words in longs.items()}


def _reverse(longs: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    shorts: dict[str, list[str]] = defaultdict(list)
    for short, words in longs.items():
        for word in words:
            shorts[word].append(short)
    return {word: tuple(found) for word, found in shorts.items()}


# Short form -> the words that it may stand for; and word -> its short forms.
LONG: Final = _read(Path(__file__).with_name("abbreviations.txt"))
SHORT: Final = _reverse(LONG)


def of(word: str) -> tuple[str, ...]:
    """Return the long forms and the short forms of a word."""
    return LONG.get(word, ()) + SHORT.get(word, ())
