"""The outermost middleware: gives each request an id, counts and logs it, and answers the monitoring's addresses.

/livez, /readyz and /metrics are answered before anything else looks at the request: no host check, no redirect, no
session.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseForbidden, HttpResponseNotAllowed
from django.utils.cache import add_never_cache_headers

from provisioning.deployment import networks
from provisioning.monitoring import health, logs, metrics

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


def show_metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics to MONITORING_NETWORKS, and to whoever has METRICS_TOKEN."""
    if not metrics.may_read(request):
        return HttpResponseForbidden("Only MONITORING_NETWORKS or METRICS_TOKEN.\n", content_type="text/plain")
    return HttpResponse(metrics.render(), content_type=metrics.CONTENT_TYPE)


PAGES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/livez": livez,
    "/readyz": readyz,
    "/metrics": show_metrics,
}


class MonitoringMiddleware:
    """Give each request an id, count and log it; answer the monitoring's addresses."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        page = PAGES.get(request.path_info)
        if page is not None:
            return page(request) if request.method in {"GET", "HEAD"} else HttpResponseNotAllowed(["GET", "HEAD"])
        given = str(request.headers.get("X-Request-ID", ""))
        request_id = given if logs.well_formed(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        begin = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        self._note(request, response.status_code, time.perf_counter() - begin)
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: dict[str, object]) -> None:
        """Have every line that is logged from here on name the order."""
        if number := kwargs.get("number"):
            structlog.contextvars.bind_contextvars(order=str(number)[:40])

    def _note(self, request: HttpRequest, status: int, seconds: float) -> None:
        """Count the request, and log one line. The route is logged, never the path: a path may have a token in it."""
        match = request.resolver_match
        route = match.route if match else "static" if request.path_info.startswith("/static/") else "unknown"
        method = str(request.method)
        metrics.count_request(method=method, route=route, status=status, seconds=seconds)
        if not settings.LOG_REQUESTS or route == "static":
            return
        facts = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 1)}
        person = request.__dict__.get("_cached_user")  # only where somebody asked for it: no query for the log
        if person is not None and person.pk:
            facts["person"] = person.pk
        key = getattr(request, "auth", None)
        if key is not None and hasattr(key, "name"):
            facts["key"] = key.name
        took = facts["milliseconds"]
        logs.requests.info("%s /%s %s %s ms", method, route, status, took, extra=facts)
