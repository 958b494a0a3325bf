"""The German catalogue is whole, of today, and compiled."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any, Final

from babel.messages import mofile
from babel.messages.catalog import Message
from babel.messages.extract import extract
from django.utils.translation.template import templatize

from tests.german import FOLDER, ROOT, catalogue, messages, pairs

# What marks a text in our code, and which of its arguments are texts.
_MARKS: Final = {
    name: arguments
    for function, arguments in {
        "gettext": (1,),
        "ngettext": (1, 2),
        "pgettext": ((1, "c"), 2),
        "npgettext": ((1, "c"), 2, 3),
    }.items()
    for name in (function, f"{function}_lazy")
} | {"_": (1,)}

Key = tuple[str | None, str | tuple[str, ...]]


def key(message: Message) -> Key:
    context: Any = message.context  # of a compiled catalogue in bytes
    text = tuple(message.id) if isinstance(message.id, list | tuple) else message.id
    return context.decode() if isinstance(context, bytes) else context, text


def texts_of_the_product() -> set[Key]:
    """Every text that is marked in our code and templates, found as Django's makemessages finds them."""
    found: set[Key] = set()
    for folder in ("orgs", "subscriptions", "provisioning", "templates"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix not in {".py", ".html", ".txt"}:
                continue
            source = path.read_text(encoding="utf-8")
            if path.suffix != ".py":
                source = re.sub(r"^\s+", "", templatize(source), flags=re.MULTILINE)
            for _line, text, _comments, context in extract("python", io.BytesIO(source.encode()), keywords=_MARKS):
                found.add((context, text if isinstance(text, str) else tuple(text)))
    return found


def test_every_text_is_in_the_catalogue_and_nothing_else_is() -> None:
    kept = {key(message) for message in messages()}
    assert texts_of_the_product() - kept == set(), "new texts: run makemessages (how: the head of django.po)"
    assert kept - texts_of_the_product() == set(), "texts that are no more: run makemessages"


def test_no_template_has_a_text_that_nobody_can_translate() -> None:
    unmarked = []
    for path in (ROOT / "templates").rglob("*"):
        if path.suffix not in {".html", ".txt"} or path.parent.name == "api":  # documentation for integrators: English
            continue
        source = re.sub(
            r"\{% comment %\}.*?\{% endcomment %\}|\{% blocktrans.*?\{% endblocktrans %\}"
            r"|<(style|script|svg)\b.*?</\1>|\{[{%#].*?[}%#]\}",
            "",
            path.read_text(encoding="utf-8"),
            flags=re.DOTALL,
        )
        texts = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', source)
        texts += re.sub(r"<[^>]*>", "\n", source).splitlines()
        unmarked += [(path.name, text.strip()) for text in texts if re.search(r"[A-Za-z]{2}", text)]
    assert unmarked == []


def test_every_text_has_its_german_one_and_none_is_a_guess() -> None:
    assert [
        message.id for message in messages() if message.fuzzy or not all(german for _, german in pairs(message))
    ] == []
    assert not list(catalogue().obsolete)
    assert {len(list(pairs(message))) for message in messages() if not isinstance(message.id, str)} == {2}


def test_placeholders_and_tags_are_those_of_the_english_text() -> None:
    marks = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|<[^>]+>")
    assert [
        (english, german)
        for message in messages()
        for english, german in pairs(message)
        if Counter(marks.findall(english)) - Counter(marks.findall(german))
        or set(marks.findall(german)) - set(marks.findall(english))
    ] == []


def test_german_text_keeps_to_german_quotes_and_to_sie() -> None:
    written = [german for message in messages() for _english, german in pairs(message)]
    outside = [re.sub(r"<[^>]+>", "", german) for german in written]
    assert [german for german in outside if re.search(r"[\"”]|(?<!\w)['‘’]", german)] == []
    assert [german for german in outside if german.count("„") != german.count("“")] == []
    assert [german for german in outside if re.search(r"\b([Dd]u|[Dd]ein\w*|[Dd]ich|[Dd]ir)\b", german)] == []


def test_compiled_catalogue_is_that_of_the_readable_one() -> None:
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = {key(message): list(pairs(message)) for message in mofile.read_mo(file) if message.id}
    assert compiled == {key(message): list(pairs(message)) for message in messages()}, "run compilemessages"
