"""Show the effective settings, without secrets."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from provisioning.deployment import gunicorn  # noqa: F401  # it reads variables of its own
from provisioning.env import Env

_SECRET: Final = re.compile(r"SECRET|TOKEN|PASSWORD|DSN|_KEY")
_HIDDEN: Final = "(hidden)"


class Command(BaseCommand):
    """``settings``: every variable, its effective value, and whether the environment sets it."""

    help = "Show every variable that the product reads, with its effective value. Secrets are hidden."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the settings in the order of their names."""
        found = {name: (shown(name, value), is_set) for name, (value, is_set) in Env.read.items()}
        for name, value in os.environ.items():
            if name.startswith("PROVISIONING_") and name not in found:
                found[name] = (shown(name, value), True)
        if options["json"]:
            rows = {name: {"value": value, "set": is_set} for name, (value, is_set) in sorted(found.items())}
            self.stdout.write(json.dumps(rows))
            return
        for name, (value, is_set) in sorted(found.items()):
            self.stdout.write(f"{name}={value}{'' if is_set else '  (default)'}")


def shown(name: str, value: object) -> str:
    """Return a value without secrets: tokens and keys, user and password of an address, passwords among its options."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if _SECRET.search(name):
        return _HIDDEN if text else ""
    text = re.sub(r"//\S*@", f"//{_HIDDEN}@", text)
    return re.sub(r"(?i)((?:password|token|secret|key)\w*=)[^&\s]+", rf"\1{_HIDDEN}", text)
