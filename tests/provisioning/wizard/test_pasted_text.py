"""Pasted codes, addresses, numbers and domains in every field that takes them: taken, or kept as typed and refused."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils.html import escape

from provisioning.models import Mail, User
from provisioning.people import links
from subscriptions.models import Order
from subscriptions.summary import documents
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_order, an_organization, an_own_order, line_rows, signed_in
from tests.mailbox import code_in, deliver, newest

pytestmark = pytest.mark.django_db

SAM = "sam@contoso.example"
PASTED = [
    "Sam <Sam@Contoso.example>",
    '"Lovelace, Sam" <sam@contoso.example>',
    "mailto:sam@contoso.example?subject=x",
    "<sam@contoso.example>,",
    "sam＠contoso.example.",
    "\u202asam@contoso.example\u202c;",
    "sam@contoso.example\u200b",
]
TWO = "sam@contoso.example, ada@contoso.example"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("typed", PASTED)
def test_sign_in_takes_an_address_as_it_is_pasted(client: Client, typed: str) -> None:
    links.user_for(SAM)
    assert client.post("/sign-in/", {"email": typed}).status_code == 302
    client.post("/sign-in/code/", {"code": code_in(newest(SAM))})
    assert "_auth_user_id" in client.session


def test_two_addresses_get_their_own_sentence_and_stay_in_the_field(client: Client) -> None:
    page = client.post("/sign-in/", {"email": TWO})
    assert "Enter one address." in page.text
    assert f'value="{TWO}"' in page.text


@pytest.mark.parametrize(
    "paste",
    [
        lambda code: f"“{code.lower()}”.",
        lambda code: f"Code: {code}",
        lambda code: f"Your code is {code.replace('-', '—')}.",
        lambda code: code.replace("-", "−").replace("B", "В"),  # a minus sign, a Cyrillic letter
        lambda code: "".join(chr(ord(c) + 0xFEE0) for c in code),  # full width
        lambda code: f"\u2009{code.replace('-', chr(0xA0))}\ufeff",
        lambda code: " ".join(code),
    ],
)
def test_sign_in_takes_a_code_as_it_is_pasted(client: Client, paste: Callable[[str], str]) -> None:
    links.user_for(SAM)
    client.post("/sign-in/", {"email": SAM})
    client.post("/sign-in/code/", {"code": paste(code_in(newest(SAM)))})
    assert "_auth_user_id" in client.session


def test_another_code_is_still_a_wrong_one(client: Client) -> None:
    links.user_for(SAM)
    client.post("/sign-in/", {"email": SAM})
    code = code_in(newest(SAM))
    wrong = ("C" if code[0] == "B" else "B") + code[1:]
    page = client.post("/sign-in/code/", {"code": f"“{wrong}”"})
    assert "_auth_user_id" not in client.session
    assert escape(f"“{wrong}”") in page.text


def test_the_page_for_documents_takes_a_code_as_it_is_pasted(client: Client) -> None:
    order = a_mapped_order()
    _document, _summary, code = documents.issue(order)
    for typed in (f"Verification code: {code}.", f"https://setup.example.com/verify/{code}/", f"„{code.lower()}“"):
        assert "genuine and current" in client.get("/verify/", {"code": typed}).text


def test_handing_over_takes_an_address_and_refuses_two_with_every_answer_kept() -> None:
    order = an_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    page = wizard.fill("intent", audience="other", email=TWO)
    assert "Enter one address." in page
    kept = form_fields(page)
    assert (kept["intent-email"], kept["intent-audience"]) == ([TWO], ["other"])
    wizard.fill("intent", audience="other", email=PASTED[0])
    assert order.parts.get(ended_at=None).user.email == SAM


def test_the_customer_s_administrator_may_be_pasted() -> None:
    order = an_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Initech Partners")
    wizard.fill("customer-details", company_name="Contoso Bakery", administrator_email=PASTED[1])
    assert wizard.at == "customer"
    assert SAM in wizard.html


@pytest.mark.parametrize(
    "typed",
    [
        "https://www.fabrikam-mills.com/path",
        "@fabrikam-mills.com",
        "sam@fabrikam-mills.com",
        "FABRIKAM-MILLS.COM.",
        "“fabrikam-mills.com”",
    ],
)
def test_the_search_by_domain_takes_what_has_the_domain_in_it(typed: str) -> None:
    an_organization("Fabrikam Mills", domains=["fabrikam-mills.com"])
    order = an_own_order()
    wizard = Wizard(signed_in(order.contact_email), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    before = wizard.html.count('type="radio"')
    page = wizard.search("customer", typed)
    assert "Enter a whole domain" not in page
    assert page.count('type="radio"') == before + 2  # it, and a new one
    assert f'value="{escape(typed)}"' in page


@pytest.fixture
def desk(client: Client) -> Client:
    call_command("add_operator", "olga@vendor.example", verbosity=0)
    olga = User.objects.get(email="olga@vendor.example")
    client.force_login(olga, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def test_the_order_desk_takes_addresses_and_numbers_as_they_are_pasted(desk: Client) -> None:
    typed = {
        "number": "“PO–7”",
        "sold_to": "Initech",
        "contact_email": PASTED[0],
        "customer_name": "",
        "customer_email": "",
        **line_rows(
            {"service": "meetings", "licenses": "1\u202f000", "term_months": " 12 "},
            {"service": "calling", "licenses": "１，２００"},
        ),
    }
    for wrong in ({"contact_email": TWO}, {"lines-0-licenses": "1.5"}, {"lines-1-licenses": "1000.000"}):
        page = desk.post("/admin/subscriptions/order/add/", {**typed, **wrong})
        assert (page.status_code, Order.objects.count()) == (200, 0)
        assert all(f'value="{each}"' in page.text for each in wrong.values())
    assert desk.post("/admin/subscriptions/order/add/", typed).status_code == 302
    order = Order.objects.get()
    assert (order.number, order.contact_email) == ("PO-7", SAM)
    assert list(order.lines.values_list("licenses", "term_months")) == [(1000, 12), (1200, 12)]
    for search in ("“PO–7”.", "Sam <sam@contoso.example>"):
        assert "PO-7" in desk.get("/admin/subscriptions/order/", {"q": search}).text


def test_the_commands_take_what_is_pasted() -> None:
    base = ["place_order", "--company", "Initech", "--number", "PO-7"]
    with pytest.raises(CommandError, match="Enter one address"):
        run(*base, "--contact", TWO, "--meetings", "5")
    with pytest.raises(CommandError, match="number of licenses"):
        run(*base, "--contact", SAM, "--meetings", "1.5")
    run(*base, "--contact", PASTED[0], "--meetings", "1,000", "--term", "２４")
    order = Order.objects.get(number="PO-7")
    assert (order.contact_email, order.lines.get().licenses, order.lines.get().term_months) == (SAM, 1000, 24)
    assert '"created": false' in run(
        *base[:-1], "PO–7", "--contact", SAM, "--meetings", "1000", "--term", "24", "--json"
    )

    assert "has to be set up by" in run("extend_order", "“PO‑7”.", "--days", " 10 ")
    assert "PO-7: whole" in run("verify_history", " PO–7 ")
    deliver()
    assert "Order PO-7: noted." in run("note_bounce", PASTED[0])
    assert Mail.objects.filter(to=SAM, bounced_at__isnull=False).exists()
    with pytest.raises(CommandError, match="Enter one address"):
        run("note_bounce", TWO)
    assert SAM in run("add_operator", PASTED[1])
    with pytest.raises(CommandError, match="Enter one address"):
        run("add_operator", TWO)
