"""How long a second start of the demo takes to its first page: under four seconds on two idle cores."""

from __future__ import annotations

from pathlib import Path

from tests.long.test_local_demo import Demo, state_dir

__all__ = ["state_dir"]


def test_second_start_shows_the_first_page_within_four_seconds(state_dir: Path) -> None:
    demo = Demo(state_dir)
    took = []
    for _ in range(3):
        took.append(demo.start())
        assert demo.end() == 0
    print("seconds to the first page:", ", ".join(f"{seconds:.2f}" for seconds in took))
    assert min(took) < 4
