"""The error message for each code of the order rules, for the order desk and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from subscriptions.rules.validation import Problem, Refused, SiteIsAskedFor

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

NOT_NOW = _("That can't be done with this order now.")
SENTENCES: dict[Problem | str, str | StrPromise] = {
    Problem.NUMBER: _(
        "Enter an order number of up to 40 letters, numbers, hyphens, underscores and full stops, such as PO-100001."
    ),
    Problem.SOLD_TO: _("Enter the name of the company that bought it, in up to 200 characters."),
    Problem.CUSTOMER_NAME: _("Enter the customer's name in up to 200 characters, or leave it empty."),
    Problem.CUSTOMER_EMAIL: _("Enter the customer's email address like name@example.com, or leave it empty."),
    Problem.CONTACT_EMAIL: _("Enter the provisioning contact's email address like name@example.com."),
    Problem.SEVERAL_ADDRESSES: _("Enter one address."),
    Problem.NO_LINES: _("Say what was ordered: a number of licenses for at least one service."),
    Problem.SERVICE: _("Choose a service that is sold."),
    Problem.SERVICE_TWICE: _("This service can be in an order once only."),
    Problem.LINE_NUMBER: _("Enter a line number between 1 and 999,999,999, or leave it empty."),
    Problem.LINE_NUMBER_TWICE: _("Give each line a number of its own."),
    Problem.TOO_MANY_LICENSES: _("The lines of one service can have at most 1,000,000 licenses together."),
    Problem.PRODUCT: _("Enter the name of the product in up to 80 characters."),
    Problem.LICENSES: _("Enter a number of licenses between 1 and 1,000,000."),
    Problem.TERM: _("Enter a term of 1 to 120 months."),
    Problem.SET_UP_BY: _("Enter a set-up-by date that lies ahead, at most two years from now."),
    Problem.NOT_LATER: _("Enter a date later than the one that the order has."),
    Problem.CLOSED: _("This order is closed: its set-up-by date has passed. Give it more time first."),
    Problem.CANCELLED: _("This order is cancelled; nothing about it can be changed."),
    Problem.ALREADY_SET_UP: _("This order is set up; it can no longer be changed or cancelled here."),
    Problem.BEING_SET_UP: _("This order is being set up; it can no longer be changed here."),
    Problem.NOT_BEING_SET_UP: _("Nothing of this order is being set up now, so there is nothing to do."),
    Problem.REASON: _("Enter a reason: it goes into the history of the order."),
    Problem.ON_HOLD: _("The order desk holds this order. Release it first."),
    Problem.MESSAGE: _("Enter what people read in up to 500 characters, or leave it empty."),
    Problem.NOTE: _("Enter a note of up to 2,000 characters."),
    Problem.OWNER: _("Choose an operator of the order desk, or nobody."),
    Problem.ALREADY_MAPPED: _(
        "The organizations of this order are confirmed, so its contact and customer can no longer be changed."
    ),
}

CANNOT_MERGE = _("These two can’t be merged: they are the same entry, or one of them is closed or was merged already.")
_site_is_asked_for = _(
    "The site %(site)s keeps its name and at least %(licenses)s licenses: it was asked for with another line of this "
    "order. For the rest, add another site."
)


def sentence(refused: Refused) -> str:
    """The sentence for a refusal, in the reader's language."""
    if isinstance(refused, SiteIsAskedFor):
        words = {"site": refused.name, "licenses": number_format(refused.licenses, force_grouping=True)}
        return _site_is_asked_for % words
    return str(SENTENCES.get(refused.problem, NOT_NOW))


def erasure_sentence(reason: str, numbers: Sequence[str]) -> str:
    """The sentence for a person who can't be erased now: "operator", "administrator" or "orders" (with numbers)."""
    if reason == "operator":
        return str(_("This person is an operator: take the role first."))
    if reason == "administrator":
        return str(_("This person is the last full administrator of an organization: name another one there first."))
    said = _("This person still has a part in these orders: %(numbers)s. Hand them over, finish or cancel them first.")
    return str(said) % {"numbers": ", ".join(numbers[:20])}
