"""Make the README's chart and tables from what bench_matching measured."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from orgs.finder.evaluation import chart

MEASURED: Final = Path(settings.BASE_DIR) / "tests" / "bench" / "measured"
_BETWEEN: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.S)


class Command(BaseCommand):
    """Writes ``matching.svg`` beside what was measured, and the tables of the README."""

    help = (
        "Write the chart and the README's tables from what was measured: fit.json (what fit_matching prints), "
        "peers.json (bench_matching --peers) and scale-*.json (bench_matching --scale … --json)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the files are."""
        parser.add_argument("--measured", type=Path, default=MEASURED)
        parser.add_argument("--readme", type=Path, default=Path(settings.BASE_DIR) / "README.md")

    def handle(self, **options: Any) -> None:
        """Write."""
        folder: Path = options["measured"]
        needed = [folder / "fit.json", folder / "peers.json"]
        scales = [json.loads(path.read_text()) for path in sorted(folder.glob("scale-*.json"))]
        if not scales or not all(path.is_file() for path in needed):
            raise CommandError(f"{folder} needs fit.json, peers.json and scale-*.json. {self.help}")
        fitted, compared = (json.loads(path.read_text()) for path in needed)
        (folder / "matching.svg").write_text(chart.svg(scales))
        readme = options["readme"].read_text()
        if not _BETWEEN.search(readme):
            raise CommandError("The README has no <!-- measured --> … <!-- /measured -->.")
        tables = chart.markdown(fitted, compared, scales)
        options["readme"].write_text(_BETWEEN.sub(lambda found: f"{found[1]}{tables}\n{found[2]}", readme))
