"""What templates need to show forms and facts: problems of a form, masked addresses, moments, rough numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django import forms, template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.forms.formsets import BaseFormSet
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

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


@register.simple_tag
def problems(form: Any) -> list[Problem]:
    """All problems of a form or a formset, in the order of the page: (id of the control or "", sentence)."""
    if isinstance(form, BaseFormSet):
        if not form.is_bound:
            return []
        found = [("", str(message)) for message in form.non_form_errors()]
        for row in form.forms:
            found += _form_problems(row)
        return found
    if isinstance(form, forms.BaseForm) and form.is_bound:
        return list(_form_problems(form))
    return []


@register.filter
def masked(email: object) -> str:
    """An address of somebody else: the first letter and the domain, ``m•••@contoso.com``."""
    local, at, domain = str(email or "").rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else str(email or "")


@register.filter
def band(count: int | None) -> str:
    """A count as a rough range, for facts of an organization that the person has no proven tie to."""
    if not count:
        return _("None")
    for top in (10, 100, 1_000, 10_000):
        if count < top:
            low, high = (1, 9) if top == 10 else (top // 10, top - 1)
            return f"{formats.number_format(low, force_grouping=True)}–{formats.number_format(high, force_grouping=True)}"
    return _("10,000 or more")


@register.filter
def rough_time(moment: dt.datetime | None) -> str:
    """A time as a rough range, for the same reason as ``band``."""
    if moment is None:
        return pgettext("last activity", "None")
    days = (timezone.now() - moment).days
    if days < 31:
        return _("In the last month")
    if days < 366:
        return _("In the last year")
    return _("More than a year ago")


@register.filter
def number(count: int | None) -> str:
    """A whole number with the language's thousands separator; an en dash where there is none."""
    return "–" if count is None else formats.number_format(count, force_grouping=True)


def absolute(moment: dt.datetime) -> str:
    """``21 November 2026, 14:05 CET`` in the current time zone and language."""
    local = timezone.localtime(moment)
    return f"{formats.date_format(local, 'j F Y, H:i')} {local.strftime('%Z')}"


@register.simple_tag
def moment(at: dt.datetime | None, relative: bool = True) -> SafeString | str:
    """A point in time, relative with the absolute in its title (or absolute alone)."""
    if at is None:
        return "–"
    text = naturaltime(at) if relative else absolute(at)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), absolute(at), text)


@register.simple_tag
def month(at: dt.datetime | None) -> SafeString | str:
    """The month and year of a point in time, ``March 2023``, with the absolute in its title."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), absolute(at), formats.date_format(local, "F Y")
    )
