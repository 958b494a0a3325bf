"""Erase a person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orgs.text import pasted_text
from provisioning import privacy
from provisioning.rules import refusals


class Command(BaseCommand):
    """``erase_person EMAIL``: replaces the address everywhere; the histories stay whole."""

    help = "Erase a person: the address is replaced everywhere. This can't be undone. The histories stay whole."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erase the person. Raises CommandError where that can't be, with the reason."""
        addresses = pasted_text.emails(options["email"])
        if len(addresses) != 1 or "@" not in addresses[0]:
            raise CommandError("Enter one email address like name@example.com.")
        try:
            count = privacy.erase(email=addresses[0], by=None)
        except privacy.NotNow as refused:
            raise CommandError(refusals.erasure_sentence(refused.reason, refused.numbers)) from refused
        if not count:
            raise CommandError("Nothing is stored about this address.")
        self.stdout.write(f"Erased: {count} rows had something about this person.")
