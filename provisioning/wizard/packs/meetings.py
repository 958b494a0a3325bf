"""Meetings: the first site, more of them, and which gets how many of the licenses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from provisioning.wizard.forms.meetings import licenses, site_forms
from provisioning.wizard.forms.meetings.site_names import SiteNameCheck
from provisioning.wizard.packs.base import Answers, PackSteps, Step
from subscriptions.models import Order
from subscriptions.packs import Bought
from subscriptions.packs.meetings import SitePlan, WantedNames
from subscriptions.packs.site_reservations import KnownNames
from subscriptions.rules import sites
from subscriptions.rules.validation import Refused, SiteIsAskedFor, SiteNameTaken


class MeetingsSteps(PackSteps):
    """A plan is a list of ``SitePlan``, the first one first."""

    service = "meetings"
    steps = (
        Step("meetings", _("Meeting setup"), site_forms.MeetingSetup),
        Step("additional", _("Additional URLs"), site_forms.AdditionalSites, site_forms.wants_additional_sites),
        Step(
            "licenses",
            _("Licenses"),
            licenses.LicenseDistribution,
            site_forms.wants_additional_sites,
            ("meetings", "additional"),
        ),
    )

    def facts(self, order: Order, bought: Bought) -> dict[str, Any]:
        """The licenses to distribute, which names are taken, and where the customer is."""
        return {
            "total_licenses": bought.licenses,
            "site_name_problems": KnownNames(order).problems,
            "country": order.customer.country.code if order.customer else "",
            "base_domain": settings.MEETINGS_BASE_DOMAIN,
        }

    def check_site_name(
        self, order: Order, bought: Bought, text: str, *, control: str, answers: Answers, twice: bool = False
    ) -> SiteNameCheck:
        """Return one site's name as its step would take it, for the answer while it is typed.

        ``control`` is its field's name in the step's form; ``twice``: another site of the page has this name.
        """
        own = {sites.fold(text, settings.MEETINGS_BASE_DOMAIN)} if twice else set()
        if control.startswith("additional-") and "meetings" in answers:
            own.add(answers["meetings"]["site_name"])
        return SiteNameCheck({control: text}, control=control, facts=self.facts(order, bought), own=own)

    def reservation(self, step: str, answers: Answers) -> WantedNames:
        """The names of all sites: those of this step have to be free, the others may have been lost meanwhile."""
        every = site_forms.site_names(answers)
        names = every[:1] if step == "meetings" else every[1:] if step == "additional" else []
        return WantedNames(tuple(names), tuple(name for name in every if name not in names))

    def plan(self, answers: Answers, bought: Bought) -> list[SitePlan]:
        """The sites with their shares."""
        return [SitePlan(**site) for site in site_forms.planned_sites(answers, bought.licenses)]

    def irreversible_effects(self, plan: Any) -> Iterator[str]:
        """Site names and the early release schedule are permanent."""
        yield ngettext(
            "The site’s name, and whether it is on the early release schedule, can’t be changed later.",
            "The sites’ names, and whether they are on the early release schedule, can’t be changed later.",
            len(plan),
        )

    def locate_field(self, field: str, answers: Answers) -> tuple[str, str]:
        """The first site is answered at its own step, the others as rows, the licenses at theirs."""
        match = re.fullmatch(r"/sites/(\d{1,3})(?:/(\w+))?", field)
        at, name = (int(match[1]), match[2] or "name") if match else (0, "")
        if name == "licenses" and "licenses" in answers:
            return "licenses", ""
        name = {"url": "name", "licenses": ""}.get(name, name)
        if at == 0:
            return "meetings", {"name": "site_name"}.get(name, name)
        return "additional", f"{at - 1}-{name}"

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """A name that was taken meanwhile is chosen anew where it was chosen."""
        if isinstance(refused, SiteIsAskedFor):
            return "licenses" if refused.name in answers.get("licenses", {}) else "meetings"
        if not isinstance(refused, SiteNameTaken):
            return ""
        return "meetings" if answers["meetings"]["site_name"] == refused.name else "additional"


STEPS = MeetingsSteps()
