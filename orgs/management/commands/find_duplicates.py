"""Write likely duplicates as CSV."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from orgs.duplicates import MOST, find_pairs
from orgs.models import Organization
from orgs.text.csv_out import csv_lines

_FACTS = ("public_id", "name", "country", "user_count", "active_subscription_count")


class Command(BaseCommand):
    """Writes CSV: the reason, the common domain, and id, name, country and usage of both organizations."""

    help = "Write likely duplicates as CSV, without pairs that the order desk dismissed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the limit."""
        parser.add_argument("--limit", type=int, default=MOST, help="pairs to write, at most")

    def handle(self, **options: Any) -> None:
        """Write the pairs to stdout."""
        pairs = find_pairs(limit=options["limit"])
        asked = {pk for pair in pairs for pk in (pair.organization_id, pair.other_id)}
        known = {pk: facts for pk, *facts in Organization.objects.filter(pk__in=asked).values_list("pk", *_FACTS)}
        columns = ["why", "domain", *_FACTS, *(f"other_{each}" for each in _FACTS)]
        rows = ([each.why.value, each.domain, *known[each.organization_id], *known[each.other_id]] for each in pairs)
        for line in csv_lines(columns, rows):
            self.stdout.write(line, ending="")
