"""Reads the bodies of requests."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser


class StrictParser(Parser):
    """Reads JSON that means one thing only, and that the database can keep."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the object. Raises ValueError for anything else."""
        return strict_object(request.body)


def strict_object(text: bytes) -> dict[str, Any]:
    """Return one JSON object. Raises ValueError for anything else, and RecursionError where it is too deep."""
    found = json.loads(text.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    json.dumps(found, ensure_ascii=False).encode()  # half of a character can't be encoded
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) or any("\0" in text for pair in pairs for text in pair if isinstance(text, str)):
        raise ValueError("a name twice, or a NUL")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(name)
