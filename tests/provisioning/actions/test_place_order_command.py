"""Orders from the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from provisioning.models import Link, User
from subscriptions.models import Order
from tests.mailbox import newest

pytestmark = pytest.mark.django_db

BASE = ["--contact", "carol@partner.example", "--company", "Initech Resale"]


def place_order(*arguments: str) -> str:
    out = StringIO()
    call_command("place_order", *arguments, stdout=out)
    return out.getvalue()


def test_json_says_number_state_and_date_and_whether_it_was_placed_now() -> None:
    said = json.loads(place_order(*BASE, "--meetings", "25", "--number", "A-1", "--json"))
    by = Order.objects.get(number="A-1").closes_at.isoformat(timespec="seconds")
    assert said == {"number": "A-1", "state": "placed", "set_up_by": by, "created": True}


def test_every_option_arrives_in_the_order() -> None:
    place_order(
        *BASE,
        *("--customer", "Contoso Bakery", "--customer-email", "admin@contoso.example"),
        *("--meetings", "25", "--calling", "10", "--term", "36", "--number", "A-1"),
    )
    order = Order.objects.get(number="A-1")
    assert (order.sold_to, order.customer_name) == ("Initech Resale", "Contoso Bakery")
    assert order.customer_email == "admin@contoso.example"
    lines = [(line.service, line.licenses, line.term_months) for line in order.lines.all()]
    assert lines == [("meetings", 25, 36), ("calling", 10, 36)]


def test_the_contact_gets_the_welcome_email() -> None:
    said = place_order(*BASE, "--calling", "5")
    number = Order.objects.get().number
    assert number in said
    assert newest("carol@partner.example").subject == f"Provisioning information required for order {number}"


def test_the_same_number_twice_is_one_order_and_one_email() -> None:
    place_order(*BASE, "--meetings", "25", "--number", "A-1")
    assert json.loads(place_order(*BASE, "--meetings", "99", "--number", "A-1", "--json"))["created"] is False
    assert "already there" in place_order(*BASE, "--meetings", "99", "--number", "A-1")
    assert Order.objects.get().lines.get().licenses == 25
    assert Link.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--company", "X", "--meetings", "1"], "Enter the provisioning contact's email address"),
        (["--contact", "a@b.example", "--meetings", "1"], "Enter the name of the company"),
        (["--contact", "nobody", "--company", "X", "--meetings", "1"], "Enter the provisioning contact's email"),
        (BASE, "Say what was ordered"),
        ([*BASE, "--meetings", "0"], "Enter a number of licenses between 1 and 1,000,000."),
        ([*BASE, "--meetings", "many"], "Enter a number of licenses between 1 and 1,000,000."),
        ([*BASE, "--meetings", "1000001"], "Enter a number of licenses between 1 and 1,000,000."),
        ([*BASE, "--meetings", "1", "--term", "0"], "Enter a term of 1 to 120 months."),
        ([*BASE, "--meetings", "1", "--term", "x"], "Enter a term of 1 to 120 months."),
        ([*BASE, "--meetings", "1", "--number", "a/b"], "Enter an order number"),
        ([*BASE, "--meetings", "1", "--number", "a" * 41], "Enter an order number"),
        ([*BASE, "--meetings", "1", "--customer-email", "x"], "Enter the customer's email address"),
        ([*BASE, "--meetings", "1", "--customer", "a\x00b"], "Enter the customer's name"),
    ],
)
def test_bad_input_gets_one_sentence_and_places_nothing(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        place_order(*arguments)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    assert not Order.objects.exists()


def test_an_operator_is_added_and_removed() -> None:
    out = StringIO()
    call_command("add_operator", "Olga@Vendor.example", stdout=out)
    user = User.objects.get(email="olga@vendor.example")
    assert (user.is_staff, user.has_usable_password()) == (True, False)
    call_command("add_operator", "olga@vendor.example", "--remove", stdout=out)
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (False, False)
    with pytest.raises(CommandError, match="Enter an email address"):
        call_command("add_operator", "olga", stdout=out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], False),
        (["--contact", " Carol@Partner.Example", "--company", " Initech Resale "], False),
        (["--meetings", "26"], True),
        (["--company", "Initech"], True),
        (["--contact", "dave@partner.example"], True),
        (["--customer", "Contoso"], True),
        (["--set-up-by", (timezone.now() + timedelta(days=99)).date().isoformat()], True),
    ],
)
def test_a_number_that_stands_for_another_order_is_told(arguments: list[str], told: bool) -> None:
    first = [*BASE, "--meetings", "25", "--number", "A-1"]
    place_order(*first)
    before, problems = Order.objects.values().get(), StringIO()
    again = first if "--meetings" not in arguments else [*BASE, "--number", "A-1"]
    call_command("place_order", *again, *arguments, "--json", stdout=StringIO(), stderr=problems)
    assert ("was placed before with other facts" in problems.getvalue()) == bool(problems.getvalue()) == told
    assert Order.objects.values().get() == before
    assert Order.objects.get().lines.get().licenses == 25


def test_several_lines_of_one_service_by_licenses_or_with_all_their_facts() -> None:
    lines = ["--meetings", "100", "--meetings", "50", "--line", "40=calling:Calling: Attendant:5:24"]
    with pytest.raises(CommandError, match="--line must be like"):
        place_order(*BASE, *lines, "--number", "A-1")
    lines[-1] = "40=calling:Calling Attendant:5:24"
    more = ["--line", "meetings:Meetings Pro:1,000", "--term", "36"]
    place_order(*BASE, *lines, *more, "--number", "A-1")
    order = Order.objects.get()
    assert list(order.lines.values_list("number", "service", "product", "licenses", "term_months")) == [
        (1, "meetings", "Meetings", 100, 36),
        (2, "meetings", "Meetings", 50, 36),
        (4, "meetings", "Meetings Pro", 1000, 36),
        (40, "calling", "Calling Attendant", 5, 24),
    ]
    err = StringIO()
    call_command("place_order", *BASE, *lines, *more, "--number", "A-1", stdout=StringIO(), stderr=err)
    assert err.getvalue() == ""
    call_command("place_order", *BASE, *lines, "--number", "A-1", stdout=StringIO(), stderr=err)
    assert "was placed before with other facts" in err.getvalue()
    with pytest.raises(CommandError, match="Give each line a number of its own"):
        place_order(*BASE, "--line", "4=meetings:A:1", "--line", "4=calling:B:1")
