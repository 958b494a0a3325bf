"""The vendor's own look: name, logo, accent colour, font and radius, with readable contrast for any accent.

The tokens of static/css/app.css are the default; a vendor's settings become a tiny stylesheet after it (a view, so that
the content security policy needs no inline style). Contrast is WCAG 2.2's: relative luminance, text at least 4.5:1.
"""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control

TEXT_CONTRAST = 4.5
# The surfaces of app.css that text and links in the accent colour stand on; a test holds the two files together.
LIGHT_SURFACES = ("#f6f7f8", "#ffffff")
DARK_SURFACES = ("#10171d", "#1a242c")
LIGHT_INK, DARK_INK = "#ffffff", "#0b1216"
# How much of the accent tints the selected card and the like: the same share as in app.css.
TINT = 0.08

Rgb = tuple[float, float, float]


def _rgb(colour: str) -> Rgb:
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[0:2], 16) / 255, int(digits[2:4], 16) / 255, int(digits[4:6], 16) / 255


def _hex(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)


def _luminance(rgb: Rgb) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast of two hex colours, 1 to 21 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def mix(colour: str, surface: str, share: float) -> str:
    """``share`` of one hex colour on another, as CSS ``color-mix(in srgb, …)`` mixes them."""
    pairs = zip(_rgb(colour), _rgb(surface), strict=True)
    red, green, blue = (part * share + under * (1 - share) for part, under in pairs)
    return _hex((red, green, blue))


@dataclass(frozen=True)
class Accent:
    """An accent for light and for dark pages, each with the ink that is read on it (hex colours)."""

    light: str
    light_ink: str
    dark: str
    dark_ink: str


def _readable(colour: str, surfaces: tuple[str, ...], ink: str) -> bool:
    under = (*surfaces, *(mix(colour, surface, TINT) for surface in surfaces))
    return all(contrast(colour, other) >= TEXT_CONTRAST for other in (ink, *under))


def _until_readable(colour: str, surfaces: tuple[str, ...], ink: str, step: float) -> str:
    """Lighten or darken in small steps until it is read on every surface (tinted too), and the ink on it."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    while not _readable(colour, surfaces, ink) and 0 <= lightness + step <= 1:
        lightness += step
        colour = _hex(colorsys.hls_to_rgb(hue, lightness, saturation))
    return colour


@lru_cache(maxsize=8)
def accent(colour: str) -> Accent:
    """The nearest readable accents of the same hue to a vendor's colour (``#rgb`` or ``#rrggbb``)."""
    start = _hex(_rgb(colour))
    return Accent(
        light=_until_readable(start, LIGHT_SURFACES, LIGHT_INK, -0.01),
        light_ink=LIGHT_INK,
        dark=_until_readable(start, DARK_SURFACES, DARK_INK, 0.01),
        dark_ink=DARK_INK,
    )


def stylesheet(*, colour: str = "", font: str = "", radius: str = "") -> str:
    """The vendor's tokens as CSS; empty where nothing is set. The values were checked when the settings were read."""
    tokens = []
    if colour:
        pair = accent(colour)
        tokens.append(f"--accent:light-dark({pair.light},{pair.dark})")
        tokens.append(f"--accent-ink:light-dark({pair.light_ink},{pair.dark_ink})")
    if font:
        tokens.append(f"--font:{font},system-ui,sans-serif")
    if radius:
        tokens.append(f"--radius:{radius}")
        tokens.append(f"--radius-small:calc({radius} * .75)")
    return ":root{" + ";".join(tokens) + "}\n" if tokens else ""


def _own_stylesheet() -> str:
    return stylesheet(colour=settings.BRAND_ACCENT, font=settings.BRAND_FONT, radius=settings.BRAND_RADIUS)


@cache_control(public=True, max_age=31_536_000, immutable=True)
def brand_css(request: HttpRequest) -> HttpResponse:
    """The vendor's stylesheet; its URL contains the version, so that it can be cached permanently."""
    return HttpResponse(_own_stylesheet(), content_type="text/css; charset=utf-8")


def brand(request: HttpRequest) -> dict[str, Any]:
    """Context processor: what every page says of the vendor."""
    css = _own_stylesheet()
    return {
        "brand": {
            "name": settings.BRAND_NAME,
            "logo_url": settings.BRAND_LOGO_URL,
            "accent": settings.BRAND_ACCENT,
            "own_look": bool(css),
            "version": hashlib.sha256(css.encode()).hexdigest()[:10],
            "help_contact": settings.HELP_CONTACT,
            "privacy_url": settings.PRIVACY_URL,
            "demo": settings.DEMO,
        }
    }
