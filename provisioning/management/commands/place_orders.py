"""Place the orders of a file from the command line."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from orgs.text.csv_out import csv_lines
from orgs.text.table_files import FileRefused
from provisioning.bulk import batches, files, planning, report, rows
from provisioning.models import BatchRow, OrderBatch

Outcome, Result = BatchRow.Outcome, BatchRow.Result
_SHOWN: Final = 200


class Command(BaseCommand):
    """``place_orders FILE [--dry-run]``: says row by row what the file does, and does it."""

    help = (
        "Place and correct the orders of a CSV, JSON or YAML file. The same file again changes nothing; after a kill "
        "it goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("file", type=Path, help=f"CSV ({', '.join(files.columns())}), or .json, .yaml, .yml")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report of every row as CSV")
        parser.add_argument("--json", action="store_true", help="print the rows as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan the file, and apply it. Raises CommandError where it can't be read, and where rows are refused."""
        path: Path = options["file"]
        try:
            content = _content(path)
            found = self._planned(path.name, content) if options["dry_run"] else self._applied(path.name, content)
        except FileRefused as error:
            raise CommandError(f"Nothing was placed. {error}") from error
        except (DatabaseError, KeyboardInterrupt) as error:
            raise CommandError(
                f"It ended early ({type(error).__name__}). Run it again: it goes on where it stopped."
            ) from error
        if options["report"]:
            text = "".join(csv_lines(report.COLUMNS, map(report.csv_row, found), mark=True))
            options["report"].write_text(text, encoding="utf-8", newline="")
        refused = sum(bool(report.faults(row)) for row in found)
        if options["json"]:
            self.stdout.write(json.dumps([report.as_json(row) for row in found], ensure_ascii=False, indent=1))
        else:
            self._print(found, dry_run=options["dry_run"])
        if refused:
            raise CommandError(f"{refused} of {len(found)} orders were refused. Correct them, and run it again.")

    def _planned(self, name: str, content: bytes) -> list[BatchRow]:
        read = files.read(name, content)
        self.stderr.write(f"{read.read_as}.")
        found = rows.rows_of(read)
        for at in range(0, len(found), batches.CHUNK):
            planning.plan(found[at : at + batches.CHUNK])
            self._progress("checked", min(at + batches.CHUNK, len(found)), len(found))
        return found

    def _applied(self, name: str, content: bytes) -> list[BatchRow]:
        batch = batches.unfinished(content)
        if batch is None:
            batch = batches.create(name=name, content=content, apply=True)
            self.stderr.write(f"{batch.read_as}.")
        else:
            self.stderr.write("This file was begun before: going on where that stopped.")
        told = time.monotonic()
        while not _is_over(batch):
            if not batches.step(batch.pk):
                time.sleep(0.2)  # a worker is at the last rows
            if time.monotonic() > told + 1:
                told = time.monotonic()
                counts = batches.progress(batch)
                self._progress("checked", counts["planned"], counts["total"])
                self._progress("applied", counts["applied"], counts["total"])
        return list(batch.rows.all())

    def _progress(self, what: str, done: int, of: int) -> None:
        if sys.stderr.isatty() and of:
            sys.stderr.write(f"\r[{'#' * (done * 40 // of):<40}] {done} of {of} {what} ")
            sys.stderr.write("\n" if done == of else "")
            sys.stderr.flush()

    def _print(self, found: list[BatchRow], *, dry_run: bool) -> None:
        # What somebody has to look at comes first, so that the limit cuts off the rest.
        ordered = sorted(found, key=lambda row: (not report.faults(row), not row.warnings))
        for row in ordered[:_SHOWN]:
            self.stdout.write(f"line {row.line}: {report.number(row) or '–'}: {report.outcome(row).lower()}")
            for sentence in [*report.faults(row), *report.warnings(row)]:
                self.stdout.write(f"    {sentence}")
            for name, before, after in report.changes(row):
                self.stdout.write(f"    {name}: {before or '–'} → {after or '–'}")
            if suggested := report.suggestion(row):
                self.stdout.write(f"    finder: {suggested}")
        if len(ordered) > _SHOWN:
            self.stdout.write(f"… and {len(ordered) - _SHOWN} more (--report FILE writes them all).")
        counts = Counter(report.outcome(row).lower() for row in found)
        said = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        would = "Nothing was changed. Applying would do this: " if dry_run else ""
        self.stdout.write(f"{would}{len(found)} orders: {said}.")


def _is_over(batch: OrderBatch) -> bool:
    batch.refresh_from_db(fields=["state"])
    return batch.state == OrderBatch.State.APPLIED


def _content(path: Path) -> bytes:
    """Return the bytes of a file. Raises FileRefused where it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(files.MAX_BYTES + 1)
    except OSError as error:
        raise FileRefused(f"{path} can't be read: {error.strerror or error}.") from error
