"""Reads an import file, has its rows checked by other processes, and merges them into the directory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import django

from orgs.importing.merge import Merge
from orgs.importing.report import Report
from orgs.importing.rows import COLUMNS, REQUIRED, Batch, check
from orgs.text.table_files import TableFile

BATCH: Final = 10_000  # rows that a process checks at a time
LARGE: Final = 2_000_000  # bytes from which other processes check the rows of a file
AHEAD: Final = 4  # checked batches that wait to be merged, at most


def import_file(
    path: Path,
    progress: Callable[[int], None] = lambda _read: None,
    *,
    remove_missing: bool = False,
    most_removed: float = 0.05,
    dry_run: bool = False,
    report: Report | None = None,
) -> Report:
    """Import a file and return the report. Rows that are not valid are refused; the others are imported.

    :param progress: called with the number of bytes read so far.
    :param remove_missing: the file is the complete list; see the package's docstring.
    :param most_removed: the greatest share (0 to 1) of imported rows that may be removed; above it, none is.
    :param dry_run: change nothing, only make the report.
    :param report: the report to fill in, for a caller that needs it when the import fails.

    :raises FileRefused: the file can't be read.
    """
    report = report or Report()
    with Merge(report, full=remove_missing, dry_run=dry_run) as merge:
        for batch in _checked(path, progress):
            report.rows += batch.rows
            report.read_as = report.read_as or batch.read_as
            report.refused += batch.refused
            for part in batch.slices:
                merge.add(part, batch.columns)
        merge.finish(most_removed=most_removed)
    report.refused.sort(key=lambda each: each.line)
    return report


def _checked(path: Path, progress: Callable[[int], None]) -> Iterator[Batch]:
    """Yield checked batches in the order of the file. Two other processes check the rows of a large file."""
    with TableFile(path, columns=COLUMNS, required=REQUIRED, progress=progress) as table:
        batches = itertools.batched(table, BATCH)
        if path.stat().st_size < LARGE:  # starting processes would take longer
            yield from map(check, batches)
        else:
            with ProcessPoolExecutor(2, mp_context=get_context("forkserver"), initializer=django.setup) as pool:
                waiting: list[Future[Batch]] = []
                for rows in batches:
                    waiting.append(pool.submit(check, rows))
                    if len(waiting) >= AHEAD:
                        yield waiting.pop(0).result()
                for each in waiting:
                    yield each.result()
    yield Batch(rows=len({each.line for each in table.refused}), refused=table.refused, read_as=table.read_as)
