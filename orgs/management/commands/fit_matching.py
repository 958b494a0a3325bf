"""Fit the finder's three regressions and its thresholds, and write orgs/finder/weights.toml."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from orgs.finder import scoring
from orgs.finder.evaluation import fitting
from orgs.text.table_files import FileRefused

_FILES: Final = ("organizations", "other_names", "queries", "siblings", "output")


class Command(BaseCommand):
    """Fits on the given files, writes the weights, and prints figures out of fold as JSON."""

    help = "Fit the organization finder's weights and thresholds on questions with known answers (some minutes)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files that bench_matching takes, and the output."""
        parser.add_argument("--organizations", type=Path, required=True)
        parser.add_argument("--other-names", type=Path, required=True)
        parser.add_argument("--queries", type=Path, required=True)
        parser.add_argument("--siblings", type=Path, required=True)
        parser.add_argument("--output", type=Path, default=scoring.WEIGHTS)

    def handle(self, **options: Any) -> None:
        """Fit, or name the file that can't be read."""
        try:
            figures = fitting.fit(**{name: options[name] for name in _FILES}, say=self.stderr.write)
        except FileRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(figures, indent=2))
