"""Every list of the order desk: paging that doesn't count everything, the list as CSV, and filters that people name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from html import unescape
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language, ngettext, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from orgs.text.csv_out import csv_lines
from provisioning.desk.site import operator
from provisioning.models import SavedFilter
from subscriptions.rules import validation
from subscriptions.rules.validation import Problem, Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfRows = admin.ModelAdmin[Any]
    PaginatorOfRows = Paginator[Any]
else:
    AdminOfRows, PaginatorOfRows = object, Paginator

# Rows that are counted, and so can be paged through. Whoever looks for more has to filter or search.
MOST_COUNTED: Final = 10_000
MOST_EXPORTED: Final = 100_000
AT_ONCE: Final = 1000
# A count beside a link says at most so many.
MOST_SHOWN: Final = 999
_NOT_A_FILTER: Final = ("p", "all", "e", "_popup")


class BoundedPaginator(PaginatorOfRows):
    """Counts no more than MOST_COUNTED rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, MOST_COUNTED at most."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # of an admin list
        return rows.order_by().values("pk")[:MOST_COUNTED].count()


@dataclass(frozen=True)
class Preset:
    """A filter that everybody has: its name, its query string, and what it finds, where that is cheap to count."""

    name: Any
    query: str
    rows: QuerySet[Any] | None = None


class Table(AdminOfRows):
    """Mixed into the admin of each list of the order desk, before ModelAdmin."""

    paginator = BoundedPaginator
    show_full_result_count = False
    change_list_template = "admin/desk_list.html"

    def presets(self) -> Sequence[Preset]:
        """Return the filters that everybody has."""
        return ()

    def get_urls(self) -> list[URLPattern]:
        """Add the CSV file, and saving and removing of one's own filters."""
        table, view = self._table, self.admin_site.admin_view
        return [
            path("export.csv", view(self.export), name=f"{table}_csv"),
            path("filters/", view(require_POST(self.save_filter)), name=f"{table}_save_filter"),
            path("filters/<int:pk>/remove/", view(require_POST(self.remove_filter)), name=f"{table}_remove_filter"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Add what the page shows above the list."""
        query = _filter_of(request.GET)
        context = {
            "title": capfirst(str(self.opts.verbose_name_plural)),
            "presets": _counted(self.presets(), query),
            "own_filters": [
                {"pk": each.pk, "name": each.name, "query": each.query, "is_current": each.query == query}
                for each in SavedFilter.objects.filter(user=operator(request), table=self._table)
            ],
            "table": self._table,
            "urls": {
                "csv": f"admin:{self._table}_csv",
                "save": f"admin:{self._table}_save_filter",
                "remove": f"admin:{self._table}_remove_filter",
            },
            "current_query": query,
            "most_counted": MOST_COUNTED,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """Return the list as it is filtered, searched and sorted, as CSV; at most MOST_EXPORTED rows."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        changes = self.get_changelist_instance(request)
        columns = [name for name in self.get_list_display(request) if name != "action_checkbox"]
        keys = list(changes.queryset.values_list("pk", flat=True)[:MOST_EXPORTED])
        heads = [capfirst(str(label_for_field(name, self.model, self))) for name in columns]
        lines = csv_lines(heads, self._rows(request, keys, columns, get_language()), mark=True)
        answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        name = f"{self.opts.model_name}s-{timezone.localdate()}.csv"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        answer["Cache-Control"] = "no-store"
        return answer

    def save_filter(self, request: HttpRequest) -> HttpResponse:
        """Name the filter that is shown; the same name again replaces it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        query, own = _filter_of(QueryDict(request.POST.get("query", "")[:2000])), SavedFilter.objects
        mine: dict[str, Any] = {"user": operator(request), "table": self._table}
        try:
            name = validation.clean_text(request.POST.get("name", ""), Problem.NOTE, longest=60)
        except Refused:
            messages.error(request, _("Enter a name of up to 60 characters for the filter."))
        else:
            if not query or len(query) > 1000:
                messages.error(request, _("Filter or search the list first, then give the filter a name."))
            elif own.filter(**mine).exclude(name=name).count() >= SavedFilter.MOST:
                words = ngettext(
                    "You have %(count)s filter, the most there can be.",
                    "You have %(count)s filters, the most there can be.",
                    SavedFilter.MOST,
                )
                messages.error(request, words % {"count": SavedFilter.MOST})
            else:
                own.update_or_create(**mine, name=name, defaults={"query": query})
                messages.success(request, _("The filter “%(name)s” is saved.") % {"name": name})
        return redirect(f"{self._list_url}?{query}" if query else self._list_url)

    def remove_filter(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Remove one's own filter; somebody else's isn't there."""
        SavedFilter.objects.filter(pk=pk, user=operator(request), table=self._table).delete()
        messages.success(request, _("The filter is removed."))
        return redirect(self._list_url)

    @property
    def _table(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    @property
    def _list_url(self) -> str:
        return reverse(f"admin:{self._table}_changelist")

    def _rows(
        self, request: HttpRequest, keys: Sequence[Any], columns: Sequence[Any], language: str | None
    ) -> Iterator[list[object]]:
        """Yield the cells of the rows with these keys, AT_ONCE rows at a time, in the reader's language."""
        for some in itertools.batched(keys, AT_ONCE):
            rows, related = self.get_queryset(request), self.list_select_related
            found = (rows.select_related(*related) if isinstance(related, tuple) and related else rows).in_bulk(some)
            with override(language):
                yield from [[self._cell(name, found[key]) for name in columns] for key in some if key in found]

    def _cell(self, name: Any, row: Model) -> object:
        try:
            field, _attribute, value = lookup_field(name, row, self)
        except ObjectDoesNotExist:
            return ""
        choices = dict(getattr(field, "flatchoices", None) or ())
        if choices:
            return str(choices.get(value, value))
        if isinstance(value, datetime):
            return timezone.localtime(value).isoformat(timespec="seconds")
        if isinstance(value, SafeString):
            return unescape(strip_tags(value.replace("<br>", "\n")))
        return value if isinstance(value, int | float | None) and not isinstance(value, bool) else str(value)


def _filter_of(query: QueryDict) -> str:
    """Return a query string without what is no filter, its parts in one order."""
    parts = QueryDict(mutable=True)
    for name in sorted(query):
        if name not in _NOT_A_FILTER:
            parts.setlist(name, query.getlist(name))
    return parts.urlencode()


def _counted(presets: Sequence[Preset], query: str) -> list[dict[str, Any]]:
    """Return the presets for the page, each with its count where it has rows to count. One statement counts all."""
    counts = iter(_counts([preset.rows for preset in presets if preset.rows is not None]))
    shown = []
    for preset in presets:
        count = next(counts) if preset.rows is not None else None
        over = count is not None and count > MOST_SHOWN
        shown.append(
            {
                "name": preset.name,
                "query": preset.query,
                "count": f"{MOST_SHOWN}+" if over else count,
                "is_current": preset.query == query,
            }
        )
    return shown


def _counts(found: Sequence[QuerySet[Any]]) -> list[int]:
    if not found:
        return []
    parts = [
        rows.order_by().values("pk")[: MOST_SHOWN + 1].query.get_compiler(connection=connection).as_sql()
        for rows in found
    ]
    statement = ", ".join(f"(SELECT count(*) FROM ({sql}) counted)" for sql, _values in parts)  # noqa: S608 — Django's
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {statement}", [value for _sql, values in parts for value in values])
        return list(cursor.fetchone())
