"""The progress rail: both parts of the wizard with their steps and the current position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.wizard.packs.base import Step
from provisioning.wizard.steps import FINDER, SETUP, applicable_steps
from subscriptions.models import Order


def rail(
    *,
    order: Order,
    flow: str,
    answers: Mapping[str, Any],
    expected: Mapping[str, Any],
    current: str,
    frontier: str,
) -> list[dict[str, Any]]:
    """Return both parts with their steps: title, state (done, current, todo), and the address of those one may open.

    ``expected`` are the answers completed by likely ones; they decide which steps are shown.
    """

    def part(table: tuple[Step, ...]) -> list[dict[str, Any]]:
        shown = applicable_steps(table, expected)
        reach = [step.name for step in shown].index(frontier)
        rows = []
        for index, step in enumerate(shown):
            done = step.name in answers and index < len(shown) - 1
            state = "current" if step.name == current else "done" if done else "todo"
            may_open = index <= reach and state != "current"
            url = reverse(flow, args=[order.number, step.name]) if may_open else None
            rows.append({"title": step.label, "url": url, "state": state})
        return rows

    def closed(steps: list[Step], state: str) -> list[dict[str, Any]]:
        return [{"title": step.label, "url": None, "state": state} for step in steps]

    found = [step for step in FINDER if step.name in {"intent", "customer", "review"}]
    to_come = applicable_steps(SETUP, {"order": answers["order"]})
    finding = flow == "find"
    return [
        {"title": _("Find the organizations"), "steps": part(FINDER) if finding else closed(found, "done")},
        {"title": _("Set up the services"), "steps": closed(to_come, "todo") if finding else part(SETUP)},
    ]


def position(names: list[str], current: str) -> str:
    """Return the position, such as "Step 3 of 6"."""
    return _("Step %(step)d of %(steps)d") % {"step": names.index(current) + 1, "steps": len(names)}
