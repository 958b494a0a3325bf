"""The directory as other systems keep it: batches of records in the background, and questions to the finder."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from procrastinate.contrib.django import app

from orgs import rate_limits
from orgs.finder import matching
from orgs.finder.matching import Match
from orgs.importing import merge, records
from orgs.importing.records import REFUSED, Result
from provisioning.models import DirectoryBatch, DirectoryBatchPart, MatchQuestion

__all__ = ["MATCHES", "forget_old_batches", "is_batch_waiting", "match", "start_batch", "write_next_part"]

log = logging.getLogger(__name__)

PART: Final = 400  # rows that are written in one transaction
# Questions of one system to the finder in an hour.
MATCHES: Final = 10_000
KEEP_BATCHES: Final = timedelta(days=30)
_WINDOW: Final = timedelta(hours=1)
ASK_SOMETHING: Final = _("Enter an email address, a company name, or both.")
ASK_AN_ADDRESS: Final = _("Enter an email address like name@example.com.")
_NOT_STORED: Final = "This row could not be stored. Send it again; if that does not help, ask for help."
_TWICE: Final = "The external id is in line {first} already; what that line says is kept."


def start_batch(
    *, rows: Sequence[tuple[int, Mapping[str, Any]]], refused: Sequence[Result], made_by: str
) -> DirectoryBatch:
    """Keep the rows of a batch for the worker, which writes them in the background.

    :param rows: (line, record) with records as ``orgs.importing.records`` has them.
    :param refused: the results of rows that are no such record.
    """
    known: dict[str, int] = {}
    results = {each.line: each for each in refused}
    for line, record in rows:
        first = known.setdefault(str(record["external_id"]).strip(), line)
        if first != line:
            reason = _TWICE.format(first=first)
            results[line] = Result(line, record["external_id"], REFUSED, (("/external_id", reason),))
    waiting = [(line, record) for line, record in rows if line not in results]
    with transaction.atomic():
        batch = DirectoryBatch.objects.create(made_by=made_by, rows=len(waiting) + len(results))
        parts = [
            DirectoryBatchPart(batch=batch, first_line=part[0][0], records=part)
            for part in itertools.batched(waiting, PART)
        ]
        if results:  # a part of its own, which is done
            done = sorted(results.values())
            part = DirectoryBatchPart(batch=batch, first_line=0, records=[], results=done)
            part.counts = {REFUSED: len(done)}
            parts.insert(0, part)  # the report reads parts by primary key
        DirectoryBatchPart.objects.bulk_create(parts)
        wake()
    return batch


def wake() -> None:
    """Wake a worker, in this transaction."""
    app.configure_task("provisioning.tasks.write_directory_batches", allow_unknown=False).defer()


def is_batch_waiting() -> bool:
    """Return whether there is a batch that is not finished."""
    return DirectoryBatch.objects.filter(finished_at=None).exists()


def write_next_part() -> bool:
    """Write the next part of the oldest batch that is not finished; return False where there is none.

    Batches are written one after the other, so a later batch counts where two have the same organization. A part and
    its results are one transaction: what a killed worker had begun is written by the next one.
    """
    first = DirectoryBatch.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True).first()
    if first is None:
        return False
    with transaction.atomic():
        locked = DirectoryBatch.objects.select_for_update(skip_locked=True, no_key=True)
        batch = locked.filter(pk=first, finished_at=None).first()
        if batch is None:
            return False  # another worker writes it
        part = batch.parts.filter(results__isnull=True).order_by("first_line").first()
        if part is None:
            batch.finished_at = timezone.now()
            batch.save(update_fields=["finished_at"])
        else:
            _write(part)
    if part is None and counts_of(batch)[merge.CREATED] >= merge.ANALYZE_FROM:
        merge.analyze()
    return True


def _write(part: DirectoryBatchPart) -> None:
    rows = [(line, record) for line, record in part.records]
    try:
        with transaction.atomic():
            records.upsert(rows, lambda results: _store(part, results))
        return
    except OperationalError:
        raise  # of the database's state, not of the rows: the part is tried again
    except Exception:
        log.exception("Rows of a batch could not be stored together: %s", part)
    _store(part, [result for row in rows for result in _write_alone(row)])


def _write_alone(row: tuple[int, dict[str, Any]]) -> list[Result]:
    try:
        with transaction.atomic():
            return records.upsert([row])
    except OperationalError:
        raise
    except Exception:
        log.exception("A row of a batch could not be stored: line %s", row[0])
        return [Result(row[0], str(row[1]["external_id"]), REFUSED, (("", _NOT_STORED),))]


def _store(part: DirectoryBatchPart, results: list[Result]) -> None:
    part.results, part.records = results, []
    part.counts = Counter(each.outcome for each in results)
    part.save(update_fields=["results", "records", "counts"])


def counts_of(batch: DirectoryBatch) -> Counter[str]:
    """Return how many rows of a batch were created, updated, unchanged and refused so far."""
    total: Counter[str] = Counter()
    for counts in batch.parts.values_list("counts", flat=True):
        total.update(counts)
    return total


def forget_old_batches() -> None:
    """Delete finished batches, with their results, after KEEP_BATCHES."""
    DirectoryBatch.objects.filter(finished_at__lt=timezone.now() - KEEP_BATCHES).delete()


def match(*, email: str, company_name: str, country: str, partners: bool, limit: int, asked_by: str) -> Match | None:
    """Ask the finder as the vendor, with everything disclosed, and write down who asked; None at the rate limit.

    The question doesn't count against the search limits of an order or a person.

    :param asked_by: the name of the system's key; it may ask MATCHES questions an hour.
    """
    if not rate_limits.spend({f"match:{asked_by}": MATCHES}, _WINDOW):
        return None
    found = matching.find_candidates(
        email=email, company_name=company_name, country=country, partners=partners, limit=limit
    )
    MatchQuestion.objects.create(
        asked_by=asked_by,
        email=email,
        company_name=company_name,
        country=country,
        result=found.result.value,
        organizations=[str(each.organization.public_id) for each in found.candidates],
    )
    return found
