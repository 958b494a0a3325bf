"""`manage.py test`, for `manage.py help`; manage.py itself runs it, with pytest instead of Django's runner."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Run the tests in parallel; takes pytest's arguments."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs="*", help="arguments of pytest")

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Start the tests with: python3 manage.py test")
