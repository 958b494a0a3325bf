"""Bring organizations into the directory from a CSV file."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from orgs import importing
from orgs.merging import Report
from orgs.table_files import FileRefused

_REPORTED = 50


class Command(BaseCommand):
    """Imports a file while people work, says how far it is, and reports what it did, what was refused, and why."""

    help = importing.__doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and what is to become of what isn't in it."""
        parser.add_argument("file", type=Path, help="CSV with the columns' names in its first line")
        parser.add_argument("--refused", type=Path, help="write every refused row's line and reason to this file")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        parser.add_argument(
            "--remove-missing", action="store_true", help="the file is all there is: take away what isn't in it"
        )
        parser.add_argument(
            "--most-removed",
            type=_share,
            default=0.05,
            metavar="5%",
            help="with --remove-missing: take nothing away where it is a greater share than this, of organizations, "
            "domains, other names or members that imports have brought (default 5%%)",
        )

    def handle(self, **options: Any) -> None:
        """Import."""
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
            done = self._told(report, dry_run=dry_run) if report.written else "Nothing was imported."
            raise CommandError(f"{done} {error}") from error
        except (DatabaseError, KeyboardInterrupt) as error:
            raise CommandError(
                f"The import ended early ({type(error).__name__}). {self._told(report, dry_run=dry_run)} "
                "Run it again: what was brought in is found unchanged, and the rest follows."
            ) from error
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        self.stdout.write(self._told(report, dry_run=dry_run))
        lines = [f"line {each.line}: {each.reason}" for each in report.refused]
        if options["refused"]:
            options["refused"].write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
        for line in lines[:_REPORTED]:
            self.stdout.write(line)
        if len(lines) > _REPORTED:
            self.stdout.write(f"… and {len(lines) - _REPORTED} more (--refused FILE writes them all).")
        if report.not_removed:
            raise CommandError(
                f"Nothing that the file doesn't have was taken away. {report.not_removed} "
                "If that is right, say so with --most-removed."
            )
        if lines:
            raise CommandError("Something was refused; the rest was imported. Mend what is named above, and import it.")

    def _progress(self, size: int, report: Report) -> Any:
        """A bar on a terminal; elsewhere a line for each tenth of the file."""
        told = [0]

        def progress(read: int) -> None:
            done = min(read / size, 1)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r[{'#' * int(done * 40):<40}] {done:4.0%} {report.rows} rows")
                sys.stderr.flush()
            elif int(done * 10) > told[0]:
                told[0] = int(done * 10)
                self.stderr.write(f"{told[0] * 10} % read, {report.rows} rows checked.")

        return progress

    def _told(self, report: Report, *, dry_run: bool) -> str:
        would = "Nothing was changed. An import would make this of it. " if dry_run else ""
        return (
            f"{would}{report.read_as}. Read {report.rows} rows. "
            f"Organizations: {report.made} made, {report.changed} changed, "
            f"{report.closed} closed, {report.reopened} opened again. Rows that were the same: {report.unchanged}. "
            f"Made or changed: {report.domains} domains, {report.other_names} other names, {report.members} members. "
            f"Removed: {report.removed_domains} domains, {report.removed_other_names} other names, "
            f"{report.removed_members} members. Refused: {len(report.refused)}."
        )


def _share(text: str) -> float:
    """A share in percent, such as 5% or 2.5."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%?\s*", text)
    if not found or float(found[1]) > 100:
        raise ArgumentTypeError("a share in percent, such as 5%")
    return float(found[1]) / 100
