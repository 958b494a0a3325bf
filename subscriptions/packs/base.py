"""The base class of a product pack, and the registry of packs. A pack is one service that is sold.

A pack names its service, validates a plan, creates rows of it, and returns the facts and rows of the order summary.
``settings.PACKS`` lists the installed packs: built-in ones by name, others by Django app. README.md beside this file
says how to add one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.utils.functional import Promise

from subscriptions.presentation import Row, Section

if TYPE_CHECKING:
    from subscriptions.models import Order, Subscription

BUILT_IN = ("meetings", "calling")


@dataclass(frozen=True)
class SetUpFacts:
    """The facts of what was set up for one line, and how the order summary shows them."""

    @property
    def time_zone(self) -> str:
        """The IANA time zone of the place, or ""."""
        return ""

    @property
    def country(self) -> str:
        """The country of the place (ISO 3166-1 alpha-2), or ""."""
        return ""

    def facts(self) -> dict[str, Any]:
        """Return the facts for programs, under names that no other pack has; values as JSON knows them, and times."""
        return asdict(self)

    def rows(self, as_of: datetime) -> Iterable[Row]:
        """Return the rows below product, licenses and term."""
        return ()

    def sections(self, as_of: datetime) -> Iterable[Section]:
        """Return additional sections, such as a table of sites."""
        return ()

    def next_steps(self) -> Iterable[str]:
        """Return a sentence for each thing that the reader can do now, or should know."""
        return ()


class Pack:
    """One service: ``service`` is its code in lines and plans, at most ten letters; ``product`` what a line is called.

    ``to_one`` and ``to_many`` name the relations of ``Subscription`` that lead to its rows: a summary joins
    the first and prefetches the second. ``facts_without`` are the facts of an order that has no line of this service.
    """

    service: str = ""
    label: str | Promise = ""
    product: str = ""
    to_one: tuple[str, ...] = ()
    to_many: tuple[str, ...] = ()
    facts_without: Mapping[str, Any] = MappingProxyType({})
    # What ``parameters`` returns, as JSON Schema draft 4 (Open Service Broker 2.17, "Input Parameters Schema Object").
    schema: Mapping[str, Any] = MappingProxyType({"type": "object"})

    def check(self, plan: Any, licenses: int) -> None:
        """Raise Refused unless this plan (None: there is none) is one for a line of so many licenses."""

    def preview(self, plan: Any) -> SetUpFacts:
        """Return the facts that ``read`` will return after the set-up; the review shows them."""
        return SetUpFacts()

    def reserve(self, order: Order, wanted: Any) -> None:
        """Reserve unique values of an order's answers while it can be set up. Raises Refused."""

    def release(self, order: Order) -> None:
        """Delete the reservations of an order."""

    def reserve_plan(self, order: Order, plan: Any) -> None:
        """Reserve unique values of a checked plan until its rows are created. Raises Refused."""

    def parameters(self, plan: Any) -> dict[str, Any]:
        """Return a plan as JSON, for the system that sets it up; ``schema`` describes it, ``plan_of`` reads it."""
        return {}

    def plan_of(self, parameters: Mapping[str, Any]) -> Any:
        """Return the plan that ``parameters`` made this of."""
        return None

    def create_rows(self, subscription: Subscription, plan: Any) -> None:
        """Make the rows of a plan that was set up, in the caller's transaction."""

    def read(self, subscription: Subscription) -> SetUpFacts:
        """Return what was made for this subscription."""
        return SetUpFacts()


class _OfService(Protocol):
    @property
    def service(self) -> Any: ...


def installed() -> dict[str, Pack]:
    """Return the packs that are on, by service, in the order in which services are shown."""
    return _load(tuple(settings.PACKS))


def of(service: str) -> Pack:
    """Return the pack of a service; of one that is no longer sold, a pack that knows no more than its name."""
    pack = installed().get(service)
    if pack is None:
        pack = Pack()
        pack.service, pack.label, pack.product = service, service.capitalize(), service.capitalize()
    return pack


def label_of(service: str) -> str:
    """Return what a service is called, in the active language."""
    return str(of(service).label)


def in_order[Lines: _OfService](lines: Iterable[Lines]) -> list[Lines]:
    """Return the lines of an order (or what else has a service) as services are shown."""
    at = {service: place for place, service in enumerate(installed())}
    return sorted(lines, key=lambda line: at.get(line.service, len(at)))


@cache
def _load(names: tuple[str, ...]) -> dict[str, Pack]:
    return {pack.service: pack for pack in _packs(names)}


def _packs(names: tuple[str, ...]) -> Iterator[Pack]:
    for name in names:
        pack: Pack = import_module(f"subscriptions.packs.{name}" if name in BUILT_IN else f"{name}.pack").PACK
        yield pack
