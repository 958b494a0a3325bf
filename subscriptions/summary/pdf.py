"""The order summary as a PDF: one file that is PDF/UA-1 and PDF/A-3a. The only file that imports WeasyPrint.

Needs Pango (Debian: libpango-1.0-0 and libpangoft2-1.0-0; libharfbuzz-subset0 makes it three times faster). Nothing is
fetched: the template refers to nothing but the vendor's own mark, read from the static files. The same summary gives
the same bytes.
"""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import segno
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from weasyprint import CSS, HTML, Attachment
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from subscriptions.presentation import Section
from subscriptions.summary import pdf_standards
from subscriptions.summary.order_summary import OrderSummary

_ACCENT = "#0b5d6e"  # the light accent of static/css/app.css
_MARK = "favicon.svg"
_QR = "qr:"  # and an address: a picture of it
# Debian: fonts-noto-core, fonts-noto-cjk, fonts-dejavu-core. The country decides which of the Han forms are used.
_SCRIPTS = ("Arabic", "Hebrew", "Thai", "Devanagari", "Bengali", "Tamil", "Georgian", "Armenian", "Ethiopic")
_HAN = {"JP": "JP", "KR": "KR", "TW": "TC", "HK": "HK", "MO": "HK"}

_WHO = frozenset({"order", "organizations", "people"})

# Pango's font map is one for all threads, and WeasyPrint doesn't guard it: one page at a time in a process.
one_at_a_time = threading.RLock()
fonts = FontConfiguration()


class _Part(NamedTuple):
    """Sections that stand together; ``kind`` is their class in the stylesheet."""

    kind: str
    sections: list[Section]


class _OwnFilesOnly(URLFetcher):  # type: ignore[misc] # WeasyPrint has no types
    """Reads the vendor's mark from the static files and draws QR codes; any other address stops the rendering."""

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        if url.startswith(_QR):
            return URLFetcherResponse(url, _qr(url.removeprefix(_QR)), {"Content-Type": "image/svg+xml"})
        name = url.removeprefix("static:")
        found = finders.find(name) if name != url else None
        if not found:
            raise FatalURLFetchingError(f"A PDF refers to something that isn't ours: {url[:200]}")
        return URLFetcherResponse(url, Path(found).read_bytes(), {"Content-Type": _media_type(name)})


# One for all: making one sets up TLS, which takes longer than a small page's layout.
own_files = _OwnFilesOnly()


def render(summary: OrderSummary, language: str | None = None, *, code: str = "", url: str = "") -> bytes:
    """Return the PDF of a summary in a language (default: the active one), on the paper of the customer's country.

    ``code`` is its verification code, and ``url`` the page that says what the code is worth; without, it has none.
    """
    with override(language or get_language() or settings.LANGUAGE_CODE):
        html = page(summary, code, url)
        style = stylesheet(summary)
        written = summary.as_of.astimezone(UTC)
        facts = json.dumps(summary.as_dict(), ensure_ascii=False, indent=1, sort_keys=True)
        with one_at_a_time:
            content: bytes = HTML(string=html, base_url="static:", url_fetcher=own_files).write_pdf(
                font_config=fonts,
                finisher=lambda _document, pdf: pdf_standards.finish(pdf),
                stylesheets=[style],
                attachments=[_attachment(f"order-{summary.number}.json", facts, written)],
                pdf_variant="pdf/a-3a",
                pdf_tags=True,
            )
        return content


def warm_up() -> None:
    """Read the fonts and parse the styles that the first PDF would have to wait for."""
    style = _style("A4", "", settings.BRAND_ACCENT or _ACCENT, settings.BRAND_FONT, _("Page %(page)s of %(pages)s"))
    html = "<html lang=en><title>A</title><h1>A</h1><p><b>A</b> <i>a</i><table><tr><th>A<td>1</table>"
    with one_at_a_time:
        HTML(string=html, base_url="static:", url_fetcher=own_files).write_pdf(
            font_config=fonts, stylesheets=[style], pdf_variant="pdf/a-3a", pdf_tags=True
        )


def page(summary: OrderSummary, code: str = "", url: str = "") -> str:
    """Return the HTML that the PDF is made from, in the active language."""
    logo, mark = _static_name(settings.BRAND_LOGO_URL), "" if settings.BRAND_LOGO_URL else _MARK
    return render_to_string(
        "subscriptions/order_summary_pdf.html",
        {
            "summary": summary,
            "parts": _parts(summary.sections),
            "code": code,
            "qr": f"{_QR}{url}",
            "verify_at": url.removesuffix(f"{code}/").partition("://")[2],
            "language": get_language() or settings.LANGUAGE_CODE,
            "title": _("Order summary %(number)s") % {"number": summary.number},
            "written": summary.as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "brand": {
                "name": settings.BRAND_NAME,
                "logo": f"static:{logo}" if logo else "",
                "mark": f"static:{mark}" if mark else "",
            },
        },
    )


def stylesheet(summary: OrderSummary) -> CSS:
    """Return the parsed stylesheet for this summary, in the active language."""
    accent = settings.BRAND_ACCENT or _ACCENT
    country = summary.country if summary.country in _HAN else ""
    return _style(summary.paper, country, accent, settings.BRAND_FONT, _("Page %(page)s of %(pages)s"))


def _attachment(name: str, facts: str, written: datetime) -> Attachment:
    return Attachment(
        string=facts,
        name=name,
        description=_("The facts of this order summary, for programs"),
        created=written,
        modified=written,
        relationship="Data",
        url_fetcher=own_files,
    )


def _parts(sections: tuple[Section, ...]) -> tuple[_Part, ...]:
    """Who on the left, what and where on the right; below them the sites, and what is next where the right is full."""
    who = [section for section in sections if section.key in _WHO]
    what = [section for section in sections if section.rows and section.key not in _WHO]
    below = [section for section in sections if not section.rows]
    if len(what) < 2:
        what += [section for section in below if section.sentences]
        below = [section for section in below if not section.sentences]
    return _Part("who", who), _Part("what", what), _Part("whole", below)


def _qr(text: str) -> bytes:
    """A picture of this text that a camera reads; the white around it on the page is a part of its quiet zone."""
    picture = io.BytesIO()
    segno.make(text, micro=False, error="m").save(picture, kind="svg", xmldecl=False, border=2)
    return picture.getvalue()


@lru_cache(maxsize=32)
def _style(paper: str, country: str, accent: str, own_font: str, page_of: str) -> CSS:
    """The parsed stylesheet: parsing takes longer than a small page's layout."""
    before, _page, rest = page_of.partition("%(page)s")
    between, _pages, after = rest.partition("%(pages)s")
    css = render_to_string(
        "subscriptions/order_summary_pdf.css",
        {
            "paper": "letter" if paper == "letter" else "A4",
            "accent": accent,
            "fonts": _font_stack(country, own_font),
            "page_of": " ".join(
                (_css_text(before), "counter(page)", _css_text(between), "counter(pages)", _css_text(after))
            ),
        },
    )
    return CSS(string=css, font_config=fonts, url_fetcher=own_files)


def _font_stack(country: str, own_font: str) -> str:
    first = _HAN.get(country, "SC")
    han = [first, *(form for form in ("SC", "JP", "KR", "TC") if form != first)]
    names = ["Noto Sans", *(f"Noto Sans {script}" for script in _SCRIPTS), *(f"Noto Sans CJK {form}" for form in han)]
    stack = ", ".join(f'"{name}"' for name in (*names, "DejaVu Sans", "Liberation Sans"))
    return f"{own_font}, {stack}, sans-serif" if own_font else f"{stack}, sans-serif"


def _css_text(text: str) -> str:
    escaped = "".join(f"\\{ord(char):x} " if char in '"\\\n<' else char for char in text)
    return f'"{escaped}"'


def _static_name(url: str) -> str:
    """The name of an own static file by its address, or "": nothing from elsewhere is fetched for a PDF."""
    name = url.removeprefix(settings.STATIC_URL)
    return name if name != url and finders.find(name) else ""


def _media_type(name: str) -> str:
    return "image/svg+xml" if name.endswith(".svg") else "image/png" if name.endswith(".png") else "image/jpeg"
