"""Stored files of orders: planned in the background, and applied exactly as planned.

The rows are the truth: each says what was planned and what was done, in the transaction that did it. Whoever works on a
batch takes rows that no other process has locked, so several workers share it, and a killed one loses nothing.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from provisioning import actions, emails, history
from provisioning.bulk import files, planning, rows
from provisioning.models import BatchRow, OrderBatch, User
from subscriptions.models import Order
from subscriptions.rules.validation import Refused

State = OrderBatch.State
Outcome, Result = BatchRow.Outcome, BatchRow.Result
AT_WORK: Final = (State.PLANNING, State.APPLYING)
# Rows that are planned, or found unchanged, in one transaction.
CHUNK: Final = 100


def hash_of(content: bytes) -> str:
    """Return the hash by which a file is known again."""
    return hashlib.sha256(content).hexdigest()


@transaction.atomic
def create(*, name: str, content: bytes, by: User | None = None, key_name: str = "", apply: bool = False) -> OrderBatch:
    """Store a file of orders as a batch, whose plan workers make; with ``apply`` they go on and apply it.

    :raises FileRefused: with a sentence, where the file can't be read.
    """
    read = files.read(name, content)
    made = rows.rows_of(read)
    batch = OrderBatch.objects.create(
        file_name=rows.storable(name) or "orders",
        file_hash=hash_of(content),
        read_as=read.read_as,
        by=by,
        key_name=key_name,
        apply_when_planned=apply,
    )
    for row in made:
        row.batch = batch
    BatchRow.objects.bulk_create(made, batch_size=1_000)
    wake()
    return batch


def unfinished(content: bytes) -> OrderBatch | None:
    """Return the newest batch of this file that was to be applied and isn't yet: the command goes on with it."""
    found = OrderBatch.objects.filter(file_hash=hash_of(content), state__in=AT_WORK)
    return found.filter(Q(apply_when_planned=True) | Q(state=State.APPLYING)).first()


@transaction.atomic
def start_applying(batch: OrderBatch, *, by: User | None = None, key_name: str = "") -> OrderBatch:
    """Let a batch be applied once it is planned. Asked for twice, it is applied once.

    ``by`` or the API key of ``key_name`` is who does it, in the history of each order.
    """
    batch = OrderBatch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
    if batch.state in {State.PLANNING, State.PLANNED} and not batch.apply_when_planned:
        batch.by, batch.key_name = by, key_name
        batch.save(update_fields=["by", "key_name"])
    if batch.state == State.PLANNING and not batch.apply_when_planned:
        batch.apply_when_planned = True
        batch.save(update_fields=["apply_when_planned"])
    elif batch.state == State.PLANNED:
        _begin_applying(batch)
    return batch


def wake() -> None:
    """Wake a worker for the batches that are at work, after this transaction."""
    emails.wake_task("work_on_batches")


def wake_if_any() -> None:
    """Wake a worker where a batch is at work: what a killed worker left goes on."""
    if OrderBatch.objects.filter(state__in=AT_WORK).exists():
        wake()


def work_on_all(seconds: float) -> bool:
    """Work on every batch that is at work, for so long; return whether something is left."""
    until = time.monotonic() + seconds
    for pk in OrderBatch.objects.filter(state__in=AT_WORK).order_by("pk").values_list("pk", flat=True):
        while step(pk):
            if time.monotonic() > until:
                return True
    return False


def step(pk: int) -> bool:
    """Do the next piece of work of a batch; False where nothing is left that no other process is doing."""
    state = OrderBatch.objects.values_list("state", flat=True).get(pk=pk)
    if state == State.PLANNING:
        return _plan_chunk(pk) or _finish(pk, State.PLANNING)
    if state == State.APPLYING:
        return _apply_chunk(pk) or _finish(pk, State.APPLYING)
    return False


def progress(batch: OrderBatch) -> dict[str, int]:
    """Return the number of rows: in all, planned, applied, refused, to look at, of each outcome and result."""
    named = {
        **{f"outcome_{each.value}": Count("pk", filter=Q(outcome=each)) for each in Outcome},
        **{f"result_{each.value}": Count("pk", filter=Q(result=each)) for each in Result},
    }
    found: dict[str, int] = batch.rows.aggregate(
        total=Count("pk"),
        planned=Count("pk", filter=~Q(outcome="")),
        applied=Count("pk", filter=~Q(result="")),
        refused=Count("pk", filter=Q(outcome=Outcome.REFUSED) | Q(result__in=[Result.REFUSED, Result.CHANGED])),
        warned=Count("pk", filter=~Q(warnings=[])),
        **named,
    )
    return found


def _plan_chunk(pk: int) -> bool:
    with transaction.atomic():
        found = _free_rows(pk, outcome="")[:CHUNK]
        chunk = list(found)
        planning.plan(chunk)
        BatchRow.objects.bulk_update(chunk, ["outcome", "seen", "changes", "suggestion", "faults", "warnings", "order"])
    return bool(chunk)


def _free_rows(batch: int, **which: Any) -> Any:
    """Return rows of a batch that no other process has, locked until the transaction ends."""
    return (
        BatchRow.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(batch=batch, **which)
        .order_by("position")
    )


@transaction.atomic
def _finish(pk: int, state: str) -> bool:
    """Bring a batch to its next state once no row is left; return whether there is something to do then."""
    batch = OrderBatch.objects.select_for_update().get(pk=pk)
    open_rows = batch.rows.filter(outcome="") if state == State.PLANNING else batch.rows.filter(result="")
    if batch.state != state or open_rows.exists():
        return False  # other processes are at the last rows
    if state == State.APPLYING:
        batch.state, batch.applied_at = State.APPLIED, timezone.now()
        batch.save(update_fields=["state", "applied_at"])
        return False
    batch.state, batch.planned_at = State.PLANNED, timezone.now()
    batch.save(update_fields=["state", "planned_at"])
    if batch.apply_when_planned:
        _begin_applying(batch)
    return batch.apply_when_planned


def _begin_applying(batch: OrderBatch) -> None:
    batch.state = State.APPLYING
    batch.save(update_fields=["state"])
    batch.rows.filter(outcome=Outcome.REFUSED).update(result=Result.REFUSED)
    wake()


def _apply_chunk(pk: int) -> bool:
    """Apply the next rows, those that change an order one by one; False where there are none that are free."""
    pending = BatchRow.objects.filter(batch=pk, result="").order_by("position").values_list("pk", "outcome")[:CHUNK]
    found = list(pending)
    unchanged = [row for row, outcome in found if outcome == Outcome.UNCHANGED]
    done = _apply_unchanged(pk, unchanged) if unchanged else False
    for row, outcome in found:
        if outcome != Outcome.UNCHANGED:
            done = _apply(pk, row) or done
    return done


@transaction.atomic
def _apply_unchanged(pk: int, chosen: list[int]) -> bool:
    """Note of rows that change nothing whether that is still so."""
    chunk = list(_free_rows(pk, result="", pk__in=chosen))
    now = {order.number: planning.facts_of(order) for order in planning.orders_by_number([row.number for row in chunk])}
    for row in chunk:
        row.result = Result.DONE if now.get(row.number) == row.seen else Result.CHANGED
    BatchRow.objects.bulk_update(chunk, ["result"])
    return bool(chunk)


@transaction.atomic
def _apply(pk: int, chosen: int) -> bool:
    """Apply a row unless that was done or is being done: the order and the row's result are one transaction."""
    row = _free_rows(pk, result="", pk=chosen).select_related("batch__by").first()
    if row is None:
        return False
    try:
        with transaction.atomic(), history.acting_with_key(row.batch.key_name):
            row.result = _place(row) if row.outcome == Outcome.NEW else _correct(row)
    except Refused as refused:
        row.result = Result.REFUSED
        row.result_faults = [{"field": "", "problem": str(refused.problem)}]
    row.save(update_fields=["result", "result_faults", "order"])
    return True


def _place(row: BatchRow) -> str:
    facts = planning.wanted(row, None)
    order, created = actions.place_order(
        number=row.number,
        sold_to=facts["sold_to"],
        contact_email=facts["contact_email"],
        customer_name=facts["customer_name"],
        customer_email=facts["customer_email"],
        lines=planning.lines_from(facts["lines"]),
        set_up_by=rows.date_of(row),
        by=row.batch.by,
    )
    row.order = order
    return Result.DONE if created else Result.CHANGED


def _correct(row: BatchRow) -> str:
    Order.objects.select_for_update(no_key=True).get(number=row.number)
    # A statement of its own, which reads the order as it is since it is locked.
    order = planning.orders_by_number([row.number]).get()
    if planning.facts_of(order) != row.seen:
        return Result.CHANGED
    new = {name: after for name, (_before, after) in row.changes.items()}
    if "lines" in new:
        new["lines"] = planning.lines_from(new["lines"])
    actions.correct_order(order=order, by=row.batch.by, **new)
    return Result.DONE
