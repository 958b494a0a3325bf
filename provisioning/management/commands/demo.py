"""`manage.py demo`, for `manage.py help`; manage.py itself runs it, before Django is imported."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.local.demo import runner


class Command(BaseCommand):
    help = "Run the product with sample data on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        runner.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Start the demo with: python3 manage.py demo")
