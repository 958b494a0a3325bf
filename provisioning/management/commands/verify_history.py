"""Check the chained histories of orders, and the operators' log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from orgs.text import pasted_text
from provisioning.history import verification
from subscriptions.models import Order

_BATCH: Final = 1000


class Command(BaseCommand):
    """``verify_history [NUMBER] [--expect HEAD]``: computes every hash again; exit status 1 where one isn't right."""

    help = "Check that nobody changed what happened to an order, or to all orders; says the first event that is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("number", nargs="?", help="the order's number (all orders)")
        parser.add_argument(
            "--expect",
            default="",
            metavar="HEAD",
            help="a head noted earlier, such as 7:3fb2…: in each email's header X-Order-History, and in each export",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the head of one order, or the number of valid histories. Raises CommandError where one is broken."""
        number, expect = pasted_text.order_number(options["number"] or ""), pasted_text.short(options["expect"])
        if expect and not number:
            raise CommandError("Say the number of the order whose head this is: verify_history NUMBER --expect HEAD")
        orders = Order.objects.filter(number=number) if number else Order.objects.order_by("pk")
        if number and not orders:
            raise CommandError(f"There is no order {number}.")
        checked = broken = 0
        for order in _each(orders):
            result = verification.check(order, expect=expect)
            checked += 1
            if result.problem:
                broken += 1
                self.stdout.write(f"{result.number}: {result.problem}.")
            elif number:
                self.stdout.write(f"{result.number}: whole. It ends with {result.head}")
        if not number:
            log = verification.check_operators_log()
            if log.problem:
                raise CommandError(f"The operators' log is broken: {log.problem}.")
            if log.head:
                self.stdout.write(f"The operators' log is whole. It ends with {log.head}")
        if broken:
            raise CommandError(f"Of {checked} histories, {broken} are broken.")
        if not number:
            self.stdout.write(f"{checked} histories are whole.")


def _each(orders: QuerySet[Order]) -> Iterator[Order]:
    """Yield the orders by id, read in batches."""
    last = 0
    while batch := list(orders.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        yield from batch
        last = batch[-1].pk
