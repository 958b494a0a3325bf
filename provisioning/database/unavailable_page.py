"""The response while the database can't be reached: 503, with a page that keeps the posted fields and sends them again.

``server_error`` is the handler of every exception that reaches Django, also of other middleware and of templates. The
middleware finds what a template swallowed. Sending again is safe: every action is idempotent.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.core.exceptions import SuspiciousOperation
from django.db import connection
from django.db.utils import DatabaseErrorWrapper
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views import defaults

from provisioning.brand import brand
from provisioning.database import connection_pool
from provisioning.database.errors import database_is_away, database_is_read_only

log = logging.getLogger(__name__)

RETRY_AFTER: Final = 5  # seconds
MOST_CARRIED: Final = 200_000  # characters
_CSRF_FIELD: Final = "csrfmiddlewaretoken"

Fields = list[tuple[str, str]]


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer an unexpected error (Django's ``handler500``): 503 where the database is away, else 500."""
    problem = sys.exception()
    if problem is not None and database_is_away(problem):
        return unavailable(request, problem)
    return defaults.server_error(request)


class UnavailableMiddleware:
    """Answer 503 where the connection was lost on the way and a template went on without it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        errors = connection.wrap_database_errors
        if not isinstance(errors, _ErrorsNoted):
            errors = connection.wrap_database_errors = _ErrorsNoted(connection)
        errors.noted = None
        response = self.get_response(request)
        if response.status_code >= 500:
            return response
        if errors.noted:
            return unavailable(request, errors.noted)
        if connection.connection is not None:
            outage.is_over()
        return response


class _ErrorsNoted(DatabaseErrorWrapper):
    """Remembers that the database was away, whatever becomes of the exception."""

    noted: BaseException | None = None

    def __exit__(self, kind: Any, problem: BaseException | None, traceback: Any) -> None:
        if problem is not None and database_is_away(problem):
            self.noted = problem
        super().__exit__(kind, problem, traceback)


class Outage:
    """What is logged of an outage: one line when it begins, one when it is over."""

    QUIET = 30.0  # seconds without an error after which the next one is a new outage

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = self._last = 0.0
        self._logged = False

    def goes_on(self, problem: BaseException) -> None:
        """Note that a request failed."""
        now = time.monotonic()
        with self._lock:
            new = not self._last or now - self._last > self.QUIET
            self._last = now
            if new:
                self._began, self._logged = now, True
        if new:
            reason = str(problem).strip().partition("\n")[0]
            log.error("The database is away, pages answer 503: %s", reason)

    def is_over(self) -> None:
        """Note that a request was answered from the database."""
        if not self._logged:
            return
        with self._lock:
            over, self._logged = self._logged, False
            took = time.monotonic() - self._began
        if over:
            log.warning("The database answers again after %.0f s.", took)


outage = Outage()


def unavailable(request: HttpRequest, problem: BaseException) -> HttpResponse:
    """Return the 503: a page for people, a sentence for scripts. Asks nothing of the database."""
    outage.goes_on(problem)
    if database_is_read_only(problem) and (pool := getattr(connection, "pool", None)):
        connection_pool.drop_connections(pool)  # new connections may lead to the server that was promoted
    with translation.override(translation.get_language_from_request(request)):
        if request.headers.get("HX-Request") == "true" or not request.accepts("text/html"):
            text = _("This is not available for a moment. Try again in a few seconds.")
            response = HttpResponse(text, content_type="text/plain; charset=utf-8", status=503)
        else:
            response = HttpResponse(_page(request), status=503)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    add_never_cache_headers(response)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would log a traceback for each request
    return response


def _page(request: HttpRequest) -> str:
    posted = request.method == "POST"
    context = {
        **brand(request),
        "address": request.get_full_path(),
        "posted": posted,
        "fields": _fields(request) if posted else None,
    }
    return render_to_string("pages/unavailable.html", context)


def _fields(request: HttpRequest) -> Fields | None:
    """Return what was posted, in order; None where it can't be carried. Files and forged forms never are."""
    if not getattr(request, "csrf_processing_done", False):
        return None
    try:
        fields = list(_posted(request))
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except (OSError, ValueError, SuspiciousOperation, MultiPartParserError):
        return None
    if (length and not fields) or request.FILES or sum(len(name) + len(value) for name, value in fields) > MOST_CARRIED:
        return None
    return fields


def _posted(request: HttpRequest) -> Iterator[tuple[str, str]]:
    for name, values in request.POST.lists():
        if name == _CSRF_FIELD:
            # It was right; signing in may have changed what it is compared with.
            yield name, get_token(request)
            continue
        for value in values:
            yield name, str(value)
