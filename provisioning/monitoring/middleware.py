"""Answers /livez and /readyz before anything else looks at the request: no host check, no redirect, no session."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils.cache import add_never_cache_headers

from provisioning.deployment import networks
from provisioning.monitoring import health

Answer = Callable[[HttpRequest], HttpResponseBase]


def livez(request: HttpRequest) -> HttpResponse:
    """Say that this process answers. The database isn't asked: restarting the process wouldn't mend it."""
    return _text("ok")


def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether this host can answer requests: 200 or 503. Each line for MONITORING_NETWORKS, else one word.

    A worker that is gone, a queue that is late or a mail server that is away is told and makes no 503, since the web
    hosts go on; with ``?all`` every line counts.
    """
    if networks.is_monitoring(request):
        lines = health.report()
        counted = [line for line in lines if line.needed or "all" in request.GET]
        text = "\n".join([_word(counted), *map(str, lines)])
    else:
        counted = health.needed_lines()
        text = _word(counted)
    return _text(text, status=200 if all(line.ok for line in counted) else 503)


def _word(lines: list[health.Line]) -> str:
    return "ok" if all(line.ok for line in lines) else "not ok"


def _text(text: str, status: int = 200) -> HttpResponse:
    response = HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
    add_never_cache_headers(response)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would log an error for each probe
    return response


PAGES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/livez": livez, "/readyz": readyz}


class MonitoringMiddleware:
    """Answer the monitoring's addresses, and pass on all others."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        page = PAGES.get(request.path_info)
        if page is None:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return page(request)
