"""What the pages of people who are signed in have in common: they are kept nowhere, and say which order they show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from provisioning.people.access import Access

type View[**P, R: HttpResponseBase] = Callable[Concatenate[HttpRequest, P], R]

reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


def page[**P, R: HttpResponseBase](view: View[P, R]) -> View[P, R]:
    """A page to be read, by somebody who is signed in."""
    return never_cache(login_required(require_safe(view)))


def page_with_form[**P, R: HttpResponseBase](view: View[P, R]) -> View[P, R]:
    """A page that also takes a POST, of somebody who is signed in."""
    return never_cache(login_required(reads_or_posts(view)))


def show(request: HttpRequest, template: str, access: Access, **context: Any) -> HttpResponse:
    """Return a page about an order, as this person has access to it."""
    return render(request, template, {"order": access.order, "access": access, **context})
