"""Takes the turns in which PDFs are made, so that whoever wants one has to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from subscriptions.summary import pdf_cache


@contextmanager
def all_turns_taken() -> Iterator[None]:
    """Hold every turn, as other machines would, for as long as the block takes."""
    others = [connection.copy() for _slot in range(pdf_cache.RENDERS)]
    try:
        for slot, other in enumerate(others):
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", [pdf_cache.SLOTS, slot])
        yield
    finally:
        for other in others:
            other.close()
