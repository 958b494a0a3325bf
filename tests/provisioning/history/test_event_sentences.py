"""The sentences of an order's history: none is missing, and each says what it knows in both languages."""

from __future__ import annotations

import re

import pytest
from django.utils.translation import override

from provisioning.emails.events import EVENTS
from provisioning.history import event_sentences
from provisioning.models import EMAIL_NAMES, Event


def test_every_kind_of_event_has_its_sentence_and_every_email_its_name() -> None:
    assert set(event_sentences.SENTENCES) == set(Event.Kind)
    assert set(EMAIL_NAMES) == set(EVENTS)
    assert set(EVENTS) >= event_sentences.EMAILS_SHOWN_TO_CONTACTS


@pytest.mark.parametrize("kind", Event.Kind)
def test_a_sentence_ends_as_one_and_names_the_same_facts_in_german(kind: str) -> None:
    sentence = event_sentences.SENTENCES[kind]
    for text in (sentence.text, sentence.desk):
        english = str(text)
        with override("de"):
            german = str(text)
        assert sorted(re.findall(r"%\(\w+\)s", english)) == sorted(re.findall(r"%\(\w+\)s", german))
        assert not english or (english != german and english[-1] in ".s")
