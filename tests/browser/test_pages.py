"""What holds on every page and state: accessible, no sideways scrolling, focus to be seen, in light and dark."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings as django_settings
from playwright.sync_api import Page, Route
from pytest_django import Settings

from tests.browser.conftest import Watch
from tests.browser.gallery import NOBODY, SCENES, Scene, Sight
from tests.browser.person import Person

pytestmark = pytest.mark.django_db(transaction=True)

WIDTHS = (320, 390, 768, 1280, 2560)
CHECKED_WIDTHS = {390, 1280}
HEIGHT = 800
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

RUN_AXE = """options => axe.run({resultTypes: ["violations"], ...options}).then(results =>
  results.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id} (${rule.impact}): ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`)))"""

# In the dark only the colours are others.
AXE_OPTIONS: dict[str, dict[str, Any]] = {
    "light": {"rules": {"target-size": {"enabled": True}}},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},
}

# What sticks out sideways, if anything does.
STICKS_OUT = """() => {
  const root = document.documentElement
  if (root.scrollWidth <= root.clientWidth) return []
  return [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > root.clientWidth + 1)
    .map(element => `${element.tagName.toLowerCase()}.${element.className}`).slice(-3)
}"""

# Things to tab to on which the focus can't be seen: no ring on them, nor on a card around them or a label beside them.
# A key was pressed before, so that focus by script counts as focus by keyboard.
WITHOUT_RING = """() => {
  const ringed = element => {
    const style = element && getComputedStyle(element)
    return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
  }
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  return all
    .filter(element => element.tabIndex >= 0 && element.type !== "hidden" && !element.disabled)
    .filter(element => element.checkVisibility())
    .filter(element => {
      element.focus()
      return !ringed(element) && !ringed(element.closest(".choice, .option, .with-suffix"))
    })
    .map(element => element.outerHTML.slice(0, 120))
}"""

Open = Callable[[Sight], Page]


@pytest.fixture
def look_at(person: Callable[..., Person], watch: Watch, settings: Settings, tmp_path: Path) -> Open:
    """Open sights: each person of a scene has one browser; nobody's forgets everything each time."""
    settings.ROOT_URLCONF = "tests.browser.crashing_urls"
    files = {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": str(tmp_path)}}
    settings.MAILERS = {"default": files}
    known: dict[str, Page] = {}

    def open_sight(sight: Sight) -> Page:
        watch.expected = {sight.status}
        settings.DEMO = sight.demo
        if sight.who not in known:
            options: dict[str, Any] = {"reduced_motion": "reduce", "viewport": {"width": 1280, "height": HEIGHT}}
            known[sight.who] = person(sight.who, already_in=sight.who != NOBODY, **options).page
        page = known[sight.who]
        if sight.who == NOBODY:
            page.context.clear_cookies()
        page.set_viewport_size({"width": 1280, "height": HEIGHT})
        page.goto("about:blank")  # pages that refresh themselves no longer do
        page.unroute_all()
        page.goto(sight.path)
        if sight.act:
            sight.act(page)
            page.wait_for_load_state()
        page.route("**/*", _nothing_new)
        assert page.locator("h1").count() == 1, f"{sight.name}: not one h1"
        return page

    return open_sight


def _nothing_new(route: Route) -> None:
    """Answer 204: a page that refreshes itself stays as it is while it is looked at."""
    route.fulfill(status=204)


@pytest.mark.parametrize("name", SCENES)
def test_every_page_is_accessible_and_fits_every_width(name: str, look_at: Open) -> None:
    problems: list[str] = []
    for sight in SCENES[name]():
        page = look_at(sight)
        found = _problems(page)
        if sight.name.endswith("-error") and not page.title().startswith("Error: "):
            found.append(f"the title doesn't begin with Error: {page.title()}")
        problems += [f"{sight.name}: {problem}" for problem in found]
    assert not problems


def _problems(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found += [f"at {width} px sticks out: {element}" for element in page.evaluate(STICKS_OUT)]
        if width in CHECKED_WIDTHS:
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                violations = page.evaluate(RUN_AXE, AXE_OPTIONS[scheme])
                found += [f"at {width} px, {scheme}: {violation}" for violation in violations]
    page.keyboard.press("Tab")
    found += [f"no focus to be seen: {element}" for element in page.evaluate(WITHOUT_RING)]
    return found


@pytest.mark.screenshots
@pytest.mark.parametrize("name", SCENES)
def test_screenshots_of_every_page_are_written(name: str, look_at: Open) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or django_settings.STATE_DIR / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    scene: Scene = SCENES[name]()
    for sight in scene:
        page = look_at(sight)
        for width in sorted(CHECKED_WIDTHS):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            for scheme in SCHEMES if sight.dark else SCHEMES[:1]:
                page.emulate_media(color_scheme=scheme)
                path = folder / f"{name}-{sight.name}-{width}{'-dark' if scheme == 'dark' else ''}.png"
                page.screenshot(path=path, full_page=True)
        if sight.name == "summary":
            _picture_pdf(page, folder / f"{name}-pdf")


def _picture_pdf(page: Page, path: Path) -> None:
    """Write the order summary's PDF, and its pages as pictures where pdftoppm is there."""
    link = page.get_by_role("link", name="Download order summary (PDF)")
    answer = page.request.get(str(link.get_attribute("href")))
    file = path.with_suffix(".pdf")
    file.write_bytes(answer.body())
    if shutil.which("pdftoppm"):
        subprocess.run(["pdftoppm", "-png", "-r", "80", str(file), str(path)], check=True)
