"""The review is the plan: what it shows is what is done, all of it or nothing, and never something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from orgs.models import Member, Organization
from provisioning import actions
from provisioning.models import Mail, Part
from provisioning.people import links
from provisioning.rules.plan import DELEGATE, Plan, PlanChanged, Right
from subscriptions.models import Order, Site, Subscription
from subscriptions.packs.calling import LocationPlan
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.validation import Line, Refused
from subscriptions.summary import build_summary, mask_email
from tests.driver import Wizard
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in
from tests.webcast.models import Channel
from tests.webcast.pack import ChannelPlan

pytestmark = pytest.mark.django_db

SAM, KIM, ADMINISTRATOR = "sam@partner.example.net", "kim@contoso.example.org", "it@contoso.example.org"
CHANGED = "This changed while you had the page open"


def finder(order: Order, who: str, audience: str) -> Wizard:
    wizard = Wizard(signed_in(who), order)
    wizard.open()
    wizard.fill("intent", audience=audience)
    return wizard


def partner_with_existing_customer() -> Wizard:
    an_organization("Partner Networks", administrators=[SAM], partner=True)
    an_organization("Contoso", administrators=[ADMINISTRATOR])
    wizard = finder(an_order(contact=SAM), SAM, "customer")
    wizard.fill("partner")
    wizard.fill("customer-details")
    wizard.fill("customer")
    return wizard


def partner_with_both_new() -> Wizard:
    wizard = finder(an_order(contact=SAM, meetings=100, calling=10), SAM, "customer")
    wizard.make("partner", "Partner Networks")
    wizard.fill("customer-details")
    wizard.make("customer", "Contoso", country="US")
    return wizard


def own_company_that_exists() -> Wizard:
    an_organization("Contoso", administrators=[KIM])
    wizard = finder(an_own_order(contact=KIM), KIM, "own")
    wizard.fill("customer")
    return wizard


def own_company_that_is_new() -> Wizard:
    wizard = finder(an_own_order(contact=KIM), KIM, "own")
    wizard.make("customer", "Contoso", country="US")
    return wizard


def plan_shown(wizard: Wizard, make: Callable[[], Plan]) -> Plan:
    """Return the plan, after checking that it is the one whose seal the page carries."""
    plan = make()
    assert f'name="plan" value="{plan.seal}"' in wizard.html
    return plan


def mapping_of(wizard: Wizard, who: str) -> Plan:
    """Make the plan again from what the page says, by other means than the wizard."""

    def choice(name: str, administrator: str) -> actions.Choice:
        found = Organization.objects.filter(name=name).first()
        if found:
            return actions.Existing(found.public_id)
        country, vertical = ("DE", "technology") if name == "Partner Networks" else ("US", "retail")
        return actions.New(name, vertical, country, administrator)

    own = "Your organization" in wizard.html
    return plan_shown(
        wizard,
        lambda: actions.plan_mapping(
            order=wizard.order,
            by=links.user_for(who),
            audience="own" if own else "customer",
            partner=None if own else choice("Partner Networks", who),
            customer=choice("Contoso", who if own else ADMINISTRATOR),
            offered_to="" if own else ADMINISTRATOR,
        ),
    )


@pytest.mark.parametrize(
    ("start", "who", "delegate"),
    [
        (partner_with_existing_customer, SAM, False),
        (partner_with_existing_customer, SAM, True),
        (partner_with_both_new, SAM, False),
        (partner_with_both_new, SAM, True),
        (own_company_that_exists, KIM, False),
        (own_company_that_is_new, KIM, False),
    ],
    ids=["existing-customer", "existing-delegated", "both-new", "both-new-delegated", "own", "own-new"],
)
def test_mapping_does_what_its_page_planned(start: Callable[[], Wizard], who: str, delegate: bool) -> None:
    wizard = start()
    assert wizard.at == "review"
    plan = mapping_of(wizard, who).confirmed(None, chosen={DELEGATE} if delegate else ())
    page, order = wizard.html, wizard.order
    before = set(Member.objects.values_list("organization__name", "email", "role"))
    mails = Mail.objects.count()
    wizard.fill("review", delegate=delegate or None)

    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    made: dict[str, Organization | None] = {"partner": order.partner, "customer": order.customer}
    for planned in plan.organizations:
        row = made.pop(planned.which)
        assert row is not None
        assert (row.name, row.vertical, row.country.code) == (planned.name, planned.vertical, planned.country)
        assert planned.row in {None, row}
        assert planned.name in page
    assert not any(made.values())

    given = set(Member.objects.values_list("organization__name", "email", "role")) - before
    names = {planned.which: planned.name for planned in plan.organizations}
    full = {(names[right.of], right.email, "full") for right in plan.rights if right.right is Right.FULL and right.of}
    assert given == full
    for _organization, email, _role in full:
        assert ("You become" if email == who else f"{email} becomes") + " the first full administrator" in page
    assert order.provisioning_administrator == bool(plan.holder_of(Right.PROVISIONING))
    assert order.provisioning_administrator == ("You are Provisioning administrator of Contoso" in page)
    assert order.delegated_to == plan.holder_of(Right.DELEGATE)
    parts = Part.objects.filter(order=order, ended_at=None)
    assert set(parts.values_list("role", "user__email")) == {
        (str(right.right), right.email) for right in plan.rights if right.right in {Right.CONTACT, Right.DELEGATE}
    }
    sent = list(Mail.objects.order_by("pk").values_list("event", "to")[mails:])
    assert sent == [(email.event, email.to) for email in plan.emails]
    assert bool(sent) == delegate
    assert all(email in page for _event, email in sent)


def fill_services(wizard: Wizard) -> Wizard:
    """Answer every service of the order, up to the review."""
    wizard.open()
    wizard.fill("subscription", choice="now")
    if wizard.at == "meetings":
        wizard.fill(
            "meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no", additional_urls=True
        )
        early = {"0__early_release": "yes", "0__early_release_confirmed": True}
        wizard.fill("additional", **{"0__name": "contoso-lab"}, **early)
        wizard.fill("licenses", split="1")
        wizard.fill("licenses")
    if wizard.at == "location":
        wizard.fill_headquarters()
    if wizard.at == "channel":
        wizard.fill("channel", name="Contoso Live", most_viewers="20")
    assert wizard.at == "review"
    return wizard


PLANS: dict[str, Any] = {
    "meetings": [
        SitePlan("contoso", "Europe/Berlin", False, 50),
        SitePlan("contoso-lab", "Europe/Berlin", True, 50),
    ],
    "calling": LocationPlan(
        "Headquarters",
        "DE",
        {"street_address": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117"},
        "Europe/Berlin",
        "de",
        "de",
    ),
    "webcast": ChannelPlan("Contoso Live", 20),
}


def with_webcast(order: Order) -> Order:
    lines = [Line(line.service, line.licenses) for line in order.lines.all()]
    return actions.correct_order(order=order, lines=[*lines, Line("webcast", 20)])


@pytest.mark.parametrize(
    ("make", "who"),
    [
        (lambda: a_mapped_order(contact=KIM, meetings=100), KIM),
        (lambda: a_mapped_order(contact=KIM, calling=10), KIM),
        (lambda: with_webcast(a_mapped_order(contact=KIM, meetings=100, calling=10)), KIM),
        (lambda: a_delegated_order(contact=SAM, meetings=100, calling=10), ADMINISTRATOR),
    ],
    ids=["meetings", "calling", "all-packs", "delegate"],
)
def test_set_up_does_what_its_page_planned(make: Callable[[], Order], who: str) -> None:
    order = make()
    wizard = fill_services(Wizard(signed_in(who), order, "set_up"))
    wanted = {line.service: PLANS[line.service] for line in order.lines.all()}
    by = links.user_for(who)
    plan = plan_shown(wizard, lambda: actions.plan_set_up(order=order, by=by, plans=wanted))
    page, mails = wizard.html, Mail.objects.count()
    members = set(Member.objects.values_list("organization", "email", "role"))
    wizard.fill("review")

    built = build_summary(order)
    assert built.set_up_at
    facts = [(line.service, line.product, line.licenses, line.term_months, line.made) for line in built.lines]
    assert facts == [
        (line.service, line.product, line.licenses, line.term_months, line.made) for line in plan.subscriptions
    ]
    for line in built.lines:
        assert line.made
        shown = [text for row in line.made.rows(built.as_of) for text in row.lines]
        for section in line.made.sections(built.as_of):
            shown += [cell for row in section.table.rows for cell in row] if section.table else []
        assert [text for text in shown if text not in page] == []
    sent = list(Mail.objects.order_by("pk").values_list("event", "to")[mails:])
    assert sent == [(email.event, email.to) for email in plan.emails]
    told = dict.fromkeys(re.findall(r"[\w•]+@[\w.]+", page[page.index("Confirmation by email to") :]))
    own_view = {to if who in {to, order.contact_email} else mask_email(to) for _event, to in sent}
    assert own_view <= set(told)
    assert set(Member.objects.values_list("organization", "email", "role")) == members


def test_address_of_somebody_else_is_masked_for_the_customer() -> None:
    order = a_delegated_order(contact=SAM, calling=10)
    page = fill_services(Wizard(signed_in(ADMINISTRATOR), order, "set_up")).html
    assert SAM not in page
    assert "s•••@partner.example.net" in page


# Something changed since the page was shown


def row_of(page: str, term: str) -> str:
    """The row of a list with this term, without the markup."""
    found = re.search(rf"<dt>{re.escape(term)}</dt>(.*?)</div>", page, re.DOTALL)
    assert found, term
    return re.sub(r"<[^>]+>|\s+", " ", found[1])


def marked(page: str) -> list[str]:
    """The terms and headings that are marked as changed."""
    rows = re.findall(r"<dt>([^<]+)</dt>\s*<dd>((?:(?!</dd>).)*)</dd>", page, re.DOTALL)
    return [term for term, value in rows if ">Changed<" in value]


def test_corrected_lines_are_shown_before_they_are_set_up() -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    wizard = Wizard(signed_in(KIM), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    actions.correct_order(order=order, lines=[Line("meetings", 120, 24)])
    page = wizard.fill("review")
    assert wizard.at == "review"
    assert CHANGED in page
    assert not Subscription.objects.exists()
    assert not Mail.objects.filter(event="set_up_confirmation").exists()
    assert marked(page) == ["Licenses", "Term"]
    assert "120" in row_of(page, "Licenses")
    assert re.search(r"Meetings\s*<span class=\"tag waiting\">Changed", page)  # the site has 120 of them now
    assert CHANGED not in wizard.open("review")
    wizard.fill("review")
    assert Site.objects.get().licenses == 120
    assert Subscription.objects.get().line.term_months == 24


def test_line_that_is_gone_is_said_to_be() -> None:
    order = a_mapped_order(contact=KIM, meetings=100, calling=10)
    wizard = fill_services(Wizard(signed_in(KIM), order, "set_up"))
    actions.correct_order(order=order, lines=[Line("meetings", 100)])
    page = wizard.fill("review")
    assert CHANGED in page
    assert "Something that was here before is no longer part of it." in page
    assert marked(page) == []
    assert not Subscription.objects.exists()


def test_partner_who_became_administrator_meanwhile_sees_it_before_confirming() -> None:
    wizard = partner_with_existing_customer()
    assert "You are Provisioning administrator of Contoso" in wizard.html
    Member.objects.create(organization=Organization.objects.get(name="Contoso"), email=SAM, role=Member.Role.FULL)
    page = wizard.fill("review", delegate=True)
    assert CHANGED in page
    assert marked(page) == ["Rights"]
    assert re.search(r'id="id_review-delegate"\s+name="review-delegate" checked', page)  # nothing typed is lost
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED
    wizard.fill("review", delegate=None)
    wizard.order.refresh_from_db()
    assert (wizard.order.state, wizard.order.provisioning_administrator) == (Order.State.MAPPED, False)


def test_delegate_who_is_no_administrator_any_more_gets_nothing() -> None:
    wizard = partner_with_existing_customer()
    Member.objects.filter(email=ADMINISTRATOR).update(role=Member.Role.USER)
    page = wizard.fill("review", delegate=True)
    assert "isn’t an administrator of Contoso" in page
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED
    assert not Mail.objects.filter(event="setup_delegated").exists()
    wizard.fill("review", delegate=None)
    wizard.order.refresh_from_db()
    assert (wizard.order.state, wizard.order.delegated_to) == (Order.State.MAPPED, "")


def test_renamed_organization_and_corrected_order_are_marked_where_they_stand() -> None:
    wizard = partner_with_existing_customer()
    Organization.objects.filter(name="Contoso").update(name="Contoso Fabrikam")
    actions.correct_order(order=wizard.order, lines=[Line("meetings", 300)])
    page = wizard.fill("review")
    assert CHANGED in page
    assert marked(page) == ["Name", "What was ordered"]
    assert "Meetings: 300 licenses, 12 months" in page
    assert not Order.objects.exclude(customer=None).exists()


@pytest.mark.parametrize("seal", ["", "0" * 64, "x"], ids=["none", "another", "nonsense"])
def test_confirmation_without_the_plans_seal_confirms_nothing(seal: str) -> None:
    wizard = own_company_that_exists()
    fields = {"revision": "0.x", "plan": seal}
    page = wizard.client.post(wizard.url("review"), fields, follow=True).content.decode()
    assert "Review the organizations" in page
    wizard.order.refresh_from_db()
    assert wizard.order.state == Order.State.PLACED


def test_seal_stands_for_every_part_and_tells_none() -> None:
    order = a_mapped_order(contact=KIM, meetings=100)
    by = links.user_for(KIM)
    plan = actions.plan_set_up(order=order, by=by, plans={"meetings": [SitePlan("contoso", "UTC", False, 100)]})
    again = actions.plan_set_up(order=order, by=by, plans={"meetings": [SitePlan("contoso", "UTC", True, 100)]})
    assert plan.seal != again.seal
    assert again.changed_since(plan.seal) == {"meetings.1.made"}
    assert "contoso" not in plan.seal
    with pytest.raises(PlanChanged):
        again.confirmed(plan.seal)
    assert plan.confirmed(plan.seal) == plan


# All or nothing


def test_fault_in_the_last_row_of_a_set_up_leaves_nothing() -> None:
    other = with_webcast(a_mapped_order(contact=KIM, calling=1))
    plans = {"calling": PLANS["calling"], "webcast": PLANS["webcast"]}
    actions.set_up(order=other, by=links.user_for(KIM), plans=plans)
    order = with_webcast(a_mapped_order(contact="pat@fabrikam.example", meetings=100, calling=10))
    counts = [Subscription.objects.count(), Site.objects.count(), Mail.objects.count(), Channel.objects.count()]
    with pytest.raises(Refused, match="channel_taken"):
        actions.set_up(order=order, by=links.user_for("pat@fabrikam.example"), plans=PLANS)
    assert counts == [Subscription.objects.count(), Site.objects.count(), Mail.objects.count(), Channel.objects.count()]
    order.refresh_from_db()
    assert order.state == Order.State.MAPPED
    assert order.customer
    assert order.customer.active_subscription_count == 0
    assert not order.events.filter(kind="set_up").exists()


def test_fault_in_the_last_row_of_a_mapping_leaves_nothing() -> None:
    wizard = partner_with_both_new()
    # Somebody is the delegate already: the database has no room for a second.
    Part.objects.create(order=wizard.order, user=links.user_for("dana@contoso.example"), role=Part.Role.DELEGATE)
    mails = Mail.objects.count()
    with pytest.raises(IntegrityError):
        wizard.fill("review", delegate=True)
    assert not Organization.objects.exists()
    assert not Member.objects.exists()
    assert Mail.objects.count() == mails
    wizard.order.refresh_from_db()
    assert (wizard.order.state, wizard.order.audience, wizard.order.delegated_to) == (Order.State.PLACED, "", "")
