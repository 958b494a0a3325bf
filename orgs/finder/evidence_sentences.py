"""Labels and sentences on a candidate's card: ties, reasons, warnings, counts and dates."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import date as day
from datetime import datetime
from typing import Final

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from orgs.finder.evidence_rules import (
    DOMAIN_TIES,
    EXACT,
    NAME_TIES,
    Code,
    Evidence,
    UsageFigures,
    is_inactive,
    looks_abandoned,
)
from orgs.text import normalize

NO_BREAK: Final = "\u00a0"
_TIES: Final[dict[Code, Promise]] = {
    Code.ADMINISTRATOR: _("This email address belongs to an administrator here"),
    Code.MEMBER: _("This email address belongs to a user here"),
    Code.CLAIMED_DOMAIN: _("The email domain is claimed here"),
    Code.USERS_AND_NAME_START: _("Users with the same email domain, and a name that begins the same"),
    Code.VERIFIED_DOMAIN: _("The email domain is verified here"),
    Code.SUB_DOMAIN: _("A related domain is verified here"),
    Code.FORMER_DOMAIN: _("Used this domain before"),
    Code.OTHER_TLD: _("The email domain with another ending is verified here"),
    Code.SAME_NAME: _("Same name"),
    Code.SAME_NAME_BUT_FORM: _("Same name, different legal form"),
    Code.SAME_NAME_BUT_SCRIPT: _("Same name in another script"),
    Code.SAME_NAME_BUT_ORDER: _("Same name, different word order"),
    Code.SAME_NAME_BUT_SPACING: _("Same name, written differently"),
    Code.OTHER_NAME: _("Known by this name"),
    Code.ACRONYM: _("Same name, abbreviated"),
    Code.READS_THE_SAME: _("Same name in another script"),
    Code.NEAR_NAME: _("Similar name"),
    Code.SAME_WORDS: _("Some of the same words in the name"),
}
_SENTENCES: Final[dict[Code, Promise]] = {
    Code.ADMINISTRATOR: _("The email address belongs to an administrator of this organization."),
    Code.MEMBER: _("The email address belongs to a user of this organization."),
    Code.CLAIMED_DOMAIN: _("The organization has claimed the domain %(about)s for itself alone."),
    Code.USERS_AND_NAME_START: _(
        "The organization has users at %(about)s, and its name begins with the same five characters."
    ),
    Code.VERIFIED_DOMAIN: _("The organization has verified the domain %(about)s."),
    Code.SUB_DOMAIN: _(
        "The organization has verified %(about)s, which is under the same registered domain as the email address. "
        "That says a little less than the email domain itself."
    ),
    Code.FORMER_DOMAIN: _(
        "The organization used this domain before: %(about)s. Somebody else may own it now, so check the name too."
    ),
    Code.OTHER_TLD: _(
        "The organization has verified %(about)s, which differs from the email domain only in its ending. "
        "Different companies can own the two: check the name too."
    ),
    Code.SAME_NAME: _("The name is the same."),
    Code.SAME_NAME_BUT_FORM: _("The name is the same but for its legal form: “%(about)s”."),
    Code.SAME_NAME_BUT_SCRIPT: _("The name is the same in another script: “%(about)s”."),
    Code.SAME_NAME_BUT_ORDER: _("The name has the same words in another order: “%(about)s”."),
    Code.SAME_NAME_BUT_SPACING: _("The name is the same with other spaces or abbreviations: “%(about)s”."),
    Code.OTHER_NAME: _("The organization is or was also known as “%(about)s”."),
    Code.ACRONYM: _("One name is short for the other: “%(about)s”."),
    Code.READS_THE_SAME: _("The name sounds the same in another script: “%(about)s”."),
    Code.NEAR_NAME: _("The name is spelled almost like this: “%(about)s”."),
    Code.SAME_WORDS: _("Distinctive words of the name are in “%(about)s” too, or mean the same."),
}
# Sentences for masked cards, without the organization's names and domains, and without who administers it.
_MASKED: Final[dict[Code, Promise]] = {
    **_SENTENCES,
    Code.ADMINISTRATOR: _("The email address belongs to this organization."),
    Code.MEMBER: _("The email address belongs to this organization."),
    Code.CLAIMED_DOMAIN: _("The organization has claimed the email domain for itself alone."),
    Code.USERS_AND_NAME_START: _(
        "The organization has users at the email domain, and its name begins with the same five characters."
    ),
    Code.VERIFIED_DOMAIN: _("The organization has verified the email domain."),
    Code.SUB_DOMAIN: _("The organization has verified a domain under the same registered one as the email address."),
    Code.FORMER_DOMAIN: _("The organization used the email domain before. Somebody else may own it now."),
    Code.OTHER_TLD: _(
        "The organization has verified a domain that differs from the email domain only in its ending. "
        "Different companies can own the two: check the name too."
    ),
    Code.SAME_NAME_BUT_FORM: _("The name is the same but for its legal form."),
    Code.SAME_NAME_BUT_SCRIPT: _("The name is the same in another script."),
    Code.SAME_NAME_BUT_ORDER: _("The name has the same words in another order."),
    Code.SAME_NAME_BUT_SPACING: _("The name is the same with other spaces or abbreviations."),
    Code.OTHER_NAME: _("The organization is or was also known by this name."),
    Code.ACRONYM: _("One name is short for the other."),
    Code.READS_THE_SAME: _("The name sounds the same in another script."),
    Code.NEAR_NAME: _("The name is spelled almost the same."),
    Code.SAME_WORDS: _("The distinctive words of the name are the same, or mean the same."),
}


_USED_UNTIL: Final = _("Used this domain until %(until)s")
_USED_UNTIL_SENTENCE: Final = _(
    "The organization used this domain until %(until)s: %(about)s. Somebody else may own it now, so check the name too."
)


def tie(found: Sequence[Evidence], *, masked: bool = False) -> str:
    """Return a label of the strongest tie, "" if there is none; if it is a domain tie, also the strongest name tie.

    A masked card only has the strongest tie.
    """
    best = _strongest(found, _TIES)
    if best is None:
        return ""
    if best.code == Code.USERS_AND_NAME_START and any(each.code == Code.SAME_NAME for each in found):
        return str(_("Users with the same email domain, and the same name"))
    if masked:
        return str(_("This email address belongs here") if best.code in EXACT else _TIES[best.code])
    name = _strongest(found, NAME_TIES) if best.code in DOMAIN_TIES else None
    return " · ".join(_label(each) for each in (best, name) if each)


def _label(found: Evidence) -> str:
    if found.until:
        return str(_USED_UNTIL) % {"until": until(found.until)}
    return str(_TIES[found.code])


def until(text: str) -> str:
    """Format a year, month or day (ISO 8601) in the active language."""
    first = normalize.day_of(text)
    if first is None or len(text) == len("2022"):
        return text
    return date_format(first, "F Y") if len(text) == len("2022-06") else date(first)


def _strongest(found: Sequence[Evidence], among: Container[Code]) -> Evidence | None:
    return max((each for each in found if each.code in among), key=lambda each: each.weight, default=None)


def reasons(found: Sequence[Evidence], *, masked: bool = False) -> tuple[str, ...]:
    """Return one sentence for each piece of supporting evidence, strongest first.

    If the organization has the email's domain, related domains and those with another ending are left out.
    """
    sentences = _MASKED if masked else _SENTENCES
    own = any(each.code in {Code.CLAIMED_DOMAIN, Code.VERIFIED_DOMAIN} for each in found)
    left_out = {Code.SUB_DOMAIN, Code.OTHER_TLD} if own else set()
    ordered = sorted(
        (each for each in found if each.code in sentences and each.code not in left_out), key=lambda each: -each.weight
    )
    return tuple(_sentence(each, sentences, masked=masked) for each in ordered)


def _sentence(found: Evidence, sentences: Mapping[Code, Promise], *, masked: bool) -> str:
    if found.until and not masked:
        return str(_USED_UNTIL_SENTENCE) % {"about": found.about, "until": until(found.until)}
    return str(sentences[found.code]) % {"about": found.about}


def warnings(found: Sequence[Evidence], use: UsageFigures, now: datetime, *, masked: bool = False) -> tuple[str, ...]:
    """Return a sentence for each warning; without dates if masked."""
    against = {each.code: each.about for each in found}
    sentences: list[str] = []
    if looks_abandoned(use, now):
        sentences.append(_abandoned(use, masked=masked))
    else:
        if is_inactive(use, now):
            sentences.append(_quiet(use, masked=masked))
        if Code.NO_VERIFIED_DOMAIN in against:
            sentences.append(gettext("No verified domain."))
    if country := against.get(Code.ANOTHER_COUNTRY):
        sentences.append(gettext("In a country other than %(country)s.") % {"country": countries.name(country)})
    return tuple(sentences)


def _abandoned(use: UsageFigures, *, masked: bool) -> str:
    if masked:
        return gettext("Looks abandoned: no verified domain, no activity in a year, no active subscription.")
    if use.last_activity_at is None:
        return gettext("Looks abandoned: no verified domain, no activity, no active subscription.")
    since = date_format(use.last_activity_at, "F Y")
    return gettext("Looks abandoned: no verified domain, no activity since %(since)s, no active subscription.") % {
        "since": since
    }


def _quiet(use: UsageFigures, *, masked: bool) -> str:
    if masked:
        return gettext("No activity in the last year.")
    if use.last_activity_at is None:
        return gettext("No activity of any user so far.")
    return gettext("No activity since %(since)s.") % {"since": date_format(use.last_activity_at, "F Y")}


def number(count: int) -> str:
    """Format a count in the active language."""
    return number_format(count, force_grouping=True)


def users(count: int, active: int) -> str:
    """Format the number of users and of active users."""
    if not count:
        return gettext("None")
    text = gettext("%(count)s (%(active)s active)") % {"count": number(count), "active": number(active)}
    return text.replace(" ", NO_BREAK).replace(f"{NO_BREAK}(", " (")  # a narrow column wraps before the bracket


def date(at: day | datetime) -> str:
    """Format a day in the active language."""
    return date_format(at, gettext("j F Y"))


def activity(at: datetime | None) -> str:
    """Format the day of the last activity."""
    return date(at) if at else gettext("None")


def band(count: int) -> str:
    """Return the range of a count for a masked card."""
    for limit, label in _BANDS:
        if count <= limit:
            return str(label)
    return str(_("More than 1,000"))


_BANDS: Final = ((0, _("None")), (10, _("1 to 10")), (100, _("11 to 100")), (1000, _("101 to 1,000")))


def activity_band(at: datetime | None, now: datetime) -> str:
    """Return the range of the last activity for a masked card."""
    if at is None:
        return str(_("None"))
    if (now - at).days <= 365:
        return str(_("In the last year"))
    return str(_("More than a year ago"))
