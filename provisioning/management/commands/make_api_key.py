"""Make a key of the HTTP API, or revoke one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from provisioning.api.auth import make_key
from provisioning.models import SCOPES, ApiKey


class Command(BaseCommand):
    """``make_api_key NAME --scopes provisioning:write``: prints the key, alone on the last line."""

    help = "Make a key of the HTTP API. It is printed once, alone on the last line; --revoke ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        """What it is called, and what it may do."""
        parser.add_argument("name", help="which system has it; the history names it")
        parser.add_argument("--scopes", default="", help=f"with commas between them: {', '.join(SCOPES)}")
        parser.add_argument("--days", type=int, help="how long it is valid; without it, until it is revoked")
        parser.add_argument("--revoke", action="store_true", help="the key of this name is no longer valid")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, or revoke it."""
        name = " ".join(options["name"].split())
        if options["revoke"]:
            if not ApiKey.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now()):
                raise CommandError(f"There is no valid key named {name}.")
            self.stdout.write(f"The key {name} is revoked.")
            return
        scopes = {scope.strip() for scope in options["scopes"].split(",")} - {""}
        if not scopes or scopes - set(SCOPES):
            raise CommandError(f"Say what the key may do: --scopes {','.join(SCOPES)}")
        if not name or len(name) > 80:
            raise CommandError("Enter a name of up to 80 characters.")
        if options["days"] is not None and not 1 <= options["days"] <= 3650:
            raise CommandError("Enter 1 to 3650 days.")
        if ApiKey.objects.filter(name=name).exists():
            raise CommandError(f"There is a key named {name} already; choose another name.")
        _key, text = make_key(name=name, scopes=sorted(scopes), days=options["days"])
        self.stdout.write(f"The key {name} may {', '.join(str(SCOPES[scope]) for scope in sorted(scopes))}.")
        self.stdout.write("Keep it in a safe place: it is not shown again.")
        self.stdout.write(text)
