"""Files of orders at the order desk: upload, the plan row by row, applying it, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from orgs.text.table_files import FileRefused
from provisioning.bulk import batches, files, report
from provisioning.desk.site import TAKES_FILES, ReadOnly, operator, site
from provisioning.models import BatchRow, OrderBatch

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfBatch = admin.ModelAdmin[OrderBatch]
else:
    AdminOfBatch = admin.ModelAdmin

State, Outcome, Result = OrderBatch.State, BatchRow.Outcome, BatchRow.Result
_ROWS: Final = 50
# What a list of rows can be narrowed to, with the words of each choice.
_CHOICES: Final = {
    "refused": (gettext_lazy("Refused"), Q(outcome=Outcome.REFUSED) | Q(result__in=[Result.REFUSED, Result.CHANGED])),
    "warned": (gettext_lazy("To look at"), ~Q(warnings=[])),
    "new": (gettext_lazy("New"), Q(outcome=Outcome.NEW)),
    "corrected": (gettext_lazy("Corrected"), Q(outcome=Outcome.CORRECTED)),
    "unchanged": (gettext_lazy("Unchanged"), Q(outcome=Outcome.UNCHANGED)),
}


class UploadForm(forms.Form):
    """A file of orders."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV, JSON or YAML, at most 10 MB and 10,000 orders. Nothing is placed yet."),
        error_messages={
            "required": gettext_lazy("Choose a file."),
            "empty": gettext_lazy("The file is empty."),
        },
        widget=forms.FileInput(attrs={"accept": ".csv,.json,.yaml,.yml,text/csv,application/json"}),
    )


class InMemory(FileUploadHandler):
    """Keeps an uploaded file in memory, and of a file that is too large no more than shows that it is."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file."""
        super().new_file(*args, **kwargs)
        self.content = bytearray()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep a piece of the file."""
        self.content += raw_data[: max(0, files.MAX_BYTES + 1 - len(self.content))]

    def file_complete(self, file_size: int) -> SimpleUploadedFile:
        """Return the file."""
        return SimpleUploadedFile(self.file_name or "orders", bytes(self.content))


@admin.register(OrderBatch, site=site)
class OrderFileAdmin(ReadOnly, AdminOfBatch):
    """The files that were uploaded; adding one is uploading it."""

    list_display = ("file_name", "state", "by", "created_at", "applied_at")
    list_filter = ("state",)
    list_select_related = ("by",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow it to operators, who may place orders."""
        return request.user.has_perm("subscriptions.add_order")

    def get_urls(self) -> list[URLPattern]:
        """Add applying and the report, and the only page that takes a file."""
        view = self.admin_site.admin_view
        upload = csrf_exempt(self.upload)  # checked by ``upload``, after the site has said how the file is read
        setattr(upload, TAKES_FILES, InMemory)
        return [
            path("add/", view(upload), name="provisioning_orderbatch_add"),
            path("sample.csv", view(self.sample), name="provisioning_orderbatch_sample"),
            path("<int:pk>/apply/", view(self.apply), name="provisioning_orderbatch_apply"),
            path("<int:pk>/report.csv", view(self.report), name="provisioning_orderbatch_report"),
            *super().get_urls(),
        ]

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Check the form's CSRF token."""
        response: HttpResponse = csrf_protect(self.add_view)(request)
        return response

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the file; a file that can't be read is refused with a sentence at the field."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
        if request.method == "POST" and form.is_valid():
            upload = form.cleaned_data["file"]
            try:
                content = upload.read(files.MAX_BYTES + 1)
                batch = batches.create(name=upload.name, content=content, by=operator(request))
            except FileRefused as error:
                form.add_error("file", str(error))
            else:
                return redirect("admin:provisioning_orderbatch_change", batch.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Place the orders of a file"),
            "opts": self.opts,
            "form": form,
            "columns": files.columns(),
        }
        return TemplateResponse(request, "admin/provisioning/orderbatch/upload.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show how far the file is, and its rows; htmx asks for the same again while it is at work."""
        batch = self._batch(request, int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0)
        counts = batches.progress(batch)
        applying = batch.state in {State.APPLYING, State.APPLIED}
        done = counts["applied"] if applying else counts["planned"]
        chosen = request.GET.get("show", "")
        rows = _rows(batch, chosen)
        page = Paginator(rows, _ROWS).get_page(request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "title": batch.file_name,
            "opts": self.opts,
            "batch": batch,
            "at_work": batch.state in batches.AT_WORK,
            "counts": counts,
            "to_do": counts["outcome_new"] + counts["outcome_corrected"],
            "done": done,
            "percent": done * 100 // max(counts["total"], 1),
            "choices": [
                (name, words, counts[_COUNTED[name]], name == chosen) for name, (words, _q) in _CHOICES.items()
            ],
            "chosen": chosen if chosen in _CHOICES else "",
            "page": page,
            "rows": [_shown(row) for row in page],
        }
        if request.headers.get("HX-Request"):
            return render(request, "admin/provisioning/orderbatch/state.html", context)
        return TemplateResponse(request, "admin/provisioning/orderbatch/change_form.html", context)

    def apply(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST applies the plan as it is shown."""
        batch = self._batch(request, pk)
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            batches.start_applying(batch, by=operator(request))
            messages.success(request, _("The file is being applied. You don’t have to stay."))
        return redirect("admin:provisioning_orderbatch_change", batch.pk)

    def report(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """Return every row as CSV."""
        batch = self._batch(request, pk)
        response = StreamingHttpResponse(report.csv_report(batch), content_type="text/csv; charset=utf-8")
        name = slugify(batch.file_name.rpartition(".")[0])[:60] or "orders"
        response["Content-Disposition"] = f'attachment; filename="report-{name}.csv"'
        return response

    def sample(self, request: HttpRequest) -> HttpResponse:
        """Return a file that can be filled in."""
        response = HttpResponse("".join(files.sample()), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="orders.csv"'
        return response

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the page of the file."""
        return redirect("admin:provisioning_orderbatch_change", object_id)

    def _batch(self, request: HttpRequest, pk: int) -> OrderBatch:
        batch = get_object_or_404(OrderBatch.objects.select_related("by"), pk=pk)
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        return batch


_COUNTED: Final = {
    "refused": "refused",
    "warned": "warned",
    "new": "outcome_new",
    "corrected": "outcome_corrected",
    "unchanged": "outcome_unchanged",
}


def _rows(batch: OrderBatch, chosen: str) -> QuerySet[BatchRow]:
    rows = batch.rows.order_by("position")
    return rows.filter(_CHOICES[chosen][1]) if chosen in _CHOICES else rows


def _shown(row: BatchRow) -> dict[str, Any]:
    return {
        "row": row,
        "number": report.number(row),
        "outcome": report.outcome(row),
        "customer": row.facts.get("customer_name") or row.facts.get("sold_to", ""),
        "lines": report.value("lines", row.facts["lines"]) if row.facts.get("lines") and not row.faults else "",
        "faults": report.faults(row),
        "changes": report.changes(row),
        "warnings": report.warnings(row),
        "suggestion": report.suggestion(row),
    }
