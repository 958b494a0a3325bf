"""Files that browsers, robots and security researchers look for: robots.txt and security.txt."""

from __future__ import annotations

from datetime import UTC, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe


@require_safe
def robots_txt(request: HttpRequest) -> HttpResponse:
    """Ask search engines to leave every page out: each is for one person."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain; charset=utf-8")


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Say whom to tell of a weakness (RFC 9116)."""
    expires = (timezone.now() + timedelta(days=180)).astimezone(UTC).strftime("%Y-%m-%dT00:00:00Z")
    languages = ", ".join(code for code, _name in settings.LANGUAGES)
    text = (
        f"Contact: mailto:{settings.HELP_CONTACT}\nExpires: {expires}\nPreferred-Languages: {languages}\n"
        f"Canonical: {settings.PUBLIC_URL}/.well-known/security.txt\n"
    )
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
