"""The demo's and the product's addresses, and some that fail: for the pages that are seen only then."""

from __future__ import annotations

import psycopg
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import path

from provisioning.urls import handler500
from tests.demo_urls import urlpatterns as demo

__all__ = ["handler500", "urlpatterns"]


def bad_request(request: HttpRequest) -> HttpResponse:
    """Fail as a request does that no browser sends."""
    raise SuspiciousOperation


def crash(request: HttpRequest) -> HttpResponse:
    """Fail as a page with a mistake in it does."""
    raise RuntimeError("on purpose")


def away(request: HttpRequest) -> HttpResponse:
    """Fail as a page does while the database is away."""
    psycopg.connect("host=127.0.0.1 port=1 dbname=nowhere user=nobody").close()
    return HttpResponse("unexpected")


urlpatterns = [*demo, path("crash/400/", bad_request), path("crash/500/", crash), path("crash/503/", away)]
