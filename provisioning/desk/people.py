"""The order desk's page of people's data, for supervisors: export and erasure."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from provisioning import privacy
from provisioning.desk.site import operator, recent_factor, site
from provisioning.privacy import retention
from provisioning.privacy.exporting import encoder
from provisioning.rules import refusals
from subscriptions.rules.validation import Problem, Refused, clean_email


@site.page("people/", "people")
def people(request: HttpRequest) -> HttpResponse:
    """Ask for an address; POST returns the export as a file, or with ``erase`` and ``sure`` erases the person."""
    by = operator(request)
    if not by.is_supervisor:
        raise PermissionDenied
    email = request.POST.get("email", "").strip()
    if request.method == "POST":
        if (asked := recent_factor(request)) is not None:
            return asked
        try:
            email = clean_email(email, Problem.CONTACT_EMAIL)
        except Refused:
            messages.error(request, _("Enter one email address like name@example.com."))
        else:
            if "export" in request.POST:
                found = privacy.export(email=email, by=by)
                response = JsonResponse(found, encoder=encoder, json_dumps_params={"ensure_ascii": False, "indent": 1})
                response["Content-Disposition"] = 'attachment; filename="person.json"'
                return response
            if "sure" in request.POST:
                try:
                    count = privacy.erase(email=email, by=by)
                except privacy.NotNow as refused:
                    messages.error(request, refusals.erasure_sentence(refused.reason, refused.numbers))
                else:
                    said = _("The person is erased.") if count else _("Nothing is stored about this address.")
                    messages.success(request, said)
                    return redirect("admin:people")
    context = {
        **site.each_context(request),
        "title": _("People’s data"),
        "email": email,
        "asks": "erase" in request.POST and "@" in email,
        "kept": retention.rules().values(),
    }
    return TemplateResponse(request, "admin/people.html", context)
