"""What the API answers where it can't do what was asked: problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from provisioning.database import unavailable_page
from provisioning.rules import refusals
from subscriptions.rules.validation import Problem as Rule
from subscriptions.rules.validation import Refused

MAX_BODY: Final = 64 * 1024
_MOST_ERRORS: Final = 20

# The status and the sentence of each problem. A code is part of the API: it never changes.
PROBLEMS: Final[dict[str, tuple[int, str | Promise]]] = {
    "not-json": (
        400,
        _("The body must be one JSON object in UTF-8, with each name once, and without NUL and halves of characters."),
    ),
    "version-unknown": (400, _("This version of the API is unknown; the documentation lists the versions.")),
    "idempotency-key-not-valid": (400, _("Send an Idempotency-Key of 1 to 255 visible characters of ASCII.")),
    "not-authenticated": (401, _("Send an API key that is valid: “Authorization: Bearer …”.")),
    "scope-missing": (403, _("This API key may not do this.")),
    "network-not-allowed": (403, _("This API key may not be used from this network address.")),
    "not-found": (404, _("There is nothing at this address.")),
    "method-not-allowed": (405, _("This address does not take this method.")),
    "over": (409, _("This request is over, and ended in another way.")),
    "endpoint-of-environment": (409, _("This endpoint comes from the setting WEBHOOK_URL; change it there.")),
    "external-id-taken": (409, _("Another organization has this external id. Merge the two if they are the same.")),
    "has-external-id": (409, _("This organization has another external id already.")),
    "no-external-id": (409, _("This organization has no external id. Link yours first.")),
    "merged": (409, _("This organization was merged into another one, and stays closed.")),
    "cannot-merge": (409, _("These can't be merged: they are the same organization, or one of them is closed.")),
    "last-administrator": (
        409,
        _("This is the last full administrator of the organization. Name another one first."),
    ),
    "order-differs": (409, _("There is an order with this number and other facts; “errors” names them.")),
    "no-summary-yet": (409, _("There is a document once the set-up was confirmed.")),
    "idempotency-key-used": (409, _("This Idempotency-Key was used with another request; take a new one.")),
    "still-running": (409, _("A request with this Idempotency-Key is still running. Send the same again in a moment.")),
    "changed-meanwhile": (412, _("It was changed since you read it. Read it again, then send your change again.")),
    "too-large": (413, _("The body is too long.")),
    "not-valid": (422, _("The request is not as the documentation says; “errors” names each fault.")),
    "too-many-requests": (429, _("This API key was used too often. Wait as long as Retry-After says.")),
    "server-error": (500, _("Something went wrong here. Send the same again later.")),
    "unavailable": (503, _("The service can't be reached at the moment. Send the same again in a moment.")),
}


def _code_of(rule: str) -> str:
    return str(rule).replace("_", "-")


# What an order's state doesn't allow: each a problem of its own, with the sentence that people read.
STATES: Final = (
    Rule.NOT_MAPPED,
    Rule.CANCELLED,
    Rule.CLOSED,
    Rule.ALREADY_SET_UP,
    Rule.ALREADY_MAPPED,
    Rule.BEING_SET_UP,
    Rule.NOT_BEING_SET_UP,
    Rule.ON_HOLD,
)
PROBLEMS.update({_code_of(rule): (409, refusals.SENTENCES.get(rule, refusals.NOT_NOW)) for rule in STATES})

# Where in a body the value is that a rule refuses; {at} is the number of the line, from 0.
POINTERS: Final[dict[str, str]] = {
    Rule.NUMBER: "/number",
    Rule.SOLD_TO: "/sold_to",
    Rule.CONTACT_EMAIL: "/contact_email",
    Rule.CUSTOMER_NAME: "/customer/name",
    Rule.CUSTOMER_EMAIL: "/customer/email",
    Rule.NO_LINES: "/lines",
    Rule.SERVICE: "/lines/{at}/service",
    Rule.SERVICE_TWICE: "/lines/{at}/service",
    Rule.PRODUCT: "/lines/{at}/product",
    Rule.LINE_NUMBER: "/lines/{at}/number",
    Rule.LINE_NUMBER_TWICE: "/lines/{at}/number",
    Rule.LICENSES: "/lines/{at}/licenses",
    Rule.TOO_MANY_LICENSES: "/lines/{at}/licenses",
    Rule.TERM: "/lines/{at}/term_months",
    Rule.SET_UP_BY: "/set_up_by",
    Rule.NOT_LATER: "/set_up_by",
    Rule.REASON: "/reason",
    Rule.MESSAGE: "/message",
    Rule.NOTE: "/text",
}
# The rule of a place in a body, for values that aren't of its type.
_RULES: Final = {pointer.format(at="*"): rule for rule, pointer in reversed(POINTERS.items())}


class Problem(Exception):
    """The answer is this problem.

    ``code`` is a key of PROBLEMS; ``errors`` the faults, each with ``detail`` and ``pointer`` (into the body) or
    ``parameter`` (of the address); ``detail`` a sentence instead of the problem's own.
    """

    def __init__(
        self,
        code: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors
        self.detail = detail
        self.headers = headers or {}


def answer(
    code: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    detail: str = "",
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return the response that tells of a problem."""
    status, sentence = PROBLEMS[code]
    body: dict[str, Any] = {
        "type": f"{settings.PUBLIC_URL}/api/docs/#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or str(sentence),
    }
    if errors:
        body["errors"] = [dict(error) for error in errors[:_MOST_ERRORS]]
    response = JsonResponse(body, status=status, content_type="application/problem+json", headers=dict(headers or {}))
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="api"'
    return response


def answer_to(problem: Problem) -> JsonResponse:
    """Return the response that tells of a problem that was raised."""
    return answer(problem.code, errors=problem.errors, detail=problem.detail, headers=problem.headers)


def problem_of(refused: Refused) -> Problem:
    """Return the problem of what the rules refuse: of the order's state, or of a value, with the form's sentence."""
    if refused.problem in STATES:
        return Problem(_code_of(refused.problem))
    sentence = refusals.sentence(refused)
    pointer = POINTERS.get(refused.problem, "").format(at=refused.at or 0)
    return Problem("not-valid", detail=sentence, errors=[{"pointer": pointer, "detail": sentence}])


def handle_all(api: NinjaAPI) -> None:
    """Let everything that the API's functions raise be answered as a problem."""
    api.add_exception_handler(Problem, lambda request, problem: _answer_any(problem))
    api.add_exception_handler(Refused, lambda request, refused: _answer_any(refused))
    api.add_exception_handler(AuthenticationError, lambda request, problem: answer("not-authenticated"))
    api.add_exception_handler(ValidationError, lambda request, problem: _answer_any(problem))
    api.add_exception_handler(Http404, lambda request, problem: answer("not-found"))
    api.add_exception_handler(HttpError, lambda request, problem: answer("not-json"))  # of ninja's parser


def _answer_any(problem: object) -> HttpResponse:
    if isinstance(problem, Refused):
        problem = problem_of(problem)
    if isinstance(problem, ValidationError):
        problem = _not_valid(problem)
    return answer_to(problem) if isinstance(problem, Problem) else answer("server-error")


def _not_valid(problem: ValidationError) -> Problem:
    if all(error["loc"][0] == "path" for error in problem.errors):
        return Problem("not-found")  # an id that is none
    errors = [_fault(error) for error in problem.errors]
    return Problem("not-valid", errors=errors)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    """Return a fault that pydantic found, with the sentence of the field's rule where it has one."""
    source, *place = error["loc"]
    if source != "body":
        return {"parameter": str(place[-1] if place else ""), "detail": str(error["msg"])}
    # After the name of the argument, and the tag of the union that a report is.
    place = place[2 if place[:1] == ["report"] else 1 :]
    rule = _RULES.get(pointer_of(["*" if isinstance(part, int) else part for part in place]))
    sentence = _SENTENCES.get(error["type"]) or (refusals.sentence(Refused(rule)) if rule else error["msg"])
    return {"pointer": pointer_of(place), "detail": str(sentence)}


# Of what pydantic finds before the rule of a field is asked.
_SENTENCES: Final = {"extra_forbidden": _("There is no such field.")}


def pointer_of(place: Sequence[object]) -> str:
    """Return the JSON pointer (RFC 6901) of a place in a body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer an unexpected error (Django's ``handler500``): a problem to systems, a page to people."""
    page = unavailable_page.server_error(request)
    if not request.path_info.startswith("/api/"):
        return page
    headers: dict[str, str] = getattr(request, "api_headers", {})  # of provisioning.api.entry
    if page.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
        return answer("server-error", headers=headers)
    return answer("unavailable", headers=headers | {"Retry-After": str(unavailable_page.RETRY_AFTER)})
