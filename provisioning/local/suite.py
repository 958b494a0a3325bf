"""`manage.py test`: all the tests, in parallel, on the embedded database (tests/conftest.py starts it)."""

from __future__ import annotations

import os

_ALONE = ("-n", "--numprocesses", "--pdb", "-s", "--capture=no", "--trace", "--collect-only", "--co")


def main(arguments: list[str]) -> int:
    """Run pytest with these arguments, in parallel unless they say otherwise, and return its exit status."""
    import pytest

    os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # pyproject.toml names the tests' own
    parallel = not any(argument.startswith(_ALONE) for argument in arguments)
    spread = ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal"] if parallel else []
    return int(pytest.main([*spread, *arguments]))
