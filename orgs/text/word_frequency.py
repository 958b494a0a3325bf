"""The commonest words of organizations' names, from ``word_frequency.txt`` beside this file. Plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from orgs.text import abbreviations


def _read(path: Path) -> dict[str, float]:
    shares: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            count, *words = line.split()
            shares.update(dict.fromkeys(words, int(count) / 10_000))
    # A short form is as common as the commonest word that it stands for.
    for short, long in abbreviations.LONG.items():
        share = max((shares[word] for word in (short, *long) if word in shares), default=0.0)
        if share:
            shares[short] = share
    return shares


# Word -> the share (0 to 1) of organizations with the word in a name.
SHARES: Final = _read(Path(__file__).with_name("word_frequency.txt"))
