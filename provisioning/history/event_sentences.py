"""The sentences of an order's history: one for each kind of event, and who may read it.

A new kind of event needs a sentence in SENTENCES. Without ``seen``, only the order desk reads it.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.models import EMAIL_NAMES, AccessRequest, Event
from provisioning.templatetags.display import day, masked

Kind = Event.Kind


class Seen(enum.IntEnum):
    """Who reads a kind of event. Each group also reads the kinds of the groups after it; the order desk reads all."""

    BY_DESK = 0
    BY_CONTACTS = 1  # who had the order when it happened, or got it later
    BY_PEOPLE = 2  # and the customer's administrator who sets up the services
    BY_ALL_WHO_HAD_IT = 3  # and who had the order before: who has it now, and how it ended


@dataclass(frozen=True)
class Sentence:
    """The sentence of a kind of event.

    ``text`` and ``desk`` may contain ``%(who)s`` (who did it) and every fact. Addresses of other people are masked
    unless the reader typed them; times become dates; rights become their labels. A reason is added for the order desk
    and for the requester. ``desk`` is the sentence for the order desk, where it differs.
    """

    text: str | Promise
    seen: Seen = Seen.BY_DESK
    desk: str | Promise = ""


SENTENCES: dict[str, Sentence] = {
    Kind.PLACED: Sentence(
        gettext_lazy("The order was placed; its provisioning contact was %(contact)s."),
        Seen.BY_ALL_WHO_HAD_IT,
        desk=gettext_lazy("%(who)s placed the order; its provisioning contact was %(contact)s."),
    ),
    Kind.CORRECTED: Sentence(
        gettext_lazy("The order desk corrected the order: %(changed)s."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s corrected the order: %(changes)s."),
    ),
    Kind.LINK_SENT: Sentence(
        gettext_lazy("A link to the order was sent to %(to)s."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(who)s had a link sent to %(to)s."),
    ),
    Kind.SEARCHED: Sentence(gettext_lazy("%(who)s searched for organizations: %(asked)s. Number shown: %(shown)s.")),
    Kind.HANDED_OVER: Sentence(gettext_lazy("%(who)s handed the order over to %(to)s."), Seen.BY_ALL_WHO_HAD_IT),
    Kind.TAKEN_BACK: Sentence(gettext_lazy("%(who)s took the order back from %(from)s."), Seen.BY_ALL_WHO_HAD_IT),
    Kind.HELD: Sentence(
        gettext_lazy("The order waits for an administrator of the organization."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("The order waits for an administrator of %(name)s."),
    ),
    Kind.ASKED: Sentence(
        gettext_lazy("%(who)s asked the organization’s administrators for a right: %(right)s."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s asked the administrators of %(name)s for a right: %(right)s."),
    ),
    Kind.APPROVED: Sentence(
        gettext_lazy("An administrator approved the request."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s, of %(name)s, approved the request of %(requester)s: %(right)s."),
    ),
    Kind.DECLINED: Sentence(
        gettext_lazy("An administrator declined the request."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s, of %(name)s, declined the request of %(requester)s: %(right)s."),
    ),
    Kind.DESK_ASKED: Sentence(gettext_lazy("%(who)s asked the order desk for help."), Seen.BY_CONTACTS),
    Kind.DESK_BEGUN: Sentence(
        gettext_lazy("The order desk is looking into it."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy(
            "%(who)s began to give %(requester)s a right in %(name)s (%(right)s); its administrators can object until "
            "%(until)s. Evidence: %(evidence)s"
        ),
    ),
    Kind.DESK_GAVE: Sentence(
        gettext_lazy("The order desk gave the right that was asked for."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy(
            "%(who)s gave %(requester)s a right in %(name)s (%(right)s) until %(ends)s, as %(began)s had begun."
        ),
    ),
    Kind.HANDED_BACK: Sentence(gettext_lazy("%(who)s handed the set-up back to %(to)s."), Seen.BY_PEOPLE),
    Kind.QUESTION: Sentence(gettext_lazy("%(who)s asked about “%(about)s”: %(text)s"), Seen.BY_PEOPLE),
    Kind.ANSWERED: Sentence(gettext_lazy("%(who)s answered about “%(about)s”: %(answer)s"), Seen.BY_PEOPLE),
    Kind.RIGHT_TAKEN: Sentence(
        gettext_lazy("An administrator took back the right that a request had given."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s, of %(name)s, took back the right of %(requester)s: %(right)s."),
    ),
    Kind.RELEASED: Sentence(gettext_lazy("The order no longer waits for an administrator."), Seen.BY_CONTACTS),
    Kind.MAPPED: Sentence(gettext_lazy("%(who)s confirmed the organizations."), Seen.BY_CONTACTS),
    Kind.ON_HOLD: Sentence(
        gettext_lazy("The order desk put the order on hold."),
        Seen.BY_ALL_WHO_HAD_IT,
        desk=gettext_lazy("%(who)s put the order on hold."),
    ),
    Kind.HOLD_RELEASED: Sentence(
        gettext_lazy("The order desk released the order; it has to be set up by %(to)s."),
        Seen.BY_ALL_WHO_HAD_IT,
        desk=gettext_lazy("%(who)s released the order; it has to be set up by %(to)s, instead of %(from)s."),
    ),
    Kind.NOTED: Sentence(gettext_lazy("%(who)s noted: %(text)s")),
    Kind.OWNER: Sentence(gettext_lazy("%(who)s changed who looks after the order: %(to)s.")),
    Kind.MERGED: Sentence(
        gettext_lazy("The order desk merged two entries of the same organization."),
        Seen.BY_CONTACTS,
        desk=gettext_lazy("%(who)s merged the organization %(from)s into %(to)s."),
    ),
    Kind.REPLIED: Sentence(gettext_lazy("%(to)s answered the email “%(mail)s”: %(text)s")),
    Kind.PERSON_ERASED: Sentence(
        gettext_lazy("The data of a person was erased; a text that begins with “person-” stands for the address."),
        Seen.BY_CONTACTS,
    ),
    Kind.DELEGATED: Sentence(gettext_lazy("%(who)s asked %(to)s to set up the services."), Seen.BY_PEOPLE),
    Kind.TAKEN_OVER: Sentence(gettext_lazy("%(who)s took the set-up over from %(from)s."), Seen.BY_PEOPLE),
    Kind.POSTPONED: Sentence(gettext_lazy("%(who)s chose to set up the services later."), Seen.BY_PEOPLE),
    Kind.SETTING_UP: Sentence(gettext_lazy("%(who)s confirmed the set-up."), Seen.BY_PEOPLE),
    Kind.REQUESTED: Sentence(
        gettext_lazy("%(product)s with %(licenses)s licenses was asked for."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(product)s with %(licenses)s licenses was asked for (request %(id)s)."),
    ),
    Kind.PROVISIONED: Sentence(
        gettext_lazy("%(product)s is set up."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(product)s is set up (request %(id)s)."),
    ),
    Kind.PROVISIONING_REFUSED: Sentence(
        gettext_lazy("%(product)s was not set up: %(problem)s"),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(product)s was refused (%(code)s): %(problem)s"),
    ),
    Kind.PROVISIONING_FAILED: Sentence(
        gettext_lazy("%(product)s could not be set up; the order desk looks into it."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(product)s could not be set up (%(code)s): %(problem)s"),
    ),
    Kind.RETRIED: Sentence(
        gettext_lazy("The order desk asked for %(product)s again."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(who)s asked for %(product)s again (request %(id)s)."),
    ),
    Kind.SET_UP_TAKEN_BACK: Sentence(gettext_lazy("%(who)s took the set-up of %(product)s back."), Seen.BY_PEOPLE),
    Kind.LATE: Sentence(gettext_lazy("%(product)s takes longer to set up than promised."), Seen.BY_PEOPLE),
    Kind.SET_UP: Sentence(gettext_lazy("%(who)s set up the services."), Seen.BY_PEOPLE),
    Kind.CANCELLED: Sentence(
        gettext_lazy("The order was cancelled."),
        Seen.BY_ALL_WHO_HAD_IT,
        desk=gettext_lazy("%(who)s cancelled the order."),
    ),
    Kind.REMINDED: Sentence(gettext_lazy("%(to)s was reminded that the order closes in %(days)s days.")),
    Kind.CLOSED: Sentence(
        gettext_lazy("The order closed: it had to be set up by %(set_up_by)s."), Seen.BY_ALL_WHO_HAD_IT
    ),
    Kind.EXTENDED: Sentence(
        gettext_lazy("The order desk gave the order more time, until %(to)s."),
        Seen.BY_ALL_WHO_HAD_IT,
        desk=gettext_lazy("%(who)s gave the order more time, from %(from)s to %(to)s."),
    ),
    Kind.MAIL_SENT: Sentence(gettext_lazy("The email “%(mail)s” went out to %(to)s."), Seen.BY_PEOPLE),
    Kind.MAIL_REFUSED: Sentence(
        gettext_lazy("The email “%(mail)s” could not be delivered to %(to)s."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("The email “%(mail)s” could not be delivered to %(to)s: %(problem)s"),
    ),
    Kind.MAIL_BOUNCED: Sentence(
        gettext_lazy("Emails to %(to)s come back."),
        Seen.BY_PEOPLE,
        desk=gettext_lazy("%(who)s noted that emails to %(to)s come back: %(problem)s"),
    ),
    Kind.ASKED_AGAIN: Sentence(
        gettext_lazy("%(who)s had the request sent to the administrators again."), Seen.BY_CONTACTS
    ),
}

# Contacts read that these emails were sent, to whomever. Of other emails, only the recipient reads it: emails to
# administrators would reveal who was asked for a right, and whether anybody was.
EMAILS_SHOWN_TO_CONTACTS = frozenset(
    {
        "order_placed",
        "order_handed_over",
        "order_taken_back",
        "order_cancelled",
        "setup_delegated",
        "setup_taken_over",
        "setup_handed_back",
        "set_up_confirmation",
        "set_up_refused",
        "set_up_late",
    }
)

# Everybody who had the order reads that these were sent: they are about who has it.
EMAILS_SHOWN_TO_ALL_WHO_HAD_IT = frozenset({"order_handed_over", "order_taken_back"})

FIELDS = {
    "sold_to": gettext_lazy("sold to"),
    "contact_email": gettext_lazy("provisioning contact"),
    "customer_name": gettext_lazy("end customer"),
    "customer_email": gettext_lazy("customer’s administrator"),
    "lines": gettext_lazy("what was ordered"),
}
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T.*)?")


@dataclass(frozen=True)
class Reader:
    """Who reads: the order desk (``email`` is ""), a contact, or a delegate (``since``); ``until``: end of the part."""

    email: str = ""
    since: datetime | None = None
    until: datetime | None = None
    typed: frozenset[str] = frozenset()  # addresses that the reader typed, which need no mask
    several: frozenset[str] = frozenset()  # services of which the order has several lines

    @property
    def is_desk(self) -> bool:
        """Say whether the reader is the order desk, which reads everything."""
        return not self.email


DESK = Reader()


@dataclass(frozen=True)
class Line:
    """The sentence of one event, with the event's position and hash."""

    position: int
    at: datetime
    kind: str
    sentence: str
    hash: str


def sentences_for(events: Iterable[Event], reader: Reader) -> list[Line]:
    """Return the sentences of the events that this reader may read, in the same order and the current language.

    The events should be selected with ``by``.
    """
    events = [event for event in events if may_read(event, reader)]
    reader = replace(reader, typed=frozenset(_typed(events, reader)), several=_services_of_several_lines(events))
    return [Line(event.position, event.at, event.kind, sentence(event, reader), event.hash) for event in events]


def _typed(events: Iterable[Event], reader: Reader) -> Iterator[str]:
    for event in events:
        to = event.facts.get("to")
        if event.who == reader.email and event.kind in {Kind.HANDED_OVER, Kind.DELEGATED} and isinstance(to, str):
            yield to


def _services_of_several_lines(events: Iterable[Event]) -> frozenset[str]:
    lines = {(event.facts["service"], event.facts["line"]) for event in events if "line" in event.facts}
    return frozenset(service for service, count in Counter(service for service, _line in lines).items() if count > 1)


def may_read(event: Event, reader: Reader) -> bool:
    """Say whether this reader may read this event."""
    if reader.is_desk:
        return True
    found = SENTENCES.get(event.kind)
    if found is None or found.seen is Seen.BY_DESK:
        return False
    seen, to = found.seen, event.facts.get("to")
    if event.kind == Kind.CORRECTED and "contact_email" in event.facts.get("changes", {}):
        seen = Seen.BY_ALL_WHO_HAD_IT  # from then on somebody else has the order
    if event.who == reader.email:
        return True
    if event.facts.get("mail") in EMAILS_SHOWN_TO_ALL_WHO_HAD_IT:
        seen = Seen.BY_ALL_WHO_HAD_IT
    if reader.until and event.at > reader.until and seen is not Seen.BY_ALL_WHO_HAD_IT:
        return False
    if event.kind in {Kind.MAIL_SENT, Kind.MAIL_REFUSED, Kind.MAIL_BOUNCED} and to != reader.email:
        return not reader.since and event.facts.get("mail") in EMAILS_SHOWN_TO_CONTACTS
    if event.kind == Kind.LINK_SENT and "asked" in event.facts and to != reader.email:
        return False  # somebody asked for it at a link, which may be an administrator's
    if reader.since:
        return event.at >= reader.since and seen in {Seen.BY_PEOPLE, Seen.BY_ALL_WHO_HAD_IT}
    return True


def sentence(event: Event, reader: Reader) -> str:
    """Return the sentence of an event for this reader."""
    found = SENTENCES.get(event.kind, Sentence(event.kind))
    words = _Values({name: _word(name, value, event, reader) for name, value in event.facts.items()})
    words["who"] = _who(event, reader)
    if event.facts.get("service") in reader.several and "line" in event.facts:
        line = {"product": event.facts.get("product", ""), "number": event.facts["line"]}
        words["product"] = _("%(product)s (line %(number)s)") % line
    if event.kind == Kind.CORRECTED:
        changes = event.facts.get("changes", {})
        words["changed"] = ", ".join(str(FIELDS.get(name, name)) for name in changes)
        words["changes"] = "; ".join(
            _("%(field)s from %(old)s to %(new)s")
            % {"field": FIELDS.get(name, name), "old": _value(name, old, new), "new": _value(name, new, old)}
            for name, (old, new) in changes.items()
        )
    text = str(found.desk if reader.is_desk and found.desk else found.text)
    said = text % words
    for named in event.facts.get("not_as_ordered", ()):
        said += " " + _("The order names “%(named)s”; an organization of another name was chosen.") % {"named": named}
    if reader.is_desk and (key := event.facts.get("key")) and (event.who or "%(who)s" not in text):
        said += " " + _("Reported with the API key “%(key)s”.") % {"key": key}
    reason = event.facts.get("reason")
    if reason and (reader.is_desk or event.facts.get("requester") == reader.email):
        said += " " + _("The reason given: “%(reason)s”") % {"reason": reason}
    return said


class _Values(dict[str, str]):
    """The values of a sentence; a fact that an older event doesn't have is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def _who(event: Event, reader: Reader) -> str:
    if not event.who:
        key = event.facts.get("key") if reader.is_desk else None
        return _("The API key “%(key)s”") % {"key": key} if key else _("The system")
    if not reader.is_desk and event.who != reader.email and event.by is not None and event.by.is_staff:
        return _("The order desk")
    return _address(event.who, event, reader)


def _word(name: str, value: Any, event: Event, reader: Reader) -> str:
    if name == "mail":
        return str(EMAIL_NAMES.get(value, value))
    if name == "right" and value in AccessRequest.Right.values:
        return str(AccessRequest.Right(value).label)
    if isinstance(value, list):
        return ", ".join(_word("", each, event, reader) for each in value)
    if isinstance(value, str) and "@" in value:
        return _address(value, event, reader)
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        moment = datetime.fromisoformat(value)
        return day(moment if moment.tzinfo else timezone.make_aware(moment))
    return str(value)


def _address(email: str, event: Event, reader: Reader) -> str:
    """Return an address, masked unless the reader is the order desk, its owner, or the person who typed it."""
    if email == reader.email:
        return _("%(email)s (you)") % {"email": email}
    return email if reader.is_desk or event.who == reader.email or email in reader.typed else masked(email)


def _value(field: str, value: Any, other: Any) -> str:
    """Return the value of a corrected field; ``other`` is the one after, or before.

    Lines are lists of service, product, licenses, months and number (events of before: without the number). Those that
    are the same before and after are left out.
    """
    if field != "lines":
        return str(value) or "–"
    names = ("product", "licenses", "term", "number")
    written = _("%(product)s × %(licenses)s (%(term)s months)")
    numbered = _("line %(number)s: %(product)s × %(licenses)s (%(term)s months)")
    several = max(len(value), len(other)) > 1
    lines = [line for line in value if line not in other]
    shown = [
        (numbered if several and len(line) > len(names) else written) % dict(zip(names, line[1:], strict=False))
        for line in lines
    ]
    return ", ".join(shown) or "–"
