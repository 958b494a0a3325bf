"""Run the product for real on this machine, with one command."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from provisioning.deployment import gunicorn
from provisioning.local import serve


class Command(BaseCommand):
    """``serve``: web processes and a background worker under one supervisor."""

    help = "Run the product: web processes and a worker, until SIGTERM or Ctrl-C. The static files are collected first."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument(
            "--bind", default=gunicorn.bind, help=f"HOST:PORT or unix:PATH to listen on (here: {gunicorn.bind})"
        )
        parser.add_argument(
            "--workers", type=_count, default=gunicorn.workers, help=f"web processes (here: {gunicorn.workers})"
        )
        parser.add_argument(
            "--threads", type=_count, default=gunicorn.threads, help=f"threads in each ({gunicorn.threads})"
        )
        parser.add_argument("--no-worker", action="store_true", help="without the background worker")
        parser.add_argument("--migrate", action="store_true", help="apply migrations first")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or SIGINT."""
        serve.run(
            bind=options["bind"],
            workers=options["workers"],
            threads=options["threads"],
            background=not options["no_worker"],
            migrate=options["migrate"],
        )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("expects a whole number from 1 on")
    return int(text)
