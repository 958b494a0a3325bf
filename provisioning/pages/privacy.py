"""The page that states what is stored about people, and how long."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from provisioning.privacy import retention


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """State how long data is kept, and how to get or erase one's own."""
    return render(request, "pages/privacy.html", {"kept": retention.rules().values()})
