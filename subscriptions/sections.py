"""The facts of an order summary in words: sections of rows, and the sites as a table.

Page and PDF (and email) show these, so that they can't differ. Words are those of the active language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from django.conf import settings
from django.utils import formats
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _
from django_countries import countries

from subscriptions import addresses, languages, zones
from subscriptions.models import Order, Service

if TYPE_CHECKING:
    from subscriptions.summary import BoughtLine, Company, OrderSummary

Kind = Literal["text", "number", "email", "url", "time", "flag"]
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


@dataclass(frozen=True)
class Row:
    """A term and its value; a value of several lines (an address) has line breaks in it."""

    term: str
    value: str
    kind: Kind = "text"

    @property
    def lines(self) -> tuple[str, ...]:
        """The value, line by line."""
        return tuple(self.value.split("\n"))

    @property
    def parts(self) -> tuple[str, str]:
        """An email address in two parts, between which a line may end."""
        local, at, domain = self.value.rpartition("@")
        return local + at, domain


class Cell(NamedTuple):
    """One value of a table and what its column holds."""

    value: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """Things to compare; ``total`` is a last row, or empty. ``kinds`` says what each column holds."""

    caption: str
    head: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] = ()

    @property
    def head_cells(self) -> tuple[Cell, ...]:
        """The head, each cell with its kind."""
        return self._cells(self.head)

    @property
    def cells(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows, each cell with its kind."""
        return tuple(self._cells(row) for row in self.rows)

    @property
    def total_cells(self) -> tuple[Cell, ...]:
        """The last row, each cell with its kind."""
        return self._cells(self.total)

    def _cells(self, row: tuple[str, ...]) -> tuple[Cell, ...]:
        return tuple(Cell(value, kind) for value, kind in zip(row, self.kinds, strict=bool(row)))


@dataclass(frozen=True)
class Section:
    """One heading with rows, sentences or a table below it; ``key`` names it for templates and tests."""

    key: str
    title: str
    rows: tuple[Row, ...] = ()
    sentences: tuple[str, ...] = ()
    table: Table | None = None


def of(summary: OrderSummary) -> tuple[Section, ...]:
    """Every fact of the summary in the active language: who, what and where, what is next, and the sites last."""
    found = [_order(summary), _organizations(summary), _people(summary)]
    found += [_service(summary, line) for line in summary.lines]
    found.append(Section("next", _("What happens next"), sentences=tuple(_next(summary))))
    if summary.sites:
        found.append(Section("sites", _("Sites"), table=_sites(summary)))
    return tuple(found)


def lead(summary: OrderSummary) -> str:
    """The summary in a sentence: what is set up, and for whom."""
    names = [str(Service(line.service).label) for line in summary.lines]
    services = format_list(names, locale=_locale()) if len(names) > 1 else "".join(names)
    who = isolated(summary.customer.name if summary.customer else summary.customer_name or summary.sold_to)
    facts = {"services": services, "customer": who}
    if summary.set_up_at:
        one, many = _("%(services)s is set up for %(customer)s."), _("%(services)s are set up for %(customer)s.")
    else:
        one = _("%(services)s is not set up yet for %(customer)s.")
        many = _("%(services)s are not set up yet for %(customer)s.")
    return (one if len(names) == 1 else many) % facts


def moment(at: datetime, time_zone: str) -> str:
    """A moment as people write it, such as "21 November 2026, 14:05 CET"; the offset where a zone has no short name."""
    local = at.astimezone(ZoneInfo(time_zone))
    name = local.tzname() or ""
    written = formats.date_format(local, _("j F Y, H:i"))
    return f"{written} {name if name.isalpha() else zones.offset(time_zone, at)}"


def day(at: datetime, time_zone: str) -> str:
    """A day as people write it, such as "21 November 2026"."""
    return formats.date_format(at.astimezone(ZoneInfo(time_zone)), _("j F Y"))


def isolated(name: str) -> str:
    """The name so that a sentence around it keeps its order: names written right to left are set apart (UAX #9)."""
    return f"\u2068{name}\u2069" if _RIGHT_TO_LEFT.search(name) else name


def _order(summary: OrderSummary) -> Section:
    rows = [Row(_("Order number"), summary.number), Row(_("Sold to"), summary.sold_to)]
    if summary.customer_name:
        rows.append(Row(_("End customer"), summary.customer_name))
    for term, at in (
        (_("Order placed"), summary.placed_at),
        (_("Organizations confirmed"), summary.mapped_at),
        (_("Set up"), summary.set_up_at),
    ):
        if at:
            rows.append(Row(term, moment(at, summary.time_zone), "time"))
    return Section("order", pgettext("what was bought", "Order"), tuple(rows))


def _organizations(summary: OrderSummary) -> Section:
    rows = []
    if summary.audience:
        customers = summary.audience == Order.Audience.CUSTOMER
        rows.append(Row(_("Who it is for"), _("A customer") if customers else _("The company that bought it")))
    if summary.partner:
        rows.append(Row(_("Partner organization"), _company(summary.partner)))
    if summary.customer:
        rows.append(Row(_("Customer organization"), _company(summary.customer)))
    if summary.provisioning_administrator:
        rows.append(Row(_("Rights of the partner"), _("Provisioning administrator")))
    return Section("organizations", _("Organizations"), tuple(rows))


def _people(summary: OrderSummary) -> Section:
    rows = [Row(_("Provisioning contact"), summary.contact_email, "email")]
    if summary.administrator_email:
        rows.append(Row(_("Administrator email"), summary.administrator_email, "email"))
    if summary.delegated_to:
        rows.append(Row(_("Set-up given to"), summary.delegated_to, "email"))
    return Section("people", _("People"), tuple(rows))


def _service(summary: OrderSummary, line: BoughtLine) -> Section:
    rows = [
        Row(_("Product"), line.product),
        Row(_("Licenses"), _number(line.licenses), "number"),
        Row(_("Term"), ngettext("%(n)s month", "%(n)s months", line.term_months) % {"n": line.term_months}),
    ]
    if line.ends_at:
        rows.append(Row(_("Runs until"), day(line.ends_at, summary.time_zone), "time"))
    if line.service == Service.MEETINGS and summary.sites:
        rows.append(Row(_("Sites"), _number(len(summary.sites)), "number"))
    if line.service == Service.CALLING and summary.location:
        rows += _location(summary)
    return Section(line.service, str(Service(line.service).label), tuple(rows))


def _location(summary: OrderSummary) -> Iterator[Row]:
    location = summary.location
    assert location is not None  # noqa: S101 - asked just before
    country = countries.name(location.country)
    lines = (*addresses.lines(location.country, dict(location.address)), str(country))
    yield Row(_("Main headquarters"), location.name)
    yield Row(_("Address"), "\n".join(line for line in lines if line))
    yield Row(_("Time zone"), _zone(summary, location.time_zone))
    yield Row(_("Email language"), languages.name(location.language, _language()))
    yield Row(_("Announcement language"), languages.name(location.announcement_language, _language()))
    if location.main_number:
        yield Row(_("Main number"), _phone(location.main_number))


def _sites(summary: OrderSummary) -> Table:
    rows = tuple(
        (site.url, _zone(summary, site.time_zone), _("Yes") if site.early_release else _("No"), _number(site.licenses))
        for site in summary.sites
    )
    total = (_("Total"), "", "", _number(sum(site.licenses for site in summary.sites))) if len(rows) > 1 else ()
    return Table(
        caption=_("Meetings sites with their licenses"),
        head=(_("Site URL"), _("Time zone"), _("Early release"), _("Licenses")),
        kinds=("url", "text", "flag", "number"),
        rows=rows,
        total=total,
    )


def _next(summary: OrderSummary) -> Iterator[str]:
    bought = {line.service for line in summary.lines}
    partner = isolated(summary.partner.name) if summary.partner else ""
    customer = isolated(summary.customer.name) if summary.customer else ""
    if not summary.set_up_at:
        yield _("Nothing is set up yet: open the order again to set up its services.")
    elif summary.sites:
        yield ngettext(
            "Open %(url)s and sign in with the administrator email to start with Meetings.",
            "Open %(url)s, or any of the %(n)s sites, and sign in with the administrator email to start with Meetings.",
            len(summary.sites),
        ) % {"url": summary.sites[0].url, "n": len(summary.sites)}
        yield _("Whether a site is on the early release schedule can’t be changed later.")
    if summary.set_up_at and Service.CALLING in bought:
        yield _("You can change the location of your main headquarters, or add more locations, at any time.")
    if summary.provisioning_administrator and partner:
        yield _(
            "%(partner)s is Provisioning administrator of %(customer)s. "
            "For full administrator privileges, ask a full administrator of %(customer)s."
        ) % {"partner": partner, "customer": customer}
    if summary.delegated_to and partner:
        yield _("%(partner)s keeps its access to the organization of %(customer)s.") % {
            "partner": partner,
            "customer": customer,
        }
    yield _("Questions? Write to %(contact)s and give the order number %(number)s.") % {
        "contact": settings.HELP_CONTACT,
        "number": summary.number,
    }


def _company(company: Company) -> str:
    return "\n".join(part for part in (company.name, str(countries.name(company.country))) if part)


def _zone(summary: OrderSummary, name: str) -> str:
    return zones.label(name, summary.as_of, _language())


def _phone(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


def _number(number: int) -> str:
    return formats.number_format(number, use_l10n=True, force_grouping=True)


def _language() -> str:
    return get_language() or settings.LANGUAGE_CODE


def _locale() -> Locale:
    try:
        return Locale.parse(_language(), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")
