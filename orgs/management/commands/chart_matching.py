"""Write the chart and the tables of orgs/finder/README.md from what was measured."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from orgs.finder.evaluation import chart

_BASE: Final = Path(settings.BASE_DIR)


class Command(BaseCommand):
    """Writes ``matching.svg`` beside the measured files, and the tables of the finder's README."""

    help = (
        "Write the chart and the tables of the finder's README from measured files: fit.json (what fit_matching "
        "prints), peers.json (bench_matching --peers) and scale-*.json (bench_matching --scale … --json)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the folder of the measured files, and the README."""
        parser.add_argument("--measured", type=Path, default=_BASE / "tests" / "bench" / "measured")
        parser.add_argument("--readme", type=Path, default=_BASE / "orgs" / "finder" / "README.md")

    def handle(self, **options: Any) -> None:
        """Write both, or say what is missing."""
        try:
            chart.update(options["measured"], options["readme"])
        except ValueError as error:
            raise CommandError(f"{error} {self.help}") from error
