"""*My orders*: what it shows, and in which order."""

from __future__ import annotations

import pytest

from provisioning import actions, links
from tests.factories import an_own_order, signed_in

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.com"


def test_what_is_to_be_done_stands_before_what_others_have_or_is_over() -> None:
    older, newer = an_own_order(contact=KIM), an_own_order(contact=KIM)
    handed, cancelled = an_own_order(contact=KIM), an_own_order(contact=KIM)
    actions.hand_over(order=handed, by=links.user_for(KIM), email="alex@contoso.com")
    actions.cancel_order(order=cancelled, by=None)
    page = signed_in(KIM).get("/orders/")
    assert [task["order"] for task in page.context["tasks"]] == [newer, older, cancelled, handed]
