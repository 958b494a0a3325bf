"""Somebody with one order and much patience: what they learn of the directory with ten thousand names and domains."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from orgs import rate_limits
from orgs.models import Organization, Search, SearchBudget
from orgs.search_index import rebuild
from provisioning import actions
from provisioning.finder_gateway import finder_questions, response_padding
from provisioning.finder_gateway.finder_questions import Kind, Question
from provisioning.models import Draft, Event, Mail, User
from provisioning.people import links
from subscriptions.models import Order
from tests.databases import rolled_back
from tests.driver import Wizard, form_fields
from tests.factories import an_order, an_organization, an_own_order, signed_in
from tests.mailbox import code_in, link_in, newest

pytestmark = pytest.mark.django_db

EVE = "eve@attacker.example"
NONE = "No matching organization found."
MOST = 10


@pytest.fixture(scope="module")
def directory(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Organization]]:
    """A hundred companies that the attacker has nothing to do with, some of whose domains nobody has verified."""
    made = []
    with django_db_blocker.unblock(), rolled_back():
        for number in range(100):
            domain = f"company{number}.example"
            name, boss = f"Company {_word(number)} Holding", f"boss@{domain}"
            made.append(an_organization(name, domains=[domain] if number % 4 else [], administrators=[boss]))
        yield made


def _word(number: int) -> str:
    """A word of its own for each number."""
    return "".join("bdfgklmnprstvz"[int(digit) + 1] + "aeiou"[int(digit) % 5] for digit in f"{number:04d}").capitalize()


def guesses(count: int) -> Iterator[tuple[str, str]]:
    """Names and domains of which a few are right, the right ones spread over the whole time."""
    for number in range(count):
        right = number // 40 if number % 40 == 0 else 1000 + number
        yield f"Company {_word(right)} Holding", f"company{right}.example"


def attacker(order: Order, client: Client | None = None) -> Wizard:
    """The attacker in the wizard, before the customer's details."""
    wizard = Wizard(client or signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Eve Networks")
    assert wizard.at == "customer-details"
    return wizard


def on(page: str) -> set[str]:
    """Public ids of the organizations on a page."""
    return set(re.findall(r'value="([0-9a-f-]{36}):', page))


def plain(page: str, *typed: str) -> str:
    """What a page says, without what differs each time and what was typed."""
    page = re.sub(r'name="(csrfmiddlewaretoken|revision)" value="[^"]*"', "", page)
    page = re.sub(r"<!-- [A-Za-z0-9+/=]* -->", "", page)
    for value in typed:
        page = page.replace(value, "TYPED")
    return page


def ask(wizard: Wizard, name: str, email: str) -> str:
    """Say that the customer is this one; the page that follows."""
    wizard.open("customer-details")
    return wizard.fill("customer-details", company_name=name, administrator_email=email)


def test_pages_of_an_order_show_an_attacker_ten_organizations_in_all_sessions_and_for_all_who_get_it(
    directory: list[Organization],
) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    learned: set[str] = set()
    clock = timezone.now()
    with time_machine.travel(clock, tick=False) as travel:
        for number, organization in enumerate(directory[:30]):
            if number % 10 == 0:
                travel.shift(timedelta(hours=1, seconds=1))
                wizard = attacker(order, _by_the_link_again(order))
            domain = f"company{number}.example"
            pages = [ask(wizard, organization.name, f"boss@{domain}")]
            pages += [wizard.search("customer", domain), wizard.open("customer", f"?domain={domain}")]
            wizard.fill("customer", organization="new")
            pages.append(wizard.fill("customer-new", name=organization.name, vertical="retail", country="US"))
            learned |= set().union(*map(on, pages))
    assert len(learned) == MOST
    mine = form_fields(wizard.open("intent")) | {"intent-audience": "other", "intent-email": "eve@second.example"}
    wizard.client.post(wizard.url("intent"), mine)
    order.refresh_from_db()
    second = attacker(order)
    for number in range(30, 40):
        learned |= on(ask(second, directory[number].name, f"boss@company{number}.example"))
        learned |= on(second.search("customer", f"company{number}.example"))
    assert len(learned) == MOST


def _by_the_link_again(order: Order) -> Client:
    """A new browser in which the order's link is opened again."""
    actions.resend_link(order=order, by=None)
    browser = Client()
    browser.post(link_in(newest(order.contact_email)))
    browser.post("/sign-in/code/", {"code": code_in(newest(order.contact_email))})
    return browser


def test_person_with_many_orders_asks_a_hundred_times_an_hour() -> None:
    eve = links.user_for(EVE)
    answered = 0
    for _order in range(4):
        order = an_order(contact=EVE, customer="", customer_email="")
        for number in range(40):
            question = Question(Kind.DOMAIN, False, False, EVE, "", f"company{number}.example")
            answered += actions.search(order=order, by=eve, question=question)
    assert answered == finder_questions.PER_PERSON


# Nothing else tells


def test_what_is_kept_back_looks_like_what_is_not_there(directory: list[Organization]) -> None:
    """By name, by domain and by what would be created: same sentences, same status, same size class."""
    wizard = attacker(an_order(contact=EVE, customer="", customer_email=""))
    there, unverified, nowhere = (directory[5], "company5.example"), "company8.example", "company99999.example"
    by_name: dict[str, tuple[object, ...]] = {}
    for name in (there[0].name, f"Company {_word(7777)} Holding"):
        page = ask(wizard, name, EVE)
        by_name[name] = (wizard.page.status_code, plain(page, name), len(wizard.page.content))
        wizard.fill("customer")
        page = wizard.fill("customer-new", name=name, vertical="retail", country="US")
        assert wizard.at == "customer-check"
        by_name[name] += (wizard.page.status_code, plain(page, name), len(wizard.page.content))
    assert len(set(by_name.values())) == 1
    ask(wizard, "Something Else", EVE)
    by_domain = {}
    for domain in (unverified, nowhere):
        page = wizard.search("customer", domain)
        by_domain[domain] = (wizard.page.status_code, plain(page, domain), len(wizard.page.content))
    assert len(set(by_domain.values())) == 1
    wizard.search("customer", there[1])
    assert on(wizard.html) == {str(there[0].public_id)}
    masked = (wizard.page.status_code, len(wizard.page.content))
    assert masked == (by_domain[nowhere][0], by_domain[nowhere][2])


def test_once_ten_were_shown_a_hit_looks_like_a_miss(directory: list[Organization]) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    ask(wizard, "Something Else", EVE)
    full = [number for number in range(40) if number % 4][:10]
    for number in full:
        assert len(on(wizard.search("customer", f"company{number}.example"))) == 1
    pages: list[object] = []
    for domain in ("company51.example", "company99999.example"):
        page = wizard.search("customer", domain)
        assert "No other organization can be shown for this order." in page
        assert NONE not in page
        pages.append((wizard.page.status_code, plain(page, domain), len(wizard.page.content)))
        pages.append(plain(ask(wizard, "Something Else", f"boss@{domain}"), domain))
        ask(wizard, "Something Else", EVE)
    assert pages[:2] == pages[2:]
    assert len(on(wizard.search("customer", f"company{full[3]}.example"))) == 1  # shown before, shown again


def test_name_of_another_company_changes_nothing_about_the_cards_of_one_s_own() -> None:
    """A company that is kept back takes no mark, place or card from the attacker's own one, made to be like it."""
    for number in range(60):
        an_organization(f"{_word(number)} Zorblatt Unit", domains=[f"unit{number}.example"], country="PL")
    an_organization("Eve Zorblatt Kravex Networks", domains=["attacker.example"], administrators=[EVE], country="DE")
    rebuild()
    wizard = attacker(an_order(contact=EVE, customer="", customer_email=""))
    names = ("Zorblatt Kravex", "Zorblatt Kravex Networks", "Kravexx Networks", "Kravex")
    asked = [(name, email) for name in names for email in (EVE, "x@gmail.com")]
    before = [_pages(wizard, name, email) for name, email in asked]
    assert any(on(page) for pages in before for page in pages)
    assert any("Best match" in page for pages in before for page in pages)
    for name in names:
        an_organization(name, domains=[f"{name.lower().replace(' ', '-')}.example"], country="PL")
    rebuild()
    assert [_pages(wizard, name, email) for name, email in asked] == before


def _pages(wizard: Wizard, name: str, email: str) -> tuple[str, str]:
    """What is said of a company's name, and of making one of this name; without what was selected the last time."""
    found = plain(ask(wizard, name, email))
    wizard.fill("customer", organization="new")
    near = plain(wizard.fill("customer-new", name=name, vertical="retail", country="US"))
    return found.replace(" checked", ""), near.replace(" checked", "")


@pytest.mark.parametrize("customer", ["", "Contoso Beverages"])
def test_once_ten_were_shown_a_hit_changes_nothing_about_the_cards_that_stay(
    directory: list[Organization], customer: str
) -> None:
    an_organization("Eve Kravex Networks", domains=["attacker.example"], administrators=[EVE])
    known = an_organization("Contoso Beverages International", domains=["contoso.example"])
    rebuild()
    order = an_order(contact=EVE, customer=customer, customer_email="")
    wizard = attacker(order)
    rate_limits.disclose(finder_questions.rate_limit_key(order), [known.pk, *(each.pk for each in directory[1:10])])
    for name in ("Eve Kravex Networks", "Kravex", "Contoso Beverages"):
        hit, miss = (_pages(wizard, name, f"x@{domain}") for domain in ("company51.example", "company9999.example"))
        assert [plain(page, "company51.example") for page in hit] == [
            plain(page, "company9999.example") for page in miss
        ]
    assert len(on(ask(wizard, "Eve Kravex Networks", EVE))) == 1


def test_somebody_else_s_address_is_neither_told_nor_written_to(directory: list[Organization]) -> None:
    organization, order = directory[5], an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    pages = []
    for email in ("boss@company5.example", "nobody@company5.example"):
        ask(wizard, "Something Else", email)
        wizard.fill("customer", organization=str(organization.public_id))
        assert wizard.at == "review"
        page = wizard.fill("review", delegate=True)
        assert wizard.at == "review"
        assert "Nothing shows yet that" in page
        pages.append(plain(page, email))
    assert pages[0] == pages[1]
    assert not Mail.objects.filter(to="boss@company5.example").exists()


# The budget, as a person meets it


def test_who_has_searched_too_often_is_told_when_to_come_back_and_loses_no_answer(
    directory: list[Organization],
) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    with time_machine.travel(timezone.now(), tick=False) as travel:
        wizard = attacker(order)
        ask(wizard, "Something Else", EVE)
        before = Draft.objects.get(order=order).steps
        SearchBudget.objects.filter(key=f"order:{order.number}").update(searches=finder_questions.PER_ORDER)
        travel.shift(timedelta(minutes=19))
        for domain in ("company5.example", "company99999.example"):
            page = wizard.search("customer", domain)
            assert "You have searched as often as you can in an hour. Search again in 41 minutes" in page
            assert "create a new organization" in page
            assert f'value="{domain}"' in page
            assert on(page) == set()
        assert Draft.objects.get(order=order).steps == before
        page = ask(wizard, "Yet Another", EVE)
        assert "Search again in 41 minutes" in page
        assert NONE not in page
        wizard.fill("customer")
        assert wizard.at == "customer-new"
        page = wizard.fill("customer-new", name="Yet Another", vertical="retail", country="US")
        assert "Search again in 41 minutes" in page
        wizard.fill("customer-check")
        assert wizard.at == "review"
        travel.shift(timedelta(minutes=41))
        wizard.open("customer", "?domain=company5.example")
        assert len(on(wizard.search("customer", "company5.example"))) == 1


def test_same_question_counts_once_however_often_its_page_is_opened(directory: list[Organization]) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    ask(wizard, "Something Else", EVE)
    wizard.search("customer", "company5.example")
    state = list(SearchBudget.objects.order_by("pk").values()), list(Search.objects.order_by("pk").values())
    events = order.events.count()
    for _time in range(5):
        assert len(on(wizard.open("customer", "?domain=company5.example"))) == 1
        assert len(on(wizard.search("customer", "www.COMPANY5.example"))) == 1
        wizard.open("partner")
        ask(wizard, "Something Else", EVE)
    assert (list(SearchBudget.objects.order_by("pk").values()), list(Search.objects.order_by("pk").values())) == state
    assert order.events.count() == events
    asked = order.events.filter(kind=Event.Kind.SEARCHED).last()
    assert asked is not None
    assert asked.facts == {"what": "domain", "asked": ["company5.example"], "shown": 1}


def test_opening_an_address_searches_for_nothing(directory: list[Organization]) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    ask(wizard, "Something Else", EVE)
    rows = (Search.objects.count(), order.events.count(), list(SearchBudget.objects.order_by("pk").values()))
    page = wizard.open("customer", "?domain=company5.example")
    assert on(page) == set()
    assert "Select Search to look for organizations with the domain company5.example." in page
    assert (Search.objects.count(), order.events.count(), list(SearchBudget.objects.order_by("pk").values())) == rows


def test_what_the_desk_corrects_is_looked_up_by_a_button_not_by_opening_the_page(directory: list[Organization]) -> None:
    an_organization("Proseware", domains=["attacker.example"])
    order = an_own_order(contact=EVE, sold_to="Prosewear")
    wizard = Wizard(signed_in(EVE), order)
    wizard.open()
    assert len(on(wizard.fill("intent", audience="own"))) == 1
    actions.correct_order(order=order, sold_to="Proseware")
    page = wizard.open("customer")
    assert on(page) == set()
    assert "No organization has been looked up here yet." in page
    wizard.page = wizard.client.post(wizard.url("customer"), {"search": "1"}, follow=True)
    assert len(on(wizard.html)) == 1
    assert "No organization has been looked up here yet." not in wizard.html


def test_customer_whom_the_desk_names_is_found_after_the_attempts_before() -> None:
    for number in range(12):
        an_organization(f"Branch {_word(number)}", domains=[f"branch{number}.example"])
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    ask(wizard, "Something Else", EVE)
    for number in range(12):
        wizard.search("customer", f"branch{number}.example")
    actions.correct_order(order=order, customer_name=f"Branch {_word(11)}", customer_email="it@branch11.example")
    order.refresh_from_db()
    wizard.open("customer-details")
    page = wizard.fill("customer-details", company_name=order.customer_name, administrator_email="it@branch11.example")
    assert on(page) == {str(Organization.objects.get(domains__name="branch11.example").public_id)}


def test_more_organizations_than_a_page_shows_at_once_are_shown_by_a_button() -> None:
    for number in range(9):
        an_organization(f"Company {_word(number)}", domains=["group.example"])
    wizard = attacker(an_order(contact=EVE, customer="", customer_email=""))
    page = ask(wizard, "Something Else", "x@group.example")
    assert len(on(page)) == finder_questions.SHOWN_PER_QUESTION
    assert "More organizations match." in page
    names = set(re.findall(r"An organization at group.example \([A-J]\)", page))
    assert len(names) == finder_questions.SHOWN_PER_QUESTION
    wizard.page = wizard.client.post(wizard.url("customer"), {"search": "1"}, follow=True)
    assert len(on(wizard.html)) == 9
    assert "More organizations match." not in wizard.html
    assert names <= set(re.findall(r"An organization at group.example \([A-J]\)", wizard.html))


# Signed ids


def test_id_of_an_organization_is_worth_nothing_unsigned_in_another_order_or_for_another_person(
    directory: list[Organization],
) -> None:
    first, second = (an_order(contact=EVE, customer="", customer_email="") for _order in range(2))
    wizards = [attacker(first), attacker(second)]
    for wizard in wizards:
        ask(wizard, "Something Else", EVE)
        wizard.search("customer", "company5.example")
    values = [re.findall(r'value="([0-9a-f-]{36}:[^"]+)"', wizard.html)[0] for wizard in wizards]
    assert values[0] != values[1]
    other_person = _signed_for(first, links.user_for("sam@partner.example"), directory[5])
    for forged in (values[0], values[0].partition(":")[0], values[1][:-1] + "x", values[1] + ":", other_person):
        _refused(wizards[1], forged, "Select an organization, or create a new one")
    wizards[1].search("customer", "company5.example")
    wizards[1].page = wizards[1].client.post(
        wizards[1].url("customer"), form_fields(wizards[1].html) | {"customer-organization": values[1]}, follow=True
    )
    assert wizards[1].at == "review"


def _signed_for(order: Order, user: User, organization: Organization) -> str:
    from provisioning.finder_gateway import signed_ids

    return signed_ids.sign(organization.public_id, order=order, user=user)


def _refused(wizard: Wizard, value: str, sentence: str) -> None:
    wizard.search("customer", "company5.example")
    fields = form_fields(wizard.html) | {"customer-organization": value}
    wizard.page = wizard.client.post(wizard.url("customer"), fields, follow=True)
    assert wizard.at == "customer"
    assert sentence in wizard.html
    assert "customer" not in Draft.objects.get(order=wizard.order).steps["find"]


def test_organization_that_was_shown_but_is_no_candidate_any_more_is_refused_in_a_sentence(
    directory: list[Organization],
) -> None:
    wizard = attacker(an_order(contact=EVE, customer="", customer_email=""))
    ask(wizard, "Something Else", EVE)
    page = wizard.search("customer", "company5.example")
    fields = form_fields(page) | {"customer-organization": re.findall(r'value="([0-9a-f-]{36}:[^"]+)"', page)[0]}
    directory[5].domains.all().delete()
    wizard.page = wizard.client.post(wizard.url("customer"), fields, follow=True)
    assert wizard.at == "customer"
    assert "The organization that you selected is no longer one of these." in wizard.html
    wizard.fill("customer")
    assert wizard.at == "customer-new"


def test_duplicate_that_was_shown_but_is_gone_is_refused_in_a_sentence() -> None:
    made = an_organization("Proseware", domains=["attacker.example"])
    wizard = attacker(an_order(contact=EVE, customer="", customer_email=""))
    ask(wizard, "Proseware", EVE)
    wizard.fill("customer", organization="new")
    page = wizard.fill("customer-new", name="Proseware", vertical="retail", country="US")
    assert on(page) == {str(made.public_id)}
    fields = form_fields(page) | {
        "customer-check-duplicate": re.findall(r'value="([0-9a-f-]{36}:[^"]+)"', page)[0],
    }
    made.domains.all().delete()
    made.members.all().delete()
    wizard.page = wizard.client.post(wizard.url("customer-check"), fields, follow=True)
    assert wizard.at == "customer-check"
    assert "The organization that you selected is no longer one of these." in wizard.html
    wizard.fill("customer-check")
    assert wizard.at == "review"


def test_signed_id_is_worth_nothing_to_who_gets_the_order_to_who_lost_it_and_once_it_is_over(
    directory: list[Organization],
) -> None:
    order = an_order(contact=EVE, customer="", customer_email="")
    wizard = attacker(order)
    ask(wizard, "Something Else", EVE)
    page = wizard.search("customer", "company5.example")
    stale = form_fields(page) | {"customer-organization": re.findall(r'value="([0-9a-f-]{36}:[^"]+)"', page)[0]}
    actions.hand_over(order=order, by=links.user_for(EVE), email="mallory@second.example")
    second = attacker(order, signed_in("mallory@second.example"))
    ask(second, "Something Else", EVE)
    _refused(second, stale["customer-organization"], "Select an organization, or create a new one")
    wizard.page = wizard.client.post(wizard.url("customer"), stale, follow=True)
    assert wizard.at == "handed-over"
    actions.take_order_back(order=order, by=links.user_for(EVE))
    wizard.page = wizard.client.post(wizard.url("customer"), stale, follow=True)
    assert wizard.at == "intent"  # everything but the customer's details is asked again
    actions.cancel_order(order=order, by=None)
    wizard.page = wizard.client.post(wizard.url("customer"), stale, follow=True)
    assert wizard.at == "cancelled"
    assert "customer" not in Draft.objects.get(order=order).steps["find"]


# Requests to administrators


def test_time_of_asking_says_nothing_of_how_many_administrators_there_are(settings: Settings) -> None:
    settings.RESPONSE_PADDING_MS = 10
    step = 0.01 * response_padding.ADMINISTRATOR_REQUEST_STEPS
    for number in (0, 3):
        bosses = [f"boss{each}@asked{number}.example" for each in range(number)]
        organization = an_organization(f"Asked {number}", domains=[f"asked{number}.example"], administrators=bosses)
        wizard = Wizard(signed_in(EVE), an_own_order(contact=EVE, sold_to="Eve Networks"))
        wizard.open()
        wizard.fill("intent", audience="own")
        wizard.search("customer", f"asked{number}.example")
        wizard.fill("customer", organization=str(organization.public_id))
        for url, fields in (
            (wizard.url("administrator"), form_fields(wizard.html)),
            (f"/orders/{wizard.order.number}/held/", {}),
            (f"/orders/{wizard.order.number}/send-again/", {}),
        ):
            begun = time.monotonic()
            wizard.client.post(url, fields)
            assert time.monotonic() - begun >= step
        assert wizard.order.access_requests.exists()


def test_order_asks_the_administrators_of_a_few_organizations_a_day(directory: list[Organization]) -> None:
    order = an_own_order(contact=EVE, sold_to="Eve Networks")
    with time_machine.travel(timezone.now(), tick=False) as travel:
        wizard = Wizard(signed_in(EVE), order)
        wizard.open()
        wizard.fill("intent", audience="own")
        for number in (1, 2, 3, 5, 6):
            asks(wizard, directory[number], f"company{number}.example")
            assert wizard.at == "held"
        page = asks(wizard, directory[7], "company7.example")
        assert wizard.at == "administrator"
        assert "No other request can be sent today. Your answers are kept" in page
        assert Mail.objects.filter(event="access_requested").count() == 5
        travel.shift(timedelta(hours=25))
        wizard.open("administrator")
        wizard.fill("administrator")
        assert wizard.at == "held"


def test_administrators_are_asked_by_a_few_strangers_a_day_and_by_all_colleagues(directory: list[Organization]) -> None:
    told = []
    for number in range(12):
        email = f"eve{number}@attacker.example"
        wizard = Wizard(signed_in(email), an_own_order(contact=email, sold_to="Eve Networks"))
        wizard.open()
        wizard.fill("intent", audience="own")
        asks(wizard, directory[5], "company5.example")
        told.append(wizard.at)
    assert told == ["held"] * 10 + ["administrator"] * 2
    colleague = "new@company5.example"
    order = an_own_order(contact=colleague, sold_to="Company")
    actions.ask_administrators(order=order, by=links.user_for(colleague), organization=directory[5].public_id)
    assert Mail.objects.filter(event="access_requested").count() == 11


def asks(wizard: Wizard, organization: Organization, domain: str) -> str:
    """Choose this organization and press the button."""
    wizard.open("customer")
    wizard.search("customer", domain)
    wizard.fill("customer", organization=str(organization.public_id))
    assert wizard.at == "administrator"
    return wizard.fill("administrator")


def test_order_is_handed_over_to_a_few_addresses_a_day() -> None:
    order = an_order(contact=EVE)
    with time_machine.travel(timezone.now(), tick=False) as travel:
        wizard = Wizard(signed_in(EVE), order)
        for number in range(10):
            wizard.open()
            wizard.fill("intent", audience="other", email=f"victim{number}@company.example")
            assert wizard.at == "handed-over"
            wizard.client.post(f"/orders/{order.number}/handed-over/")
        wizard.open()
        page = wizard.fill("intent", audience="other", email="victim10@company.example")
        assert wizard.at == "intent"
        assert "This order can’t be handed over again today." in page
        assert 'value="victim10@company.example"' in page
        assert Mail.objects.filter(event="order_handed_over").count() == 10
        travel.shift(timedelta(hours=25))
        wizard.open("intent")
        wizard.fill("intent", audience="other", email="victim10@company.example")
        assert wizard.at == "handed-over"
