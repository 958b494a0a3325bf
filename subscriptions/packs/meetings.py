"""Meetings: sites, each with its share of the licenses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from subscriptions.models import Order, ProvisioningRequest, Site, Subscription
from subscriptions.packs.base import Pack, SetUpFacts
from subscriptions.packs.site_reservations import free_site_names, reserve_site_names
from subscriptions.presentation import Row, Section, Table, language, number
from subscriptions.rules import sites, time_zones, validation
from subscriptions.rules.validation import Problem, Refused, SiteIsAskedFor


@dataclass(frozen=True)
class SitePlan:
    """A meetings site as it will be made: licenses are its share of what was bought, or of what one line has."""

    name: str
    time_zone: str
    early_release: bool
    licenses: int


@dataclass(frozen=True)
class SiteFacts:
    """A meetings site, with its full address."""

    name: str
    url: str
    time_zone: str
    early_release: bool
    licenses: int


@dataclass(frozen=True)
class WantedNames:
    """The site names of a step just answered, and those of the order's other answers."""

    names: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class MeetingsFacts(SetUpFacts):
    """The sites of a subscription, the first one first."""

    sites: tuple[SiteFacts, ...]

    @property
    def time_zone(self) -> str:
        """The first site's."""
        return self.sites[0].time_zone if self.sites else ""

    def rows(self, as_of: datetime) -> Iterator[Row]:
        """How many there are."""
        yield Row(_("Sites"), number(len(self.sites)), "number")

    def share(self) -> Iterator[Row]:
        """How many licenses each site gets."""
        yield Row(_("Licenses by site"), "\n".join(f"{_host(site)}: {number(site.licenses)}" for site in self.sites))

    def sections(self, as_of: datetime) -> Iterator[Section]:
        """All of them, in one table that adds up."""
        rows = tuple(
            (
                site.url,
                time_zones.label(site.time_zone, as_of, language()),
                _("Yes") if site.early_release else _("No"),
                number(site.licenses),
            )
            for site in self.sites
        )
        total = (_("Total"), "", "", number(sum(site.licenses for site in self.sites))) if len(rows) > 1 else ()
        table = Table(
            caption=_("Meetings sites with their licenses"),
            head=(_("Site URL"), _("Time zone"), _("Early release"), _("Licenses")),
            kinds=("url", "text", "flag", "number"),
            rows=rows,
            total=total,
        )
        yield Section("sites", _("Sites"), table=table)

    def next_steps(self) -> Iterator[str]:
        """Where to start, and what can't be changed."""
        yield ngettext(
            "Open %(url)s and sign in with the administrator email to start with Meetings.",
            "Open %(url)s, or any of the %(n)s sites, and sign in with the administrator email to start with Meetings.",
            len(self.sites),
        ) % {"url": self.sites[0].url, "n": len(self.sites)}
        yield _("Whether a site is on the early release schedule can’t be changed later.")


class Meetings(Pack):
    """A plan is a sequence of ``SitePlan``, the first one first."""

    service = "meetings"
    label = gettext_lazy("Meetings")
    product = "Meetings"
    to_many = ("sites",)
    facts_without = {"sites": []}
    several_lines = True
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "required": ["sites"],
        "additionalProperties": False,
        "properties": {
            "sites": {
                "type": "array",
                "minItems": 1,
                "maxItems": sites.MAX_SITES,
                "items": {
                    "type": "object",
                    "required": ["name", "url", "time_zone", "early_release", "licenses"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {
                            "type": "string",
                            "minLength": sites.MIN_LENGTH,
                            "maxLength": sites.MAX_LENGTH,
                            "pattern": "^[a-z](-?[a-z0-9])+$",
                        },
                        "url": {"type": "string", "format": "uri"},
                        "time_zone": {"type": "string", "description": "A name of the IANA time zone database."},
                        "early_release": {"type": "boolean"},
                        "licenses": {"type": "integer", "minimum": 0},
                    },
                },
            }
        },
    }

    def check(self, plan: Sequence[SitePlan] | None, licenses: int) -> None:
        """Sites that can be made, with shares that add up."""
        check_sites(plan or (), licenses)

    def split(
        self, plan: Sequence[SitePlan], licenses: Sequence[int], given: Sequence[Sequence[SitePlan]]
    ) -> list[list[SitePlan]]:
        """Give each line's licenses to the sites one after the other, as far as other lines haven't given theirs.

        A site may get licenses of several lines; it is in the part of each. Raises SiteIsAskedFor.
        """
        had: Counter[str] = Counter()
        for part in given:
            for site in part:
                had[site.name] += site.licenses
        left = {site.name: site.licenses - had[site.name] for site in plan}
        for name, count in had.items():
            if left.get(name, -1) < 0:
                raise SiteIsAskedFor(name, count)
        parts: list[list[SitePlan]] = []
        waiting = [site for site in plan if left[site.name] or site.name not in had]
        for at, count in enumerate(licenses):
            part = []
            last = at == len(licenses) - 1
            while waiting and (count or last or not left[waiting[0].name]):
                site = waiting[0]
                share = min(count, left[site.name])
                part.append(replace(site, licenses=share))
                count -= share
                left[site.name] -= share
                if left[site.name]:
                    break
                waiting.pop(0)
            parts.append(part)
        return parts

    def merge(self, parts: Sequence[MeetingsFacts]) -> MeetingsFacts:
        """Every site once, with the licenses of all lines."""
        sites: dict[str, SiteFacts] = {}
        for site in (site for part in parts for site in part.sites):
            had = sites.get(site.name)
            sites[site.name] = replace(site, licenses=had.licenses + site.licenses) if had else site
        return MeetingsFacts(tuple(sites.values()))

    def locate(self, field: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
        """The site of the same name."""
        match = re.fullmatch(r"/sites/(\d{1,3})(/.*)?", field)
        if match is None or int(match[1]) >= len(part["sites"]):
            return field
        name = part["sites"][int(match[1])]["name"]
        at = next((at for at, site in enumerate(whole["sites"]) if site["name"] == name), None)
        return "" if at is None else f"/sites/{at}{match[2] or ''}"

    def preview(self, plan: Sequence[SitePlan]) -> MeetingsFacts:
        """The sites that will be made."""
        return _made(plan)

    def reserve(self, order: Order, wanted: WantedNames) -> None:
        """Reserve the names. Raises SiteNameTaken where another order has one of those just answered."""
        kept = _names_asked_for(order)
        reserve_site_names(order=order, names=wanted.names, others=(*wanted.others, *kept.difference(wanted.names)))

    def release(self, order: Order) -> None:
        """Give the names back."""
        free_site_names(order=order)

    def reserve_plan(self, order: Order, plan: Sequence[SitePlan]) -> None:
        """Reserve the names. Raises SiteNameTaken where another order has one of them."""
        names = [site.name for site in plan]
        reserve_site_names(order=order, names=names, others=_names_asked_for(order).difference(names))

    def parameters(self, plan: Sequence[SitePlan]) -> dict[str, Any]:
        """The sites with their addresses, the first one first."""
        return {"sites": [asdict(site) | {"url": site_url(site.name)} for site in plan]}

    def plan_of(self, parameters: Mapping[str, Any]) -> list[SitePlan]:
        """The sites again."""
        names = [field.name for field in fields(SitePlan)]
        return [SitePlan(**{name: site[name] for name in names}) for site in parameters["sites"]]

    def create_rows(self, subscription: Subscription, plan: Sequence[SitePlan]) -> None:
        """Make the sites."""
        Site.objects.bulk_create(
            Site(
                subscription=subscription,
                order_id=subscription.line.order_id,
                position=position,
                name=site.name,
                time_zone=site.time_zone,
                early_release=site.early_release,
                licenses=site.licenses,
            )
            for position, site in enumerate(plan, start=1)
        )

    def read(self, subscription: Subscription) -> MeetingsFacts:
        """Return the sites as they are stored."""
        return _made(subscription.sites.all())


def check_sites(plan: Sequence[SitePlan], licenses: int) -> None:
    """Raise Refused unless the sites can be made and their shares add up to ``licenses``."""
    if not plan:
        raise Refused(Problem.SITES_MISSING)
    if len(plan) > sites.MAX_SITES:
        raise Refused(Problem.TOO_MANY_SITES)
    seen: set[str] = set()
    for at, site in enumerate(plan):
        if sites.problem(site.name) is not None:
            raise Refused(Problem.SITE_NAME, at)
        if site.name in seen:
            raise Refused(Problem.SITE_NAME_TWICE, at)
        seen.add(site.name)
        validation.check_time_zone(site.time_zone, at)
        # No license at a site is allowed: an order of one license may have two sites.
        if not validation.is_whole_number(site.licenses, 0, validation.MAX_LICENSES):
            raise Refused(Problem.SHARES, at)
    if sum(site.licenses for site in plan) != licenses:
        raise Refused(Problem.SHARES)


def _names_asked_for(order: Order) -> set[str]:
    """Return the names that other lines of the order are being set up with, or are: they stay reserved."""
    if order.state != Order.State.SETTING_UP:
        return set()
    asked = ProvisioningRequest.objects.filter(order=order, line__service=PACK.service, superseded_at=None)
    rows = asked.exclude(state__in=ProvisioningRequest.TO_ANSWER).values_list("parameters", flat=True)
    return {site["name"] for parameters in rows for site in parameters.get("sites", ())}


def _host(site: SiteFacts) -> str:
    return site.url.removeprefix("https://")


def site_url(name: str) -> str:
    """The full address of a meetings site."""
    return f"https://{name}.{settings.MEETINGS_BASE_DOMAIN}"


def _made(sites: Iterable[Site | SitePlan]) -> MeetingsFacts:
    return MeetingsFacts(
        tuple(
            SiteFacts(site.name, site_url(site.name), site.time_zone, site.early_release, site.licenses)
            for site in sites
        )
    )


PACK = Meetings()
