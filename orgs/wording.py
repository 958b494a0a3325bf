"""The sentences for evidence, ties and warnings: what a person reads on a candidate's card."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orgs.ranking import EXACT, Code, Evidence, Use, is_quiet, looks_abandoned

_TIES: Final[dict[Code, Promise]] = {
    Code.ADMINISTRATOR: _("This email address belongs to an administrator here"),
    Code.MEMBER: _("This email address belongs to a user here"),
    Code.CLAIMED_DOMAIN: _("The email domain is claimed here"),
    Code.USERS_AND_NAME_START: _("Users with the same email domain, and a name that begins the same"),
    Code.VERIFIED_DOMAIN: _("The email domain is verified here"),
    Code.SUB_DOMAIN: _("The email domain is part of a domain that is verified here"),
    Code.OTHER_TLD: _("The email domain differs only in its ending"),
    Code.SAME_NAME: _("Same name"),
    Code.SAME_NAME_BUT_FORM: _("Same name, written differently"),
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
    Code.SUB_DOMAIN: _("The organization has verified %(about)s, which the email domain belongs together with."),
    Code.OTHER_TLD: _("The organization has verified %(about)s, which differs from the email domain in its ending."),
    Code.SAME_NAME: _("The name is the same."),
    Code.SAME_NAME_BUT_FORM: _("The name is the same but for legal form, spelling, script or word order: %(about)s."),
    Code.OTHER_NAME: _("The organization is or was also known as %(about)s."),
    Code.ACRONYM: _("One name is the other abbreviated: %(about)s."),
    Code.READS_THE_SAME: _("The name reads like %(about)s in another script."),
    Code.NEAR_NAME: _("The name is close to %(about)s."),
    Code.SAME_WORDS: _("Telling words of the name are in %(about)s too, or mean the same."),
    Code.ANOTHER_COUNTRY: _("The organization is in another country."),
    Code.NOT_ACTIVE: _("No user has been active for a year."),
    Code.NO_VERIFIED_DOMAIN: _("The organization has no verified domain."),
}
# What a masked card may say: the same without the organization's own names and domains, and who administers it.
_MASKED: Final[dict[Code, Promise]] = {
    **_SENTENCES,
    Code.ADMINISTRATOR: _("The email address belongs to this organization."),
    Code.MEMBER: _("The email address belongs to this organization."),
    Code.CLAIMED_DOMAIN: _("The organization has claimed the email domain for itself alone."),
    Code.USERS_AND_NAME_START: _(
        "The organization has users at the email domain, and its name begins with the same five characters."
    ),
    Code.VERIFIED_DOMAIN: _("The organization has verified the email domain."),
    Code.SUB_DOMAIN: _("The organization has verified a domain that the email domain belongs together with."),
    Code.OTHER_TLD: _("The organization has verified a domain that differs from the email domain in its ending."),
    Code.SAME_NAME_BUT_FORM: _("The name is the same but for legal form, spelling, script or word order."),
    Code.OTHER_NAME: _("The organization is or was also known by this name."),
    Code.ACRONYM: _("One name is the other abbreviated."),
    Code.READS_THE_SAME: _("The name reads like the one you entered, in another script."),
    Code.NEAR_NAME: _("The name is close to the one you entered."),
    Code.SAME_WORDS: _("Telling words of the name are the same or mean the same."),
}


def tie(found: Sequence[Evidence], *, masked: bool = False) -> str:
    """One plain label for the strongest tie; "" where there is none."""
    best = max((each for each in found if each.code in _TIES), key=lambda each: each.weight, default=None)
    if best and best.code == Code.USERS_AND_NAME_START and any(each.code == Code.SAME_NAME for each in found):
        return str(_("Users with the same email domain, and the same name"))
    if best and masked and best.code in EXACT:
        return str(_("This email address belongs here"))
    return str(_TIES[best.code]) if best else ""


def reasons(found: Sequence[Evidence], *, masked: bool = False) -> tuple[str, ...]:
    """One sentence for each piece of evidence, strongest first."""
    sentences = _MASKED if masked else _SENTENCES
    ordered = sorted(found, key=lambda each: -each.weight)
    return tuple(str(sentences[each.code]) % {"about": each.about} for each in ordered)


def warnings(use: Use, now: datetime, *, masked: bool = False) -> tuple[str, ...]:
    """What should make a person hesitate, as sentences; without dates where they are masked."""
    if masked:
        if looks_abandoned(use, now):
            return (gettext("Looks abandoned: no verified domain, no activity in a year, no active subscription."),)
        return (gettext("No activity in the last year."),) if is_quiet(use, now) else ()
    if looks_abandoned(use, now):
        if use.last_activity_at is None:
            return (gettext("Looks abandoned: no verified domain, no activity, no active subscription."),)
        since = date_format(use.last_activity_at, "F Y")
        return (
            gettext("Looks abandoned: no verified domain, no activity since %(since)s, no active subscription.")
            % {"since": since},
        )
    if is_quiet(use, now):
        if use.last_activity_at is None:
            return (gettext("No activity of any user so far."),)
        return (gettext("No activity since %(since)s.") % {"since": date_format(use.last_activity_at, "F Y")},)
    return ()


def number(count: int) -> str:
    """A count with the separators of the language."""
    return number_format(count, force_grouping=True)


def users(count: int, active: int) -> str:
    """Users of an organization, and how many of them are active."""
    if not count:
        return gettext("None")
    return gettext("%(count)s (%(active)s active)") % {"count": number(count), "active": number(active)}


def date(at: datetime) -> str:
    """A day as the language writes it."""
    return date_format(at, gettext("j F Y"))


def activity(at: datetime | None) -> str:
    """The day of the last activity of any user."""
    return date(at) if at else gettext("None")


def band(count: int) -> str:
    """A count as a masked card gives it: none, or a range."""
    for limit, label in _BANDS:
        if count <= limit:
            return str(label)
    return str(_("More than 1,000"))


_BANDS: Final = ((0, _("None")), (10, _("1 to 10")), (100, _("11 to 100")), (1000, _("101 to 1,000")))


def activity_band(at: datetime | None, now: datetime) -> str:
    """The last activity as a masked card gives it."""
    if at is None:
        return str(_("None"))
    if (now - at).days <= 365:
        return str(_("In the last year"))
    return str(_("More than a year ago"))
