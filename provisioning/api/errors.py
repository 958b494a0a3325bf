"""What the API answers where it can't do what was asked: problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

MAX_BODY: Final = 64 * 1024

# The status and the sentence of each problem. A code is part of the API: it never changes.
PROBLEMS: Final[dict[str, tuple[int, str | Promise]]] = {
    "not-json": (400, _("The body must be one JSON object in UTF-8, without NUL characters and with each name once.")),
    "not-authenticated": (401, _("Send an API key that is valid: “Authorization: Bearer …”.")),
    "scope-missing": (403, _("This API key may not do this.")),
    "not-found": (404, _("There is nothing at this address.")),
    "method-not-allowed": (405, _("This address does not take this method.")),
    "over": (409, _("This request is over, and ended in another way.")),
    "too-large": (413, _("The body must not be longer than 64 kB.")),
    "not-valid": (422, _("The body is not as the documentation says; “errors” names each fault.")),
    "server-error": (500, _("Something went wrong here. Send the same again later.")),
}


class Problem(Exception):
    """The answer is this problem. ``code`` is a key of PROBLEMS."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def answer(code: str, *, errors: Sequence[dict[str, str]] = ()) -> JsonResponse:
    """Return the response that tells of a problem."""
    status, sentence = PROBLEMS[code]
    body: dict[str, Any] = {
        "type": f"{settings.PUBLIC_URL}/api/docs/#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(sentence),
    }
    if errors:
        body["errors"] = list(errors)
    response = JsonResponse(body, status=status, content_type="application/problem+json")
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="api"'
    return response


def guarded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Refuse bodies that are too long before they are read, and let Django's own refusals be problem details."""

    @functools.wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        length = request.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length[:20]) > MAX_BODY:
            return answer("too-large")
        response = view(request, *args, **kwargs)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            problem = answer("method-not-allowed")
            problem["Allow"] = response.headers.get("Allow", "")
            response = problem
        response.headers["Cache-Control"] = "no-store"
        return response

    return guard


def handle_all(api: NinjaAPI) -> None:
    """Let everything that the API's functions raise be answered as a problem."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(AuthenticationError, lambda request, problem: answer("not-authenticated"))
    api.add_exception_handler(ValidationError, _not_valid)
    api.add_exception_handler(HttpError, lambda request, problem: answer("not-json"))  # of ninja's parser


def _problem(request: HttpRequest, problem: Problem | type[Problem]) -> HttpResponse:
    return answer(problem.code if isinstance(problem, Problem) else "server-error")


def _not_valid(request: HttpRequest, problem: ValidationError | type[ValidationError]) -> HttpResponse:
    if isinstance(problem, type):
        return answer("server-error")
    errors = []
    for error in problem.errors[:20]:
        # ("body", name of the argument, tag of the union, …): what follows is the place in the body.
        place = [str(part) for part in error["loc"][3:]]
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
        errors.append({"pointer": pointer, "detail": str(error["msg"])})
    if all(error["loc"][0] == "path" for error in problem.errors):
        return answer("not-found")  # an id that is none
    return answer("not-valid", errors=errors)
