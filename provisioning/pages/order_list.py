"""*My orders* of a person with many: a list with search, filters and pages, by GET parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning.models import User
from provisioning.people.order_index import Brief, Kind, briefs, folded

# From so many on, *My orders* is a list; fewer are shown with their tasks.
FEW: Final = 20
PER_PAGE: Final = 20
_LONGEST: Final = 200
# What the list can be narrowed to: the words, and the states of its tasks.
FILTERS: Final[dict[str, tuple[str | Promise, frozenset[str]]]] = {
    "mine": (gettext_lazy("Waiting for me"), frozenset({"next", "problem"})),
    "others": (gettext_lazy("Waiting for somebody else"), frozenset({"waiting"})),
    "done": (gettext_lazy("Completed"), frozenset({"done"})),
    "ended": (gettext_lazy("Ended"), frozenset({"ended"})),
}
# The status and the button of each kind, in the words of the task list.
_WORDS: Final[dict[Kind, tuple[str | Promise, str | Promise]]] = {
    Kind.FIND: (gettext_lazy("Not started"), gettext_lazy("Start")),
    Kind.SET_UP: (gettext_lazy("In progress"), gettext_lazy("Set up the services")),
    Kind.ANSWER: (gettext_lazy("In progress"), gettext_lazy("Change the answers")),
    Kind.DECIDE: (gettext_lazy("Waiting for your decision"), gettext_lazy("Review the request")),
    Kind.CLOSED: (gettext_lazy("There is a problem"), gettext_lazy("See what to do")),
    Kind.STUCK: (gettext_lazy("There is a problem"), gettext_lazy("See what to do")),
    Kind.FAILED: (gettext_lazy("There is a problem"), gettext_lazy("See progress")),
    Kind.UNREACHABLE: (gettext_lazy("There is a problem"), gettext_lazy("See what to do")),
    Kind.ASKED: (gettext_lazy("Waiting for an administrator"), gettext_lazy("Open")),
    Kind.DELEGATED: (gettext_lazy("Waiting for the customer"), gettext_lazy("See progress")),
    Kind.BEING_SET_UP: (gettext_lazy("Being set up"), gettext_lazy("See progress")),
    Kind.HANDED_OVER: (gettext_lazy("Waiting for somebody else"), gettext_lazy("See who has it")),
    Kind.TAKEN_OVER: (gettext_lazy("Waiting for the partner"), gettext_lazy("Open")),
    Kind.DONE: (gettext_lazy("Completed"), gettext_lazy("Open")),
    Kind.DECIDED: (gettext_lazy("Completed"), gettext_lazy("Open")),
    Kind.CANCELLED: (gettext_lazy("Cancelled"), gettext_lazy("Open")),
    Kind.OVER: (gettext_lazy("Nothing to decide any more"), gettext_lazy("Open")),
}


@dataclass(frozen=True)
class Asked:
    """What the reader asked for: words to search, a key of FILTERS or "", and a page."""

    words: str = ""
    show: str = ""
    page: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Asked:
        """Read the GET parameters ``q``, ``show`` and ``page``; what is unknown is as if it weren't there."""
        show = query.get("show", "")
        return cls(query.get("q", "").strip()[:_LONGEST], show if show in FILTERS else "", query.get("page", "")[:9])

    def __bool__(self) -> bool:
        return bool(self.words or self.show or self.page)


@dataclass(frozen=True)
class Line:
    """An order of the list, in words."""

    brief: Brief
    url: str
    status: str
    button: str


def context(user: User, asked: Asked) -> dict[str, Any]:
    """Return what the list shows: the page, the filters with their counts, and what was asked for."""
    every = briefs(user)
    words = folded(asked.words).split()
    found = [each for each in every if _has(folded(each.searched), words)] if words else every
    counts = {name: sum(each.state in states for each in found) for name, (_words, states) in FILTERS.items()}
    shown = [each for each in found if not asked.show or each.state in FILTERS[asked.show][1]]
    page: Page[Brief] = Paginator(shown, PER_PAGE).get_page(asked.page or 1)
    return {
        "asked": asked,
        "page": page,
        "lines": [_line(each) for each in page],
        "filters": [(name, words, counts[name]) for name, (words, _states) in FILTERS.items()],
        "same_partner": sum(each.kind is Kind.FIND for each in every) > 1,
        "found": len(found),
        "total": len(every),
    }


def _has(text: str, words: list[str]) -> bool:
    return all(word in text for word in words)


def _line(brief: Brief) -> Line:
    status, button = _WORDS[brief.kind]
    if brief.kind in {Kind.FIND, Kind.SET_UP} and brief.started:
        status = _("In progress")
        button = _("Continue") if brief.kind is Kind.FIND else button
    if brief.request:
        url = reverse("access_request", args=[brief.number, brief.request])
    else:
        url = reverse("order", args=[brief.number])
    return Line(brief, url, str(status), str(button))
