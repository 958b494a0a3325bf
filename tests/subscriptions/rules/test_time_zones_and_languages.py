"""Time zones and languages as a person chooses them."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from subscriptions.rules import languages, time_zones

WINTER = datetime.datetime(2026, 1, 15, 12, tzinfo=datetime.UTC)
SUMMER = datetime.datetime(2026, 7, 15, 12, tzinfo=datetime.UTC)


def test_the_zones_of_the_country_come_first() -> None:
    first, *others = time_zones.groups("US", WINTER)
    assert first.country == "US"
    assert {"America/New_York", "Pacific/Honolulu"} <= {name for name, _label in first.zones}
    assert all("America/New_York" not in dict(group.zones) for group in others)


def test_a_country_without_zones_gets_all_of_them() -> None:
    groups = time_zones.groups("", WINTER)
    names = [name for group in groups for name, _label in group.zones]
    assert len(names) == len(set(names)) > 400
    assert time_zones.UTC in names


@pytest.mark.parametrize(
    ("name", "at", "label"),
    [
        ("Europe/Berlin", WINTER, "(UTC+01:00) Berlin"),
        ("Europe/Berlin", SUMMER, "(UTC+02:00) Berlin"),
        ("Asia/Kolkata", WINTER, "(UTC+05:30) Kolkata"),
        ("America/St_Johns", WINTER, "(UTC-03:30) St. John’s"),
        ("Etc/UTC", WINTER, "(UTC+00:00) UTC"),
    ],
)
def test_a_zone_is_shown_with_the_offset_of_the_moment(name: str, at: datetime.datetime, label: str) -> None:
    assert time_zones.label(name, at) == label


def test_places_have_the_readers_names() -> None:
    assert time_zones.label("Europe/Rome", WINTER, "de") == "(UTC+01:00) Rom"


@pytest.mark.parametrize(
    ("country", "zone"), [("DE", "Europe/Berlin"), ("IN", "Asia/Kolkata"), ("US", ""), ("XX", ""), ("", "")]
)
def test_a_country_with_one_time_has_a_likely_zone(country: str, zone: str) -> None:
    assert time_zones.likely_zone(country, WINTER) == zone


def test_every_zone_can_be_used() -> None:
    for group in time_zones.groups("", WINTER):
        for name, _label in group.zones:
            assert time_zones.is_zone(name)
            ZoneInfo(name)


def test_every_language_has_a_name_and_fits_its_column() -> None:
    offered = languages.choices("en")
    assert len(offered) == len(languages.LANGUAGES)
    for tag, name in offered:
        Locale.parse(tag, sep="-")
        assert name
        assert name != tag
        assert len(tag) <= 10


@pytest.mark.parametrize(
    ("country", "language"),
    [("DE", "de"), ("US", "en-US"), ("GB", "en-GB"), ("MX", "es-MX"), ("ES", "es-ES"), ("CN", "zh-Hans"),
     ("TW", "zh-Hant"), ("NO", "nb"), ("BR", "pt-BR"), ("FR", "fr-FR"), ("IN", "en-GB"), ("", "en-US"),
     ("??", "en-US")],
)  # fmt: skip
def test_a_country_has_a_likely_language(country: str, language: str) -> None:
    assert languages.likely_language(country) == language
