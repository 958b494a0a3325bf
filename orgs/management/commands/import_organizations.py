"""Import organizations from a CSV file."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from orgs import importing
from orgs.importing import Report
from orgs.text.table_files import FileRefused

_REPORTED = 50


class Command(BaseCommand):
    """Imports a file, shows progress, and reports what was imported and what was refused, with reasons."""

    help = importing.__doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file and options."""
        parser.add_argument("file", type=Path, help="CSV with the columns' names in its first line")
        parser.add_argument("--refused", type=Path, help="write every refused row's line and reason to this file")
        parser.add_argument("--dry-run", action="store_true", help="report what would be done, and change nothing")
        parser.add_argument(
            "--remove-missing", action="store_true", help="the file is the complete list: remove what isn't in it"
        )
        parser.add_argument(
            "--most-removed",
            type=_share,
            default=0.05,
            metavar="5%",
            help="with --remove-missing: remove nothing if this share of imported organizations, domains, other names "
            "or members would be exceeded (default 5%%)",
        )

    def handle(self, **options: Any) -> None:
        """Import the file."""
        path: Path = options["file"]
        report = Report()
        dry_run: bool = options["dry_run"]
        size = max(path.stat().st_size, 1) if path.is_file() else 1
        try:
            importing.import_file(
                path,
                self._progress(size, report),
                remove_missing=options["remove_missing"],
                most_removed=options["most_removed"],
                dry_run=dry_run,
                report=report,
            )
        except FileRefused as error:
            done = self._summary(report, dry_run=dry_run) if report.written else "Nothing was imported."
            raise CommandError(f"{done} {error}") from error
        except (DatabaseError, KeyboardInterrupt) as error:
            raise CommandError(
                f"The import ended early ({type(error).__name__}). {self._summary(report, dry_run=dry_run)} "
                "Run it again: imported rows are found unchanged, and the rest is imported."
            ) from error
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        self.stdout.write(self._summary(report, dry_run=dry_run))
        lines = [f"line {each.line}: {each.reason}" for each in report.refused]
        if options["refused"]:
            options["refused"].write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
        for line in lines[:_REPORTED]:
            self.stdout.write(line)
        if len(lines) > _REPORTED:
            self.stdout.write(f"… and {len(lines) - _REPORTED} more (--refused FILE writes them all).")
        if report.not_removed:
            raise CommandError(
                f"Nothing that is missing from the file was removed. {report.not_removed} "
                "If that is right, raise --most-removed."
            )
        if lines:
            raise CommandError(
                "Something was refused; the rest was imported. Correct what is named above, and import it."
            )

    def _progress(self, size: int, report: Report) -> Any:
        """Return a callback that shows a bar on a terminal, elsewhere a line for each tenth of the file."""
        tenths = [0]

        def progress(read: int) -> None:
            done = min(read / size, 1)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r[{'#' * int(done * 40):<40}] {done:4.0%} {report.rows} rows")
                sys.stderr.flush()
            elif int(done * 10) > tenths[0]:
                tenths[0] = int(done * 10)
                self.stderr.write(f"{tenths[0] * 10} % read, {report.rows} rows checked.")

        return progress

    def _summary(self, report: Report, *, dry_run: bool) -> str:
        would = "Nothing was changed. An import would do this. " if dry_run else ""
        return (
            f"{would}{report.read_as}. Read {report.rows} rows. "
            f"Organizations: {report.made} made, {report.changed} changed, "
            f"{report.closed} closed, {report.reopened} opened again. Rows that were the same: {report.unchanged}. "
            f"Made or changed: {report.domains} domains, {report.other_names} other names, {report.members} members. "
            f"Removed: {report.removed_domains} domains, {report.removed_other_names} other names, "
            f"{report.removed_members} members. Refused: {len(report.refused)}."
        )


def _share(text: str) -> float:
    """Parse a share in percent, such as 5% or 2.5; return 0 to 1."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%?\s*", text)
    if not found or float(found[1]) > 100:
        raise ArgumentTypeError("a share in percent, such as 5%")
    return float(found[1]) / 100
