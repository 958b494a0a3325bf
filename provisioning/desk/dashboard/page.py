"""The dashboard of the order desk: a page with charts and their tables, and the same figures as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from orgs.text.csv_out import csv_lines
from provisioning.desk.dashboard import figures
from provisioning.desk.site import site

# Units of the drawing: the width of a full bar, and the height of a row with its label above the bar.
WIDTH: Final = 360
ROW: Final = 44


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the funnel of the orders of a period, why orders are stuck now, and how services are being set up."""
    days = _days(request)
    stages, cancelled, whole = figures.funnel(days)
    stuck, health = figures.stuck(), figures.health(days)
    context = {
        **site.each_context(request),
        "title": _("Dashboard"),
        "days": days,
        "periods": [(each, _period(each)) for each in figures.PERIODS],
        "stages": [(stage, _time(stage.median)) for stage in stages],
        "cancelled": cancelled,
        "whole": _time(whole),
        "stuck": stuck,
        "health": [(each, _time(each.median)) for each in health],
        "funnel_bars": _bars([(f"{stage.name}: {stage.count} ({stage.share} %)", stage.count) for stage in stages]),
        "stuck_bars": _bars([(f"{each.reason}: {each.count}", each.count) for each in stuck]),
    }
    return TemplateResponse(request, "admin/dashboard.html", context)


@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Return the dashboard's figures as CSV: table, what, figure, value; times in seconds."""
    days = _days(request)
    lines = csv_lines((_("Table"), _("What"), _("Figure"), _("Value")), list(_rows(days)), mark=True)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="dashboard-{timezone.localdate()}.csv"'
    return answer


def _days(request: HttpRequest) -> int:
    """Return the period that was chosen, in days. Raises PermissionDenied for whoever may not see orders."""
    if not request.user.has_perm("subscriptions.view_order"):
        raise PermissionDenied
    asked = request.GET.get("days", "")
    return next((each for each in figures.PERIODS if str(each) == asked), figures.PERIOD)


def _rows(days: int) -> Iterator[tuple[str, str, str, object]]:
    stages, cancelled, whole = figures.funnel(days)
    for stage in stages:
        yield _("Funnel"), stage.name, _("Orders"), stage.count
        yield _("Funnel"), stage.name, _("Median seconds from the stage before"), _seconds(stage.median)
    yield _("Funnel"), _("Cancelled"), _("Orders"), cancelled
    yield _("Funnel"), _("From placed to set up"), _("Median seconds"), _seconds(whole)
    for stuck in figures.stuck():
        yield _("Stuck orders"), stuck.reason, _("Orders"), stuck.count
    for each in figures.health(days):
        name = f"{each.service} ({each.driver})"
        for figure, value in (
            (_("Being set up"), each.open),
            (_("Out of reach"), each.unreachable),
            (_("Set up"), each.succeeded),
            (_("Refused"), each.refused),
            (_("Failed"), each.failed),
            (_("Median seconds"), _seconds(each.median)),
        ):
            yield _("Provisioning"), name, figure, value


def _seconds(time: timedelta | None) -> int | None:
    return None if time is None else round(time.total_seconds())


def _bars(rows: list[tuple[str, int]]) -> dict[str, Any]:
    """Return a drawing of horizontal bars: its height, and each bar's label, width and places."""
    most = max((count for _label, count in rows), default=0) or 1
    bars = [
        {"label": label, "width": round(WIDTH * count / most), "text_y": ROW * at + 16, "bar_y": ROW * at + 22}
        for at, (label, count) in enumerate(rows)
    ]
    return {"bars": bars, "height": ROW * len(rows), "width": WIDTH}


def _period(days: int) -> str:
    if not days:
        return _("All orders")
    return ngettext("Last %(days)s day", "Last %(days)s days", days) % {"days": days}


def _time(time: timedelta | None) -> str:
    """Return a time as people say it: in minutes, hours or days."""
    if time is None:
        return "–"
    minutes = round(time.total_seconds() / 60)
    if minutes < 90:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    hours = round(minutes / 60)
    if hours < 48:
        return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
    days = round(hours / 24)
    return ngettext("%(count)s day", "%(count)s days", days) % {"count": days}
