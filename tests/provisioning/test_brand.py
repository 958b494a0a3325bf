"""The vendor's own look stays readable: contrast of the tokens, and of whatever accent a vendor sets."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from provisioning import brand

APP_CSS = Path(__file__).resolve().parents[2] / "static" / "css" / "app.css"
TEXT, SHAPE = 4.5, 3.0


def tokens(*, dark: bool) -> dict[str, str]:
    """The colours of app.css by token, for light or for dark pages."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\);", APP_CSS.read_text())
    found: dict[str, str] = {}
    for name, light, night in pairs:
        found.setdefault(name, night if dark else light)  # the first is the plain one, then come the preferences
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("surface", ["surface", "raised"])
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "success", "warning", "danger"])
def test_text_in_each_colour_can_be_read_on_each_surface(name: str, surface: str, dark: bool) -> None:
    colours = tokens(dark=dark)
    assert brand.contrast(colours[name], colours[surface]) >= TEXT
    tint = brand.mix(colours["accent"], colours["raised"], brand.TINT)
    assert brand.contrast(colours[name], tint) >= TEXT


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("surface", ["surface", "raised"])
@pytest.mark.parametrize("name", ["control", "focus"])
def test_borders_of_controls_and_the_focus_ring_can_be_seen(name: str, surface: str, dark: bool) -> None:
    colours = tokens(dark=dark)
    assert brand.contrast(colours[name], colours[surface]) >= SHAPE


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_button_can_be_read(dark: bool) -> None:
    colours = tokens(dark=dark)
    assert brand.contrast(colours["accent"], colours["accent-ink"]) >= TEXT


def test_the_surfaces_that_accents_are_checked_on_are_those_of_the_stylesheet() -> None:
    light, dark = tokens(dark=False), tokens(dark=True)
    assert (light["surface"], light["raised"]) == brand.LIGHT_SURFACES
    assert (dark["surface"], dark["raised"]) == brand.DARK_SURFACES
    assert (light["accent-ink"], dark["accent-ink"]) == (brand.LIGHT_INK, brand.DARK_INK)
    assert f"var(--accent) {brand.TINT:.0%}" in APP_CSS.read_text()


@given(st.integers(0, 0xFFFFFF))
def test_any_accent_of_a_vendor_can_be_read(number: int) -> None:
    found = brand.accent(f"#{number:06x}")
    for colour, ink, surfaces in (
        (found.light, found.light_ink, brand.LIGHT_SURFACES),
        (found.dark, found.dark_ink, brand.DARK_SURFACES),
    ):
        assert brand.contrast(colour, ink) >= TEXT
        for surface in surfaces:
            assert brand.contrast(colour, surface) >= TEXT
            assert brand.contrast(colour, brand.mix(colour, surface, brand.TINT)) >= TEXT


def test_an_accent_that_can_be_read_is_kept_as_it_is() -> None:
    assert brand.accent("#0b6e4f").light == "#0b6e4f"
    assert brand.accent("#06f").light != brand.accent("#06f").dark


def test_the_vendors_stylesheet_has_what_was_set_and_nothing_else() -> None:
    assert brand.stylesheet() == ""
    css = brand.stylesheet(colour="#0b6e4f", font="'Source Sans 3'", radius="2px")
    assert css.startswith(":root{--accent:light-dark(#0b6e4f,#")
    assert "--font:'Source Sans 3',system-ui,sans-serif" in css
    assert "--radius:2px" in css
    assert "accent" not in brand.stylesheet(radius="0")


@override_settings(BRAND_ACCENT="#8a1538")
def test_the_stylesheet_is_served_as_css_under_an_address_that_changes_with_it() -> None:
    request = RequestFactory().get("/brand.css")
    response = brand.brand_css(request)
    assert response["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in response["Cache-Control"]
    version = brand.brand(request)["brand"]["version"]
    with override_settings(BRAND_ACCENT="#123456"):
        assert brand.brand(request)["brand"]["version"] != version


def test_the_stylesheet_stays_small_and_knows_both_directions_of_writing() -> None:
    css = APP_CSS.read_text()
    assert len(gzip.compress(css.encode(), 9)) <= 20_000
    physical = re.findall(r"^\s*(?:margin|padding|border|inset)?-?(?:left|right|top|bottom|width|height):", css, re.M)
    assert physical == []
    assert re.findall(r"text-align: (?:left|right)", css) == []
