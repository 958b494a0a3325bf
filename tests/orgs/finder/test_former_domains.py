"""Domains that an organization used before: imported, kept by the desk, found, said, and no proof of anything."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from orgs import importing
from orgs.finder import evidence_sentences
from orgs.finder.cards import Viewer
from orgs.finder.evidence_rules import Code
from orgs.finder.matching import Candidate, Result, find_candidates, get_candidate, near_duplicates, search_by_domain
from orgs.importing import Report
from orgs.models import Domain, LikelyDuplicate, Organization
from orgs.search_index import rebuild
from orgs.text import normalize
from provisioning import actions
from provisioning.models import User
from provisioning.people import links
from provisioning.worker import tasks
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

OLD = "fabrikam.example"  # Contoso's former domain
NEW = "contoso.example"
KIM = f"kim@{OLD}"


def formerly(organization: Organization, name: str = OLD, until: str = "2022") -> Organization:
    """Let an organization have used a domain before."""
    Domain(organization=organization, name=name, status=Domain.Status.FORMER, used_until=until).save()
    return organization


def contoso(**fields: Any) -> Organization:
    """Contoso, which has another domain now."""
    return formerly(an_organization("Contoso Holding", **{"domains": [NEW], **fields}))


def names(found: tuple[Candidate, ...]) -> list[str]:
    """The organizations' names, in the order of the list."""
    return [card.organization.name for card in found]


def codes(card: Candidate) -> set[Code]:
    """What speaks for and against a candidate."""
    return {each.code for each in card.evidence}


# Import


HEADER = "external_id,name,domains\n"


@pytest.fixture
def bring(tmp_path: Path) -> Any:
    """Import a file with these rows and return the report."""

    def imported(*rows: str) -> Report:
        path = tmp_path / "organizations.csv"
        path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return importing.import_file(path)

    return imported


def kept() -> set[tuple[str, str, str]]:
    """All domains, what they are, and until when."""
    return set(Domain.objects.values_list("name", "status", "used_until"))


@pytest.mark.django_db(transaction=True)
def test_former_domains_come_from_a_file_with_a_year_a_date_or_without(bring: Any) -> None:
    row = "c1,Contoso,contoso.com|former:Fabrikam.com|former:münchen.example@2019| Former : a.example @ 2022-06-30 "
    report = bring(row)
    assert (report.domains, report.refused) == (4, [])
    assert kept() == {
        ("contoso.com", "verified", ""),
        ("fabrikam.com", "former", ""),
        ("xn--mnchen-3ya.example", "former", "2019"),
        ("a.example", "former", "2022-06-30"),
    }
    assert bring(row).domains == 0
    match = find_candidates(email="kim@fabrikam.com", company_name="Quite different")
    assert names(match.candidates) == ["Contoso"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("until", ["", "22", "20222", "2022-13", "2022-02-30", "soon", "2022@2023"])
def test_time_that_is_none_is_refused_with_its_line(bring: Any, until: str) -> None:
    report = bring("c1,Contoso,contoso.com", f"c2,Fabrikam,former:fabrikam.com@{until}|fabrikam.example")
    assert [(each.line, "a year or a date" in each.reason) for each in report.refused] == [(3, True)]
    assert kept() == {("contoso.com", "verified", ""), ("fabrikam.example", "verified", "")}


@pytest.mark.django_db(transaction=True)
def test_later_file_makes_a_domain_a_former_one_and_back_and_keeps_the_year_that_it_does_not_have(bring: Any) -> None:
    for domains, expected in (
        ("verified:contoso.com", ("contoso.com", "verified", "")),
        ("former:contoso.com@2022", ("contoso.com", "former", "2022")),
        ("former:contoso.com", ("contoso.com", "former", "2022")),
        ("former:contoso.com@2023", ("contoso.com", "former", "2023")),
        ("former:contoso.com|verified:contoso.com", ("contoso.com", "verified", "")),
    ):
        assert bring(f"c1,Contoso,{domains}").domains == (0 if domains == "former:contoso.com" else 1)
        assert kept() == {expected}


@pytest.mark.django_db(transaction=True)
def test_domain_that_was_sold_is_a_former_one_here_and_claimed_there(bring: Any) -> None:
    report = bring(
        "c1,Contoso,former:sold.example@2022", "c2,Fabrikam,claimed:sold.example", "c3,Third,former:sold.example"
    )
    assert report.refused == []
    assert Domain.objects.filter(name="sold.example").count() == 3


# The order desk


@pytest.fixture
def desk(client: Client) -> Client:
    """An operator of the order desk, signed in."""
    client.force_login(User.objects.create_superuser("desk@vendor.example"))
    return client


def edit(desk: Client, organization: Organization, *domains: tuple[str, str, str]) -> Any:
    """Add domains (name, status, until when) to an organization on the desk's page."""
    data = {"name": organization.name, "country": "US", "vertical": "", "origin": "direct_order"}
    data |= {"other_names-TOTAL_FORMS": "0", "other_names-INITIAL_FORMS": "0"}
    data |= {"domains-TOTAL_FORMS": str(len(domains)), "domains-INITIAL_FORMS": "0"}
    for place, (name, status, until) in enumerate(domains):
        data |= {f"domains-{place}-name": name, f"domains-{place}-status": status, f"domains-{place}-used_until": until}
    return desk.post(reverse("admin:orgs_organization_change", args=[organization.pk]), data)


def test_desk_adds_a_former_domain_which_is_found_then(desk: Client) -> None:
    made = an_organization("Contoso")
    assert edit(desk, made, (OLD, "former", "2022"), ("other.example", "former", "")).status_code == 302
    assert kept() == {(OLD, "former", "2022"), ("other.example", "former", "")}
    assert names(find_candidates(email=KIM, company_name="Different").candidates) == ["Contoso"]
    assert "2022" in desk.get(reverse("admin:orgs_organization_change", args=[made.pk])).text
    assert "Contoso" in desk.get(reverse("admin:orgs_organization_changelist"), {"q": OLD}).text


@pytest.mark.parametrize(
    ("status", "until", "sentence"),
    [
        ("former", "soon", "Enter a year or a date"),
        ("former", "2022-02-30", "Enter a year or a date"),
        ("verified", "2022", "Only a former domain has a time"),
        ("claimed", "2022-06-30", "Only a former domain has a time"),
    ],
)
def test_desk_is_told_what_a_time_is_and_that_only_former_domains_have_one(
    desk: Client, status: str, until: str, sentence: str
) -> None:
    answer = edit(desk, an_organization("Contoso"), (OLD, status, until))
    assert answer.status_code == 200
    assert sentence in answer.text
    assert kept() == set()


@pytest.mark.parametrize(("status", "until"), [("verified", "2022"), ("former", "soon"), ("former", "2022-")])
def test_database_keeps_no_time_that_is_none(status: str, until: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Domain(organization=an_organization("Contoso"), name=OLD, status=status, used_until=until).save()


# What is found, in which order, and what is said


def test_address_at_a_former_domain_finds_the_organization_and_the_card_says_since_when_it_is_a_former_one() -> None:
    contoso(last_activity_at="2026-11-01T12:00:00Z")
    match = find_candidates(email=KIM, company_name="Quite different")
    assert match.result is Result.CANDIDATES
    (card,) = match.candidates
    assert card.tie == "Used this domain until 2022"
    assert card.reasons == (
        f"The organization used this domain until 2022: {OLD}. Somebody else may own it now, so check the name too.",
    )
    assert (card.best, match.preselected, match.exact) == (False, None, ())
    assert card.domains == ((NEW, "Verified"),)
    assert "No verified domain." not in card.warnings


@pytest.mark.parametrize(
    ("until", "english", "german"),
    [
        ("", "Used this domain before", "Nutzte diese Domain früher"),
        ("2022", "Used this domain until 2022", "Nutzte diese Domain bis 2022"),
        ("2022-06", "Used this domain until June 2022", "Nutzte diese Domain bis Juni 2022"),
        ("2022-06-30", "Used this domain until 30 June 2022", "Nutzte diese Domain bis 30. Juni 2022"),
    ],
)
def test_card_says_until_when_as_the_language_writes_it(until: str, english: str, german: str) -> None:
    formerly(an_organization("Contoso"), until=until)
    for language, label in (("en", english), ("de", german)):
        with translation.override(language):
            (card,) = find_candidates(email=KIM, company_name="Contoso").candidates
        assert card.tie.split(" · ")[0] == label
        assert any(OLD in reason for reason in card.reasons)


def test_organization_with_former_domains_alone_has_no_verified_one() -> None:
    formerly(an_organization("Contoso", last_activity_at="2020-01-01T12:00:00Z"))
    (card,) = find_candidates(email=KIM, company_name="Contoso").candidates
    assert Code.NO_VERIFIED_DOMAIN in codes(card)
    assert card.warnings[0].startswith("Looks abandoned: no verified domain")
    assert card.domains == ()


@pytest.mark.parametrize(
    "same", ["claimed:fabrikam.example", "verified:fabrikam.example", "verified:it.fabrikam.example"]
)
@pytest.mark.parametrize("asked", ["Contoso Holding", "Northwind Traders", "Quite different"])
def test_who_has_the_domain_now_comes_before_who_used_it_before(same: str, asked: str) -> None:
    status, _colon, name = same.partition(":")
    contoso(active_subscription_count=9, active_user_count=3, user_count=3)
    owner = an_organization("Northwind Traders", country="DE")
    Domain(organization=owner, name=name, status=status).save()
    match = find_candidates(email=KIM, company_name=asked)
    assert names(match.candidates) == ["Northwind Traders", "Contoso Holding"]
    assert not match.candidates[1].best
    assert match.candidates[1].tie.startswith("Used this domain until 2022")
    found = search_by_domain(domain=OLD, email=KIM, company_name=asked)
    assert names(found) == ["Northwind Traders", "Contoso Holding"]


def test_former_domain_comes_before_another_ending_and_words_of_the_name() -> None:
    contoso()
    an_organization("Other Ending", domains=["fabrikam.example.org"])
    an_organization("Fabrikam Other", domains=["fabrikam.test"])
    found = find_candidates(email=KIM, company_name="Quite different").candidates
    assert names(found)[0] == "Contoso Holding"


def test_users_at_a_former_domain_count_as_they_always_did() -> None:
    formerly(an_organization("Contoso", members=[f"ada@{OLD}"]))
    an_organization("Northwind", domains=[OLD])
    assert find_candidates(email=f"ada@{OLD}", company_name="").exact[0].organization.name == "Contoso"
    found = {card.organization.name: card for card in find_candidates(email=KIM, company_name="Contoso").candidates}
    assert codes(found["Contoso"]) >= {Code.USERS_AND_NAME_START, Code.FORMER_DOMAIN, Code.SAME_NAME}


@pytest.mark.parametrize(
    ("domain", "email", "found"),
    [
        ("fabrikam.example", "kim@mail.fabrikam.example", True),
        ("old.fabrikam.example", "kim@old.fabrikam.example", True),
        ("old.fabrikam.example", "kim@fabrikam.example", False),  # the domain above it is somebody else's
        ("old.fabrikam.example", "kim@new.fabrikam.example", False),
        ("fabrikam.com", "kim@fabrikam.de", False),  # and so may be another ending
        ("gmail.com", "kim@gmail.com", False),  # everybody has an address there
        ("co.uk", "kim@fabrikam.co.uk", False),
        ("fabrikam.example", "kim@xfabrikam.example", False),
    ],
)
def test_former_domain_ties_addresses_at_it_and_below_it(domain: str, email: str, found: bool) -> None:
    formerly(an_organization("Contoso"), domain)
    assert bool(find_candidates(email=email, company_name="Quite different").candidates) is found


def test_search_by_domain_finds_who_used_it_before() -> None:
    contoso()
    (card,) = search_by_domain(domain=OLD, email="x@elsewhere.example", company_name="Anything")
    assert card.tie == "Used this domain until 2022"
    assert not card.best


def test_former_domain_gives_no_mark_also_where_the_name_is_like_it() -> None:
    formerly(an_organization("Fabrikam Industries of the North", domains=["fin.example"]))
    for name in ("Fabrikam", "Quite different", ""):
        match = find_candidates(email=KIM, company_name=name)
        assert [card.best for card in match.candidates] == [False], name


def test_former_domain_is_no_word_that_a_name_is_found_by() -> None:
    contoso()
    for _time in range(2):
        assert find_candidates(email="new@gmail.com", company_name="Fabrikam").candidates == ()
        rebuild()


def test_former_domains_take_no_more_round_trips() -> None:
    contoso()
    an_organization("Northwind", domains=[OLD])
    with CaptureQueriesContext(connection) as queries:
        assert len(find_candidates(email=KIM, company_name="Northwind").candidates) == 2
    assert not queries.captured_queries  # nothing of Django's beside the finder's own statements


def test_new_organization_of_a_like_name_is_pointed_to_the_old_one_with_its_sentence() -> None:
    contoso()
    (card,) = near_duplicates(name="Contoso Holdings", country="US", email=KIM)
    assert "until 2022" in card.tie
    assert near_duplicates(name="Something Else Entirely", country="US", email=KIM) == ()


def test_desk_sees_as_likely_the_same_whoever_entered_a_company_anew_at_its_old_domain() -> None:
    one = formerly(an_organization("Contoso GmbH", country="DE", domains=["contoso.com"]))
    other = an_organization("Contoso", country="FR", domains=[OLD])
    tasks.look_for_duplicates.func(timestamp=0)
    pair = LikelyDuplicate.objects.get()
    assert (pair.organization, pair.other, pair.why) == (one, other, LikelyDuplicate.Why.SAME_NAME_DOMAIN)


def test_former_domain_alone_tells_no_two_companies_of_one_name_apart() -> None:
    formerly(an_organization("Contoso GmbH", country="DE"))
    an_organization("Contoso", country="DE", domains=["contoso.com"])
    tasks.look_for_duplicates.func(timestamp=0)
    assert LikelyDuplicate.objects.get().why == LikelyDuplicate.Why.SAME_NAME_COUNTRY


# What it proves: nothing


def test_mailbox_at_a_former_domain_opens_no_facts() -> None:
    made = contoso(user_count=4321)
    viewer = Viewer(proved_email=KIM)
    (card,) = find_candidates(email=KIM, company_name="Quite different", viewer=viewer).candidates
    assert (card.masked, card.counted) == (True, True)
    assert card.shown_name == f"An organization that used {OLD} before"
    assert card.reasons == ("The organization used the email domain before. Somebody else may own it now.",)
    assert (card.domains, card.warnings) == ((), ())
    figures = (card.shown_users, card.shown_activity, card.shown_subscriptions, card.shown_country, card.shown_created)
    assert not any(figures)
    again = get_candidate(public_id=made.public_id, email=KIM, company_name="Anything", viewer=viewer)
    assert again is not None
    assert (again.masked, again.shown_name, again.reasons) == (True, card.shown_name, card.reasons)
    assert not viewer.knows(made, list(made.domains.all()), "")
    assert viewer.knows(an_organization("Now", domains=[OLD]), list(Domain.objects.filter(status="verified")), "")


def test_no_name_that_is_typed_changes_the_card_of_a_former_domain() -> None:
    contoso(other_names=["Fabrikam Group"], user_count=4321)
    viewer = Viewer(proved_email=KIM)
    seen = set()
    for name in ("Contoso Holding", "Fabrikam Group", "Contoso", "Quite different", "", "-"):
        match = find_candidates(email=KIM, company_name=name, viewer=viewer)
        seen.add((match.result, *[(c.shown_name, c.tie, c.reasons, c.best) for c in match.candidates]))
        assert near_duplicates(name=name, country="US", email=KIM, viewer=viewer) == ()
    assert len(seen) == 1
    assert len(next(iter(seen))) == 2


def test_address_that_the_order_names_leads_there_and_the_name_that_it_names_opens_it() -> None:
    contoso(user_count=4321)
    for ordered, masked in (("Fabrikam", True), ("Contoso Holding", False)):
        viewer = Viewer(proved_email="sam@partner.example", ordered_email=KIM, ordered_name=ordered)
        (card,) = find_candidates(email=KIM, company_name=ordered, viewer=viewer).candidates
        assert card.masked is masked
        assert ("Used this domain until 2022" in card.tie) is not masked


def test_words_of_the_ordered_name_open_nothing_that_a_former_domain_finds() -> None:
    formerly(an_organization("Pellworm Seafood Trading", user_count=777))
    viewer = Viewer(proved_email="sam@partner.example", ordered_name="Harbour Seafood Trading", ordered_email=KIM)
    match = find_candidates(email=KIM, company_name="Harbour Seafood Trading", viewer=viewer)
    assert [(card.masked, card.shown_users) for card in match.candidates] == [(True, "")]


@pytest.mark.parametrize("email", ["eve@elsewhere.example", f"x@{OLD}", KIM])
def test_stranger_finds_nothing_by_a_former_domain_of_their_choice(email: str) -> None:
    contoso(user_count=4321)
    stranger = Viewer(proved_email="eve@elsewhere.example", ordered_email="")
    assert search_by_domain(domain=OLD, email=email, company_name="Contoso Holding", viewer=stranger) == ()
    assert find_candidates(email=email, company_name="Contoso Holding", viewer=stranger).candidates == ()
    assert near_duplicates(name="Contoso Holding", country="US", email=email, viewer=stranger) == ()


def test_former_domain_moves_no_card_and_no_mark_that_a_stranger_sees() -> None:
    made = contoso()
    for name in ("Northwind Traders", "Northwind Foods"):
        an_organization(name, domains=[OLD])
    stranger = Viewer(proved_email="eve@elsewhere.example")

    def seen() -> list[object]:
        cards: list[object] = []
        for name in ("Contoso Holding", "Northwind Traders", "Northwind", "Different"):
            for found in (
                find_candidates(email=KIM, company_name=name, viewer=stranger).candidates,
                search_by_domain(domain=OLD, email=KIM, company_name=name, viewer=stranger),
                near_duplicates(name=name, country="US", email=KIM, viewer=stranger),
            ):
                cards.append([(c.shown_name, c.tie, c.reasons, c.best, c.score, c.organization.pk) for c in found])
        return cards

    before = seen()
    made.domains.filter(name=OLD).delete()
    assert seen() == before


def plain(page: str) -> str:
    """A page without what differs from one order and request to the next."""
    page = re.sub(r'name="(csrfmiddlewaretoken|revision)" value="[^"]*"', "", page)
    return re.sub(r"<!-- [A-Za-z0-9+/=]* -->|T-[0-9]{6}", "", page)


def partner(**order: str) -> Wizard:
    """A partner's order, before the customer's details."""
    if not Organization.objects.filter(name="Partner Networks").exists():
        an_organization("Partner Networks", domains=["partner.example"], administrators=["sam@partner.example"],
                        partner=True)  # fmt: skip
    order = {"customer": "Northwind", "customer_email": "it@northwind.example", **order}
    wizard = Wizard(signed_in("sam@partner.example"), an_order(contact="sam@partner.example", **order))  # type: ignore[arg-type]
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    return wizard


@time_machine.travel("2026-11-27T12:00:00Z", tick=False)
def test_pages_for_a_former_domain_and_for_one_that_nobody_used_are_the_same() -> None:
    made = contoso(user_count=4321)
    pages = []
    for _time in range(2):
        wizard = partner()
        read = [wizard.fill("customer-details", company_name="Contoso Holding", administrator_email=KIM)]
        assert wizard.at == "customer"
        read.append(wizard.search("customer", OLD))
        wizard.fill("customer", organization="new")
        read.append(wizard.fill("customer-new", name="Contoso Holding", vertical="retail", country="US"))
        assert wizard.at == "customer-check"
        pages.append([plain(page) for page in read])
        made.domains.filter(name=OLD).delete()
    assert pages[0] == pages[1]
    assert "4,321" not in "".join(pages[0])


def test_contact_at_a_former_domain_sees_the_organization_without_its_facts_and_asks_its_administrators() -> None:
    made = contoso(administrators=[f"boss@{NEW}"], user_count=4321, country="IS")
    wizard = Wizard(signed_in(KIM), an_own_order(contact=KIM, sold_to="Fabrikam"))
    wizard.open()
    page = wizard.fill("intent", audience="own")
    assert f"An organization that used {OLD} before" in page
    page += wizard.search("customer", OLD)
    page += wizard.fill("customer", organization=str(made.public_id))
    assert wizard.at == "administrator"
    page += wizard.fill("administrator")
    assert wizard.at == "held"
    for secret in ("Contoso", NEW, "4,321", "1,000", "Iceland", "2022", "Best match"):
        assert secret not in page, secret
    request = wizard.order.access_requests.get()
    page = signed_in(f"boss@{NEW}").get(reverse("access_request", args=[wizard.order.number, request.public_id])).text
    assert "This address is at a domain that Contoso Holding used before." in page
    assert "is at none of the domains" not in page


def test_address_at_a_former_domain_makes_no_own_company() -> None:
    made = contoso()
    partner_of = an_organization("Partner Networks", administrators=[KIM], partner=True)
    order = an_order(contact=KIM, customer="Contoso Holding", customer_email="")
    order = actions.map_order(
        order=order, by=links.user_for(KIM), audience="customer",
        partner=actions.Existing(partner_of.public_id), customer=actions.Existing(made.public_id),
    )  # fmt: skip
    assert order.state == Order.State.MAPPED


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2022", date(2022, 1, 1)),
        ("2022-06", date(2022, 6, 1)),
        ("2022-06-30", date(2022, 6, 30)),
        ("2022-02-30", None),
    ],
)
def test_year_month_or_day(text: str, day: date | None) -> None:
    assert normalize.day_of(text) == day
    assert normalize.is_year_or_date(text) is (day is not None)
    assert evidence_sentences.until("2022") == "2022"
