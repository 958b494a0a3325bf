"""The base class of a product pack, and the registry of packs. A pack is one service that is sold.

A pack names its service, validates a plan, creates rows of it, and returns the facts and rows of the order summary.
``settings.PACKS`` lists the installed packs: built-in ones by name, others by Django app. README.md beside this file
says how to add one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from subscriptions.presentation import Row, Section

if TYPE_CHECKING:
    from subscriptions.models import Order, OrderLine, Subscription

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

    def share(self) -> Iterable[Row]:
        """Return what one of several lines gives, where the lines are summed up in ``sections``."""
        return ()

    def sections(self, as_of: datetime) -> Iterable[Section]:
        """Return additional sections, such as a table of sites."""
        return ()

    def next_steps(self) -> Iterable[str]:
        """Return a sentence for each thing that the reader can do now, or should know."""
        return ()


@dataclass(frozen=True)
class Bought:
    """What an order has of one service, in one line or several: ``licenses`` is their sum."""

    service: str
    lines: tuple[OrderLine, ...]

    @property
    def licenses(self) -> int:
        """The licenses of all lines together: what one set of steps distributes."""
        return sum(line.licenses for line in self.lines)


class Pack:
    """One service: ``service`` is its code in lines and plans, at most 40 letters, digits and underscores; ``product``
    what a line is called.

    ``to_one`` and ``to_many`` name the relations of ``Subscription`` that lead to its rows: a summary joins
    the first and prefetches the second. ``facts_without`` are the facts of an order that has no line of this service.
    ``several_lines``: an order may have several lines of it; then ``split`` says what of a plan is each line's.
    """

    service: str = ""
    label: str | Promise = ""
    product: str = ""
    to_one: tuple[str, ...] = ()
    to_many: tuple[str, ...] = ()
    facts_without: Mapping[str, Any] = MappingProxyType({})
    several_lines: bool = False
    # What ``parameters`` returns, as JSON Schema draft 4 (Open Service Broker 2.17, "Input Parameters Schema Object").
    schema: Mapping[str, Any] = MappingProxyType({"type": "object"})

    def check(self, plan: Any, licenses: int) -> None:
        """Raise Refused unless this plan (None: there is none) is one for so many licenses: those of all lines."""

    def split(self, plan: Any, licenses: Sequence[int], given: Sequence[Any]) -> list[Any]:
        """Return the part of each line of a checked plan, in the order of ``licenses``; the same each time.

        :param licenses: of each line that is to be asked for.
        :param given: the parts of the order's other lines of this service, which stay as they are.
        :raises Refused: the plan takes away what another line was given.
        """
        return [plan for _each in licenses]

    def merge(self, parts: Sequence[Any]) -> Any:
        """Return the facts of several lines (``SetUpFacts`` of this pack, at least one) as those of one."""
        return parts[0]

    def locate(self, field: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
        """Return where in the parameters of a whole plan stands what ``field`` points to in those of a line's part.

        Both are JSON pointers; "" where it is not there.
        """
        return field

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


class _Numbered(Protocol):
    @property
    def service(self) -> Any: ...

    @property
    def number(self) -> Any: ...


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


def in_order[Lines: _Numbered](lines: Iterable[Lines]) -> list[Lines]:
    """Return the lines of an order as they are shown: service by service, those of one service by their numbers."""
    at = {service: place for place, service in enumerate(installed())}
    return sorted(lines, key=lambda line: (at.get(line.service, len(at)), line.service, line.number))


def bought_of(lines: Iterable[OrderLine]) -> dict[str, Bought]:
    """Return what an order has of each service, as services are shown."""
    found: dict[str, list[OrderLine]] = {}
    for line in in_order(lines):
        found.setdefault(line.service, []).append(line)
    return {service: Bought(service, tuple(of_service)) for service, of_service in found.items()}


def labels_of(lines: Iterable[_Numbered]) -> dict[int, str]:
    """Return what each line of an order is called, by its number, in the active language.

    It is the service's name; with the line's number where the order has several lines of this service.
    """
    lines = list(lines)
    count = Counter(line.service for line in lines)
    return {line.number: line_label(line, several=count[line.service] > 1) for line in lines}


def line_label(line: _Numbered, *, several: bool) -> str:
    """Return what a line is called where its order has several lines of its service, or only this one."""
    if not several:
        return label_of(line.service)
    return _("%(service)s, line %(number)s") % {"service": label_of(line.service), "number": line.number}


@cache
def _load(names: tuple[str, ...]) -> dict[str, Pack]:
    return {pack.service: pack for pack in _packs(names)}


def _packs(names: tuple[str, ...]) -> Iterator[Pack]:
    for name in names:
        pack: Pack = import_module(f"subscriptions.packs.{name}" if name in BUILT_IN else f"{name}.pack").PACK
        yield pack
