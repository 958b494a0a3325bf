"""The facts of an order: what was ordered, for whom, and what was set up. Frozen; times are aware."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Self

from django.conf import settings

from subscriptions import packs
from subscriptions.packs import SetUpFacts

# Where people print on Letter: CLDR, supplemental data, paperSize "US-Letter".
_LETTER = frozenset("BZ CA CL CO CR GT MX NI PA PH PR SV US VE".split())


@dataclass(frozen=True)
class Company:
    """An organization as the summary names it; ``country`` is ISO 3166-1 alpha-2, or ""."""

    public_id: str
    name: str
    country: str


@dataclass(frozen=True)
class BoughtLine:
    """One line: what was bought, and once it is set up, from when until when, and what its pack made of it."""

    service: str
    product: str
    licenses: int
    term_months: int
    starts_at: datetime | None
    ends_at: datetime | None
    made: SetUpFacts | None = None
    asked: SetUpFacts | None = None  # what was asked for, while it isn't set up
    state: str = ""  # of its provisioning request: waiting, in_progress, succeeded, refused, failed; "" before it
    state_since: datetime | None = None
    description: str = ""  # the other side's words while it isn't set up
    number: int = 1  # the vendor's


@dataclass(frozen=True)
class OrderFacts:
    """Every fact of an order; times are aware. SetUpFacts by ``build``, worded by ``sections``."""

    number: str
    state: str
    placed_at: datetime
    mapped_at: datetime | None
    set_up_at: datetime | None
    sold_to: str
    customer_name: str
    audience: str
    partner: Company | None
    customer: Company | None
    provisioning_administrator: bool
    contact_email: str
    administrator_email: str
    delegated_to: str
    lines: tuple[BoughtLine, ...]

    @property
    def as_of(self) -> datetime:
        """The last thing that happened: what the summary is a summary of."""
        changes = [line.state_since for line in self.lines if line.state_since]
        return self.set_up_at or max(changes, default=None) or self.mapped_at or self.placed_at

    @property
    def services(self) -> dict[str, tuple[BoughtLine, ...]]:
        """The lines by service, both as they are shown."""
        found: dict[str, tuple[BoughtLine, ...]] = {}
        for line in self.lines:
            found[line.service] = (*found.get(line.service, ()), line)
        return found

    @property
    def time_zone(self) -> str:
        """The zone in which its times are told: that of a place on the map, of anything else, or the vendor's."""
        return next((made.time_zone for made in self._places if made.time_zone), str(settings.TIME_ZONE))

    @property
    def country(self) -> str:
        """Where it is read: the customer's country, that of what was made, or the partner's; "" where nobody said."""
        places = (self.customer, *self._places, self.partner)
        return next((place.country for place in places if place and place.country), "")

    @property
    def _places(self) -> list[SetUpFacts]:
        """What was made, or is asked for, places on the map first."""
        found = [made for line in self.lines if (made := line.made or line.asked)]
        return sorted(found, key=lambda made: not made.country)

    @property
    def paper(self) -> str:
        """The paper it is printed on: "letter" or "a4"."""
        return "letter" if self.country in _LETTER else "a4"

    def masked_for(self, reader: str) -> Self:
        """The same with the addresses of other people than the reader (an email address) masked."""

        def seen(email: str) -> str:
            return email if email == reader.strip().lower() else mask_email(email)

        return replace(
            self,
            contact_email=seen(self.contact_email),
            administrator_email=seen(self.administrator_email),
            delegated_to=seen(self.delegated_to),
        )

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON can carry them; times in ISO 8601."""

        def plain(value: Any) -> Any:
            if isinstance(value, datetime):
                return value.isoformat()
            if isinstance(value, dict):
                return {key: plain(one) for key, one in value.items()}
            return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

        facts: dict[str, Any] = {}
        for each in packs.installed().values():
            facts |= each.facts_without
        for service, lines in self.services.items():
            if made := [line.made for line in lines if line.made]:
                facts |= packs.of(service).merge(made).facts()  # what the lines give together
        facts |= asdict(self)
        for line, bought in zip(facts["lines"], self.lines, strict=True):
            for name in ("description", "state_since"):
                del line[name]
            line["made"] = bought.made.facts() if bought.made else None
            line["asked"] = bought.asked.facts() if bought.asked else None
            if self.set_up_at or not line["state"]:
                del line["state"], line["asked"]  # everything is set up, or nothing is asked for yet
        return {name: plain(value) for name, value in facts.items()}


def mask_email(email: str) -> str:
    """An address that its owner recognises and nobody else learns: "m•••@contoso.com"."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}•••{at}{domain}" if at else email
