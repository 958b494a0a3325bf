"""Measure the organization finder on a directory and questions from files."""

from __future__ import annotations

import json
import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orgs.finder.evaluation import benchmark, peers, scale
from orgs.text.table_files import FileRefused


class Command(BaseCommand):
    """Loads the files into a separate schema, asks every question, prints the figures, and drops the schema."""

    help = (
        "Measure the organization finder: R@1, R@5, false matches, Best match, latency, by kind and by kind of email."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files, the kind of measurement, and the output format."""
        parser.add_argument("--organizations", type=Path, required=True, help="CSV: org_id, name, country, domain")
        parser.add_argument("--other-names", type=Path, help="CSV: org_id, alias, provenance")
        parser.add_argument("--queries", type=Path, required=True, help="CSV of questions with their answers")
        parser.add_argument("--siblings", type=Path, help="CSV of questions about organizations that are left out")
        parser.add_argument(
            "--scale", type=int, help="measure latency in a directory of this size, generated from real names"
        )
        parser.add_argument("--members", type=int, default=0, help="with --scale: this many members spread over it")
        parser.add_argument("--peers", action="store_true", help="measure other matching methods instead")
        parser.add_argument("--schema", default="", help="with --scale: use this schema, and keep it")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, **options: Any) -> None:
        """Measure, or name the file that can't be read."""
        try:
            self._measure(**options)
        except FileRefused as error:
            raise CommandError(str(error)) from error

    def _measure(self, **options: Any) -> None:
        if options["scale"]:
            self._scale(**options)
            return
        with benchmark.own_schema():
            directory = benchmark.load(options["organizations"], options["other_names"])
            questions = benchmark.questions(options["queries"])
            if options["peers"]:
                self.stdout.write(json.dumps(peers.measure(directory, questions, self.stderr.write), indent=2))
                return
            siblings = benchmark.questions(options["siblings"]) if options["siblings"] else []
            benchmark.answer(directory, questions[:200])  # warms plans and caches
            result = benchmark.figures(benchmark.answer(directory, questions), benchmark.answer(directory, siblings))
        result["organizations"] = len(directory.pks)
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2))
            return
        for group, figures in [("all", result), *result["by_kind"].items(), *result["by_email_kind"].items()]:
            self.stdout.write(f"{group:>16}  " + "  ".join(_words(figures)))

    def _scale(self, **options: Any) -> None:
        count: int = options["scale"]
        questions = benchmark.questions(options["queries"])
        random.Random(1).shuffle(questions)  # noqa: S311 — repeatable, not secret
        with benchmark.own_schema(options["schema"], keep=bool(options["schema"])):
            if not scale.is_filled():
                scale.fill(benchmark.Directory(), options["organizations"], count, options["members"])
            result = scale.latencies(questions[:1000], slow_peers=count <= 1_000_000, say=self.stderr.write)
        if options["json"]:
            measured = {"organizations": count, "members": options["members"], "machine": scale.machine()}
            self.stdout.write(json.dumps({**measured, "latency_ms": result}, indent=2))
            return
        for name, figures in result.items():
            self.stdout.write(f"{name:>26}  " + "  ".join(f"{key} {value}" for key, value in figures.items()))


def _words(figures: dict[str, Any]) -> list[str]:
    names = ("questions", "r_at_1", "r_at_5", "false_match_rate", "wrong_first", "best_match_share",
             "best_match_precision", "siblings_listed", "siblings_best_match")  # fmt: skip
    found = [f"{name} {figures[name]}" for name in names if figures.get(name) is not None]
    return [*found, "ms " + " / ".join(str(value) for value in figures["latency_ms"].values())]
