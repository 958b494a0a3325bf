"""What every call of the API passes through: key, rate limit, length, version, Idempotency-Key, headers.

``urls_of`` wraps each address of the API; the functions of ``routes`` come after it. Every answer to a valid key has
the headers of its rate limit, errors too; a key that isn't valid, or not from there, is not counted.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from django.utils.http import http_date
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.operation import Operation, PathView

from orgs import rate_limits
from provisioning.api import idempotency
from provisioning.api.auth import find_key
from provisioning.api.changelog import VERSIONS
from provisioning.api.errors import MAX_BODY, Problem, answer, answer_to
from provisioning.history import acting_with_key
from provisioning.models import ApiKey

View = Callable[..., HttpResponseBase]
WINDOW: Final = timedelta(minutes=1)
# Names in an operation's ``openapi_extra``: how many bytes its body may have; ISO dates since when it is deprecated,
# and from when on it may be gone.
MAX_BODY_OF: Final = "x-max-body-bytes"
DEPRECATED_SINCE: Final = "x-deprecated-since"
SUNSET: Final = "x-sunset"
TOO_LARGE: Final = _("The body is too long: it may have up to %(bytes)d bytes.")
UNKNOWN_PARAMETER: Final = _("There is no such parameter.")


def urls_of(api: NinjaAPI) -> list[URLPattern | URLResolver]:
    """Return the addresses of what the API does, each wrapped, without ninja's own front page."""
    views = [
        path_view
        for router in api._get_bound_routers()
        for path_view in router.path_operations.values()
        for _operation in path_view.operations
    ]
    patterns = [each for each in api.urls[0] if isinstance(each, URLPattern) and each.name != "api-root"]
    for pattern, path_view in zip(patterns, views, strict=True):  # ninja makes one for each operation
        pattern.callback = _entered(path_view, pattern.callback)
    return list(patterns)


def _entered(path_view: PathView, view: View) -> View:
    @functools.wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        operation = next((each for each in path_view.operations if request.method in each.methods), None)
        call = functools.partial(view, request, *args, **kwargs)
        if operation is None:
            allowed = sorted({method for each in path_view.operations for method in each.methods})
            problem = Problem("method-not-allowed", headers={"Allow": ", ".join(allowed)})
            return _counted(request, functools.partial(answer_to, problem))
        return _counted(request, functools.partial(_answer, request, operation, call), operation)

    return enter


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str) -> HttpResponseBase:
    """Answer for addresses that the API doesn't have."""
    return _counted(request, functools.partial(answer, "not-found"))


def _counted(
    request: HttpRequest, call: Callable[[], HttpResponseBase], operation: Operation | None = None
) -> HttpResponseBase:
    """Answer a call that counts against the limit of its key, with the headers that every answer has."""
    headers = {"Cache-Control": "no-store", "Api-Version": VERSIONS[-1]}
    headers |= deprecation_headers((operation.openapi_extra if operation else None) or {})
    request.api_headers = headers  # type: ignore[attr-defined]  # of an unexpected error too: errors.server_error
    try:
        key = find_key(request)
        request.api_key = key  # type: ignore[attr-defined]  # KeyedRequest
        if key is not None:
            _spend(f"api:{key.pk}", headers)
        response = call()
    except Problem as problem:
        response = answer_to(problem)
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response


def _answer(request: HttpRequest, operation: Operation, call: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Answer a call of an operation. Raises Problem."""
    key: ApiKey | None = request.api_key  # type: ignore[attr-defined]  # KeyedRequest
    if key is None:
        return call()  # is answered 401
    _read_body(request, (operation.openapi_extra or {}).get(MAX_BODY_OF, MAX_BODY))
    if request.headers.get("Api-Version", VERSIONS[-1]) not in VERSIONS:
        raise Problem("version-unknown")
    _refuse_unknown_parameters(request, operation)
    with acting_with_key(key.name):
        if request.method == "POST" and "Idempotency-Key" in request.headers:
            return idempotency.once(request=request, key=key, call=call)
        return call()


def _read_body(request: HttpRequest, longest: int) -> None:
    """Read the body, unless it is too long: Django's own limit is for forms."""
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or len(length) > 20 or int(length) > longest:
        raise Problem("too-large", detail=str(TOO_LARGE) % {"bytes": longest})
    if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        request._body = request.read()  # what ``request.body`` returns


def _spend(name: str, headers: dict[str, str]) -> None:
    """Count a call. The headers are those of draft-ietf-httpapi-ratelimit-headers-03; Reset is in seconds."""
    most = settings.API_CALLS_A_MINUTE
    count = rate_limits.count(name, WINDOW)
    seconds = str(max(1, math.ceil((count.resets_at - timezone.now()).total_seconds())))
    headers |= {
        "RateLimit-Limit": str(most),
        "RateLimit-Remaining": str(max(0, most - count.used)),
        "RateLimit-Reset": seconds,
    }
    if count.used > most:
        raise Problem("too-many-requests", headers={"Retry-After": seconds})


def _refuse_unknown_parameters(request: HttpRequest, operation: Operation) -> None:
    """Raise Problem for parameters that the operation doesn't have: a misspelled filter would filter nothing."""
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in getattr(model, "__ninja_flatten_map__", {})
    }
    unknown = sorted(set(request.GET) - known)
    if unknown:
        detail = str(UNKNOWN_PARAMETER)
        raise Problem("not-valid", errors=[{"parameter": name[:100], "detail": detail} for name in unknown])


def deprecation_headers(extra: dict[str, Any]) -> dict[str, str]:
    """Return the headers Deprecation (RFC 9745) and Sunset (RFC 8594) of an operation with this ``openapi_extra``."""
    found = {}
    if since := extra.get(DEPRECATED_SINCE):
        found["Deprecation"] = f"@{int(_midnight(since))}"
    if gone := extra.get(SUNSET):
        found["Sunset"] = http_date(_midnight(gone))
    return found


def _midnight(day: str) -> float:
    return datetime.combine(date.fromisoformat(day), time(), UTC).timestamp()
