"""Make a key of the HTTP API, or revoke one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning import actions
from provisioning.models import SCOPES


class Command(BaseCommand):
    """``make_api_key NAME --scopes orders:read,orders:write``: prints the key, alone on the last line."""

    help = "Make a key of the HTTP API. It is printed once, alone on the last line; --revoke ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("name", help="which system has it; the history names it")
        parser.add_argument("--scopes", default="", help=f"with commas between them: {', '.join(SCOPES)}")
        parser.add_argument("--days", type=int, help="how long it is valid; without it, until it is revoked")
        parser.add_argument("--networks", default="", help="from where it may be used: 10.0.0.0/8,2001:db8::/32")
        parser.add_argument("--revoke", action="store_true", help="the same as the command revoke_api_key")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, or revoke it. Raises CommandError with a sentence where that can't be done."""
        name = " ".join(options["name"].split())
        if options["revoke"]:
            if not actions.revoke_key(name=name):
                raise CommandError(f"There is no valid key named {name}.")
            self.stdout.write(f"The key {name} is revoked.")
            return
        scopes = {scope.strip() for scope in options["scopes"].split(",")} - {""}
        try:
            key, text = actions.make_key(
                name=name, scopes=scopes, days=options["days"], networks=options["networks"].split(",")
            )
        except actions.KeyRefused as refused:
            known = f" --scopes {','.join(SCOPES)}" if refused.field == "scopes" else ""
            raise CommandError(f"{refused.sentence}{known}") from refused
        self.stdout.write(f"The key {key.name} may: {'; '.join(str(SCOPES[scope]) for scope in key.scopes)}.")
        self.stdout.write("Keep it in a safe place: it is not shown again.")
        self.stdout.write(text)
