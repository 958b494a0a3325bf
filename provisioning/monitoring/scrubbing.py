"""Removes from logs and error reports what identifies people or lets somebody in: addresses, codes, tokens, keys."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

REMOVED: Final = "(removed)"
# Letters of one-time codes: provisioning.people.sign_in.LETTERS.
_LETTERS: Final = "[BCDFGHJKLMNPQRSTVWXZ]"
# A part of an email address, with and without its dots.
_DOTTED: Final = r"""[^\s<>"'(),:;@=/]"""
_LABEL: Final = r"""[^\s<>"'(),:;@=/.]"""
# Anybody chooses what is logged, such as the path of a request: each pattern takes time in proportion to the text. So a
# run of characters is matched from its beginning only, and without going back in it.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]+"), rf"\1 {REMOVED}"),
    (re.compile(r"\b(?:spk|whsec|sk|pk)_[\w+/=-]+"), REMOVED),
    (re.compile(r"//[^/\s\"'@]+@"), f"//{REMOVED}@"),  # user and password of an address
    (re.compile(rf"(?<!{_DOTTED}){_DOTTED}++@\.*+{_LABEL}++(?:\.++{_LABEL}++)++"), REMOVED),
    (re.compile(r"(/(?:l|verify)/)[^\s/?\"'<>]+"), rf"\1{REMOVED}"),
    (re.compile(rf"\b{_LETTERS}{{4}}-?{_LETTERS}{{4}}\b"), REMOVED),
    (re.compile(r"(?i)((?:code|token|secret|password|passwd|api_?key|sessionid|csrf\w{0,40}+)[\"']?\s*[=:]\s*[\"']?)[^\s&,;\"']+"),
     rf"\1{REMOVED}"),
    (re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_]{32}(?![\w-])"), REMOVED),  # a session's key
    (re.compile(r"(?<![\w-])[\w-]{40,}(?![\w-])"), REMOVED),  # tokens of links, hashes
)  # fmt: skip


def scrub(text: str) -> str:
    """Return the text without addresses, codes, tokens and keys."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def scrub_all(value: Any) -> Any:
    """Return a structure of dicts and lists with every text in it scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: scrub_all(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_all(each) for each in value]
    return value


class ScrubbingFormatter(logging.Formatter):
    """A formatter of lines that removes secrets, also from tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return scrub(super().format(record))
