"""Fifty orders that want the same site name at the same moment, on real connections."""

from __future__ import annotations

import pytest

from subscriptions.models import SiteName
from tests.provisioning.actions.test_concurrency import AT_ONCE, at_once, at_the_first_site

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_of_fifty_orders_that_want_a_site_name_gets_it_and_the_others_are_offered_names() -> None:
    setups = [at_the_first_site(number) for number in range(AT_ONCE)]
    name = {"meetings-site_name": "everybodys-site"}
    told = at_once(
        lambda at: setups[at][0].client.post(setups[at][0].url("meetings"), setups[at][1] | name)["Location"]
    )
    kept = SiteName.objects.get()
    assert kept.name == "everybodys-site"
    assert sum("/review/" in url for url in told) == 1
    assert sum("/meetings/?problem" in url for url in told) == AT_ONCE - 1
    lost = next(setup for setup, _fields in setups if setup.order.pk != kept.order_id)
    page = lost.open("meetings", "?problem")
    assert "“everybodys-site” is taken" in page
    assert page.count('name="use"') == 3
    assert 'value="everybodys-site"' in page
    assert '<option value="Europe/Paris" selected>' in page
    lost.fill("meetings", site_name="everybodys-other-site")
    assert lost.at == "review"
