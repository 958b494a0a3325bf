"""The demo's and the product's addresses, and some that fail: for the pages that are seen only then."""

from __future__ import annotations

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.demo_urls import urlpatterns as demo


def bad_request(request: HttpRequest) -> HttpResponse:
    """Fail as a request does that no browser sends."""
    raise SuspiciousOperation


def crash(request: HttpRequest) -> HttpResponse:
    """Fail as a page with a mistake in it does."""
    raise RuntimeError("on purpose")


urlpatterns = [*demo, path("crash/400/", bad_request), path("crash/500/", crash)]
