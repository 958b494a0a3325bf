"""What templates need to show forms and facts: problems of a form, masked addresses, moments, numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django import forms, template
from django.forms.formsets import BaseFormSet
from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()

Problem = tuple[str, str]


def _first_control(field: forms.BoundField) -> str:
    """Id of the control a problem is about: of a group of radios or checkboxes the first one."""
    if field.use_fieldset and field.subwidgets:
        return field.subwidgets[0].id_for_label or field.auto_id
    return field.id_for_label or field.auto_id


def _form_problems(form: forms.BaseForm) -> Iterator[Problem]:
    for message in form.non_field_errors():
        yield "", str(message)
    for field in form:
        for message in field.errors:
            yield "" if field.is_hidden else _first_control(field), str(message)


def _search_problems(form: Any) -> Iterator[Problem]:
    """Yield the error of the search by domain, whose form is not bound."""
    if problem := getattr(form, "domain_problem", ""):
        yield "search_domain", str(problem)


@register.simple_tag
def problems(form: Any) -> list[Problem]:
    """All problems of a form or a formset, in the order of the page: (id of the control or "", sentence)."""
    if isinstance(form, BaseFormSet):
        if not form.is_bound:
            return []
        found = [("", str(message)) for message in form.non_form_errors()]
        for count, row in enumerate(form.forms, start=1):
            named = _("Additional URL %(number)d: %(problem)s")
            found += [
                (control, named % {"number": count, "problem": sentence}) for control, sentence in _form_problems(row)
            ]
        return found
    found = list(_search_problems(form))
    if isinstance(form, forms.BaseForm) and form.is_bound:
        found += _form_problems(form)
    return found


@register.simple_tag
@lru_cache(maxsize=32)
def icon(name: str) -> SafeString:
    """A symbol of parts/icon.html, drawn once: pages have many of them."""
    return render_to_string("parts/icon.html", {"name": name})


@register.simple_tag
def rail_steps(rail: list[dict[str, Any]]) -> SafeString:
    """The parts of the journey with their steps as lists, which a page has twice (parts/progress_rail.html)."""
    done = format_html('<span class="visually-hidden">{}</span>', _("(done)"))
    return format_html_join(
        "",
        '<p class="rail-part">{}</p><ol class="rail-steps">{}</ol>',
        (
            (part["title"], format_html_join("", "{}", ((_rail_step(item, done),) for item in part["steps"])))
            for part in rail
        ),
    )


def _rail_step(item: dict[str, Any], done: SafeString) -> SafeString:
    state, title = item["state"], item["title"]
    linked = item["url"] and state != "current"
    return format_html(
        '<li class="rail-{}"{}>{} {} {}</li>',
        state,
        SafeString(' aria-current="step"') if state == "current" else "",
        icon("check") if state == "done" else "",
        format_html('<a href="{}">{}</a>', item["url"], title) if linked else format_html("<span>{}</span>", title),
        done if state == "done" else "",
    )


@register.simple_tag
def head_row(*heads: str) -> SafeString:
    """The first row of a table: what each column holds."""
    return format_html("<tr>{}</tr>", format_html_join("", '<th scope="col">{}</th>', ((head,) for head in heads)))


@register.filter
def masked(email: object) -> str:
    """An address of somebody else: the first letter and the domain, ``m•••@contoso.com``."""
    local, at, domain = str(email or "").rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else str(email or "")


@register.filter
def number(count: int | None) -> str:
    """A whole number with the language's thousands separator; an en dash where there is none."""
    return "–" if count is None else formats.number_format(count, force_grouping=True)


@register.filter
def absolute(moment: dt.datetime) -> str:
    """``21 November 2026, 14:05 CET`` in the current time zone and language."""
    local = timezone.localtime(moment)
    written = formats.date_format(local, _("j F Y, H:i"))
    return f"{written} {local.strftime('%Z')}"


@register.filter
def day(at: dt.datetime | None) -> str:
    """The day of a moment as the language writes it, 21 November 2026; an en dash where there is none."""
    return "–" if at is None else formats.date_format(timezone.localtime(at), _("j F Y"))


def relative(at: dt.datetime) -> str:
    """``today at 14:05``, ``yesterday at 14:05``, else the date; reads well in the middle of a sentence."""
    local, today = timezone.localtime(at), timezone.localdate()
    clock = formats.date_format(local, "H:i")
    if local.date() == today:
        return _("today at %(time)s") % {"time": clock}
    if local.date() == today - dt.timedelta(days=1):
        return _("yesterday at %(time)s") % {"time": clock}
    return _("on %(date)s") % {"date": day(at)}


@register.simple_tag
def moment(at: dt.datetime | None) -> SafeString | str:
    """A point in time as ``relative`` words it, with the absolute in its title."""
    if at is None:
        return "–"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), absolute(at), relative(at))


@register.simple_tag
def set_up_by(order: Any) -> SafeString | str:
    """The set-up-by date of an open order, beside its number; with the time in the last week."""
    if not getattr(order, "is_open", False):
        return ""
    at: dt.datetime = order.closes_at
    soon = at - timezone.now() <= dt.timedelta(days=7)
    words = _("set up by %(date)s") % {"date": absolute(at) if soon else day(at)}
    return format_html(
        '<time class="{}" datetime="{}" title="{}">· {}</time>',
        "soon" if soon else "",
        at.isoformat(),
        absolute(at),
        words,
    )


@register.simple_tag
def full_moment(at: dt.datetime | None) -> SafeString | str:
    """A point in time with its zone: ``21 November 2026, 14:05 CET``."""
    if at is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), absolute(at))
