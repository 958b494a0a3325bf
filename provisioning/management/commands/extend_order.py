"""Give an order more time from the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from orgs.text import pasted_text
from provisioning import actions
from provisioning.rules import refusals
from subscriptions.models import Order
from subscriptions.rules.deadlines import MAX_DAYS
from subscriptions.rules.validation import Problem, Refused


class Command(BaseCommand):
    """``extend_order NUMBER --days N``: a later set-up-by date; an order that has closed is open again."""

    help = "Give an order more time: so many days after its set-up-by date, or from now if that has passed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("number", help="the order's number")
        parser.add_argument("--days", required=True, metavar="N", help="how many days more")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept in the order's history")
        parser.add_argument("--json", action="store_true", help="print number, state and set-up-by date as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Extend the order. Raises CommandError with a sentence where that is refused."""
        order = Order.objects.filter(number=pasted_text.order_number(options["number"])).first()
        if order is None:
            raise CommandError(f"There is no order {options['number']}.")
        days = pasted_text.whole_number(options["days"]) or 0
        try:
            if not 1 <= days <= MAX_DAYS:
                raise Refused(Problem.SET_UP_BY)
            closes_at = max(order.closes_at, timezone.now()) + timedelta(days=days)
            order = actions.extend_order(order=order, closes_at=closes_at, reason=options["reason"])
        except Refused as refused:
            raise CommandError(refusals.sentence(refused)) from refused
        until = order.closes_at.isoformat(timespec="seconds")
        if options["json"]:
            self.stdout.write(json.dumps({"number": order.number, "state": order.state, "set_up_by": until}))
        else:
            self.stdout.write(f"Order {order.number} has to be set up by {until}. Whoever must act gets an email.")
