"""How fast an order summary becomes a PDF, against bare WeasyPrint in the same run. Asked for by path.

Processor time, the least of several rounds that take turns: other work on the machine disturbs both alike.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable

from django.utils.translation import override
from weasyprint import HTML

from subscriptions.summary import OrderSummary, pdf
from tests.subscriptions.summary.test_pdf import PROVED
from tests.subscriptions.summary.test_summary import a_summary

ROUNDS = 15
RENDERS = 1000


def bare(summary: OrderSummary) -> Callable[[], bytes]:
    """The same HTML with the same parsed CSS through WeasyPrint, and nothing else."""
    with override("en"):
        html, style = pdf.page(summary, **PROVED), pdf.stylesheet(summary)
    return lambda: bytes(
        HTML(string=html, base_url="static:", url_fetcher=pdf.own_files).write_pdf(
            font_config=pdf.fonts, stylesheets=[style], pdf_variant="pdf/a-3a", pdf_tags=True
        )
    )


def least(*works: Callable[[], object]) -> list[float]:
    """The least processor time in milliseconds of each work, taking turns."""
    best = [float("inf")] * len(works)
    for _round in range(ROUNDS):
        for at, work in enumerate(works):
            gc.collect()
            start = time.process_time()
            work()
            best[at] = min(best[at], (time.process_time() - start) * 1000)
    return best


def test_three_sites_and_a_location_take_no_more_than_bare_weasyprint_and_fifteen_percent() -> None:
    ours, theirs = least(lambda: pdf.render(a_summary(3), "en", **PROVED), bare(a_summary(3)))
    print(f"\n3 sites: {ours:.0f} ms, bare WeasyPrint {theirs:.0f} ms, {ours / theirs:.2f}×")
    assert ours <= 1.15 * theirs


def test_fifty_sites_take_no_more_than_three_times_three_sites() -> None:
    few, many = least(
        lambda: pdf.render(a_summary(3), "en", **PROVED), lambda: pdf.render(a_summary(50), "en", **PROVED)
    )
    print(f"\n3 sites: {few:.0f} ms, 50 sites: {many:.0f} ms, {many / few:.2f}×")
    assert many <= 3 * few


def peak() -> float:
    """The most memory this process has had so far, in megabytes (ru_maxrss is in kilobytes on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def test_a_thousand_renders_do_not_grow_the_process_by_more_than_20_megabytes() -> None:
    for _ in range(50):
        pdf.render(a_summary(3), "en", **PROVED)
    before = peak()
    for number in range(RENDERS):
        pdf.render(a_summary(3, number=f"PO-{number}"), "en", **PROVED)
    grown = peak() - before
    print(f"\n{RENDERS} renders: {grown:+.1f} MB")
    assert grown <= 20
