"""Schemathesis with 20,000 cases, in a process of its own. Run by path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_twenty_thousand_cases_find_no_fault() -> None:
    command = [sys.executable, "-m", "pytest", "tests/provisioning/api/test_schemathesis.py", "-q", "-n0"]
    done = subprocess.run(
        command, env=os.environ | {"SCHEMATHESIS_CASES": "20000"}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]
