"""Admin pages of the directory for the order desk: organizations and likely duplicates. provisioning registers them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import actions
from orgs.finder import evidence_sentences
from orgs.models import Domain, LikelyDuplicate, Organization, OtherName, Posting, Word
from orgs.text import normalize, pasted_text

MOST_FOUND = 1000

if TYPE_CHECKING:  # the classes are generic only in the stubs
    AdminOfOrganization = admin.ModelAdmin[Organization]
    AdminOfDuplicate = admin.ModelAdmin[LikelyDuplicate]
    InlineOfDomain = admin.StackedInline[Domain, Organization]
    InlineOfOtherName = admin.StackedInline[OtherName, Organization]
else:
    AdminOfOrganization = AdminOfDuplicate = admin.ModelAdmin
    InlineOfDomain = InlineOfOtherName = admin.StackedInline


class DomainInline(InlineOfDomain):
    """Domains that the organization has verified, claimed, or used before."""

    model = Domain
    extra = 0


class OtherNameInline(InlineOfOtherName):
    """Other names of the organization. The finder finds it by each of them."""

    model = OtherName
    extra = 0


class OrganizationAdmin(AdminOfOrganization):
    """Organizations. Usage statistics are read-only; ``provisioning.desk`` adds the pages of the members."""

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
    search_help_text = gettext_lazy("Parts of a name, a domain, or an external id")
    ordering = ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Organization], search_term: str
    ) -> tuple[QuerySet[Organization], bool]:
        """Search by parts of words of any name, by a domain or by an external id; at most MOST_FOUND are found.

        Each word that was entered has to be a part of a word of the organization's names (the search index).
        """
        term = search_term.replace("\0", "").strip()[:200]
        words, domain = normalize.name_key(term).split()[:6], pasted_text.domain(term)
        if not term:
            return queryset, False
        found: QuerySet[Any, Any] = Organization.objects.filter(external_id=term).values("pk")
        found = found.union(Domain.objects.filter(name=domain).values("organization_id"))
        if words:
            having: QuerySet[Any, Any] = Posting.objects.all()
            for word in words:
                alike = Word.objects.filter(word__icontains=word).values("word")
                of_word = Posting.objects.filter(word__in=alike)
                having = having.filter(organization_id__in=of_word.values("organization_id"))
            found = found.union(having.values("organization_id"))
        return queryset.filter(pk__in=[row["pk"] for row in found[:MOST_FOUND]]), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: orders and subscriptions refer to organizations."""
        return False


class DismissedFilter(admin.SimpleListFilter):
    """Filters by dismissal; open pairs are the default."""

    title = gettext_lazy("state")
    parameter_name = "dismissed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choice besides the default."""
        return [("yes", _("Not the same organization"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Rename the default choice, which isn't all pairs."""
        first, *rest = super().choices(changelist)
        yield {**first, "display": _("Waiting")}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet[LikelyDuplicate]) -> QuerySet[LikelyDuplicate]:
        """Return the open or the dismissed pairs."""
        return queryset.filter(dismissed_at__isnull=self.value() != "yes")


class LikelyDuplicateAdmin(AdminOfDuplicate):
    """Likely duplicates, read-only. An action dismisses pairs that are not the same organization."""

    list_display = ("one", "another", "reason", "found_at")
    list_display_links = None
    list_filter = (DismissedFilter, "why")
    list_select_related = ("organization", "other")
    list_per_page = 50
    ordering = ("-found_at", "pk")
    actions = ("dismiss",)

    @admin.display(description=gettext_lazy("organization"))
    def one(self, pair: LikelyDuplicate) -> SafeString:
        """The organization with the lower primary key."""
        return _summary(pair.organization)

    @admin.display(description=gettext_lazy("Likely the same"))
    def another(self, pair: LikelyDuplicate) -> SafeString:
        """The organization with the higher primary key."""
        return _summary(pair.other)

    @admin.display(description=gettext_lazy("why"), ordering="why")
    def reason(self, pair: LikelyDuplicate) -> str:
        """The reason, and who dismissed the pair."""
        reason = str(pair.get_why_display()) + (f" ({pair.domain})" if pair.domain else "")
        if pair.dismissed_at is None:
            return reason
        said = {"day": evidence_sentences.date(pair.dismissed_at), "email": pair.dismissed_by_email}
        return f"{reason}. " + _("Not the same, said %(email)s on %(day)s.") % said

    @admin.action(description=gettext_lazy("Not the same organization"), permissions=["change"])
    def dismiss(self, request: HttpRequest, chosen: QuerySet[LikelyDuplicate]) -> None:
        """Dismiss the chosen pairs. The user is recorded."""
        count = actions.dismiss_duplicates(chosen=chosen, by_email=request.user.get_username())
        messages.success(request, _("Pairs that are not shown again: %(count)s.") % {"count": count})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Set the title, because rows can't be opened."""
        return super().changelist_view(request, {"title": _("Likely duplicates"), **(extra_context or {})})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All fields."""
        return [field.name for field in self.opts.fields]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: a nightly job adds pairs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a nightly job deletes pairs that are no longer found."""
        return False


def _summary(organization: Organization) -> SafeString:
    """Return the name as a link to the organization, with facts that help to choose the one to keep."""
    facts = [
        str(organization.country.name) if organization.country else "",
        _("users: %(count)s") % {"count": evidence_sentences.number(organization.user_count)},
        _("active subscriptions: %(count)s")
        % {"count": evidence_sentences.number(organization.active_subscription_count)},
    ]
    url = reverse("admin:orgs_organization_change", args=[organization.pk])
    summary = " · ".join(fact for fact in facts if fact)
    return format_html('<a href="{}">{}</a><br>{}', url, organization.name, summary)
