"""procrastinate's own command; its worker goes on through restarts and failovers of PostgreSQL."""

from __future__ import annotations

import sys
from typing import Any

from procrastinate.contrib.django import app
from procrastinate.contrib.django.management.commands import procrastinate

from provisioning.worker import supervisor


class Command(procrastinate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Run the subcommand; ends with the status 1 where the worker can't go on."""
        if options["command"] != "worker":
            super().handle(*args, **options)
            return
        unwanted = self._django_options | {"command", "func"}
        sys.exit(supervisor.run(app, **{k: v for k, v in options.items() if k not in unwanted}))
