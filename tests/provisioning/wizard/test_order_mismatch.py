"""Nobody maps an order to another organization than it names without being told: on the page, and in the history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

import pytest

from provisioning.history.event_sentences import DESK, sentences_for
from provisioning.models import Event
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in
from tests.german import in_german

pytestmark = pytest.mark.django_db

SAM, KIM, IT = "sam@partnernet.com", "kim@contoso.com", "it@customer-domain.com"


def warnings(wizard: Wizard) -> list[str]:
    """Return the sentences of the review that say whom the order names."""
    assert wizard.at == "review"
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", wizard.html)).split())
    assert text.count("The order names") == text.count("Warning:")
    return re.findall(
        r"Warning: (The order names “[^”]*”; you chose “[^”]*”\.) Check that this is the right organization", text
    )


def find_customer(*, customer: str, sold_to: str = "Partner Networks", named_email: str = IT) -> Wizard:
    """Return a partner's wizard where the customer organization is chosen; their own one is found by its domain."""
    an_organization("Partner Networks", domains=["partnernet.com"], administrators=[SAM], partner=True)
    order = an_order(contact=SAM, customer=customer, customer_email=named_email, sold_to=sold_to)
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    wizard.fill("customer-details", administrator_email=IT)
    assert wizard.at == "customer"
    return wizard


def review_existing(*, customer: str, chosen: str, other_names: Sequence[str] = ()) -> Wizard:
    """Return the review of the customer organization ``chosen`` for an order that names ``customer``."""
    organization = an_organization(chosen, domains=["customer-domain.com"], other_names=other_names)
    wizard = find_customer(customer=customer)
    wizard.fill("customer", organization=str(organization.public_id))
    return wizard


def review_new(*, customer: str, name: str) -> Wizard:
    """Return the review of a new customer organization for an order that names ``customer``."""
    wizard = find_customer(customer=customer)
    wizard.make("customer", name, country="US")
    return wizard


def noted(wizard: Wizard) -> list[str]:
    """Confirm, and return whom the history says that the order names, as the order desk reads it."""
    wizard.fill("review")
    events = Event.objects.filter(order=wizard.order, kind=Event.Kind.MAPPED).select_related("by")
    [line] = sentences_for(events, DESK)
    return re.findall(r"The order names (“[^”]*”); an organization of another name was chosen", line.sentence)


@pytest.mark.parametrize("chosen", ["Contosa", "Contoso Energy", "Northwind Traders"])
def test_other_customer_than_the_order_names_is_warned_of_and_noted(chosen: str) -> None:
    wizard = review_existing(customer="Contoso", chosen=chosen)
    assert warnings(wizard) == [f"The order names “Contoso”; you chose “{chosen}”."]
    assert noted(wizard) == ["“Contoso”"]


@pytest.mark.parametrize(
    ("customer", "chosen", "other_names"),
    [
        ("Contoso", "Contoso", ()),
        ("Contoso", "CONTOSO GmbH", ()),
        ("Contoso Ltd.", "Contoso, Inc.", ()),
        ("Müller", "Muller AG", ()),
        ("Контосо", "Contoso", ()),
        ("トヨタ", "Toyota", ()),
        ("Contoso", "Northwind Traders", ("Contoso",)),
    ],
)
def test_customer_by_another_form_script_or_name_is_no_other_one(
    customer: str, chosen: str, other_names: tuple[str, ...]
) -> None:
    wizard = review_existing(customer=customer, chosen=chosen, other_names=other_names)
    assert warnings(wizard) == []
    assert noted(wizard) == []


@pytest.mark.parametrize(("name", "named"), [("Contoso GmbH", []), ("Northwind", ["“Contoso”"])])
def test_new_organization_is_warned_of_only_if_it_has_another_name(name: str, named: list[str]) -> None:
    wizard = review_new(customer="Contoso", name=name)
    assert warnings(wizard) == [f"The order names {each}; you chose “{name}”." for each in named]
    assert noted(wizard) == named


def test_warning_of_a_masked_organization_has_the_words_of_its_card() -> None:
    hidden = an_organization("Bigcorp Holding", domains=["customer-domain.com"], other_names=["Bigcorp"])
    wizard = find_customer(customer="Contoso", named_email="")
    wizard.fill("customer", organization=str(hidden.public_id))
    assert warnings(wizard) == ["The order names “Contoso”; you chose “An organization at customer-domain.com”."]
    assert "Bigcorp" not in wizard.html


def test_partner_and_own_company_are_compared_with_who_bought_the_order() -> None:
    wizard = find_customer(customer="Contoso", sold_to="Adatum")
    wizard.make("customer", "Contoso", country="US")
    assert warnings(wizard) == ["The order names “Adatum”; you chose “Partner Networks”."]
    assert noted(wizard) == ["“Adatum”"]

    an_organization("Contoso", administrators=[KIM])
    for sold_to, expected in (("Contoso Ltd.", []), ("Adatum", ["The order names “Adatum”; you chose “Contoso”."])):
        own = Wizard(signed_in(KIM), an_own_order(contact=KIM, sold_to=sold_to))
        own.open()
        own.fill("intent", audience="own")
        own.fill("customer")
        assert warnings(own) == expected


def test_own_company_is_compared_with_the_customer_where_the_order_has_one() -> None:
    an_organization("Partner Networks", domains=["partnernet.com"], administrators=[SAM], partner=True)
    wizard = Wizard(signed_in(SAM), an_order(contact=SAM, customer="Contoso"))
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    assert warnings(wizard) == ["The order names “Contoso”; you chose “Partner Networks”."]


def test_warning_is_there_in_german() -> None:
    wizard = review_existing(customer="Contoso", chosen="Northwind Traders")
    german = Wizard(in_german(SAM), wizard.order)
    assert "Die Bestellung nennt „Contoso“; gewählt haben Sie „Northwind Traders“." in unescape(german.open("review"))
