"""The finder is no directory: what somebody without a tie learns is little, and counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from orgs import rate_limits
from orgs.finder.cards import disclosed
from orgs.finder.matching import Result, SharedDomain, Viewer, find_candidates, near_duplicates, search_by_domain
from orgs.models import Search, SearchBudget
from tests.factories import an_organization

STRANGER = Viewer(proved_email="eve@elsewhere.example")
BOSS, CLERK, NOBODY = "boss@contoso.example", "clerk@contoso.example", "nobody@contoso.example"


@pytest.mark.django_db
def test_only_who_belongs_there_sees_a_card_that_is_not_counted() -> None:
    made = an_organization("Contoso", domains=["contoso.example"], administrators=[BOSS])
    own = {
        "mailbox": Viewer(proved_email="new@contoso.example"),
        "sub-domain": Viewer(proved_email="new@mail.contoso.example"),
        "partner of record": Viewer(proved_email="sam@partner.example", partner_of=frozenset({made.pk})),
        "member": Viewer(proved_email=BOSS),
    }
    for viewer in own.values():
        (card,) = search_by_domain(domain="contoso.example", email=viewer.proved_email, viewer=viewer)
        assert not card.masked
        assert not card.counted
    ordered = Viewer(proved_email="sam@partner.example", ordered_name="Contoso Ltd")
    (card,) = search_by_domain(domain="contoso.example", email="", viewer=ordered)
    assert not card.masked
    assert card.counted
    (card,) = search_by_domain(domain="contoso.example", email="", viewer=STRANGER)
    assert card.masked
    assert card.counted


@pytest.mark.django_db
def test_masked_cards_that_read_the_same_are_told_apart_by_a_letter_that_stays() -> None:
    made = [an_organization(f"Contoso {name}", domains=["contoso.example"]) for name in ("Alpha", "Beta", "Gamma")]
    other = an_organization("Fabrikam", domains=["fabrikam.example"])
    cards = search_by_domain(domain="contoso.example", email="", viewer=STRANGER)
    assert {card.shown_name for card in cards} == {"An organization at contoso.example"}
    shown = [made[2].pk, other.pk, made[0].pk, made[1].pk]
    names = {card.organization.pk: card.shown_name for card in disclosed(cards, shown)}
    letters = {pk: name.removeprefix("An organization at contoso.example ") for pk, name in names.items()}
    assert letters == {made[2].pk: "(A)", made[0].pk: "(C)", made[1].pk: "(D)"}
    assert [card.shown_name for card in disclosed(cards, [made[1].pk])] == ["An organization at contoso.example"]


@pytest.mark.django_db
def test_address_that_nobody_named_says_nothing_of_who_is_a_member() -> None:
    an_organization("Contoso", domains=["contoso.example"], administrators=[BOSS], members=[CLERK])
    cards = []
    for email in (BOSS, CLERK, NOBODY):
        match = find_candidates(email=email, company_name="Something Else", viewer=STRANGER)
        assert match.result is Result.CANDIDATES
        cards.append([(card.shown_name, card.tie, card.reasons, card.score) for card in match.candidates])
        assert near_duplicates(name="Something Else", country="DE", email=email, viewer=STRANGER) == ()
        found = search_by_domain(domain="contoso.example", email=email, viewer=STRANGER)
        cards.append([(card.shown_name, card.tie, card.reasons, card.score) for card in found])
    assert cards[0] == cards[2] == cards[4]
    assert cards[1] == cards[3] == cards[5]


@pytest.mark.django_db
def test_address_that_the_order_names_or_the_reader_proved_is_matched_exactly() -> None:
    an_organization("Contoso", domains=["contoso.example"], administrators=[BOSS], members=[CLERK])
    for email in (BOSS, CLERK):
        ordered = Viewer(proved_email="eve@elsewhere.example", ordered_email=email)
        assert find_candidates(email=email, company_name="", viewer=ordered).result is Result.EXACT
        assert find_candidates(email=email, company_name="", viewer=Viewer(proved_email=email)).preselected


@pytest.mark.django_db
def test_customer_whom_the_order_names_is_matched_exactly_without_saying_who_administers_it() -> None:
    an_organization("Contoso", domains=["contoso.example"], administrators=[BOSS], members=[CLERK])
    viewer = Viewer(proved_email="eve@elsewhere.example", ordered_name="Contoso")
    matches = [find_candidates(email=email, company_name="Contoso", viewer=viewer) for email in (BOSS, CLERK)]
    assert {match.result for match in matches} == {Result.EXACT}
    ties = {(match.candidates[0].tie, match.candidates[0].reasons) for match in matches}
    assert len(ties) == 1


@pytest.mark.django_db
def test_administrator_with_a_free_mail_address_is_found_on_a_masked_card() -> None:
    an_organization("Contoso", domains=["contoso.example"], administrators=["ada.contoso@gmail.com"])
    match = find_candidates(email="ada.contoso@gmail.com", company_name="Contoso", viewer=STRANGER)
    assert match.result is Result.EXACT
    assert match.candidates[0].masked
    assert match.candidates[0].counted


@pytest.mark.django_db
def test_shared_domains_are_refused() -> None:
    with pytest.raises(SharedDomain):
        search_by_domain(domain="gmail.com", email="", viewer=STRANGER)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verified", "proved"),
    [
        ("straße.example", "eve@strasse.example"),
        ("uk.com", "eve@attacker.uk.com"),
        ("contoso.onmicrosoft.com", "eve@contoso.onmicrosoft.com.attacker.example"),
        ("contoso.onmicrosoft.com", "eve@evil.onmicrosoft.com"),
        ("contoso.com", "eve@contoso.com.attacker.example"),
        ("contoso.com", "eve@сontoso.com"),
        ("contoso.com", "contoso.com@attacker.example"),
    ],
)
def test_domain_that_only_looks_like_the_organization_s_proves_nothing(verified: str, proved: str) -> None:
    an_organization("Contoso", domains=[verified])
    viewer = Viewer(proved_email=proved, sold_to="Contoso")
    assert find_candidates(email=proved, company_name="Contoso", viewer=viewer).candidates == ()
    assert near_duplicates(name="Contoso", country="US", email=proved, viewer=viewer) == ()
    for card in search_by_domain(domain="contoso.com", email=proved, viewer=viewer):
        assert card.masked


# Budgets


@pytest.mark.django_db
def test_what_was_shown_before_stays_shown_and_another_order_has_its_own_budget() -> None:
    assert rate_limits.disclose("order:1", range(6)) == set(range(6))
    assert rate_limits.disclose("order:1", range(3, 15)) == set(range(3, 10))
    assert rate_limits.disclose("order:1", [3, 14]) == {3}
    assert rate_limits.disclose("order:2", [14]) == {14}
    standing = rate_limits.read("order:1")
    assert standing.shown == tuple(range(10))
    assert standing.is_full
    assert not rate_limits.read("order:2").is_full


@pytest.mark.django_db
def test_one_question_leaves_room_for_the_next() -> None:
    assert rate_limits.disclose("order:1", range(12), at_once=6) == set(range(6))
    assert rate_limits.disclose("order:1", range(20, 30), at_once=6) == {20, 21, 22, 23}


@pytest.mark.django_db
def test_same_question_is_counted_once() -> None:
    limits = {"order:9": 2, "person:1": 5}
    assert [rate_limits.ask("order:9", "a", limits) for _time in range(5)] == [True] * 5
    assert rate_limits.ask("order:9", "b", limits)
    assert not rate_limits.ask("order:9", "c", limits)
    assert rate_limits.ask("order:9", "a", limits)
    assert SearchBudget.objects.get(key="person:1").searches == 2
    assert sorted(Search.objects.values_list("question", flat=True)) == ["a", "b"]
    standing = rate_limits.read("order:9", ["a", "b", "c"], limits)
    assert standing.asked == {"a", "b"}
    assert standing.free_at is not None


@pytest.mark.django_db
def test_questions_are_counted_by_order_and_by_person_and_come_back() -> None:
    keys = {"order:9": 3, "person:eve": 5}
    assert [rate_limits.spend(keys) for _time in range(4)] == [True, True, True, False]
    assert rate_limits.spend({"order:10": 3, "person:eve": 5})
    assert rate_limits.spend({"order:10": 3, "person:eve": 5})
    assert not rate_limits.spend({"order:10": 3, "person:eve": 5})
    assert SearchBudget.objects.get(key="order:10").searches == 2
    free_at = rate_limits.read("order:10", limits={"order:10": 3, "person:eve": 5}).free_at
    assert free_at is not None
    assert timezone.now() < free_at <= timezone.now() + timedelta(hours=1)
    with time_machine.travel(free_at, tick=False):
        assert rate_limits.read("order:10", limits={"order:10": 3, "person:eve": 5}).free_at is None
        assert rate_limits.spend(keys)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_questions_never_show_more_than_the_budget() -> None:
    def show(number: int) -> set[int]:
        try:
            return rate_limits.disclose("order:7", [number])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        shown = set().union(*pool.map(show, range(40)))
    assert len(shown) == rate_limits.ORGANIZATIONS
    assert set(SearchBudget.objects.get(key="order:7").organization_ids) == shown


@pytest.mark.django_db(transaction=True)
def test_simultaneous_questions_are_counted_one_by_one() -> None:
    def ask(number: int) -> bool:
        try:
            return rate_limits.ask(f"order:{number % 3}", f"question {number // 2}", {"person:eve": 7})
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert sum(answers) == Search.objects.count() == SearchBudget.objects.get(key="person:eve").searches == 7


@pytest.mark.django_db
def test_masked_card_doesn_t_say_whether_it_is_in_another_country() -> None:
    an_organization("Contoso", domains=["contoso.example"], country="IS")
    cards = [
        near_duplicates(name="Contoso", country=country, email="x@contoso.example", viewer=STRANGER)[0]
        for country in ("IS", "DE")
    ]
    assert all(card.masked for card in cards)
    assert (cards[0].reasons, cards[0].warnings) == (cards[1].reasons, cards[1].warnings)
    full = near_duplicates(name="Contoso", country="DE", email="x@contoso.example")
    assert "In a country other than Germany." in full[0].warnings


@pytest.mark.django_db
def test_words_of_the_ordered_name_open_no_organization_that_an_address_of_one_s_choice_finds() -> None:
    an_organization("Pellworm Seafood Trading", domains=["pellworm.example"], user_count=777)
    viewer = Viewer(proved_email="sam@partner.example", ordered_name="Harbour Seafood Trading", ordered_email="")
    match = find_candidates(email="x@pellworm.example", company_name="Harbour Seafood Trading", viewer=viewer)
    assert [card.masked for card in match.candidates] == [True]
