"""The set-up-by date of an order, and the days of its reminders. Plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

# Days before the date at which whoever must act gets an email.
REMINDERS: Final = (14, 7, 1)
# A later date is taken for a typing error.
MAX_DAYS: Final = 731


def days_for(lines: Iterable[tuple[str, str]], *, default: int, by_product: Mapping[str, int]) -> int:
    """Return in how many days an order has to be set up: the least that one of its lines allows.

    :param lines: (service, product) of each line.
    :param by_product: days by a product's name, or by a service for all of its products; capitals don't matter.
    """
    known = {name.strip().casefold(): days for name, days in by_product.items()}
    return min(
        (known.get(product.casefold(), known.get(service.casefold(), default)) for service, product in lines),
        default=default,
    )


def is_valid_date(closes_at: datetime, *, now: datetime) -> bool:
    """Return whether an order can have this set-up-by date: it lies ahead, and not absurdly far."""
    return now < closes_at <= now + timedelta(days=MAX_DAYS)
