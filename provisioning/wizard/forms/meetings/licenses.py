"""The step that distributes the licenses of Meetings to its sites."""

from __future__ import annotations

import contextlib
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.fields import WholeNumberField
from provisioning.wizard.forms.meetings.site_forms import site_names
from subscriptions.rules import sites


class LicenseDistribution(StepForm):
    """How many of the licenses each site gets; together exactly those that were bought."""

    step = "licenses"
    title = _("Distribute the licenses")
    lead = _("Together they must be exactly the licenses that were bought. A site can start with none.")

    def prepare(self) -> None:
        """Make a field for each site; it goes by the site's name, so that a share stays with its site."""
        self.site_names = site_names(self.earlier_answers)
        self.total: int = self.facts.get("total_licenses", 0)
        domain = self.facts.get("base_domain", "")
        for name in self.site_names:
            self.fields[_share(name)] = WholeNumberField(
                label=f"{name}.{domain}" if domain else name,
                expected=gettext("Enter how many licenses %(site)s gets, a number from 0 to %(most)s")
                % {"site": name, "most": _number(self.total)},
                min_value=0,
                max_value=self.total,
            )

    def handle_button(self, posted: Any) -> tuple[Any, str] | None:
        """Return equal shares where *Split evenly* was pressed."""
        if "split" not in posted:
            return None
        return with_even_split(posted, str(self.prefix), self.site_names, self.total), "remainder"

    @property
    def remainder(self) -> int:
        """The licenses that are not distributed yet; negative if there are too many."""
        typed = 0
        for name in self.site_names:
            with contextlib.suppress(ValidationError):
                typed += self.fields[_share(name)].to_python(self[_share(name)].value()) or 0
        return self.total - typed

    @property
    def remainder_text(self) -> str:
        """The remainder in words."""
        return remainder_sentence(self.remainder, self.total)

    def clean(self) -> dict[str, Any]:
        """Refuse shares whose sum is not the number of licenses."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and (left := self.total - sum(cleaned.values())):
            raise ValidationError(remainder_sentence(left, self.total), code="sum")
        return cleaned

    @classmethod
    def can_load(cls, answer: Any) -> bool:
        """Return whether these are numbers by site name."""
        return isinstance(answer, dict) and all(type(share) is int for share in answer.values())

    def answers(self) -> dict[str, int]:
        """Return the licenses by site name."""
        return {name: self.cleaned_data[_share(name)] for name in self.site_names}


def remainder_sentence(left: int, total: int) -> str:
    """Say how many of the licenses are left to distribute, or how many are too many (``left`` below 0)."""
    if left < 0:
        words = ngettext(
            "%(more)s more than the %(total)s license bought", "%(more)s more than the %(total)s licenses bought", total
        )
        return words % {"more": _number(-left), "total": _number(total)}
    if left == 0:
        return gettext("All %(total)s are distributed") % {"total": _number(total)}
    return gettext("%(left)s of %(total)s left to distribute") % {"left": _number(left), "total": _number(total)}


def with_even_split(posted: Any, prefix: str, names: list[str], total: int) -> MultiValueDict[str, str]:
    """Return a copy of the posted data with the licenses split evenly between the sites."""
    lists = posted.lists() if isinstance(posted, MultiValueDict) else ((name, [one]) for name, one in posted.items())
    copied: MultiValueDict[str, str] = MultiValueDict(dict(lists))
    for name, share in zip(names, sites.split_evenly(total, len(names)), strict=True):
        copied[f"{prefix}-{_share(name)}"] = str(share)
    return copied


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


def _share(name: str) -> str:
    return f"site_{name}"
