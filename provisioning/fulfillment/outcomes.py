"""What a driver is asked, and the outcomes it can answer with. Plain data: no database, no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One line that a driver sets up. ``instance_id`` makes every call idempotent: the same id is the same instance.

    ``parameters`` is the object that the JSON schema of the service's pack describes: where an order has several lines
    of the service, it is what this line gives, and lines may name the same site or location. ``operation`` and
    ``external`` are what the driver answered before; ``requested_by`` is an opaque id of the person who confirmed.
    """

    instance_id: str
    request_id: str
    order: str
    line: int  # the vendor's number of the line
    service: str
    product: str
    licenses: int
    term_months: int
    organization_id: str
    organization_name: str
    parameters: Mapping[str, Any]
    requested_by: str
    operation: str = ""
    external: Mapping[str, Any] = field(default_factory=dict)
    repeated: bool = False  # the same call was made before, or was about to be


@dataclass(frozen=True)
class Done:
    """It is done. ``external`` are ids of the other side that are kept."""

    description: str = ""
    external: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""


@dataclass(frozen=True)
class Running:
    """The other side is at it. ``after``: seconds until it wants to be asked again; None: as the loop likes.

    ``longest``: seconds that the operation may take in all; None: the limit of our own settings.
    """

    operation: str = ""
    after: int | None = None
    description: str = ""
    external: Mapping[str, Any] = field(default_factory=dict)
    longest: int | None = None
    answer: str = ""


@dataclass(frozen=True)
class Rejected:
    """Something that the person who answered can mend. ``field`` is a JSON pointer into the parameters, or "".

    ``sentence`` is the other side's, for the person. ``abandon``: an instance may be left behind and is to be deleted.
    """

    field: str
    sentence: str
    code: str = "refused"
    abandon: bool = False
    answer: str = ""


@dataclass(frozen=True)
class Failed:
    """Something that only the vendor can mend; ``sentence`` is for the order desk."""

    code: str
    sentence: str
    abandon: bool = False
    answer: str = ""


@dataclass(frozen=True)
class Unreachable:
    """No usable answer came: it is tried again. ``after``: seconds that the other side asked for.

    ``abandon``: the call may have made an instance; it is deleted, and the next try is for a new one.
    ``is_outage``: the other side as a whole is away, so that the circuit breaker counts it. ``external`` are ids
    that the deletion needs.
    """

    sentence: str
    after: int | None = None
    abandon: bool = False
    is_outage: bool = True
    answer: str = ""
    external: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | Running | Rejected | Failed | Unreachable


class Driver(Protocol):
    """What sets a service up. Each call is made outside of any transaction, and may be repeated."""

    name: str

    def check(self, job: Job) -> Rejected | None:
        """Say what the other side would refuse, without changing anything there; None where nothing is known."""

    def start(self, job: Job) -> Outcome:
        """Ask for the instance; asking again for the same id changes nothing."""

    def poll(self, job: Job) -> Outcome:
        """Ask how far the instance is."""

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """Delete the instance (``deleting``: ask how far its deletion is). Done where it doesn't exist."""

    def problems(self) -> list[str]:
        """Return a sentence for each mistake in the configuration, found by asking the other side."""
