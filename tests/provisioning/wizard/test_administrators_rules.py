"""The administrators' rules as people meet them: who × for whom × which organization × what they are there, by HTTP.

tests/orgs/test_policies.py has every case of the plain rules; here the forms word them and the actions enforce them.
"""

from __future__ import annotations

import pytest

from orgs import policies
from orgs.models import Member, Organization
from provisioning import actions
from provisioning.people import links
from provisioning.wizard.forms.access_requests import REFUSAL_SENTENCES
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import an_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db

SAM, KIM, IT = "sam@partner.example.net", "kim@contoso.example.org", "it@contoso.example.org"

# What the person is in the organization chosen, how that was found, and what follows. "goes on": the label isn't due;
# "labelled": they go on as provisioning administrator and are told to ask; else the refusal's code.
CASES = """
who      whom      organization  found      is            follows
partner  customer  new           none       nobody        goes on
partner  customer  existing      candidate  nobody        labelled
partner  customer  existing      exact      nobody        labelled
partner  customer  existing      exact      user          labelled
partner  customer  existing      exact      provisioning  labelled
partner  customer  existing      exact      full          goes on
partner  own       new           none       nobody        goes on
partner  own       existing      candidate  nobody        ask_current_administrator
partner  own       existing      exact      user          ask_current_administrator
partner  own       existing      exact      provisioning  ask_current_administrator
partner  own       existing      exact      full          goes on
customer own       new           none       nobody        goes on
customer own       existing      candidate  nobody        ask_customer_administrator
customer own       existing      exact      user          ask_customer_administrator
customer own       existing      exact      provisioning  ask_customer_administrator
customer own       existing      exact      full          goes on
"""
ROWS = [line.split(maxsplit=5) for line in CASES.strip().splitlines()[1:]]


def organizations(who: str, whom: str, organization: str, found: str, role: str) -> Organization | None:
    """Make the organizations of a case; return the one that the order is for, if it exists."""
    person = SAM if who == "partner" else KIM
    if whom == "customer":
        an_organization("Partner Networks", administrators=[SAM], partner=True)
    if organization == "new":
        return None
    own = whom == "own" and who == "partner"
    name, domain = ("Partner Networks", "partner.example.net") if own else ("Contoso", "contoso.example.org")
    administrators = ["boss@elsewhere.example.com"]
    if found == "exact" and whom == "customer":
        administrators.append(IT)
    made = an_organization(name, domains=[domain], administrators=administrators, partner=own)
    if role != "nobody":
        Member(organization=made, email=person, role=role).save()
    return made


@pytest.mark.parametrize(("who", "whom", "organization", "found", "role", "follows"), ROWS)
def test_each_row_is_worded_by_the_forms_and_enforced_by_the_actions(
    who: str, whom: str, organization: str, found: str, role: str, follows: str
) -> None:
    existing = organizations(who, whom, organization, found, role)
    members = set(Member.objects.filter(organization=existing).values_list("email", "role"))
    person = SAM if who == "partner" else KIM
    order = an_order(contact=SAM, customer_email=IT) if who == "partner" else an_own_order(contact=KIM)
    wizard = Wizard(signed_in(person), order)
    wizard.open()
    wizard.fill("intent", audience=whom)
    if whom == "customer":
        wizard.fill("partner")
        wizard.fill("customer-details")
    sentence = {"none": "No matching organization", "candidate": "We found matching", "exact": "Based on your email"}
    assert sentence[found] in wizard.html
    wizard.fill("customer", organization=str(existing.public_id) if existing else "new")
    if existing is None:
        wizard.fill("customer-new", vertical="retail", country="US")
        wizard.fill("customer-check")

    refusal = follows if follows in set(policies.Refusal) else None
    choice = actions.Existing(existing.public_id) if existing else None
    if refusal:
        assert wizard.at == "administrator"
        words = str(REFUSAL_SENTENCES[policies.Refusal(refusal)]) % {"organization": existing.name if existing else ""}
        assert words in wizard.html
        wizard.open("review")
        assert wizard.at == "administrator"
        assert choice
        with pytest.raises(actions.MappingRefused) as refused:
            actions.map_order(order=order, by=links.user_for(person), audience="own", partner=None, customer=choice)
        assert refused.value.refusal == refusal
        order.refresh_from_db()
        assert order.state == Order.State.PLACED
        wizard.open()
        wizard.fill("administrator")
        assert wizard.at == "held"
    else:
        assert wizard.at == "review"
        assert ("You are a provisioning administrator here" in wizard.html) == (follows == "labelled")
        wizard.fill("review")
        order.refresh_from_db()
        assert (order.state, order.provisioning_administrator) == (Order.State.MAPPED, follows == "labelled")
        if existing is None:
            assert order.customer
            made = order.customer.members.get()
            assert (made.role, made.email) == (Member.Role.FULL, IT if whom == "customer" else person)
    if existing:  # nobody is ever added to an organization that exists
        assert set(Member.objects.filter(organization=existing).values_list("email", "role")) == members


def test_the_table_has_every_case_that_people_can_be_in() -> None:
    seen = {tuple(row[:5]) for row in ROWS}
    for who, whom in (("partner", "customer"), ("partner", "own"), ("customer", "own")):
        assert (who, whom, "new", "none", "nobody") in seen
        assert (who, whom, "existing", "candidate", "nobody") in seen
        for role in Member.Role.values:
            assert (who, whom, "existing", "exact", role) in seen
    assert len(seen) == len(ROWS)
