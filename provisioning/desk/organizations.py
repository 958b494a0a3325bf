"""Organizations at the order desk: found by a part of a name, their members, and merging two that are the same one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import actions as orgs
from orgs import policies
from orgs.admin import LikelyDuplicateAdmin, OrganizationAdmin
from orgs.models import LikelyDuplicate, Member, Organization
from provisioning import actions
from provisioning.desk.site import operator, recent_factor, site
from provisioning.desk.tables import BoundedPaginator, Table
from provisioning.rules import refusals
from provisioning.wizard.forms.fields import EmailField
from subscriptions.models import Order, Subscription

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfMerge = admin.ModelAdmin[Any]
else:
    AdminOfMerge = object

AT_ONCE: Final = 100


class MemberForm(forms.Form):
    """A new member, or another role for one, and why."""

    email = EmailField(label=gettext_lazy("Email address of the new member"))
    role = forms.ChoiceField(label=gettext_lazy("Role"), required=False)  # ending needs none
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("Kept in the log of the organization."),
        error_messages={"required": gettext_lazy("Enter a reason: it goes into the log of the organization.")},
    )

    def __init__(self, *args: Any, member: Member | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if member is None:
            del self.fields["role"]  # the desk adds plain members only
            return
        del self.fields["email"]
        lower = [role for role in Member.Role if policies.desk_may_change_role(before=member.role, after=role.value)]
        choices = [(role.value, str(role.label)) for role in lower]
        if choices:
            self.fields["role"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        else:
            del self.fields["role"]


class DeskOrganizationAdmin(Table, OrganizationAdmin):
    """Organizations, with the pages of their members and of merging two."""

    actions = ("merge_two",)

    @admin.action(description=gettext_lazy("Merge the two"), permissions=["change"])
    def merge_two(self, request: HttpRequest, chosen: QuerySet[Organization]) -> HttpResponse:
        """Lead to the page that merges the two chosen ones."""
        keys = list(chosen.order_by("pk").values_list("pk", flat=True)[:3])
        if len(keys) != 2:
            messages.error(request, _("Choose the two organizations that are the same one."))
            return redirect("admin:orgs_organization_changelist")
        return redirect(_merge_url(*keys))

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the members, and of merging."""
        view = self.admin_site.admin_view
        return [
            path("merge/", view(self.merge), name="orgs_organization_merge"),
            path("<int:pk>/members/", view(self.members), name="orgs_organization_members"),
            path("<int:pk>/members/<int:member>/", view(self.member), name="orgs_organization_member"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what became of an organization that was merged."""
        found = self.get_object(request, object_id)
        merge = getattr(found, "merge", None) if found else None
        context = {"merge": merge, "merges": found.merges.select_related("gone") if found else ()}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def members(self, request: HttpRequest, pk: int) -> HttpResponse:
        """List the members, searched by a part of the address; POST adds a plain member."""
        organization = self._organization(request, pk)
        form = MemberForm(request.POST or None, member=None)
        if request.method == "POST":
            self._require_change(request, organization)
            if form.is_valid():
                email, reason = form.cleaned_data["email"], form.cleaned_data["reason"]
                if organization.members.filter(email=email).exists():
                    messages.info(request, _("%(email)s is a member already.") % {"email": email})
                else:
                    orgs.add_member(organization=organization, email=email)
                    self._log(request, organization, _("Added %(email)s as a member") % {"email": email}, reason)
                return redirect("admin:orgs_organization_members", organization.pk)
        query = request.GET.get("q", "").replace("\0", "").strip()[:254]
        rows = organization.members.order_by("email")
        page = BoundedPaginator(rows.filter(email__icontains=query) if query else rows, AT_ONCE).get_page(
            request.GET.get("p")
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Members of %(organization)s") % {"organization": organization.name},
            "opts": self.opts,
            "organization": organization,
            "page": page,
            "query": query,
            "form": form,
            "may_change": self.has_change_permission(request, organization),
        }
        return TemplateResponse(request, "admin/orgs/organization/members.html", context)

    def member(self, request: HttpRequest, pk: int, member: int) -> HttpResponse:
        """Show one member; POST lowers the role, or ends the membership. No right is given here."""
        organization = self._organization(request, pk)
        self._require_change(request, organization)
        found = get_object_or_404(organization.members, pk=member)
        form = MemberForm(request.POST or None, member=found)
        if request.method == "POST" and form.is_valid():
            reason, words = form.cleaned_data["reason"], {"email": found.email}
            try:
                if "end" in request.POST:
                    orgs.end_member(organization=organization, email=found.email)
                    self._log(request, organization, _("Ended the membership of %(email)s") % words, reason)
                elif role := form.cleaned_data.get("role"):
                    orgs.lower_role(organization=organization, email=found.email, role=role)
                    words["role"] = str(Member.Role(role).label)
                    self._log(request, organization, _("Changed the role of %(email)s to %(role)s") % words, reason)
            except orgs.LastAdministrator:
                messages.error(request, _("An organization always keeps a full administrator: this is the last one."))
            return redirect("admin:orgs_organization_members", organization.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": found.email,
            "opts": self.opts,
            "organization": organization,
            "member": found,
            "form": form,
        }
        return TemplateResponse(request, "admin/orgs/organization/member.html", context)

    def merge(self, request: HttpRequest) -> HttpResponse:
        """Show both organizations and what moves; POST merges them."""
        keys = [int(key) for key in request.GET.getlist("organization")[:2] if re.fullmatch("[0-9]{1,18}", key)]
        pair = list(Organization.objects.filter(pk__in=keys).order_by("pk"))
        if len(pair) != 2:
            messages.error(request, _("Choose the two organizations that are the same one."))
            return redirect("admin:orgs_organization_changelist")
        for each in pair:
            self._require_change(request, each)
        kept = request.POST.get("keep", "")
        if request.method == "POST" and kept in {str(each.pk) for each in pair}:
            if (asked := recent_factor(request)) is not None:
                return asked
            keep, gone = sorted(pair, key=lambda each: str(each.pk) != kept)
            if _administrators(keep) != _administrators(gone) and not operator(request).is_supervisor:
                said = _("Only a supervisor merges organizations with different administrators: rights change by it.")
                messages.error(request, said)
                return redirect(_merge_url(keep.pk, gone.pk))
            try:
                actions.merge_organizations(keep=keep, gone=gone, by=operator(request))
            except actions.CannotMerge:
                messages.error(request, str(refusals.CANNOT_MERGE))
                return redirect("admin:orgs_organization_changelist")
            words = {"gone": gone.name, "keep": keep.name}
            for each in pair:
                self.log_change(request, each, _("Merged %(gone)s into %(keep)s") % words)
            messages.success(request, _("%(gone)s is merged into %(keep)s.") % words)
            return redirect("admin:orgs_organization_change", keep.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Merge two organizations"),
            "opts": self.opts,
            "pair": [_facts(each) for each in pair],
            "missing": request.method == "POST",
        }
        return TemplateResponse(request, "admin/orgs/organization/merge.html", context)

    def _organization(self, request: HttpRequest, pk: int) -> Organization:
        organization = get_object_or_404(Organization, pk=pk)
        if not self.has_view_or_change_permission(request, organization):
            raise PermissionDenied
        return organization

    def _require_change(self, request: HttpRequest, organization: Organization) -> None:
        if not self.has_change_permission(request, organization):
            raise PermissionDenied

    def _log(self, request: HttpRequest, organization: Organization, done: str, reason: str) -> None:
        """Write down who did it and why (Django's log, the history of the organization), and say it."""
        self.log_change(request, organization, f"{done}. {reason}")
        messages.success(request, f"{done}.")


class DeskDuplicateAdmin(Table, LikelyDuplicateAdmin):
    """Likely duplicates; each pair leads to the page that merges it."""

    change_list_template = "admin/orgs/likelyduplicate/change_list.html"
    list_display = (*LikelyDuplicateAdmin.list_display, "merging")  # type: ignore[assignment]  # one column more

    @admin.display(description=gettext_lazy("What can be done"))
    def merging(self, pair: LikelyDuplicate) -> SafeString:
        """Return the link to the page that merges the pair."""
        return format_html('<a href="{}">{}</a>', _merge_url(pair.organization_id, pair.other_id), _("Merge"))


def _administrators(organization: Organization) -> set[str]:
    return set(organization.members.filter(role=Member.Role.FULL).values_list("email", flat=True))


def _merge_url(one: int, other: int) -> str:
    pair = urlencode([("organization", one), ("organization", other)])
    return f"{reverse('admin:orgs_organization_merge')}?{pair}"


def _facts(organization: Organization) -> dict[str, Any]:
    """Return what helps to choose the one to keep, and what moves where it isn't."""
    full = organization.members.filter(role=Member.Role.FULL)
    return {
        "row": organization,
        "domains": [f"{domain.name} ({domain.get_status_display()})" for domain in organization.domains.all()[:20]],
        "names": list(organization.other_names.values_list("name", flat=True)[:20]),
        "administrators": list(full.values_list("email", flat=True)[:20]),
        "members": organization.members.count(),
        "orders": Order.objects.filter(customer=organization).count()
        + Order.objects.filter(partner=organization).exclude(customer=organization).count(),
        "subscriptions": Subscription.objects.filter(organization=organization).count(),
    }


site.register(Organization, DeskOrganizationAdmin)
site.register(LikelyDuplicate, DeskDuplicateAdmin)
