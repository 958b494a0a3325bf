"""Order summaries as documents: the download, and the public page that says what a verification code is worth."""

from __future__ import annotations

import contextlib
import ipaddress
from datetime import timedelta

from allauth.account.adapter import get_adapter
from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from procrastinate.contrib.django.models import ProcrastinateWorker

from orgs import rate_limits
from provisioning.pages.base import page
from provisioning.people.access import May, access_to
from subscriptions.models import Document
from subscriptions.summary import documents, pdf_cache, verification_codes

# A download waits so many seconds for the worker to make it, and is made here where a turn is free; otherwise a page
# says that it is being made, and asks again after a while.
WORKERS, AGAIN = 1.5, 1
# Unknown codes from one network in an hour. There are 2^60 codes, so the limit only saves work.
UNKNOWN_CODES = 30
_AN_HOUR = timedelta(hours=1)
_EXPECTED = gettext_lazy("Enter the 12 letters and numbers at the end of the document.")


class VerifyForm(forms.Form):
    """Asks for a verification code."""

    code = forms.CharField(
        label=gettext_lazy("Verification code"),
        help_text=gettext_lazy("12 letters and numbers, such as 4F7K-9QWD-2MXA"),
        max_length=500,
        error_messages={"required": _EXPECTED, "max_length": _EXPECTED},
        widget=forms.TextInput(
            attrs={"class": "code", "autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )

    def clean_code(self) -> str:
        """As it is printed, however it was typed."""
        code = verification_codes.normalize_code(self.cleaned_data["code"])
        if not code:
            raise forms.ValidationError(_EXPECTED)
        return verification_codes.format_code(code)


@page
def order_summary_pdf(request: HttpRequest, number: str) -> HttpResponseBase:
    """*Download order summary (PDF)*: the kept one, or one that is made now."""
    access = access_to(request.user, number)
    access.require(May.READ_SUMMARY)
    who: dict[str, str] = {"reader": access.user.email, "language": get_language() or settings.LANGUAGE_CODE}
    copy = documents.find_unchanged(access.order, **who) or documents.copy_for(access.order, **who)
    etag = f'"{copy.key}"'
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    content = copy.wait(WORKERS if _is_being_made(copy.document) else 0)
    if content is None:
        try:
            content = documents.copy_for(access.order, **who).make(wait=0)
        except pdf_cache.TooManyRenders:
            # Not an error: the PDF is being made. Browsers without JavaScript use this header, programs the other one.
            page = render(
                request, "pages/documents/pdf_not_ready.html", {"order": access.order, "access": access}, status=202
            )
            page["Refresh"], page["Retry-After"] = str(AGAIN), str(AGAIN)
            return page
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="order-summary-{access.order.number}.pdf"'
    response["ETag"] = etag
    return response


def _is_being_made(document: Document) -> bool:
    """Say whether a worker makes this document's PDFs, or is about to: one that is alive says so every 10 seconds."""
    alive = ProcrastinateWorker.objects.filter(last_heartbeat__gt=timezone.now() - timedelta(seconds=30))
    return document.made_at is None and alive.exists()


@never_cache
@require_safe
def verify(request: HttpRequest, code: str = "") -> HttpResponse:
    """Say to anybody whether the document with this code is genuine and current. Shows none of its facts.

    Nothing is written but how many unknown codes a network tried.
    """
    if not code and "code" not in request.GET:
        return render(request, "pages/documents/verify.html", {"form": VerifyForm()})
    key = f"verify:{_network(request)}"
    if rate_limits.is_spent(key, UNKNOWN_CODES, _AN_HOUR):
        page = render(request, "pages/documents/verify.html", {"too_many": True}, status=429)
        page["Retry-After"] = str(int(_AN_HOUR.total_seconds()))
        return page
    form = VerifyForm({"code": code or request.GET["code"]})
    if not form.is_valid():
        return render(request, "pages/documents/verify.html", {"form": form})
    standing = documents.verify(form.cleaned_data["code"])
    if standing is documents.CodeStatus.UNKNOWN:
        rate_limits.spend({key: UNKNOWN_CODES}, _AN_HOUR)
    context = {"standing": standing.value, "code": form.cleaned_data["code"], "form": VerifyForm()}
    return render(request, "pages/documents/verify.html", context)


def _network(request: HttpRequest) -> str:
    """A name for where a request comes from, which nobody can read back: an address of IPv4, 64 bits of IPv6."""
    address = ""
    with contextlib.suppress(PermissionDenied, ValueError):  # a server that doesn't say
        parsed = ipaddress.ip_address(get_adapter().get_client_ip(request))
        address = str(parsed)
        if isinstance(parsed, ipaddress.IPv6Address):
            address = str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return salted_hmac("provisioning.document_views", address, algorithm="sha256").hexdigest()[:32]
