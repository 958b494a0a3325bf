"""Bring organizations into the directory from a CSV file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orgs import importing
from orgs.table_files import FileRefused

_REPORTED = 50


class Command(BaseCommand):
    """Imports a file in one transaction, with a progress bar, and reports what was refused and why."""

    help = importing.__doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file."""
        parser.add_argument("file", type=Path, help="CSV with the columns' names in its first line")
        parser.add_argument("--refused", type=Path, help="write every refused row's line and reason to this file")

    def handle(self, **options: Any) -> None:
        """Import."""
        path: Path = options["file"]
        size = max(path.stat().st_size, 1) if path.is_file() else 1

        def progress(read: int) -> None:
            if sys.stderr.isatty():
                done = min(read / size, 1)
                sys.stderr.write(f"\r[{'#' * int(done * 40):<40}] {done:4.0%}")
                sys.stderr.flush()

        try:
            report = importing.import_file(path, progress)
        except FileRefused as error:
            raise CommandError(f"Nothing was imported. {error}") from error
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        self.stdout.write(
            f"{report.read_as}. Read {report.rows} rows. Made or changed: {report.organizations} organizations, "
            f"{report.domains} domains, {report.other_names} other names, {report.members} members. "
            f"Refused: {len(report.refused)}."
        )
        lines = [f"line {each.line}: {each.reason}" for each in report.refused]
        if options["refused"]:
            options["refused"].write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
        for line in lines[:_REPORTED]:
            self.stdout.write(line)
        if len(lines) > _REPORTED:
            self.stdout.write(f"… and {len(lines) - _REPORTED} more (--refused FILE writes them all).")
        if lines:
            raise CommandError("Something was refused; the rest was imported. Mend what is named above, and import it.")
