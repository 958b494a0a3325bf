"""The operators' log: adds events, and puts them into sentences. ``verification`` checks its chain."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from provisioning.models import OperatorEvent, OperatorRole, User


def record(*, kind: OperatorEvent.Kind, by: User | None, facts: Mapping[str, object] | None = None) -> OperatorEvent:
    """Add an event to the operators' log, in the caller's transaction. Locks the head of the log until its end.

    ``by`` is the operator; None for commands. ``facts`` are JSON values without fractions, as of an order's event.
    """
    return OperatorEvent.objects.create(kind=kind, by=by, facts=dict(facts or {}))


def sentence(event: OperatorEvent) -> str:
    """Return what an event says, in words."""
    facts = event.facts
    if event.kind in {OperatorEvent.Kind.LOOKED, OperatorEvent.Kind.ACTED}:
        query = "&".join(f"{name}={value}" for name, values in facts.get("query", {}).items() for value in values)
        said = f"{facts.get('path', '')}?{query}" if query else str(facts.get("path", ""))
        return f"{said}: {', '.join(facts['fields'])}" if facts.get("fields") else said
    if event.kind == OperatorEvent.Kind.ROLE:
        roles = {**{role.value: str(role.label) for role in OperatorRole}, "": _("no operator")}
        return _("%(person)s: %(before)s → %(after)s") % {
            "person": facts.get("person", "–"),
            "before": roles.get(facts.get("before", ""), "–"),
            "after": roles.get(facts.get("after", ""), "–"),
        }
    return str(facts.get("person") or facts.get("factor") or "–")
