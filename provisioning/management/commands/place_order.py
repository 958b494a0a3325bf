"""Place an order from the command line."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orgs.text import pasted_text
from provisioning import actions
from provisioning.actions.orders import differing_facts
from provisioning.rules import refusals
from subscriptions import packs
from subscriptions.actions import end_of_day
from subscriptions.rules.validation import Line, Problem, Refused

_EXAMPLE = '20=meetings:"Meetings Pro":100:24'
_LINE = (
    f"a line, as often as there are: number (may be left out), service, product, licenses, months (may be left out), "
    f"like {_EXAMPLE}"
)


class Command(BaseCommand):
    """``place_order --contact EMAIL --company NAME …``: the contact gets the welcome email."""

    help = "Place an order; its provisioning contact gets the welcome email."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("--contact", default="", metavar="EMAIL", help="the provisioning contact's email")
        parser.add_argument("--company", default="", metavar="NAME", help="who bought it")
        parser.add_argument("--customer", default="", metavar="NAME", help="the end customer of a partner's order")
        parser.add_argument("--customer-email", default="", metavar="EMAIL", help="the customer's administrator")
        for service, sold in packs.installed().items():
            words = f"licenses for {sold.label}; once for each line"
            parser.add_argument(f"--{service}", dest=service, action="append", metavar="LICENSES", help=words)
        parser.add_argument("--line", action="append", default=[], metavar="LINE", help=_LINE)
        parser.add_argument("--term", default="12", metavar="MONTHS", help="term in months (12)")
        parser.add_argument("--set-up-by", metavar="DATE", help="2026-12-24: it closes at the end of that day")
        parser.add_argument("--number", metavar="N", help="order number; the same twice is one order")
        parser.add_argument("--json", action="store_true", help="print number, state and set-up-by date as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Place the order. Raises CommandError with a sentence where that is refused."""
        try:
            term = _whole(options["term"], Problem.TERM)
            lines = [
                Line(service=service, licenses=_whole(licenses, Problem.LICENSES), term_months=term)
                for service in packs.installed()
                for licenses in _several(options[service])
            ]
            lines += [_line(text, term) for text in _several(options["line"])]
            facts: dict[str, Any] = {
                "sold_to": options["company"],
                "contact_email": options["contact"],
                "customer_name": options["customer"],
                "customer_email": options["customer_email"],
                "lines": lines,
                "set_up_by": _end_of_day(options["set_up_by"]) if options["set_up_by"] else None,
            }
            order, created = actions.place_order(number=options["number"], **facts)
        except Refused as refused:
            raise CommandError(refusals.sentence(refused)) from refused
        if not created and differing_facts(order=order, **facts):
            self.stderr.write(
                f"Order {order.number} was placed before with other facts, which count. Correct them at the order desk."
            )
        if options["json"]:
            until = order.closes_at.isoformat(timespec="seconds")
            facts = {"number": order.number, "state": order.state, "created": created, "set_up_by": until}
            self.stdout.write(json.dumps(facts))
        elif created:
            self.stdout.write(
                f"Order {order.number} is placed. {order.contact_email} gets the welcome email"
                " as soon as a worker runs."
            )
        else:
            self.stdout.write(
                f"Order {order.number} was already there ({order.get_state_display().lower()});"
                " nothing was changed and no email was sent."
            )


def _several(options: Any) -> list[Any]:
    """Return the values of an option that may be given several times, or by ``call_command`` as one value."""
    return options if isinstance(options, list) else [] if options is None else [options]


def _line(text: str, term: int) -> Line:
    """Return a line from "meetings:Meetings Pro:100:24" or "20=meetings:Meetings Pro:100". Raises Refused."""
    number, equals, rest = text.rpartition("=") if "=" in text.partition(":")[0] else ("", "", text)
    service, *facts = rest.split(":")
    if len(facts) not in {2, 3}:
        raise CommandError(f"--line must be like {_EXAMPLE}, not {text}.")
    return Line(
        service=service.strip(),
        product=facts[0].strip(),
        licenses=_whole(facts[1], Problem.LICENSES),
        term_months=_whole(facts[2], Problem.TERM) if len(facts) > 2 else term,
        number=_whole(number, Problem.LINE_NUMBER) if equals else None,
    )


def _end_of_day(text: str) -> datetime:
    """Return the end of a day (2026-12-24) in the vendor's time zone. Raises Refused for another text."""
    try:
        return end_of_day(date.fromisoformat(text))
    except ValueError as error:
        raise Refused(Problem.SET_UP_BY) from error


def _whole(text: object, problem: Problem) -> int:
    """Return a whole number. Raises Refused for another text, as for a number that is out of range."""
    number = pasted_text.whole_number(str(text))
    if number is None:
        raise Refused(problem)
    return number
