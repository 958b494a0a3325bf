"""The journey as a page shows it: two parts, their steps, and where one stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.steps import FINDER, SETUP, Step, applicable
from subscriptions.models import Order


def rail(*, order: Order, flow: str, answers: Mapping[str, Any], current: str, frontier: str) -> list[dict[str, Any]]:
    """Return both parts with their steps: title, state (done, current, todo), and the address of those one may open."""
    finding = flow == "find"
    plain = {"order": answers["order"]}
    return [
        {
            "title": _("Find the organizations"),
            "steps": _open_part(order, FINDER, flow, answers, current, frontier)
            if finding
            else [{"title": step.label, "url": None, "state": "done"} for step in _mapped_steps()],
        },
        {
            "title": _("Set up the services"),
            "steps": [{"title": step.label, "url": None, "state": "todo"} for step in applicable(SETUP, plain)]
            if finding
            else _open_part(order, SETUP, flow, answers, current, frontier),
        },
    ]


def _mapped_steps() -> list[Step]:
    """The steps of the first part as they are remembered once the organizations are confirmed."""
    return [step for step in FINDER if step.name in {"intent", "customer", "review"}]


def _open_part(
    order: Order, table: tuple[Step, ...], flow: str, answers: Mapping[str, Any], current: str, frontier: str
) -> list[dict[str, Any]]:
    shown = applicable(table, answers)
    names = [step.name for step in shown]
    reach = names.index(frontier)
    rows = []
    for index, step in enumerate(shown):
        done = step.name in answers and index < len(shown) - 1
        state = "current" if step.name == current else "done" if done else "todo"
        url = reverse(flow, args=[order.number, step.name]) if index <= reach and state != "current" else None
        rows.append({"title": step.label, "url": url, "state": state})
    return rows


def position(names: list[str], table: tuple[Step, ...], current: str) -> str:
    """Return where one stands, such as "Step 3 of 6"."""
    return _("Step %(step)d of %(steps)d") % {"step": names.index(current) + 1, "steps": len(names)}
