"""Show the state of the installation, one line a part."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from provisioning.monitoring import health


class Command(BaseCommand):
    """``status``: what /readyz says, for people and scripts. The mail server is connected to."""

    help = "Show the state of every part of the installation. The exit status is 1 where a part is not ok."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the lines."""
        lines = health.report(connect=True)
        ok = all(line.ok for line in lines)
        if options["json"]:
            parts = {line.name: {"ok": line.ok, "says": line.says} for line in lines}
            self.stdout.write(json.dumps({"ok": ok, "parts": parts}))
        else:
            for line in lines:
                style = self.style.SUCCESS if line.ok else self.style.ERROR
                self.stdout.write(f"{line.name:<14}{style('ok' if line.ok else 'NOT OK'):<8}{line.says}")
        if not ok:
            sys.exit(1)
