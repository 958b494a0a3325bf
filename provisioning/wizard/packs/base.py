"""The wizard's half of a product pack: the steps of one service, their lookups, and the plan made of the answers.

The other half, ``subscriptions.packs``, checks the plan and creates its rows. subscriptions/packs/README.md says how to
add a pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.utils.functional import Promise

from subscriptions.models import Order
from subscriptions.packs.base import BUILT_IN, Bought
from subscriptions.rules.validation import Refused

Answers = Mapping[str, Any]


def always(answers: Answers) -> bool:
    """Every order has this step."""
    return True


@dataclass(frozen=True)
class Step:
    """One page of a wizard.

    ``applies`` says whether this order has the step; ``depends_on`` names the steps whose change makes this
    one be asked again, with the former answer filled in.
    """

    name: str
    label: str | Promise
    form: type[Any]
    applies: Callable[[Answers], bool] = always
    depends_on: tuple[str, ...] = ()


class PackSteps:
    """The steps of one service: an order that has a line of it has these, where their conditions allow.

    A step's name is its address, and no other pack has one of that name.
    """

    service: str = ""
    steps: tuple[Step, ...] = ()

    def facts(self, order: Order, bought: Bought) -> dict[str, Any]:
        """Return the facts that the forms of these steps get; ``bought`` is what the order has of the service."""
        return {}

    def reservation(self, step: str, answers: Answers) -> Any:
        """Return what ``Pack.reserve`` reserves once this step is answered, or None."""
        return None

    def plan(self, answers: Answers, bought: Bought) -> Any:
        """Return the plan made of the answers for all lines together, in the type that the pack defines."""
        raise NotImplementedError

    def irreversible_effects(self, plan: Any) -> Iterator[str]:
        """Yield a sentence for each part of the plan that cannot be changed after the set-up."""
        yield from ()

    def locate_field(self, field: str, answers: Answers) -> tuple[str, str]:
        """Return the step and its control where what a JSON pointer into the parameters names was answered.

        The control is a field's name, of a row "2-name" (from 0), or "" for the step as a whole. A pointer that names
        nothing that was answered leads to the first step.
        """
        return self.steps[0].name if self.steps else "", ""

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """Return the step that has to be answered anew after this refusal, or "" where it is not about these."""
        return ""


def installed() -> dict[str, PackSteps]:
    """Return the packs that are on, by service, in the order in which they are asked."""
    return _load(tuple(settings.PACKS))


@cache
def _load(names: tuple[str, ...]) -> dict[str, PackSteps]:
    return {pack.service: pack for pack in _packs(names)}


def _packs(names: tuple[str, ...]) -> Iterator[PackSteps]:
    for name in names:
        pack: PackSteps = import_module(
            f"provisioning.wizard.packs.{name}" if name in BUILT_IN else f"{name}.steps"
        ).STEPS
        yield pack
