"""Print everything that is stored about a person."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orgs.text import pasted_text
from provisioning import privacy
from provisioning.privacy.exporting import encoder


class Command(BaseCommand):
    """``export_person EMAIL``: JSON with the rows of every table that are about this person."""

    help = "Print everything that is stored about a person, as JSON. The operators' log has each export."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the JSON. Raises CommandError for what isn't one address."""
        addresses = pasted_text.emails(options["email"])
        if len(addresses) != 1 or "@" not in addresses[0]:
            raise CommandError("Enter one email address like name@example.com.")
        found = privacy.export(email=addresses[0], by=None)
        self.stdout.write(json.dumps(found, cls=encoder, ensure_ascii=False, indent=1))
