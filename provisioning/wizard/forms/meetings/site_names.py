"""The field for a meetings site's name, used by the step and by the check while typing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import FieldsForm
from provisioning.wizard.forms.fields import StrOrPromise, TextField
from subscriptions.rules import sites
from subscriptions.rules.sites import SiteNameProblem

Problems = Callable[[Sequence[str]], Mapping[str, SiteNameProblem]]

USED_TWICE = _("Enter another site name: this order has a site of this name already")
_SENTENCES: dict[SiteNameProblem, StrOrPromise] = {
    SiteNameProblem.MISSING: _("Enter a site name"),
    SiteNameProblem.CHARACTERS: _("Enter a site name of 4 to 63 letters (a to z), numbers and single hyphens"),
    SiteNameProblem.OTHER_SCRIPT: _("Enter a site name of 4 to 63 letters (a to z), numbers and single hyphens"),
    SiteNameProblem.SHORT: _("Enter a site name of at least 4 characters"),
    SiteNameProblem.LONG: _("Enter a site name of at most 63 characters"),
    SiteNameProblem.START: _("Start the site name with a letter from a to z"),
    SiteNameProblem.HYPHENS: _("Use single hyphens, and none at the end of the site name"),
    SiteNameProblem.RESERVED: _("Choose another site name: “%(name)s” is kept for the service itself"),
    SiteNameProblem.TAKEN: _("Choose another site name: “%(name)s” is taken"),
    SiteNameProblem.LOOK_ALIKE: _(
        "Choose another site name: “%(name)s” reads like one that is taken, "
        "since o and 0, l and 1, or rn and m look alike"
    ),
}
_SUCH_AS = _("Use letters from a to z, numbers and single hyphens, such as %(example)s")


class SiteNameField(TextField):
    """A site's name, which becomes the first part of its URL; ``configure`` gives it the names that are taken."""

    base_domain = ""
    country = ""
    own: Collection[str] = ()  # names of the order's other sites
    alternatives: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        super().__init__(
            label=_("Site name"),
            help_text=_("4 to 63 letters, numbers and hyphens. It becomes the URL that people meet at."),
            expected=_SENTENCES[SiteNameProblem.MISSING],
            max_length=253,
            widget=forms.TextInput(attrs=attrs),
            **kwargs,
        )

    def configure(self, facts: Mapping[str, Any], own: Collection[str] = ()) -> None:
        """Take from the facts ``base_domain``, ``country`` and ``site_name_problems`` (of several names, why which
        can't be had); ``own`` are the names of the order's other sites.
        """
        self.base_domain, self.country = facts.get("base_domain", ""), facts.get("country", "")
        self.problems: Problems = facts.get("site_name_problems", lambda names: {})
        self.own = own

    def clean(self, value: Any) -> str:
        """Return the folded name; raises ValidationError with the reason, and sets the ``alternatives`` to it."""
        self.alternatives = ()
        typed = super().clean(value)
        name = sites.fold(typed, self.base_domain)
        if name and name in self.own:
            raise ValidationError(USED_TWICE, code="own")
        problem = sites.problem(name) or self.problems([name]).get(name)
        if problem is None:
            return name
        self.alternatives = tuple(
            sites.alternatives(name, lambda names: self.problems(names), country=self.country, but_not=self.own)
        )
        spelled = problem in {SiteNameProblem.OTHER_SCRIPT, SiteNameProblem.CHARACTERS}
        if spelled and self.alternatives:
            raise ValidationError(_SUCH_AS, code=problem, params={"example": self.alternatives[0]})
        raise ValidationError(_SENTENCES[problem], code=problem, params={"name": name})


class SiteNameCheck(FieldsForm):
    """A form with one site name of a step, for the check while typing."""

    def __init__(
        self, data: Mapping[str, str], *, control: str, facts: Mapping[str, Any], own: Collection[str]
    ) -> None:
        prefix, _hyphen, self.name = control.rpartition("-")
        super().__init__(data, prefix=prefix)
        self.site_name = self.fields[self.name] = SiteNameField()
        self.site_name.configure(facts, own)

    @property
    def field(self) -> forms.BoundField:
        """The field with its answer."""
        return self[self.name]

    @property
    def url(self) -> str:
        """The URL that the name makes, where the order can have it; else ""."""
        domain = self.site_name.base_domain
        return ".".join(filter(None, (self.cleaned_data[self.name], domain))) if self.is_valid() else ""


def apply_alternative(posted: Any, control: str) -> tuple[Any, str] | None:
    """Return the posted fields with the alternative whose button was pressed, and its field's id; None for none.

    ``control`` is a pattern of the names of the fields that may be filled in.
    """
    name, _colon, chosen = str(posted.get("use", "")).partition(":")
    if not re.fullmatch(control, name):
        return None
    fields = posted.copy() if isinstance(posted, MultiValueDict) else dict(posted)
    fields[name] = chosen
    return fields, f"id_{name}"
