"""The parts of an email: ``Message``, the decorator ``email``, and the rows and sentences that several emails have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from provisioning.models import Link, Mail
from provisioning.templatetags.display import absolute
from subscriptions import packs
from subscriptions.models import Order
from subscriptions.presentation import Section


@dataclass(frozen=True)
class Message:
    """The content of one email. One pair of templates lays out all of them as text and as HTML."""

    subject: str
    title: str
    paragraphs: tuple[str, ...]
    why: str  # why the reader gets this
    facts: tuple[tuple[str, str], ...] = ()
    button: str = ""
    url: str = ""
    code: str = ""
    sections: tuple[Section, ...] = ()  # of an order summary
    after: tuple[str, ...] = ()  # until when, and what happens if the reader does nothing
    attachments: tuple[tuple[str, bytes, str], ...] = field(default=())


# The function that writes a row's email; the string is the address that the email's button leads to, or "".
Writer = Callable[[Mail, str], Message]

# Every email by its name, which is that of its function and of ``Mail.event``. Filled by ``email``.
EVENTS: dict[str, Writer] = {}


def email(write: Writer) -> Writer:
    """Register the function of an email under its own name for ``queue`` and ``compose``."""
    EVENTS[write.__name__] = write
    return write


def day(moment: datetime) -> str:
    """A date as the product writes it: 21 November 2026."""
    return formats.date_format(timezone.localtime(moment), _("j F Y"))


def clock(moment: datetime) -> str:
    """A time of day with its zone: 14:05 UTC."""
    return formats.date_format(timezone.localtime(moment), "H:i T")


def order_facts(order: Order) -> tuple[tuple[str, str], ...]:
    """What was ordered, by whom, and until when it has to be set up, as rows of a term and a value."""
    facts = [(_("Order"), order.number), (_("Bought by"), order.sold_to)]
    if order.customer_name:
        facts.append((_("Customer"), order.customer_name))
    lines = packs.in_order(order.lines.all())
    labels = packs.labels_of(lines)
    for line in lines:
        licenses = ngettext("%(licenses)s license", "%(licenses)s licenses", line.licenses)
        licenses %= {"licenses": formats.number_format(line.licenses, use_l10n=True, force_grouping=True)}
        several = labels[line.number] != packs.label_of(line.service)
        facts.append((labels[line.number], f"{line.product}: {licenses}" if several else licenses))
    if order.is_open:
        facts.append((_("Set up by"), absolute(order.closes_at)))
    return tuple(facts)


def customer_of(order: Order) -> str:
    """The name of the company that the services are for, as far as it is known."""
    return order.customer.name if order.customer else order.customer_name or order.sold_to


def until(link: Link | None) -> tuple[str, ...]:
    """Until when the email's link works, as a sentence; nothing where it has none."""
    if link is None:
        return ()
    return (_("The link works until %(day)s, as often as you open it.") % {"day": day(link.expires_at)},)
