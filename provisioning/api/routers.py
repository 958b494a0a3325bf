"""The addresses of the API, and the page that documents it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Router

from provisioning.api import schemas
from provisioning.api.auth import Key
from provisioning.api.errors import PROBLEMS, Problem, answer, guarded, handle_all
from provisioning.fulfillment import transitions
from provisioning.fulfillment.outcomes import Done, Failed, Outcome, Rejected, Running
from provisioning.models import ApiKey
from subscriptions.models import ProvisioningRequest

provisioning = Router(tags=["Provisioning"])


@provisioning.put(
    "/{request_id}",
    auth=Key("provisioning:write"),
    response={200: schemas.Request, (400, 401, 403, 404, 409, 413, 422): schemas.ProblemDetails},
    operation_id="reportProvisioning",
    summary="Report how a provisioning request is going",
)
def report(request: HttpRequest, request_id: UUID, report: schemas.Report) -> schemas.Request:
    """Answer a webhook *provisioning.requested*. The same report again is answered alike, and changes nothing."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]  # of ninja
    found = ProvisioningRequest.objects.filter(public_id=request_id, driver="callback").first()
    if found is None:
        raise Problem("not-found")
    now = transitions.report(request=found, outcome=_outcome(report), key=key.name)
    if now is None:
        raise Problem("over")
    return schemas.Request.of(now)


def _outcome(report: schemas.Report) -> Outcome:
    if isinstance(report, schemas.Running):
        return Running(description=report.description, longest=report.after)
    if isinstance(report, schemas.Succeeded):
        return Done(report.description, report.ids)
    if isinstance(report, schemas.RefusedByPerson):
        return Rejected(report.field, report.sentence)
    return Failed(report.code, report.sentence)


api = NinjaAPI(
    title="Subscription provisioning",
    version="1",
    description="Errors are problem details (RFC 9457); the documentation names their types.",
    docs_url=None,
    openapi_url=None,
    urls_namespace="api",
    parser=schemas.StrictParser(),
)
api.add_router("/provisioning", provisioning)
handle_all(api)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document."""
    return JsonResponse(api.get_openapi_schema(path_prefix="/api/v1/"))


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """The page that documents the API: no script, and no file from outside."""
    problems = [(code, status, sentence) for code, (status, sentence) in PROBLEMS.items()]
    return render(request, "api/documentation.html", {"problems": problems})


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str) -> HttpResponseBase:
    """Answer for addresses that the API doesn't have."""
    return answer("not-found")


def _guarded(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """The addresses of what the API does, without ninja's own front page."""
    found: list[URLPattern | URLResolver] = []
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and pattern.name != "api-root":
            pattern.callback = guarded(pattern.callback)
            found.append(pattern)
    return found


urlpatterns: list[URLPattern | URLResolver] = [
    path("docs/", documentation, name="api_documentation"),
    path("v1/openapi.json", openapi, name="openapi"),
    path("v1/", (_guarded(api.urls[0]), "api", "api")),
    path("<path:rest>", nothing_here),
]
