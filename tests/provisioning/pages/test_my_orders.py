"""*My orders*: each order with its two tasks, who has them, and what is to be done next."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from orgs.models import Organization
from provisioning import actions
from provisioning.models import AccessRequest
from provisioning.pages.task_list import Entry
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from tests.driver import Wizard
from tests.factories import a_delegated_order, an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

KIM, SAM, ALEX, CUSTOMER = "kim@contoso.com", "sam@partner.example", "alex@partner.example", "it@contoso.com"
FIND, SET_UP = "Find the organizations", "Set up the services"


def shown(email: str) -> list[Entry]:
    entries: list[Entry] = signed_in(email).get("/orders/").context["entries"]
    return entries


def only(email: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The status of a person's only entry, and (title, owner, status) of its tasks."""
    [entry] = shown(email)
    return entry.status, [(task.title, task.owner, task.status) for task in entry.tasks]


def test_what_is_to_be_done_next_stands_first_and_only_it_has_the_main_button() -> None:
    older, newer = an_own_order(contact=KIM), an_own_order(contact=KIM)
    Order.objects.filter(pk=newer.pk).update(closes_at=older.closes_at - timedelta(days=3))
    handed, cancelled = an_own_order(contact=KIM), an_own_order(contact=KIM)
    actions.hand_over(order=handed, by=links.user_for(KIM), email="alex@contoso.com")
    actions.cancel_order(order=cancelled, by=None)
    page = signed_in(KIM).get("/orders/")
    assert [entry.order for entry in page.context["entries"]] == [newer, older, handed, cancelled]
    assert page.text.count('class="button"') == 1


def test_order_of_the_own_company_from_not_started_to_completed() -> None:
    organization = an_organization("Contoso", administrators=[KIM])
    order = an_own_order(contact=KIM, meetings=10)
    assert only(KIM) == ("Not started", [(FIND, "you", "Not started"), (SET_UP, "", "Not started")])
    wizard = Wizard(signed_in(KIM), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    assert only(KIM) == ("In progress", [(FIND, "you", "In progress"), (SET_UP, "", "Not started")])
    wizard.fill("customer", organization=str(organization.public_id))
    wizard.fill("review")
    assert only(KIM) == ("In progress", [(FIND, "", "Completed"), (SET_UP, "you", "Not started")])
    setup = Wizard(wizard.client, order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    assert only(KIM) == ("In progress", [(FIND, "", "Completed"), (SET_UP, "you", "In progress")])
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    setup.fill("review")
    assert only(KIM) == ("Completed", [(FIND, "", "Completed"), (SET_UP, "", "Completed")])


def test_partner_sees_that_the_customer_has_the_set_up_and_the_customer_that_it_is_theirs() -> None:
    a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    waiting = "Waiting for the customer"
    assert only(SAM) == (waiting, [(FIND, "", "Completed"), (SET_UP, CUSTOMER, waiting)])
    assert only(CUSTOMER) == ("In progress", [(FIND, "", "Completed"), (SET_UP, "you", "Not started")])
    actions.take_over(order=Order.objects.get(), by=links.user_for(SAM))
    assert only(CUSTOMER) == ("Waiting for the partner", [])


def test_who_handed_an_order_over_sees_who_has_it_masked() -> None:
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    [entry] = shown(SAM)
    assert (entry.status, entry.owner, entry.tasks) == ("Waiting for somebody else", "a•••@partner.example", ())
    assert ALEX not in signed_in(SAM).get("/orders/").text


def held() -> AccessRequest:
    organization = an_organization("Contoso", administrators=["boss@contoso.com"], members=[KIM])
    return actions.ask_administrators(
        order=an_own_order(contact=KIM), by=links.user_for(KIM), organization=organization.public_id
    )


def test_held_order_waits_for_an_administrator_and_says_when_there_is_a_problem() -> None:
    request, waiting = held(), "Waiting for an administrator"
    assert only(KIM) == (waiting, [(FIND, "an administrator", waiting), (SET_UP, "", "Not started")])
    [entry] = shown("boss@contoso.com")
    assert (entry.status, entry.owner, entry.tasks) == ("Waiting for your decision", "you", ())
    actions.decide(request=request, by=links.user_for("boss@contoso.com"), approve=False, reason="Ask Pat first")
    problem = "There is a problem"
    assert only(KIM) == (problem, [(FIND, "you", problem), (SET_UP, "", "Not started")])
    assert shown(KIM)[0].note == "Your request was declined"
    assert (shown("boss@contoso.com")[0].status, shown("boss@contoso.com")[0].note) == ("Completed", "Declined")


def test_closed_order_says_so_to_everybody_who_has_or_had_it() -> None:
    handed = an_order(contact=SAM)
    actions.hand_over(order=handed, by=links.user_for(SAM), email=ALEX)
    with time_machine.travel(handed.closes_at, tick=False):
        for email in (SAM, ALEX):
            [entry] = shown(email)
            assert (entry.status, entry.due) == ("There is a problem", False)
            assert entry.note.startswith("The order closed on ")


def test_who_no_longer_has_an_order_learns_no_more_than_that_it_is_completed() -> None:
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=250)
    order = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=CUSTOMER)
    actions.take_over(order=order, by=links.user_for(SAM))
    Organization.objects.filter(name="Fabrikam").update(name="Its new name")
    actions.set_up(order=order, by=links.user_for(SAM), plans={"meetings": [site]})
    assert only(CUSTOMER) == ("Completed", [])
    assert shown(CUSTOMER)[0].title == "Fabrikam"
