"""The admin site of the order desk."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, cast

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.history import operators_log
from provisioning.models import OperatorEvent, OperatorRole, User
from provisioning.pages import account, links
from provisioning.people import second_factor

type View = Callable[..., HttpResponseBase]

# Pages and actions that show a secret: they ask for a recent second factor.
_SHOW_A_SECRET: Final = frozenset({"admin:provisioning_webhookendpoint_add", "admin:provisioning_apikey_add"})
_ACTIONS_WITH_A_SECRET: Final = frozenset({"rotate"})
_NUL: Final = "An address has no NUL character."  # PostgreSQL can't keep one
# Name of an attribute of a view: the upload handler that reads its files.
TAKES_FILES: Final = "takes_files"
# Pages that show nobody's data.
_UNGUARDED: Final = frozenset({"logout", "jsi18n"})


def _guarded(view: View) -> View:
    """Check what every page of the order desk checks, and write it into the operators' log before the page runs."""

    @functools.wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        match, user = request.resolver_match, operator(request)
        if match is None or match.url_name in _UNGUARDED:
            return view(request, *args, **kwargs)
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            raise BadRequest(_NUL)
        takes = getattr(view, TAKES_FILES, None)
        if takes is not None and user.operator_role in {OperatorRole.DESK, OperatorRole.SUPERVISOR}:
            request.upload_handlers = [takes(request)]  # before anything looks at the form
        if second_factor.is_required(user) and not second_factor.is_proven(request):
            if request.method in {"GET", "HEAD"}:
                return HttpResponseRedirect(
                    f"{reverse('second_factor')}?{urlencode({'next': request.get_full_path()})}"
                )
            if (asked := ask_for_second_factor(request)) is not None:
                return asked
        if user.operator_role is None and not user.get_user_permissions():
            raise PermissionDenied
        reads = request.method in {"GET", "HEAD"}
        if not reads and user.operator_role in {None, OperatorRole.VIEWER}:
            raise PermissionDenied
        # A form can send several actions: the admin site takes the one whose place "index" names.
        asked_for = request.POST.getlist("action")
        shows_secret = match.view_name in _SHOW_A_SECRET or not _ACTIONS_WITH_A_SECRET.isdisjoint(asked_for)
        if not reads and shows_secret and (asked := recent_factor(request)) is not None:
            return asked
        facts: dict[str, object] = {"page": match.view_name, "path": request.path}
        if request.GET:
            facts["query"] = {name: [each[:200] for each in values] for name, values in request.GET.lists()}
        if not reads:
            fields = sorted(set(request.POST) - {"csrfmiddlewaretoken", account.CODE, account.CREDENTIAL})
            facts["fields"] = [_logged(name, 100) for name in fields[:100]]
            chosen = request.POST.getlist("_selected_action")[:200]
            action = _logged(",".join(asked_for), 100)
            facts |= {"action": action, "chosen": [_logged(each, 40) for each in chosen]}
        operators_log.record(
            kind=OperatorEvent.Kind.LOOKED if reads else OperatorEvent.Kind.ACTED, by=user, facts=facts
        )
        return view(request, *args, **kwargs)

    return inner


def _logged(text: str, longest: int) -> str:
    """Return the beginning of a text as the log can keep it."""
    return text[:longest].replace("\0", "\ufffd")


def ask_for_second_factor(request: HttpRequest) -> HttpResponse | None:
    """Return the page that asks for a second factor and keeps the fields of this POST; None where one was given."""
    if account.CODE in request.POST or account.CREDENTIAL in request.POST:
        if account.given(request):
            return None
        messages.error(request, account.wrong_factor())
    skipped = {"csrfmiddlewaretoken", account.CODE, account.CREDENTIAL}
    kept = [(name, value) for name, values in request.POST.lists() if name not in skipped for value in values]
    context = {
        **site.each_context(request),
        "title": _("Confirm that it is you"),
        "kept": kept,
        "has_factor": bool(second_factor.factors_of(operator(request))),
    }
    return TemplateResponse(request, "admin/second_factor.html", context)


def recent_factor(request: HttpRequest) -> HttpResponse | None:
    """Return the page that asks for a second factor, or None where none is needed, or was given a short time ago."""
    recent = second_factor.is_proven(request, within=second_factor.RECENT)
    if recent or not second_factor.is_required(operator(request)):
        return None
    return ask_for_second_factor(request)


class OrderDesk(admin.AdminSite):
    """Django's admin site with the order desk's tables only; people sign in with a code by email."""

    site_header = site_title = gettext_lazy("Order desk")
    index_title = gettext_lazy("Orders")
    enable_nav_sidebar = False
    index_template = "admin/desk_index.html"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._pages: list[URLPattern] = []

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Ask for an email address and send a code, as for everybody."""
        return links.order_desk_sign_in(request)

    def admin_view[V: View](self, view: V, cacheable: bool = False) -> V:
        """Let an operator see a page: with a second factor, nothing changed by a viewer, and each request logged."""
        return super().admin_view(cast(V, _guarded(view)), cacheable)

    def page(self, route: str, name: str) -> Callable[[View], View]:
        """Add a page of its own to the order desk: ``admin:NAME``, guarded like all."""

        def add(view: View) -> View:
            self._pages.append(path(route, self.admin_view(view), name=name))
            return view

        return add

    def get_urls(self) -> list[Any]:
        """Return the pages of their own, and those of the tables."""
        return [*self._pages, *super().get_urls()]


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
