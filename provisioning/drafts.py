"""Where a wizard's answers are kept: the order's draft in Postgres, behind formtools' storage interface."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import get_language
from formtools.wizard.storage.base import BaseStorage

from provisioning.models import Draft
from subscriptions.models import Order

MAX_FIELDS = 400  # 50 additional sites with four fields each, and room
MAX_VALUES = 20
MAX_LENGTH = 4000  # longer than any field allows, so that a value that was cut is still refused
OWN_FIELDS = frozenset({"csrfmiddlewaretoken", "revision", "back", "add", "remove", "split", "use", "show"})

Data = dict[str, list[str]]


def keepable(posted: Mapping[str, Any]) -> Data:
    """Return posted fields as JSON that Postgres can hold.

    NUL and lone surrogates, which jsonb refuses, become U+FFFD, which every text field refuses in turn with a
    sentence; what is far beyond any field's length is cut; the wizard's own fields are left out.
    """
    lists = posted.lists() if isinstance(posted, MultiValueDict) else ((k, [v]) for k, v in posted.items())
    return {
        _text(name)[:100]: [_text(value) for value in values[:MAX_VALUES]]
        for name, values in list(lists)[:MAX_FIELDS]
        if name not in OWN_FIELDS
    }


def _text(value: Any) -> str:
    return "".join(
        "\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in str(value)[:MAX_LENGTH]
    )


def load(order_id: int) -> Draft:
    """Return an order's draft, or a new one, with what this version can read of it.

    An older version, or a repair by hand, may have left something else: that counts as not answered, and is asked
    again with what was posted filled in.
    """
    return readable(Draft.objects.filter(order_id=order_id).first() or Draft(order_id=order_id))


def draft_of(order: Order) -> Draft:
    """Return an order's draft as ``load`` does, without asking again where it was read with the order."""
    return readable(getattr(order, "draft", None) or Draft(order=order))


def readable(draft: Draft) -> Draft:
    """Leave in a draft what this version can read of it."""
    draft.steps = {
        flow: {name: _readable(entry) for name, entry in entries.items() if _is_data(_mapping(entry).get("data"))}
        for flow, entries in _mapping(draft.steps).items()
        if isinstance(entries, dict)
    }
    draft.typed = {
        person: {key: data for key, data in typed.items() if _is_data(data)}
        for person, typed in _mapping(draft.typed).items()
        if isinstance(typed, dict)
    }
    return draft


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_data(value: Any) -> bool:
    """Whether these are posted fields as ``keepable`` makes them; a name without a value is none of its making."""
    return isinstance(value, dict) and all(
        isinstance(values, list) and values and all(isinstance(one, str) for one in values) for values in value.values()
    )


def _readable(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a kept answer as ``DraftStorage.keep`` writes it, or what is left of it: an answer that fits no step."""
    whole = (
        "answer" in entry
        and isinstance(entry.get("revision"), int)
        and isinstance(entry.get("by"), str)
        and _is_time(entry.get("at"))
        and isinstance(entry.get("display"), list)
        and all(isinstance(row, list) and len(row) == 2 for row in entry["display"])
    )
    if whole:
        return entry
    at = timezone.now().isoformat()
    return {"data": entry["data"], "answer": None, "display": [], "revision": 0, "by": "", "at": at}


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and dt.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


class DraftStorage(BaseStorage):  # type: ignore[misc]
    """One wizard's steps in the order's draft: ``prefix`` is ``<flow>.<order pk>``.

    Nothing is written before the first answer. A request that writes holds the lock on the order's row
    (``access_to(…, lock=True)``), so two of them never overwrite each other.
    """

    def __init__(
        self, prefix: str, request: HttpRequest, file_storage: Any = None, *, draft: Draft | None = None
    ) -> None:
        super().__init__(prefix, request, file_storage)
        self.flow, _, order_id = prefix.partition(".")
        self.draft = draft or load(int(order_id))
        self.person = str(request.user.pk)
        self._current_step: str | None = None

    # what formtools asks for

    def init_data(self) -> None:
        """Nothing to make: a draft is a row, made with its first answer."""

    def reset(self) -> None:
        """Keep the answers: they are the order's, and a second confirm must find them."""

    def _get_current_step(self) -> str | None:
        return self._current_step

    def _set_current_step(self, step: str | None) -> None:
        self._current_step = step

    @property
    def extra_data(self) -> dict[str, Any]:
        return {}

    def get_step_data(self, step: str) -> MultiValueDict[str, str] | None:
        """Return the fields that were accepted as this step's answer."""
        entry = self.entry(step)
        return MultiValueDict(entry["data"]) if entry else None

    def get_step_files(self, step: str) -> None:
        """No step takes files."""

    def set_step_files(self, step: str, files: Any) -> None:
        """No step takes files."""

    # answers

    def entry(self, step: str) -> dict[str, Any] | None:
        """Return a step's kept answer: data, answer, revision, by (email), at (ISO time); None where there is none."""
        entry: dict[str, Any] | None = self.draft.steps.get(self.flow, {}).get(step)
        return entry

    def answers(self) -> dict[str, Any]:
        """Return every kept answer of this wizard by step name."""
        return {name: entry["answer"] for name, entry in self.draft.steps.get(self.flow, {}).items()}

    def keep(self, step: str, data: Mapping[str, Any], answer: Any, display: list[list[str]], by: str) -> bool:
        """Store an accepted answer; say whether it differs from the one before."""
        before = self.entry(step)
        changed = before is None or before["answer"] != answer
        self.draft.steps.setdefault(self.flow, {})[step] = {
            "data": keepable(data),
            "answer": answer,
            "display": display,
            "language": get_language(),
            "revision": (before["revision"] if before else 0) + (1 if changed else 0),
            "by": by if changed or before is None else before["by"],
            "at": timezone.now().isoformat() if changed or before is None else before["at"],
        }
        self.forget_typed(step, save=False)
        self.draft.save()
        return changed

    def reopen(self, steps: Iterable[str]) -> None:
        """Turn answers that rest on a changed one back into typed text: nothing is lost, they are asked again."""
        kept = self.draft.steps.get(self.flow, {})
        for step in steps:
            entry = kept.pop(step, None)
            if entry:
                self._typed().setdefault(self._key(step), entry["data"])
        self.draft.save()

    # what was typed but isn't an answer (yet)

    def typed(self, step: str) -> MultiValueDict[str, str] | None:
        """Return what this person typed into this step and didn't get accepted."""
        data = self._typed().get(self._key(step))
        return None if data is None else MultiValueDict(data)

    def keep_typed(self, step: str, posted: Mapping[str, Any]) -> None:
        """Store what this person typed into this step."""
        self._typed()[self._key(step)] = keepable(posted)
        self.draft.save()

    def forget_typed(self, step: str, *, save: bool = True) -> None:
        """Drop what this person typed into this step."""
        if self._typed().pop(self._key(step), None) is not None and save:
            self.draft.save()

    def _typed(self) -> dict[str, Data]:
        typed: dict[str, Data] = self.draft.typed.setdefault(self.person, {})
        return typed

    def _key(self, step: str) -> str:
        return f"{self.flow}.{step}"

    # what a page was made from

    def revision(self, step: str, basis: Iterable[str]) -> str:
        """Return a mark of this step's answer and of the answers it rests on, to be posted back with the page."""
        own = self.entry(step)
        return f"{own['revision'] if own else 0}.{self.mark(basis)}"

    def mark(self, steps: Iterable[str]) -> str:
        """Return a short hash of these steps' answers: it changes exactly when one of them does."""
        answers = {step: entry["answer"] for step in steps if (entry := self.entry(step))}
        return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]


def changed_at(entry: Mapping[str, Any]) -> dt.datetime:
    """Return when an answer was last changed."""
    return dt.datetime.fromisoformat(entry["at"])


def begin_again(*, order: Order, flow: str, but_for: Collection[str] = ()) -> None:
    """Drop a wizard's answers, but for some steps: what was found for one person isn't taken for another's."""
    draft = load(order.pk)
    if flow in draft.steps:
        draft.steps[flow] = {name: entry for name, entry in draft.steps[flow].items() if name in but_for}
        draft.save()
