"""Structured logs: one JSON object a line, with the request's id and what it was about, scrubbed of secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from provisioning.monitoring.scrubbing import scrub_all

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# What a log call may add by ``extra``; anything else, such as Django's request object, is left out.
EXTRAS: Final = frozenset({"method", "route", "status", "milliseconds", "order", "person", "key", "status_code"})

Event = MutableMapping[str, Any]


def well_formed(request_id: str) -> bool:
    """Say whether a request id that came from outside is short and plain enough to be logged and returned."""
    return bool(_REQUEST_ID.fullmatch(request_id))


def _scrub(_logger: Any, _name: str, event: Event) -> Event:
    kept = {name: event[name] for name in ("request_id", "timestamp") if name in event}
    return {**scrub_all(dict(event)), **kept}


class JsonFormatter(structlog.stdlib.ProcessorFormatter):
    """Writes a record of the standard library's logging as one JSON object."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(allow=EXTRAS),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _scrub,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )


requests: Final = logging.getLogger("provisioning.requests")
