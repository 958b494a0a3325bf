"""Validates the values of an order. Plain Python; errors are codes (``Problem``), never sentences."""

from __future__ import annotations

import calendar
import enum
import re
import unicodedata
import zoneinfo
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import count
from typing import Final

from email_validator import EmailNotValidError, validate_email

from orgs.text import normalize, pasted_text

MAX_NAME: Final = 200
MAX_NUMBER: Final = 40
MAX_PRODUCT: Final = 80
MAX_LICENSES: Final = 1_000_000
MAX_TERM_MONTHS: Final = 120
MAX_LINE_NUMBER: Final = 999_999_999
MAX_SERVICE: Final = 40  # characters of a service's code

# An order number is part of an address: no slash, no space, nothing that has to be escaped there.
_NUMBER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# They turn the reading direction of what stands beside a name; names in Arabic or Hebrew need none of them.
_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class Problem(enum.StrEnum):
    """Why a value or an action was refused. The caller translates the code into a sentence."""

    NUMBER = "number"
    SOLD_TO = "sold_to"
    CUSTOMER_NAME = "customer_name"
    CUSTOMER_EMAIL = "customer_email"
    CONTACT_EMAIL = "contact_email"
    SEVERAL_ADDRESSES = "several_addresses"
    NO_LINES = "no_lines"
    SERVICE = "service"
    SERVICE_TWICE = "service_twice"
    LINE_NUMBER = "line_number"
    LINE_NUMBER_TWICE = "line_number_twice"
    TOO_MANY_LICENSES = "too_many_licenses"
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
    ON_HOLD = "on_hold"
    # what the order desk keeps with an order
    MESSAGE = "message"
    NOTE = "note"
    OWNER = "owner"
    # the plan of a set-up
    UNASKED = "unasked"
    SITES_MISSING = "sites_missing"
    TOO_MANY_SITES = "too_many_sites"
    SITE_NAME = "site_name"
    SITE_NAME_TWICE = "site_name_twice"
    SITE_NAME_TAKEN = "site_name_taken"
    SITE_IS_ASKED_FOR = "site_is_asked_for"
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
    """An action that is not allowed and wrote nothing: ``problem`` says why, ``at`` which line or site (from 0).

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


class SiteIsAskedFor(Refused):
    """Another line of the order was given this site with so many licenses: it keeps its name and at least these."""

    def __init__(self, name: str, licenses: int) -> None:
        super().__init__(Problem.SITE_IS_ASKED_FOR)
        self.name = name
        self.licenses = licenses


@dataclass(frozen=True)
class Line:
    """One line of an order: licenses 1 to 1,000,000, term in months; ``number`` is the vendor's, None: by position."""

    service: str
    licenses: int
    term_months: int = 12
    product: str = ""
    number: int | None = None


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


def clean_note(text: str, problem: Problem, *, longest: int = 500, required: bool = True) -> str:
    """Return a text of several lines, stripped; raise Refused(problem) where a line of it can't be a text."""
    if not isinstance(text, str):
        raise Refused(problem)
    text = text.replace("\r\n", "\n").strip()
    for line in text.split("\n"):
        clean_text(line, problem, longest=longest, required=False)
    if len(text) > longest or (required and not text):
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


# The texts of an order by the names of its fields: what cleans each, or raises Refused.
CLEAN: Final[Mapping[str, Callable[[str], str]]] = {
    "number": clean_number,
    "sold_to": partial(clean_text, problem=Problem.SOLD_TO, longest=MAX_NAME),
    "contact_email": partial(clean_email, problem=Problem.CONTACT_EMAIL),
    "customer_name": partial(clean_text, problem=Problem.CUSTOMER_NAME, longest=MAX_NAME, required=False),
    "customer_email": partial(clean_email, problem=Problem.CUSTOMER_EMAIL, required=False),
}


def clean_lines(
    lines: Sequence[Line],
    products: Mapping[str, str],
    *,
    once: Collection[str] = (),
    existing: Sequence[tuple[int, str]] = (),
) -> tuple[Line, ...]:
    """Return the lines with their products and numbers filled in, in the order of their numbers.

    :param products: the services there are, and what a line's product is called where it doesn't say.
    :param once: the services that an order can have one line of.
    :param existing: (number, service) of the lines that the order has: a line without a number is the next of these
        of its service that isn't named; else it gets its position, or the next number that is free.
    :raises Refused: with ``at`` where it is about one line.
    """
    if not lines:
        raise Refused(Problem.NO_LINES)
    total: Counter[str] = Counter()
    numbers: set[int] = set()
    cleaned: list[Line] = []
    for at, line in enumerate(lines):
        if line.service not in products:
            raise Refused(Problem.SERVICE, at)
        if line.service in total and line.service in once:
            raise Refused(Problem.SERVICE_TWICE, at)
        if not is_whole_number(line.licenses, 1, MAX_LICENSES):
            raise Refused(Problem.LICENSES, at)
        total[line.service] += line.licenses
        if total[line.service] > MAX_LICENSES:
            raise Refused(Problem.TOO_MANY_LICENSES, at)
        if not is_whole_number(line.term_months, 1, MAX_TERM_MONTHS):
            raise Refused(Problem.TERM, at)
        if line.number is not None:
            if not is_whole_number(line.number, 1, MAX_LINE_NUMBER):
                raise Refused(Problem.LINE_NUMBER, at)
            if line.number in numbers:
                raise Refused(Problem.LINE_NUMBER_TWICE, at)
            numbers.add(line.number)
        product = clean_text(line.product or products[line.service], Problem.PRODUCT, longest=MAX_PRODUCT)
        cleaned.append(Line(str(line.service), line.licenses, line.term_months, product, line.number))
    return tuple(sorted(_numbered(cleaned, numbers, existing), key=lambda line: line.number or 0))


def _numbered(lines: Sequence[Line], taken: Collection[int], existing: Sequence[tuple[int, str]]) -> Iterator[Line]:
    """Yield the lines, each with a number."""
    used = set(taken)
    had: dict[str, list[int]] = {}
    for number, service in sorted(existing, reverse=True):
        if number not in used:
            had.setdefault(service, []).append(number)
    kept = {
        at: had[line.service].pop() for at, line in enumerate(lines) if line.number is None and had.get(line.service)
    }
    used |= set(kept.values())
    for at, line in enumerate(lines):
        number = line.number or kept.get(at) or next(free for free in count(at + 1) if free not in used)
        used.add(number)
        yield replace(line, number=number)


def add_months(start: datetime, months: int) -> datetime:
    """The same day that many months later, or the last day of that month (31 January + 1 → 28 or 29 February)."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last))


def is_whole_number(number: object, least: int, most: int) -> bool:
    """Whether it is a whole number in range; True and False are not numbers here."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def check_time_zone(name: str, at: int | None = None) -> None:
    if name not in _time_zones():
        raise Refused(Problem.TIME_ZONE, at)
