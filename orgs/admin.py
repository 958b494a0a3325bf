"""The order desk's view of the directory: organizations, their domains and other names. provisioning registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from orgs import normalize
from orgs.models import Domain, Organization, OtherName

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfOrganization = admin.ModelAdmin[Organization]
    InlineOfDomain = admin.TabularInline[Domain, Organization]
    InlineOfOtherName = admin.TabularInline[OtherName, Organization]
else:
    AdminOfOrganization = admin.ModelAdmin
    InlineOfDomain = InlineOfOtherName = admin.TabularInline


class DomainInline(InlineOfDomain):
    """Domains that the organization has verified or claimed."""

    model = Domain
    extra = 0


class OtherNameInline(InlineOfOtherName):
    """Other names it is known by: whoever asks by one of them finds it."""

    model = OtherName
    extra = 0


class OrganizationAdmin(AdminOfOrganization):
    """An organization. Statistics of use are shown, never typed; members are brought in by the import."""

    inlines = (DomainInline, OtherNameInline)
    list_display = ("name", "country", "is_partner", "user_count", "active_subscription_count", "last_activity_at")
    list_filter = ("is_partner", "origin")
    fields = (
        *("name", "external_id", "country", "vertical", "is_partner", "origin", "account_created_at"),
        *("user_count", "active_user_count", "active_subscription_count", "last_activity_at"),
    )
    readonly_fields = (
        *("external_id", "account_created_at", "user_count", "active_user_count"),
        *("active_subscription_count", "last_activity_at"),
    )
    search_fields = ("name_key",)
    show_full_result_count = False
    ordering = ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Organization], search_term: str
    ) -> tuple[QuerySet[Organization], bool]:
        """By the whole name, another name, or a domain, whichever way they are written; look-ups, no scan."""
        key, domain = normalize.name_key(search_term), normalize.ascii_domain(search_term)
        if not key:
            return queryset, False
        by_other = OtherName.objects.filter(name_key=key).values("organization_id")
        by_domain = Domain.objects.filter(name=domain).values("organization_id")
        return queryset.filter(Q(name_key=key) | Q(pk__in=by_other) | Q(pk__in=by_domain)), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Orders and subscriptions point to organizations."""
        return False
