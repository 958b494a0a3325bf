"""Reads and clears the draft of an order: the answers that are not confirmed yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from provisioning.models import Draft
from subscriptions.models import Order

MAX_FIELDS = 400  # 50 additional sites with four fields each, and room


MAX_VALUES = 20


MAX_LENGTH = 4000  # longer than any field allows: the field refuses a value that was cut


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


def changed_at(entry: Mapping[str, Any]) -> dt.datetime:
    """Return when an answer was last changed."""
    return dt.datetime.fromisoformat(entry["at"])


def begin_again(*, order: Order, flow: str, but_for: Collection[str] = ()) -> None:
    """Drop a wizard's answers, but for some steps: what was found for one person isn't taken for another's."""
    draft = load(order.pk)
    if flow in draft.steps:
        draft.steps[flow] = {name: entry for name, entry in draft.steps[flow].items() if name in but_for}
        draft.save()
