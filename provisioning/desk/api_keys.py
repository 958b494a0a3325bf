"""Keys of the HTTP API at the order desk: make one, see them, revoke one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import actions
from provisioning.desk.site import ReadOnly, operator, site
from provisioning.models import SCOPES, ApiKey

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfKey = admin.ModelAdmin[ApiKey]
else:
    AdminOfKey = admin.ModelAdmin


class KeyForm(forms.Form):
    """Asks for a new key: its name, what it may do, how long, and from where."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        help_text=gettext_lazy("Which system has it; the history of an order names it."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=lambda: [(scope, f"{scope}: {text}") for scope, text in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for so many days"),
        required=False,
        min_value=1,
        max_value=3650,
        help_text=gettext_lazy("Leave empty for a key that is valid until it is revoked."),
    )
    networks = forms.CharField(
        label=gettext_lazy("Networks"),
        required=False,
        max_length=1000,
        help_text=gettext_lazy("From where it may be used, such as 10.0.0.0/8, 192.0.2.7. Leave empty for everywhere."),
    )


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ReadOnly, AdminOfKey):
    """The keys. Nothing of a key can be changed: a new one is made, and the old one revoked."""

    list_display = ("name", "what", "where", "created_at", "expires_at", "last_used_at", "is_valid", "revoke_link")
    list_display_links = None
    search_fields = ("name",)
    ordering = ("-pk",)
    show_full_result_count = False

    @admin.display(description=gettext_lazy("What it may do"))
    def what(self, key: ApiKey) -> str:
        """Return the scopes."""
        return ", ".join(key.scopes)

    @admin.display(description=gettext_lazy("Networks"))
    def where(self, key: ApiKey) -> str:
        """Return the networks, or that any will do."""
        return ", ".join(key.networks) or _("everywhere")

    @admin.display(description=gettext_lazy("Valid"), boolean=True)
    def is_valid(self, key: ApiKey) -> bool:
        """Say whether it may be used now."""
        return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())

    @admin.display(description="")
    def revoke_link(self, key: ApiKey) -> str:
        """Lead to the page that revokes it."""
        if key.revoked_at is not None:
            return ""
        return format_html(
            '<a href="{}" aria-label="{}">{}</a>',
            reverse("admin:provisioning_apikey_revoke", args=[key.pk]),
            _("Revoke the key %(name)s") % {"name": key.name},
            _("Revoke"),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow it to supervisors: a key with directory:write gives rights, which no other operator does alone."""
        return operator(request).is_supervisor

    def get_urls(self) -> list[URLPattern]:
        """Add the page that revokes a key."""
        revoke = path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke), name="provisioning_apikey_revoke")
        return [revoke, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a key, and show its text on the answer to the POST, once: it is stored nowhere."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = KeyForm(request.POST or None)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Make an API key"),
            "form": form,
            "opts": self.opts,
        }
        if request.method == "POST" and form.is_valid():
            try:
                key, text = actions.make_key(
                    name=form.cleaned_data["name"],
                    scopes=form.cleaned_data["scopes"],
                    days=form.cleaned_data["days"],
                    networks=form.cleaned_data["networks"].split(","),
                )
            except actions.KeyRefused as refused:
                form.add_error(refused.field, str(refused.sentence))
            else:
                context |= {"key": key, "text": text, "title": _("The key %(name)s") % {"name": key.name}}
        response = TemplateResponse(request, "admin/provisioning/apikey/add.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for confirmation by GET; revoke by POST."""
        key = get_object_or_404(ApiKey, pk=pk)
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Revoke the key %(name)s?") % {"name": key.name},
                "key": key,
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/provisioning/apikey/revoke.html", context)
        actions.revoke_key(name=key.name)
        messages.success(request, _("The key %(name)s is revoked.") % {"name": key.name})
        return redirect("admin:provisioning_apikey_changelist")
