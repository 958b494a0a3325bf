"""The rows of a plan on the two review pages, with the rows that changed since the plan was last shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
    several: Collection[str],
    different: frozenset[str],
    now: datetime,
    time_zone: str,
) -> Iterator[Service]:
    """Yield each service with everything that confirming creates for it.

    ``links`` are by service; ``several`` are the services of which the order has several lines.
    """
    for service, own in links.items():
        lines = [line for line in plan.subscriptions if line.service == service] if plan else []
        planned = [line.made for line in lines if line.made]
        made = packs.of(service).merge(planned) if planned else None
        bought = _several_lines if service in several else _one_line
        yield Service(
            title=packs.label_of(service),
            rows=(
                *bought(lines, different, now, time_zone),
                *(Row(row.term, row.lines) for row in (made.rows(now) if made else ())),
            ),
            tables=tuple(each.table for each in made.sections(now) if each.table) if made else (),
            links=own,
            changed=any(f"{line.key}.made" in different for line in lines),
        )


def _one_line(
    lines: Sequence[PlannedSubscription], different: frozenset[str], now: datetime, time_zone: str
) -> Iterator[Row]:
    for line in lines:
        for name, words, value in (
            ("product", _("Product"), line.product),
            ("licenses", _("Licenses"), number(line.licenses)),
            ("term_months", _("Term"), _term(line, now, time_zone)),
        ):
            yield Row(words, (value,), f"{line.key}.{name}" in different)


def _several_lines(
    lines: Sequence[PlannedSubscription], different: frozenset[str], now: datetime, time_zone: str
) -> Iterator[Row]:
    """Yield a row for each line, with what it gives, and their sum."""
    for line in lines:
        licenses = ngettext("%(licenses)s license", "%(licenses)s licenses", line.licenses)
        gives = [text for row in line.made.share() for text in row.lines] if line.made else []
        facts = (line.product, licenses % {"licenses": number(line.licenses)}, _term(line, now, time_zone), *gives)
        changed = any(f"{line.key}.{name}" in different for name in ("product", "licenses", "term_months"))
        yield Row(_("Line %(number)s") % {"number": line.number}, facts, changed)
    if len(lines) > 1:
        yield Row(_("Licenses together"), (number(sum(line.licenses for line in lines)),))


def _term(line: PlannedSubscription, now: datetime, time_zone: str) -> str:
    until = {"n": line.term_months, "day": day(add_months(now, line.term_months), time_zone)}
    term = ngettext("%(n)s month from today, until %(day)s", "%(n)s months from today, until %(day)s", line.term_months)
    return term % until


def mapping(
    plan: Plan, *, names: Mapping[str, str], seen: Callable[[str], str], you: str, different: frozenset[str]
) -> Iterator[Row]:
    """Yield the rights, emails and irreversible effects of confirming the organizations.

    ``names`` are the organizations' as this reader may see them, ``seen`` shows an address to them, ``you`` is theirs.
    """
    lines = plan.subscriptions
    bought = any(part.startswith(f"{line.key}.") for part in different for line in lines)
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
