"""The admin site of the order desk."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from provisioning.models import User
from provisioning.pages import links


class OrderDesk(admin.AdminSite):
    """Django's admin site with the order desk's tables only; people sign in with a code by email."""

    site_header = site_title = gettext_lazy("Order desk")
    index_title = gettext_lazy("Orders")
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Ask for an email address and send a code, as for everybody."""
        return links.order_desk_sign_in(request)


site = OrderDesk(name="admin")


class ReadOnly:
    """An admin of rows that only the product writes: nobody adds, changes or deletes one."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return all fields."""
        return [field.name for field in self.opts.fields]  # type: ignore[attr-defined]  # of the admin it is mixed into

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow it to nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it to nobody."""
        return False


def operator(request: HttpRequest) -> User:
    """Return the operator; the site lets only users in."""
    return cast(User, request.user)
