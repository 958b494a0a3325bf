"""formtools' storage interface on the order's draft in PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import get_language
from formtools.wizard.storage.base import BaseStorage

from provisioning.actions.drafts import Data, keepable, load
from provisioning.models import Draft


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
        """Do nothing: the draft's row is created with its first answer."""

    def reset(self) -> None:
        """Do nothing: the answers belong to the order, and a second confirm needs them."""

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
        """Turn answers that depend on a changed one back into typed input, so that their steps are asked again."""
        kept = self.draft.steps.get(self.flow, {})
        for step in steps:
            entry = kept.pop(step, None)
            if entry:
                self._typed().setdefault(self._key(step), entry["data"])
        self.draft.save()

    # what was typed but isn't an answer (yet)

    def typed(self, step: str) -> MultiValueDict[str, str] | None:
        """Return this person's input for this step that was not accepted."""
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
