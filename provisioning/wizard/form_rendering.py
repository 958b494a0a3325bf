"""The form renderer: templates, except for plain inputs, which it writes without one for speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

_WIDGETS: Final = "django/forms/widgets/"
# Django's templates that consist of an <input> with its attributes; the second kind may have a label around it.
_INPUTS: Final = frozenset(
    f"{_WIDGETS}{name}.html" for name in ("checkbox", "email", "hidden", "input", "number", "tel", "text", "url")
)
_OPTIONS: Final = frozenset(f"{_WIDGETS}{name}.html" for name in ("checkbox_option", "input_option", "radio_option"))


class Renderer(TemplatesSetting):
    """Renders forms with the project's templates, and inputs directly: a template for each costs two includes."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        """Return the same HTML as the template of this name gives."""
        if template_name in _INPUTS or (template_name in _OPTIONS and not context["widget"].get("wrap_label")):
            return _input(context["widget"])
        return super().render(template_name, context, request)


def _input(widget: Mapping[str, Any]) -> SafeString:
    kind, name, value = (_written(widget[part]) for part in ("type", "name", "value"))
    value = "" if widget["value"] is None else f' value="{value}"'
    attributes = _attributes(widget["attrs"])
    return mark_safe(f'<input type="{kind}" name="{name}"{value}{attributes}>')  # noqa: S308 - each part is escaped


def _attributes(attrs: Mapping[str, Any]) -> str:
    return "".join(
        f" {name}" if value is True else f' {name}="{_written(value)}"'
        for name, value in attrs.items()
        if value is not False
    )


def _written(value: Any) -> str:
    return conditional_escape(value if isinstance(value, SafeString) else str(value))
