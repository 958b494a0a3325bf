"""Note that emails to an address come back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orgs.text import pasted_text
from provisioning import actions


class Command(BaseCommand):
    """``note_bounce ADDRESS``: shown to the order desk and to whoever waits for that person."""

    help = "Note that emails to this address came back: the order desk sees it, and who waits for that person."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("address", help="the address that can't be reached")
        parser.add_argument("--said", default="", metavar="TEXT", help="what the mail server said")

    def handle(self, *args: Any, **options: Any) -> None:
        """Note the bounce, and print the orders."""
        addresses = pasted_text.emails(options["address"])
        if len(addresses) != 1:
            raise CommandError("Enter one address.")
        orders = actions.note_bounce(email=addresses[0], said=options["said"])
        if not orders:
            raise CommandError("No email went to this address within 30 days, or it was noted already.")
        for order in orders:
            self.stdout.write(f"Order {order.number}: noted.")
