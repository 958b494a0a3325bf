"""The plan: everything that confirming a review page does. The page shows it, and the action executes it.

The page contains the plan's seal. The action builds the plan again under the order's lock and refuses it if the seals
differ (provisioning.actions.planning), so that what is written is what was shown.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from django.utils.crypto import constant_time_compare, salted_hmac

from orgs.models import Organization
from subscriptions.packs import SetUpFacts

Which = Literal["partner", "customer"]

# What a page offers beside confirming: "My customer will set up their own services".
DELEGATE = "delegate"
_SHORT = 12  # hexadecimal digits of a part's mark: enough to tell what is different


class PlanChanged(Exception):
    """The current plan differs from the confirmed one. Nothing was written."""


class Right(enum.StrEnum):
    """A right of a person in the order or an organization after the plan."""

    CONTACT = "contact"  # of the order, permanently
    FULL = "full"  # first full administrator of a new organization
    PROVISIONING = "provisioning"  # Provisioning administrator of the customer, for this order
    DELEGATE = "delegate"  # sets up the services


@dataclass(frozen=True)
class PlannedOrganization:
    """An organization that the order is tied to; ``row`` is None for one that is made."""

    which: Which
    name: str
    vertical: str
    country: str
    row: Organization | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PlannedSubscription:
    """A line, and what its pack will make of its part of the plan (None where that comes later)."""

    service: str
    product: str
    licenses: int
    term_months: int
    made: SetUpFacts | None = None
    number: int = 1  # the vendor's

    @property
    def key(self) -> str:
        """What the parts of the plan about this line are named by."""
        return f"{self.service}.{self.number}"


@dataclass(frozen=True)
class PlannedRight:
    """A right and its holder; ``choice`` names the option that it depends on."""

    right: Right
    email: str
    of: Which | None = None
    choice: str = ""


@dataclass(frozen=True)
class PlannedEmail:
    """An email to send; ``choice`` names the option that it depends on."""

    event: str
    to: str
    choice: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that confirming does to one order."""

    order: str
    audience: str
    organizations: tuple[PlannedOrganization, ...]
    subscriptions: tuple[PlannedSubscription, ...]
    rights: tuple[PlannedRight, ...]
    emails: tuple[PlannedEmail, ...]

    def organization(self, which: Which) -> PlannedOrganization | None:
        """Return the partner or the customer of this plan."""
        return next((each for each in self.organizations if each.which == which), None)

    def holder_of(self, right: Right, of: Which | None = None) -> str:
        """Return the address that gets this right, or ""."""
        return next((each.email for each in self.rights if each.right is right and of in {None, each.of}), "")

    def parts(self) -> dict[str, Any]:
        """Return the facts by part, as JSON can carry them; each is shown, and may change, on its own."""
        parts: dict[str, Any] = {"order": [self.order, self.audience]}
        for each in self.organizations:
            known = str(each.row.public_id) if each.row else f"new: {each.vertical}"
            parts[each.which] = [known, each.name, each.country]
        for line in self.subscriptions:
            parts |= {f"{line.key}.{name}": getattr(line, name) for name in ("product", "licenses", "term_months")}
            if line.made:
                parts[f"{line.key}.made"] = line.made.facts()
        parts["rights"] = [asdict(right) for right in self.rights]
        parts["emails"] = [asdict(email) for email in self.emails]
        return parts

    @property
    def seal(self) -> str:
        """The keyed hash of the plan, followed by one of each part, separated by dots."""
        parts = self.parts()
        return ".".join([_mark("", parts), *(_mark(name, facts)[:_SHORT] for name, facts in parts.items())])

    def changed_since(self, seal: str) -> frozenset[str]:
        """Return the names of the parts that differ from an earlier seal."""
        before = set(seal.split("."))
        return frozenset(name for name, facts in self.parts().items() if _mark(name, facts)[:_SHORT] not in before)

    def has_fewer_parts_than(self, seal: str) -> bool:
        """Return whether the plan of an earlier seal had more parts."""
        return seal.count(".") > len(self.parts())

    def confirmed(self, seal: str | None, chosen: Iterable[str] = ()) -> Plan:
        """Return this plan with only the chosen options.

        ``seal`` is the one of the page, or None where nobody saw a page. Raises PlanChanged where it is another plan's.
        """
        if seal is not None and not constant_time_compare(seal, self.seal):
            raise PlanChanged
        wanted = {"", *chosen}
        return replace(
            self,
            rights=tuple(each for each in self.rights if each.choice in wanted),
            emails=tuple(each for each in self.emails if each.choice in wanted),
        )


def _mark(name: str, facts: Any) -> str:
    """Return an HMAC of facts in canonical JSON; without the key, facts cannot be guessed from it."""
    text = json.dumps([name, facts], sort_keys=True, separators=(",", ":"), default=str)
    return salted_hmac("provisioning.plan", text, algorithm="sha256").hexdigest()
