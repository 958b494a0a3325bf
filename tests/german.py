"""Reads the German catalogue, and pages as a German reader does: finds what was left in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from babel.messages import pofile
from babel.messages.catalog import Catalog, Message
from django.conf import settings
from django.test import Client

from tests.factories import signed_in

ROOT: Final = Path(settings.BASE_DIR)
FOLDER: Final = ROOT / "provisioning" / "locale" / "de" / "LC_MESSAGES"

# English texts of ours that are also German words of somebody else: Iceland, and the admin site's first page.
_GERMAN_TOO: Final = {"Island", "Start"}


@cache
def catalogue() -> Catalog:
    """The German texts as a translator reads them."""
    with (FOLDER / "django.po").open("rb") as file:
        return pofile.read_po(file, locale="de")


def messages() -> list[Message]:
    """Every message of it."""
    return [message for message in catalogue() if message.id]


def pairs(message: Message) -> Iterator[tuple[str, str]]:
    """(English, German) of a message: of each plural form, where it has several."""
    if isinstance(message.id, str):
        yield message.id, str(message.string)
    else:
        assert isinstance(message.string, list | tuple)
        yield from zip(message.id, message.string, strict=True)


class _Shown(HTMLParser):
    """Collects what a person sees or hears of a page: its texts, and the attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.unread: list[str] = []  # open elements of no text, or of another language

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag in {"script", "style", "code", "iframe"} or (tag != "html" and at.get("lang") == "en"):
            self.unread.append(tag)
        shown = ("aria-label", "title", "alt", "placeholder", "data-left", "data-over", "data-done")
        self.texts += [at[name] for name in shown if at.get(name)]
        if tag == "input" and at.get("type") == "submit":
            self.texts.append(at.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if self.unread and self.unread[-1] == tag:
            self.unread.pop()

    def handle_data(self, data: str) -> None:
        if not self.unread and data.strip():
            self.texts.append(" ".join(data.split()))


def shown(html: str) -> list[str]:
    parser = _Shown()
    parser.feed(html)
    return parser.texts


@cache
def english() -> list[tuple[str, str, re.Pattern[str] | None, bool]]:
    """Our English texts that read differently in German.

    Of each: the text, its longest part without placeholders, what matches it where it has some, and whether it is a
    sentence, to be looked for in the middle of others too.
    """
    found = []
    for message in messages():
        for text, german in pairs(message):
            parts = re.split(r"%\(\w+\)[sd]|\{\w*\}", " ".join(re.sub(r"<[^>]+>", " ", text).split()))
            literal = max(parts, key=len)
            if text != german and text not in _GERMAN_TOO and re.search(r"[A-Za-z]{2}", literal):
                pattern = re.compile(".{1,300}?".join(map(re.escape, parts))) if len(parts) > 1 else None
                found.append((text, literal, pattern, len(" ".join(parts).split()) > 3))
    return found


def left_in_english(texts: list[str]) -> list[str]:
    """Return our English texts that are among these."""
    whole, alone = " ".join(texts), set(texts)

    def is_there(literal: str, pattern: re.Pattern[str] | None, sentence: bool) -> bool:
        if pattern is None:
            return literal in whole if sentence else literal in alone
        if literal not in whole:
            return False
        return bool(pattern.search(whole)) if sentence else any(map(pattern.fullmatch, alone))

    return [text for text, literal, pattern, sentence in english() if is_there(literal, pattern, sentence)]


def assert_german(html: str) -> None:
    assert '<html lang="de"' in html
    assert left_in_english(shown(html)) == []


def in_german(email: str) -> Client:
    """Return a German browser in which this person is signed in."""
    client = signed_in(email)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de-AT,de;q=0.9,en;q=0.5"
    return client
