"""Draws measured figures: a small chart (SVG) and the tables of the finder's README (Markdown).

The input is the JSON that fit_matching and bench_matching print.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

_WIDTH: Final = 390
_LEFT: Final = 12
_RIGHT: Final = 378
_ROW: Final = 34
_FIRST: Final = 52
_LEAST, _MOST = 0.01, 10_000.0  # milliseconds, a logarithmic scale
_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#1f2328}.small{font-size:11px;fill:#59636e}.title{font-weight:600}
.grid{stroke:#d1d9e0;stroke-width:1}.span{stroke:#8c959f;stroke-width:6;stroke-linecap:round}.ours{stroke:#0969da}
circle{fill:#1f2328;stroke:#fff;stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}.span{stroke:#656c76}
.ours{stroke:#4493f8}circle{fill:#f0f6fc;stroke:#0d1117}}
"""

Measured = Mapping[str, Any]
_BETWEEN_MARKS: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.S)


def update(folder: Path, readme: Path) -> None:
    """Write ``matching.svg`` into the folder, and the tables between the ``<!-- measured -->`` marks of the README.

    :param folder: has ``fit.json``, ``peers.json`` and ``scale-*.json``.
    :raises ValueError: a file or the marks are missing.
    """
    needed = [folder / "fit.json", folder / "peers.json"]
    scales = [json.loads(path.read_text()) for path in sorted(folder.glob("scale-*.json"))]
    if not scales or not all(path.is_file() for path in needed):
        raise ValueError(f"{folder} needs fit.json, peers.json and scale-*.json.")
    text = readme.read_text()
    if not _BETWEEN_MARKS.search(text):
        raise ValueError(f"{readme} has no <!-- measured --> … <!-- /measured -->.")
    fitted, peers = (json.loads(path.read_text()) for path in needed)
    (folder / "matching.svg").write_text(svg(scales))
    tables = markdown(fitted, peers, scales)
    readme.write_text(_BETWEEN_MARKS.sub(lambda found: f"{found[1]}{tables}\n{found[2]}", text))


def rows(scales: Sequence[Measured]) -> list[tuple[str, Mapping[str, float]]]:
    """Return the rows of the chart: the finder at every size, then its peers at the size where most were measured."""
    found = [
        (f"finder {name}, {each['organizations']:,} organizations", each["latency_ms"][f"finder, {name}"])
        for name in ("in the database", "whole call")
        for each in sorted(scales, key=lambda each: each["organizations"])
    ]
    beside = _compared(scales)
    found += [(name, times) for name, times in beside["latency_ms"].items() if not name.startswith("finder")]
    return found


def _compared(scales: Sequence[Measured]) -> Measured:
    """Return the run with the most peers; of those the largest."""
    return max(scales, key=lambda each: (len(each["latency_ms"]), each["organizations"]))


def svg(scales: Sequence[Measured]) -> str:
    """Return an SVG with a line from p50 to p95 for every row and a dot at p50, in light or dark colours.

    It is 390 px wide, as a phone, and shrinks to fit. The grid is drawn only beside the lines, so that it doesn't
    cross text.
    """
    shown = rows(scales)
    height = _FIRST + _ROW * len(shown) + 20
    size = _compared(scales)["organizations"]
    title = f"Milliseconds from p50 (dot) to p95; others at {size:,} organizations"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-labelledby="t"><title id="t">{escape(title)}</title><style>{_STYLE.strip()}</style>',
        f'<text x="{_LEFT}" y="18" class="title">Milliseconds for one question</text>',
        f'<text x="{_LEFT}" y="36" class="small">Dot: p50, end: p95. Others: {size:,} organizations.</text>',
    ]
    for power in range(round(math.log10(_LEAST)), round(math.log10(_MOST)) + 1):
        x = _at(10.0**power)
        beside = "".join(f"M{x} {_FIRST + _ROW * place + 14}v12" for place in range(len(shown)))
        parts.append(f'<path class="grid" d="{beside}"/>')
        anchor = "end" if 10.0**power == _MOST else "start" if 10.0**power == _LEAST else "middle"
        parts.append(f'<text x="{x}" y="{height - 8}" class="small" text-anchor="{anchor}">{10.0**power:,g}</text>')
    for place, (name, times) in enumerate(shown):
        top = _FIRST + _ROW * place
        ours = " ours" if "organizations" in name else ""
        middle = _at(times["p50"] if "p50" in times else times["batch"])
        far = _at(times["p95"]) if "p95" in times else middle
        parts.append(f'<text x="{_LEFT}" y="{top + 10}">{escape(name)}</text>')
        parts.append(f'<text x="{_RIGHT}" y="{top + 10}" class="small" text-anchor="end">{_both(times)}</text>')
        parts.append(f'<path class="span{ours}" d="M{middle} {top + 20}H{max(far, middle + 0.1):.1f}"/>')
        parts.append(f'<circle cx="{middle}" cy="{top + 20}" r="4.5"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _at(milliseconds: float) -> float:
    share = math.log10(min(max(milliseconds, _LEAST), _MOST) / _LEAST) / math.log10(_MOST / _LEAST)
    return round(_LEFT + (_RIGHT - _LEFT) * share, 1)


def _both(times: Mapping[str, float]) -> str:
    return _batch(times) if "batch" in times else f"{_number(times['p50'])} – {_number(times['p95'])}"


def _batch(times: Mapping[str, float]) -> str:
    return f"{_number(times['batch'])} (batch of {times['questions']:,})"


def _all_three(times: Mapping[str, float]) -> str:
    return _batch(times) if "batch" in times else " / ".join(_number(value) for value in times.values())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def markdown(fitted: Measured, peers: Measured, scales: Sequence[Measured]) -> str:
    """Return the README's tables: quality of the finder (out of fold) and its peers, and latency by directory size."""
    lines = [
        "| public questions, out of fold | R@1 | R@5 | false matches | R@1 at 5 % false matches |",
        "|---|---|---|---|---|",
    ]
    for name, figures in (("this finder, at its own thresholds", fitted), *peers.items()):
        lines.append(
            f"| {name} | {_share(figures['r_at_1'])} | {_share(figures['r_at_5'])} "
            f"| {100 * figures['false_match_rate']:.1f} % | {_share(_cut(figures))} |"
        )
    lines += [
        "",
        "| milliseconds: p50 / p95 / p99 | "
        + " | ".join(f"{each['organizations']:,}" for each in _sorted(scales))
        + " |",
        "|---|" + "---|" * len(scales),
    ]
    for name in dict.fromkeys(name for each in _sorted(scales) for name in each["latency_ms"]):
        cells = [each["latency_ms"].get(name) for each in _sorted(scales)]
        lines.append(f"| {name} | " + " | ".join(_all_three(cell) if cell else "–" for cell in cells) + " |")
    return "\n".join(lines)


def _cut(figures: Measured) -> float:
    """Return R@1 at a false-match rate of at most 5 %: as measured if the rate is lower, else with the best cut."""
    found: float = figures["r_at_1"] if figures["false_match_rate"] <= 0.05 else figures["r_at_1_cut"]
    return found


def _sorted(scales: Sequence[Measured]) -> list[Measured]:
    return sorted(scales, key=lambda each: each["organizations"])


def _share(value: float) -> str:
    return f"{value:.3f}".lstrip("0")
