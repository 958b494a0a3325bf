"""The addresses of the API: each router of ``routes``, the OpenAPI document, and the page that documents it."""

from __future__ import annotations

import functools

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from ninja import NinjaAPI, Router

from provisioning.api import documentation
from provisioning.api.changelog import CHANGES, VERSIONS
from provisioning.api.entry import nothing_here, urls_of
from provisioning.api.errors import PROBLEMS, handle_all
from provisioning.api.parser import StrictParser
from provisioning.api.routes import directory, events, match, order_batches, orders, provisioning, webhook_endpoints

# In the order in which the documentation shows them. Of two that begin alike, the more special one is first.
ROUTERS: tuple[tuple[str, Router], ...] = (
    ("/orders/batches", order_batches.router),
    ("/orders", orders.router),
    ("/directory", directory.router),
    ("/match", match.router),
    ("/events", events.router),
    ("/webhook-endpoints", webhook_endpoints.router),
    ("/provisioning", provisioning.router),
)

api = NinjaAPI(
    title="Subscription provisioning",
    version=VERSIONS[-1],
    description="Errors are problem details (RFC 9457); the documentation names their types.",
    docs_url=None,
    openapi_url=None,
    urls_namespace="api",
    parser=StrictParser(),
)
for _prefix, _router in ROUTERS:
    api.add_router(_prefix, _router)
handle_all(api)


@functools.cache
def openapi_document() -> documentation.Document:
    """Return the OpenAPI document, which ``openapi.json`` is a copy of. Nobody changes it."""
    return documentation.document_of(api)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document."""
    return JsonResponse(openapi_document())


@require_safe
def documentation_page(request: HttpRequest) -> HttpResponse:
    """The page that documents the API: no script, and no file from outside."""
    context = {
        "sections": documentation.sections(openapi_document()),
        "problems": [(code, status, sentence) for code, (status, sentence) in PROBLEMS.items()],
        "changes": CHANGES,
        "versions": VERSIONS,
    }
    return render(request, "api/documentation.html", context)


urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="api_documentation")),
    path("docs", RedirectView.as_view(pattern_name="api_documentation")),
    path("docs/", documentation_page, name="api_documentation"),
    path("v1/openapi.json", openapi, name="openapi"),
    path("v1/", (urls_of(api), "api", "api")),
    path("<path:rest>", nothing_here),
]
