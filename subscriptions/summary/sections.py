"""The sections of an order summary in the active language. Page, PDF and email show the same sections.

Each pack adds the rows and sections of its service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django_countries import countries

from subscriptions import packs
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.presentation import Row, Section, day, isolate_direction, language, moment, number
from subscriptions.summary.facts import BoughtLine, Company, OrderFacts

State = ProvisioningRequest.State


def of(summary: OrderFacts) -> tuple[Section, ...]:
    """Every fact of the summary in the active language: who, what and where, what is next, and the sites last."""
    found = [_order(summary), _organizations(summary), _people(summary)]
    for lines in summary.services.values():
        found += [_line(summary, line, lines) for line in lines]
    found.append(Section("next", _("What happens next"), sentences=tuple(_next(summary))))
    for service, lines in summary.services.items():
        pack = packs.of(service)
        if made := [line.made for line in lines if line.made]:
            found += pack.merge(made).sections(summary.as_of)
        if asked := [line.asked for line in lines if line.asked and not line.made]:
            words = _("%(title)s (not set up yet)")
            shown = pack.merge(asked).sections(summary.as_of)
            found += [replace(each, title=words % {"title": each.title}) for each in shown]
    return tuple(found)


def title(summary: OrderFacts) -> str:
    """What the summary is called: one of an order that is being set up is not the last."""
    being_set_up = summary.state == Order.State.SETTING_UP
    return _("Order summary, while the order is being set up") if being_set_up else _("Order summary")


def lead(summary: OrderFacts) -> str:
    """The summary in a sentence: what is set up, and for whom."""
    names = [packs.label_of(service) for service in summary.services]
    services = _together(names)
    who = isolate_direction(summary.customer.name if summary.customer else summary.customer_name or summary.sold_to)
    facts = {"services": services, "customer": who}
    if summary.set_up_at:
        one, many = _("%(services)s is set up for %(customer)s."), _("%(services)s are set up for %(customer)s.")
    elif any(line.made for line in summary.lines):
        labels = packs.labels_of(summary.lines)
        done = [labels[line.number] for line in summary.lines if line.made]
        rest = [labels[line.number] for line in summary.lines if not line.made]
        facts |= {"done": _together(done), "rest": _together(rest)}
        one = many = _("Set up for %(customer)s: %(done)s. Not set up yet: %(rest)s.")
    elif summary.state == Order.State.SETTING_UP:
        one = _("%(services)s is being set up for %(customer)s.")
        many = _("%(services)s are being set up for %(customer)s.")
    else:
        one = _("%(services)s is not set up yet for %(customer)s.")
        many = _("%(services)s are not set up yet for %(customer)s.")
    return (one if len(names) == 1 else many) % facts


def _order(summary: OrderFacts) -> Section:
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


def _organizations(summary: OrderFacts) -> Section:
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


def _people(summary: OrderFacts) -> Section:
    rows = [Row(_("Provisioning contact"), summary.contact_email, "email")]
    if summary.administrator_email:
        rows.append(Row(_("Administrator email"), summary.administrator_email, "email"))
    if summary.delegated_to:
        rows.append(Row(_("Set-up given to"), summary.delegated_to, "email"))
    return Section("people", _("People"), tuple(rows))


def _line(summary: OrderFacts, line: BoughtLine, lines: Sequence[BoughtLine]) -> Section:
    """One line; ``lines`` are all of its service, which share what their steps asked for."""
    several = len(lines) > 1
    rows = [
        Row(_("Product"), line.product),
        Row(_("Licenses"), number(line.licenses), "number"),
        Row(_("Term"), ngettext("%(n)s month", "%(n)s months", line.term_months) % {"n": line.term_months}),
    ]
    if line.state and not summary.set_up_at:
        rows.append(Row(_("State"), str(State(line.state).label)))
    if line.ends_at:
        rows.append(Row(_("Runs until"), day(line.ends_at, summary.time_zone), "time"))
    if shown := line.made or line.asked:
        before = lines[: lines.index(line)]
        if alike := next((each for each in before if (each.made or each.asked) == shown), None):
            rows.append(Row(_("Set-up"), _("As for line %(number)s") % {"number": alike.number}))
        else:
            rows += shown.rows(summary.as_of)
            rows += shown.share() if several else ()
    key = f"{line.service}-{line.number}" if several else line.service
    return Section(key, packs.line_label(line, several=several), tuple(rows))


def _next(summary: OrderFacts) -> Iterator[str]:
    partner = isolate_direction(summary.partner.name) if summary.partner else ""
    customer = isolate_direction(summary.customer.name) if summary.customer else ""
    if summary.state == Order.State.SETTING_UP:
        yield _("What is not set up yet is shown with its state. You get an email when everything is set up.")
    elif not summary.set_up_at:
        yield _("Nothing is set up yet: open the order again to set up its services.")
    for service, lines in summary.services.items():
        if made := [line.made for line in lines if line.made]:
            yield from packs.of(service).merge(made).next_steps()
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


def _together(names: list[str]) -> str:
    return format_list(names, locale=_locale()) if len(names) > 1 else "".join(names)


def _locale() -> Locale:
    try:
        return Locale.parse(language(), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")
