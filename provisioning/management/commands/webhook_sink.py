"""Receive webhooks on this machine, to see what the vendor's systems get."""

from __future__ import annotations

import contextlib
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.local import webhook_sink


class Command(BaseCommand):
    """``webhook_sink --faults``: a receiver that fails as real ones do."""

    help = "Receive webhooks on this machine, verify their signatures, and print what came."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen, and how badly to behave."""
        parser.add_argument("--port", type=int, default=9000, help="port to listen on, on this machine only (9000)")
        parser.add_argument("--secret", action="append", help="of the signatures; default: WEBHOOK_SECRETS")
        parser.add_argument(
            "--faults", action="store_true", help="half of the answers are late, lost, errors, redirects or nonsense"
        )
        parser.add_argument("--slow", type=float, default=3, metavar="SECONDS", help="how late a late answer is (3)")
        parser.add_argument("--seed", type=int, help="the same faults again")
        parser.add_argument("--json", action="store_true", help="print each message as a line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen until Ctrl-C."""
        secrets = options["secret"] or settings.WEBHOOK_SECRETS
        if not secrets:
            raise CommandError("Which secret signs the messages? Give --secret, or set WEBHOOK_SECRETS.")
        word = webhook_sink.as_json if options["json"] else webhook_sink.line
        try:
            server = webhook_sink.Sink(
                options["port"],
                secrets,
                faults=webhook_sink.FAULTS if options["faults"] else ("",),
                seed=options["seed"],
                slow=options["slow"],
                on_message=lambda got: print(word(got), file=self.stdout, flush=True),
            )
        except ValueError as error:
            raise CommandError("A secret is whsec_ and 24 to 64 bytes in Base64.") from error
        except OSError as error:
            raise CommandError(f"Port {options['port']} can't be used ({error.strerror}): choose another.") from error
        if not options["json"]:
            self.stdout.write(
                f"Listening. Start the product with WEBHOOK_URL={server.url} OUTGOING_ALLOW_PRIVATE=127.0.0.0/8"
                " and the same WEBHOOK_SECRETS. Ctrl-C ends it."
            )
        with contextlib.suppress(KeyboardInterrupt), server:
            server.serve_forever(poll_interval=0.1)
