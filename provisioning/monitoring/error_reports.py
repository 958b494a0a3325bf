"""Error reports to Sentry, where SENTRY_DSN is set: what failed and where, never who or with what input."""

from __future__ import annotations

from typing import Any

import sentry_sdk

from provisioning.monitoring.scrubbing import scrub_all

# Parts of a report that have input, cookies, headers or people in them.
_DROPPED_OF_REQUEST = ("data", "cookies", "headers", "env", "query_string")


def start(dsn: str, **options: Any) -> None:
    """Begin to send reports. ``options`` are sentry_sdk's, for tests."""
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=before_send,
        **options,
    )


def before_send(event: Any, hint: Any) -> Any:
    """Return the report without input, headers, cookies and people, and with every text in it scrubbed."""
    for name in ("user", "breadcrumbs", "extra"):
        event.pop(name, None)
    for name in _DROPPED_OF_REQUEST:
        event.get("request", {}).pop(name, None)
    return scrub_all(event)
