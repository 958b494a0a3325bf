"""In how many days an order has to be set up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from subscriptions.rules import deadlines

BY_PRODUCT = {"Calling": 7, " meetings trial ": 14}
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        ([("meetings", "Meetings")], 30),
        ([("calling", "Calling Plus")], 7),  # by its service
        ([("meetings", "Meetings TRIAL")], 14),  # by its product
        ([("meetings", "Meetings Trial"), ("calling", "Calling")], 7),  # the earliest counts
        ([("meetings", "Meetings"), ("other", "Other")], 30),
        ([], 30),
    ],
)
def test_earliest_of_the_lines_counts(lines: list[tuple[str, str]], days: int) -> None:
    assert deadlines.days_for(lines, default=30, by_product=BY_PRODUCT) == days


@pytest.mark.parametrize(("away", "possible"), [(-1, False), (0, False), (1, True), (731, True), (732, False)])
def test_date_lies_ahead_and_not_absurdly_far(away: int, possible: bool) -> None:
    assert deadlines.is_valid_date(NOW + timedelta(days=away), now=NOW) is possible
