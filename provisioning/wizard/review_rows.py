"""The rows of a plan on the two review pages, with the rows that changed since the plan was last shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from provisioning.rules.plan import Plan, PlannedSubscription, Right
from subscriptions import packs
from subscriptions.presentation import Table, day, number
from subscriptions.rules.validation import add_months


@dataclass(frozen=True)
class Row:
    """A term and its lines; ``changed`` where a line is another one than before."""

    term: str
    lines: tuple[str, ...]
    changed: bool = False


@dataclass(frozen=True)
class Service:
    """One service as it will be set up; ``links`` are (label, address) of the steps that it was answered in."""

    title: str
    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    links: tuple[tuple[str, str], ...]
    changed: bool


def services(
    plan: Plan | None,
    *,
    links: Mapping[str, tuple[tuple[str, str], ...]],
    different: frozenset[str],
    now: datetime,
    time_zone: str,
) -> Iterator[Service]:
    """Yield each service with everything that confirming creates for it; ``links`` are by service."""
    planned = {line.service: line for line in plan.subscriptions} if plan else {}
    for service, own in links.items():
        line = planned.get(service)
        yield Service(
            title=str(packs.of(service).label),
            rows=tuple(_bought(line, different, now, time_zone)) if line else (),
            tables=tuple(each.table for each in line.made.sections(now) if each.table) if line and line.made else (),
            links=own,
            changed=f"{service}.made" in different,
        )


def _bought(line: PlannedSubscription, different: frozenset[str], now: datetime, time_zone: str) -> Iterator[Row]:
    until = {"n": line.term_months, "day": day(add_months(now, line.term_months), time_zone)}
    term = ngettext("%(n)s month from today, until %(day)s", "%(n)s months from today, until %(day)s", line.term_months)
    for name, words, value in (
        ("product", _("Product"), line.product),
        ("licenses", _("Licenses"), number(line.licenses)),
        ("term_months", _("Term"), term % until),
    ):
        yield Row(words, (value,), f"{line.service}.{name}" in different)
    for row in line.made.rows(now) if line.made else ():
        yield Row(row.term, row.lines)


def mapping(
    plan: Plan, *, names: Mapping[str, str], seen: Callable[[str], str], you: str, different: frozenset[str]
) -> Iterator[Row]:
    """Yield the rights, emails and irreversible effects of confirming the organizations.

    ``names`` are the organizations' as this reader may see them, ``seen`` shows an address to them, ``you`` is theirs.
    """
    lines = plan.subscriptions
    bought = any(part.startswith(f"{line.service}.") for part in different for line in lines)
    yield Row(_("What was ordered"), tuple(_ordered(line) for line in lines), bought)
    given = [_("You stay the contact of this order.")]
    for right in plan.rights:
        words = {"who": seen(right.email), "organization": names.get(right.of or "", "")}
        if right.right is Right.FULL:
            given.append(
                _("You become the first full administrator of %(organization)s.") % words
                if right.email == you
                else _("%(who)s becomes the first full administrator of %(organization)s.") % words
            )
        elif right.right is Right.PROVISIONING:
            given.append(_("You are Provisioning administrator of %(organization)s, for this order only.") % words)
    if len(given) == 1:
        given.append(_("Nobody gets new rights."))
    yield Row(_("Rights"), tuple(given), "rights" in different)
    # The same text whether or not the named address is an administrator, so that it reveals nothing.
    customers = plan.audience == "customer"
    emails = _("None, unless your customer sets up their own services.") if customers else _("None for now.")
    yield Row(_("Emails"), (emails,), "emails" in different)
    yield Row(
        _("Can’t be undone"),
        (
            _("The order stays tied to this organization, and its contact stays the same.")
            if len(plan.organizations) == 1
            else _("The order stays tied to these organizations, and its contact stays the same."),
        ),
    )


def _ordered(line: PlannedSubscription) -> str:
    licenses = ngettext("%(licenses)s license", "%(licenses)s licenses", line.licenses)
    months = ngettext("%(n)s month", "%(n)s months", line.term_months) % {"n": line.term_months}
    return f"{line.product}: {licenses % {'licenses': number(line.licenses)}}, {months}"


def set_up(
    plan: Plan, *, seen: Callable[[str], str], irreversible: Iterable[str], different: frozenset[str]
) -> Iterator[Row]:
    """Yield the customer, rights, emails and irreversible effects of confirming the set-up."""
    customer = plan.organization("customer")
    yield Row(_("Set up for"), (customer.name if customer else "",), "customer" in different)
    yield Row(_("Rights"), (_("Nobody gets new rights."),))
    told = [seen(each.to) for each in plan.emails]
    yield Row(_("Confirmation by email to"), tuple(told), "emails" in different)
    yield Row(_("Can’t be undone"), (_("The subscriptions begin when you confirm."), *irreversible))
