"""The list of time zones for a form, in plain Python: those of the country first, with the current UTC offset.

Which zones a country has comes from the IANA database's zone.tab (package tzdata); names from CLDR (package babel).
"""

from __future__ import annotations

import datetime
import functools
import importlib.resources
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import get_timezone_location

UTC = "Etc/UTC"


@dataclass(frozen=True)
class ZoneGroup:
    """Zones under one heading: a country's (``country`` set) or those of an IANA area such as "Europe"."""

    country: str
    area: str
    zones: tuple[tuple[str, str], ...]  # (name such as "Europe/Berlin", label such as "(UTC+01:00) Berlin")


@functools.cache
def _zones() -> dict[str, str]:
    """Return the canonical zones with the country that each belongs to."""
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


def is_zone(name: str) -> bool:
    """Return whether this is a zone that can be chosen."""
    return name == UTC or name in _zones()


def zones_of(country: str) -> tuple[str, ...]:
    """Return the zones of a country (two-letter code), in the database's order: the most populous first."""
    return tuple(name for name, code in _zones().items() if code == country.upper())


def likely_zone(country: str, at: datetime.datetime) -> str:
    """Return the country's first zone where all of its zones have one offset at this (aware) moment, else ""."""
    return _likely_zone(country.upper(), hour_of(at))


@functools.lru_cache(maxsize=1024)
def _likely_zone(country: str, at: datetime.datetime) -> str:
    zones = zones_of(country)
    return zones[0] if len({offset(name, at) for name in zones}) == 1 else ""


def hour_of(at: datetime.datetime) -> datetime.datetime:
    """Return the start of an (aware) moment's hour: within it, every zone's offset counts as the same."""
    return at.astimezone(datetime.UTC).replace(minute=0, second=0, microsecond=0)


def offset(name: str, at: datetime.datetime) -> str:
    """Return the zone's offset at a moment (aware), such as "UTC+05:30"."""
    seconds = int((at.astimezone(ZoneInfo(name)).utcoffset() or datetime.timedelta()).total_seconds())
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"UTC{'-' if seconds < 0 else '+'}{hours:02d}:{minutes:02d}"


def label(name: str, at: datetime.datetime, locale: str = "en") -> str:
    """Return the zone as it is shown, such as "(UTC+01:00) Berlin"."""
    return f"({offset(name, at)}) {_place(name, locale)}"


def groups(country: str, at: datetime.datetime, locale: str = "en") -> tuple[ZoneGroup, ...]:
    """Return every zone, grouped: those of the country first, then the others by area, each by offset and name.

    The label of one of another country ends in that country, so that it can be found by it: "(UTC+09:00) Tokyo, Japan".
    ``at`` is an aware moment; offsets are those of its hour.
    """
    return _groups(country.upper(), hour_of(at), locale)


@functools.lru_cache(maxsize=256)
def _groups(country: str, at: datetime.datetime, locale: str) -> tuple[ZoneGroup, ...]:
    own = zones_of(country)
    areas: dict[str, list[str]] = {}
    for name in _zones():
        if name not in own:
            areas.setdefault(name.split("/", 1)[0], []).append(name)
    found = [ZoneGroup(country, "", _labelled(list(own), at, locale))] if own else []
    found += [ZoneGroup("", area, _labelled(names, at, locale, abroad=True)) for area, names in sorted(areas.items())]
    return (*found, ZoneGroup("", "Etc", ((UTC, label(UTC, at, locale)),)))


def _labelled(
    names: list[str], at: datetime.datetime, locale: str, *, abroad: bool = False
) -> tuple[tuple[str, str], ...]:
    rows = sorted((*_shown(name, at, locale), name) for name in names)
    return tuple(
        (name, f"({shown}) {place}{_country(name, place, locale) if abroad else ''}")
        for _seconds, place, shown, name in rows
    )


@functools.lru_cache(maxsize=4096)
def _country(name: str, place: str, locale: str) -> str:
    """The zone's country after a comma, unless its place is called so already (Singapore)."""
    try:
        country = Locale.parse(locale, sep="-").territories.get(_zones().get(name, ""), "")
    except (UnknownLocaleError, ValueError):
        return ""
    return f", {country}" if country and country.casefold() not in place.casefold() else ""


# All of the zones in a few languages and hours: made once, not for every country.
@functools.lru_cache(maxsize=8192)
def _shown(name: str, at: datetime.datetime, locale: str) -> tuple[float, str, str]:
    delta = at.astimezone(ZoneInfo(name)).utcoffset() or datetime.timedelta()
    return delta.total_seconds(), _place(name, locale), offset(name, at)


@functools.lru_cache(maxsize=4096)
def _place(name: str, locale: str) -> str:
    if name == UTC:
        return "UTC"
    try:
        return str(get_timezone_location(name, locale=Locale.parse(locale, sep="-"), return_city=True))
    except (UnknownLocaleError, ValueError, LookupError):
        return name.rsplit("/", 1)[-1].replace("_", " ")
