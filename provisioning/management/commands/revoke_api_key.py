"""Revoke a key of the HTTP API."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning import actions


class Command(BaseCommand):
    """``revoke_api_key NAME``: the key is no longer valid, from this moment on."""

    help = "Revoke a key of the HTTP API: it is no longer valid. What it did stays in the history."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("name", help="the name under which it was made")

    def handle(self, *args: Any, **options: Any) -> None:
        """Revoke it. Raises CommandError where there is no valid key of this name."""
        if not actions.revoke_key(name=options["name"]):
            raise CommandError(f"There is no valid key named {options['name']}.")
        self.stdout.write(f"The key {options['name']} is revoked.")
