"""Write an order's summary as a PDF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from subscriptions.models import Order
from subscriptions.summary import documents


class Command(BaseCommand):
    help = "Write the order summary of an order as a PDF file."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say which order, where to, and in which language."""
        parser.add_argument("number", help="the order number")
        parser.add_argument("--output", required=True, type=Path, help="the file to write")
        languages = [code for code, _name in settings.LANGUAGES]
        parser.add_argument("--language", choices=languages, help="default: LANGUAGE_CODE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file, or end with a sentence that says what to do."""
        order = Order.objects.filter(number=options["number"]).first()
        if order is None:
            raise CommandError(f"There is no order {options['number']!r}. Check the number.")
        language = options["language"] or settings.LANGUAGE_CODE
        content = documents.copy_for(order, reader=order.contact_email, language=language).make()
        output: Path = options["output"]
        try:
            output.write_bytes(content)
        except OSError as error:
            raise CommandError(f"{output} can't be written: {error.strerror}. Choose another file.") from error
        self.stdout.write(f"Wrote {output} ({len(content):,} bytes).")
