"""The order desk's view of the directory: organizations with their domains and names, and likely duplicates.

provisioning registers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import actions
from orgs.finder import evidence_sentences
from orgs.models import Domain, LikelyDuplicate, Organization, OtherName
from orgs.text import normalize, pasted_text

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfOrganization = admin.ModelAdmin[Organization]
    AdminOfDuplicate = admin.ModelAdmin[LikelyDuplicate]
    InlineOfDomain = admin.TabularInline[Domain, Organization]
    InlineOfOtherName = admin.TabularInline[OtherName, Organization]
else:
    AdminOfOrganization = AdminOfDuplicate = admin.ModelAdmin
    InlineOfDomain = InlineOfOtherName = admin.TabularInline


class DomainInline(InlineOfDomain):
    """Domains that the organization has verified, claimed, or used before."""

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
        *("user_count", "active_user_count", "active_subscription_count", "last_activity_at", "closed_at"),
    )
    readonly_fields = (
        *("external_id", "account_created_at", "user_count", "active_user_count"),
        *("active_subscription_count", "last_activity_at", "closed_at"),
    )
    search_fields = ("name_key",)
    show_full_result_count = False
    ordering = ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Organization], search_term: str
    ) -> tuple[QuerySet[Organization], bool]:
        """By the whole name, another name, or a domain, whichever way they are written; look-ups, no scan."""
        key, domain = normalize.name_key(search_term), pasted_text.domain(search_term)
        if not key:
            return queryset, False
        by_other = OtherName.objects.filter(name_key=key).values("organization_id")
        by_domain = Domain.objects.filter(name=domain).values("organization_id")
        return queryset.filter(Q(name_key=key) | Q(pk__in=by_other) | Q(pk__in=by_domain)), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Orders and subscriptions point to organizations."""
        return False


class DismissedFilter(admin.SimpleListFilter):
    """Pairs that wait for the desk, unless those are asked for that it said are not the same."""

    title = gettext_lazy("what became of it")
    parameter_name = "dismissed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The ones that aren't shown of themselves."""
        return [("yes", _("Not the same organization"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The first one isn't all."""
        first, *rest = super().choices(changelist)
        yield {**first, "display": _("Waiting")}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet[LikelyDuplicate]) -> QuerySet[LikelyDuplicate]:
        """One or the other."""
        return queryset.filter(dismissed_at__isnull=self.value() != "yes")


class LikelyDuplicateAdmin(AdminOfDuplicate):
    """Organizations that are likely the same one, to be read; the desk can say that two are not."""

    list_display = ("one", "another", "reason", "found_at")
    list_display_links = None
    list_filter = (DismissedFilter, "why")
    list_select_related = ("organization", "other")
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-found_at", "pk")
    actions = ("dismiss",)

    @admin.display(description=gettext_lazy("organization"))
    def one(self, pair: LikelyDuplicate) -> SafeString:
        """The older of the two."""
        return _told(pair.organization)

    @admin.display(description=gettext_lazy("Likely the same"))
    def another(self, pair: LikelyDuplicate) -> SafeString:
        """The newer of the two."""
        return _told(pair.other)

    @admin.display(description=gettext_lazy("why"), ordering="why")
    def reason(self, pair: LikelyDuplicate) -> str:
        """Why, and who said that they are not the same."""
        told = str(pair.get_why_display()) + (f" ({pair.domain})" if pair.domain else "")
        if pair.dismissed_at is None:
            return told
        said = {"day": evidence_sentences.date(pair.dismissed_at), "email": pair.dismissed_by_email}
        return f"{told}. " + _("Not the same, said %(email)s on %(day)s.") % said

    @admin.action(description=gettext_lazy("Not the same organization"), permissions=["change"])
    def dismiss(self, request: HttpRequest, chosen: QuerySet[LikelyDuplicate]) -> None:
        """Note who said so; the pair isn't shown again."""
        count = actions.dismiss_duplicates(chosen=chosen, by_email=request.user.get_username())
        messages.success(request, _("Pairs that are not shown again: %(count)s.") % {"count": count})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list under its own name: there is nothing to select one for."""
        return super().changelist_view(request, {"title": _("Likely duplicates"), **(extra_context or {})})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All of them."""
        return [field.name for field in self.opts.fields]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every night's look finds them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They go when they are none any more."""
        return False


def _told(organization: Organization) -> SafeString:
    """The name, which leads to the organization's page, and what helps to choose the one that stays in use."""
    facts = [
        str(organization.country.name) if organization.country else "",
        _("users: %(count)s") % {"count": evidence_sentences.number(organization.user_count)},
        _("active subscriptions: %(count)s")
        % {"count": evidence_sentences.number(organization.active_subscription_count)},
    ]
    url = reverse("admin:orgs_organization_change", args=[organization.pk])
    told = " · ".join(fact for fact in facts if fact)
    return format_html('<a href="{}">{}</a><br>{}', url, organization.name, told)
