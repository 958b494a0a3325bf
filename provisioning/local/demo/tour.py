"""The demo's front page: a way through every path of the product, each with an order of its own to try it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orgs.finder.matching import Result
from provisioning.local.demo import sample_orders
from provisioning.models import Draft
from provisioning.wizard.forms.organizations import RESULT_SENTENCES
from subscriptions.models import Order

Words = str | Promise

# Quotes come from the code that shows them: the two can't differ.
EXACT, CANDIDATES, NONE = (RESULT_SENTENCES[result] for result in (Result.EXACT, Result.CANDIDATES, Result.NONE))


@dataclass(frozen=True)
class Scenario:
    """One sample order: the situation, and what is to be seen. ``others`` are mailboxes besides the contact's."""

    number: str
    title: Words
    situation: Words
    sees: tuple[Words, ...]
    quotes: Words = ""  # the sentence that the search for an organization answers with
    others: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Chapter:
    """Scenarios that belong together."""

    title: Words
    lead: Words
    scenarios: tuple[Scenario, ...]


CHAPTERS: Final = (
    Chapter(
        _("A partner sets up an order for a customer"),
        _("In each of these, select “This order is for a customer”."),
        (
            Scenario(
                "TOUR-101",
                _("Both organizations match exactly"),
                _("Your partner company bought Meetings for Chester Zoo. You are its administrator."),
                (
                    _("Your own organization is found and already selected. Then so is the customer’s."),
                    _("The review shows the label “Provisioning administrator” and says what it means."),
                    _("Tick “My customer will set up their own services” there to see the set-up handed on."),
                ),
                EXACT,
            ),
            Scenario(
                "TOUR-102",
                _("There are candidates to choose from"),
                _("Your address is new here, but your colleagues have accounts. It is the same at the customer."),
                (
                    _("Organizations at your email domain stand side by side. None of them is selected for you."),
                    _("Each says why it is there and how much it is used."),
                ),
                CANDIDATES,
            ),
            Scenario(
                "TOUR-103",
                _("Nothing is found"),
                _("Your company is new here, and so is the hotel that you bought Meetings and Calling for."),
                (
                    _("You create both organizations: name, business vertical, country or region."),
                    _("You check what you entered before anything is made."),
                ),
                NONE,
            ),
            Scenario(
                "TOUR-104",
                _("The customer’s address is at an old domain"),
                _("The order names a zoo and an address at a domain that the zoo no longer uses."),
                (
                    _("The customer’s card says until when it used this domain. It is not selected for you."),
                    _("The card lists only the domains that the zoo has now: somebody else may own the old one."),
                ),
                CANDIDATES,
            ),
        ),
    ),
    Chapter(
        _("A company sets up its own order"),
        _("In each of these, select “This order is for my company”."),
        (
            Scenario(
                "TOUR-201",
                _("You are an administrator"),
                _("The museum that you administer bought Meetings for itself."),
                (
                    _("Your organization is found and already selected."),
                    _("No partner is asked for. From the review you go on to the set-up."),
                ),
                EXACT,
            ),
            Scenario(
                "TOUR-202",
                _("Your company is new"),
                _("Your company bought something here for the first time."),
                (_("You create its organization and become its first administrator."),),
                NONE,
            ),
            Scenario(
                "TOUR-203",
                _("You are a member, but not an administrator"),
                _("Your museum has an organization, and somebody else administers it."),
                (
                    _("You can’t go on by yourself. A button asks the administrators; you don’t learn who they are."),
                    _("The order is held. In the administrator’s mailbox is a request: “Review the request”."),
                    _("Approve, and the order goes on at the review. Decline, and you see the reason and what to do."),
                ),
                EXACT,
                ("hana.martin@deutsches-museum.de",),
            ),
        ),
    ),
    Chapter(
        _("Somebody else, or later"),
        "",
        (
            Scenario(
                "TOUR-301",
                _("Hand the order over"),
                _("The email came to you, but a colleague should complete the order."),
                (
                    _("Select “I want someone else to complete this order” and enter chen.santos@anbg.gov.au."),
                    _("The link arrives in that mailbox, and your own page says who has the order."),
                    _("You can take it back until its organizations are confirmed."),
                ),
                others=("chen.santos@anbg.gov.au",),
            ),
            Scenario(
                "TOUR-302",
                _("Set up later, and go on"),
                _("You answered the Meetings questions, then chose “Set up later”."),
                (
                    _("The link leads to the first question that is still open, the location for Calling."),
                    _("Go back a step: the site name is as you left it. A second browser shows the same."),
                ),
            ),
            Scenario(
                "TOUR-303",
                _("The customer sets up the services"),
                _("You are the partner. You confirmed the organizations and left the set-up to the customer."),
                (
                    _("In the customer’s mailbox is an email whose link leads to the set-up."),
                    _("You watch how far they are, and can take the set-up over."),
                ),
                others=("jana.wang@hmns.org",),
            ),
        ),
    ),
    Chapter(
        _("Set up the services"),
        _("The organizations of these orders are confirmed. The link leads to “Review your subscription”."),
        (
            Scenario(
                "TOUR-401",
                _("Meetings only"),
                _("50 licenses for one site."),
                (
                    _("You choose a site name, a time zone and the release schedule."),
                    _("You check everything, confirm, and download the order summary as a PDF."),
                ),
            ),
            Scenario(
                "TOUR-402",
                _("Calling only"),
                _("200 licenses. Calling asks for one thing only: the location of the main headquarters."),
                (_("The address form is that of the country you select. Try Japan, Brazil or the United Kingdom."),),
            ),
            Scenario(
                "TOUR-403",
                _("Meetings and Calling"),
                _("100 licenses for Meetings, 35 for Calling."),
                (_("First the site, then the location. One review and one summary for both."),),
            ),
            Scenario(
                "TOUR-404",
                _("Three sites that share the licenses"),
                _("250 licenses of Meetings for a garden in several places."),
                (
                    _("Tick “I need additional URLs” and add two."),
                    _("Then distribute the licenses: the shares have to add up to 250."),
                ),
            ),
            Scenario(
                "TOUR-405",
                _("Several lines of one service"),
                _("The gardens bought Meetings in two lines, and Calling with an add-on."),
                (
                    _("Each service is answered once. The licenses of its lines are distributed together."),
                    _("The review and the order summary say which line gives how many licenses to which site."),
                ),
            ),
        ),
    ),
    Chapter(
        _("What happens after the confirmation"),
        _(
            "The services are set up by a system outside, which is a small program of the demo. Answer the questions, "
            "confirm, and watch the page of progress."
        ),
        (
            Scenario(
                "TOUR-601",
                _("It takes a while"),
                _("The garden bought Meetings. The system outside is slow with this order."),
                (
                    _("The page says “Being set up”, since when, and what the system outside says of it."),
                    _("You need not stay: My orders shows the same, and an email says when it is done."),
                    _("The PDF can be downloaded at once. It says what is not set up yet; a later one replaces it."),
                ),
            ),
            Scenario(
                "TOUR-602",
                _("It fails twice"),
                _("The museum bought Meetings. The system outside fails twice with this order."),
                (
                    _("The system outside fails two times. What it had begun is deleted there, and it is asked again."),
                    _("You do nothing, and lose nothing. The order desk sees each try."),
                ),
            ),
            Scenario(
                "TOUR-603",
                _("The name is refused"),
                _("You bought Meetings and Calling. The system outside has given your site’s name to somebody else."),
                (
                    _("Meetings has a problem: the page says it in the words of the system outside. Calling goes on."),
                    _("“Change the answers” opens the step, with the sentence at the field and all answers kept."),
                    _("Choose another name and confirm again: only Meetings is asked for."),
                ),
            ),
            Scenario(
                "TOUR-604",
                _("The system outside is down"),
                _("The library bought Meetings. The system outside does not answer for this order."),
                (
                    _("The page says that the system can’t be reached and is tried again: nothing is lost."),
                    _("After ten minutes the order desk has it in a queue: retry, mark as done, or cancel."),
                ),
            ),
        ),
    ),
    Chapter(
        _("Links that no longer work"),
        _("Each of them leads to a page that says what to do next."),
        (
            Scenario(
                "TOUR-501",
                _("An expired link"),
                _("The link is 40 days old. It worked for 30."),
                (_("The page says so and offers a new link. It arrives in the same mailbox and works."),),
            ),
            Scenario(
                "TOUR-502",
                _("A replaced link"),
                _("The order desk sent the link a second time."),
                (
                    _("There are two emails. The older one, further down, says that there is a newer link."),
                    _("The newer one works."),
                ),
            ),
            Scenario(
                "TOUR-503",
                _("A cancelled order"),
                _("The order desk cancelled the order after the email had gone out."),
                (_("The link still opens. It says that the order was cancelled, and whom to ask."),),
            ),
            Scenario(
                "TOUR-504",
                _("An order that closes soon"),
                _("It has to be set up within two days."),
                (_("The mailbox has a reminder. The date stands on each page of the order and under My orders."),),
            ),
            Scenario(
                "TOUR-505",
                _("A closed order"),
                _("It had to be set up by yesterday."),
                (
                    _("The link says that the order is closed, and whom to ask."),
                    _("At the order desk, give it more time: an email brings a link, and the order goes on."),
                ),
            ),
        ),
    ),
)


@never_cache
@require_safe
def tour(request: HttpRequest) -> HttpResponse:
    """Every scenario, with where its order stands now."""
    numbers = [scenario.number for chapter in CHAPTERS for scenario in chapter.scenarios]
    orders = {order.number: order for order in Order.objects.filter(number__in=numbers).select_related("customer")}
    drafts = {draft.order_id: draft for draft in Draft.objects.filter(order__in=orders.values())}
    chapters = [
        {
            "title": chapter.title,
            "lead": chapter.lead,
            "cards": [_card(scenario, orders, drafts) for scenario in chapter.scenarios],
        }
        for chapter in CHAPTERS
    ]
    context = {"chapters": chapters, "wide": True, "desk": sample_orders.DESK, "state_dir": settings.STATE_DIR}
    return render(request, "local/tour.html", context)


def contact_of(number: str) -> str:
    """Whom the order was placed for."""
    return next(sample.contact for sample in sample_orders.ORDERS if sample.number == number)


def _card(scenario: Scenario, orders: dict[str, Order], drafts: dict[int, Draft]) -> dict[str, Any]:
    order, contact = orders.get(scenario.number), contact_of(scenario.number)
    now = (order.contact_email, order.delegated_to) if order else ()
    mailboxes = [contact, *scenario.others, *now]
    state, status = _standing(order, drafts.get(order.pk)) if order else ("ended", _("Not loaded"))
    return {
        "scenario": scenario,
        "you": contact,
        "others": [each for each in dict.fromkeys(mailboxes) if each and each != contact],
        "state": state,
        "status": status,
    }


def _standing(order: Order, draft: Draft | None) -> tuple[str, Words]:
    """Where an order stands: the look of its tag, and its words."""
    answered: Sequence[str] = [flow for flow, steps in draft.steps.items() if steps] if draft else []
    state = Order.State
    if order.is_closed:
        return "problem", _("Closed")
    if order.state == state.PLACED:
        return ("", _("In progress")) if answered else ("", _("Placed"))
    if order.state == state.MAPPED:
        return ("waiting", _("With the customer")) if order.delegated_to else ("", _("Organizations confirmed"))
    look = {
        state.HELD.value: "waiting",
        state.SETTING_UP.value: "waiting",
        state.SET_UP.value: "done",
        state.CANCELLED.value: "ended",
    }
    return look[order.state], order.get_state_display()
