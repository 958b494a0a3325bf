"""Site names while the services are set up: what is said of one while it is typed, and when the step is submitted."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from orgs.models import Organization
from provisioning import actions
from provisioning.people import links
from subscriptions.models import Order, SiteName
from subscriptions.packs.meetings import SitePlan
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, an_organization, signed_in

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"


def at_meetings(order: Order) -> Wizard:
    """Somebody at the first site's step."""
    wizard = Wizard(signed_in(order.contact_email), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    assert wizard.at == "meetings"
    return wizard


def a_site_of_fabrikam(name: str) -> None:
    """Another organization's site of this name."""
    order = a_mapped_order(
        contact="dana@fabrikam.example.org",
        customer=an_organization(f"Fabrikam {name}", administrators=["dana@fabrikam.example.org"]),
        meetings=5,
    )
    site = SitePlan(name=name, time_zone="Europe/Paris", early_release=False, licenses=5)
    actions.set_up(order=order, by=links.user_for(order.contact_email), plans={"meetings": [site]})


def words(page: str) -> str:
    """What can be read on a page, or a part of one."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def while_typing(wizard: Wizard, text: str, control: str = "meetings-site_name", **more: str) -> str:
    """What is said of a text while it is typed."""
    response = wizard.client.get(
        f"/orders/{wizard.order.number}/site-name/", {"control": control, control: text, **more}
    )
    assert response.status_code == 200
    return response.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Enter a site name"),
        ("abc", "Enter a site name of at least 4 characters"),
        ("Fabrikam", "Choose another site name: “fabrikam” is taken"),
        ("admin", "Choose another site name: “admin” is kept for the service itself"),
        ("Büro München", "such as buero-muenchen"),
        ("東京支社", "such as dongjingzhishe"),
        ("<b>xy", "such as b-xy"),
    ],
)
def test_what_is_said_while_typing_is_what_is_said_on_submit(text: str, said: str) -> None:
    a_site_of_fabrikam("fabrikam")
    wizard = at_meetings(a_mapped_order(contact=KIM, meetings=10))
    typing = while_typing(wizard, text)
    wizard.fill("meetings", site_name=text)
    assert said in words(typing)
    assert words(typing) in words(wizard.html)


def test_a_name_that_can_be_had_is_shown_as_its_url() -> None:
    wizard = at_meetings(a_mapped_order(contact=KIM, meetings=10))
    assert "contoso.meet.example.com is available" in while_typing(wizard, " Contoso ")


def test_alternatives_are_buttons_that_fill_the_field_in_without_losing_anything() -> None:
    a_site_of_fabrikam("contoso")
    customer = an_organization("Contoso", administrators=[KIM], country="DE")
    wizard = at_meetings(a_mapped_order(contact=KIM, customer=customer, meetings=10))
    page = wizard.fill("meetings", site_name="contoso", time_zone="Asia/Tokyo", early_release="no")
    buttons = re.findall(r'name="use"\s+value="meetings-site_name:([^"]+)"', page)
    assert buttons == ["contoso-de", "contoso-meetings", "contoso-group"]
    typed: dict[str, Any] = form_fields(page)
    use = {"use": "meetings-site_name:contoso-group"}
    wizard.page = wizard.client.post(wizard.url("meetings"), typed | use, follow=True)
    fields = form_fields(wizard.html)
    assert fields["meetings-site_name"] == ["contoso-group"]
    assert fields["meetings-time_zone"] == ["Asia/Tokyo"]
    assert "There is a problem" not in wizard.html
    wizard.fill("meetings")
    assert wizard.at == "review"


def test_the_name_of_the_orders_other_site_is_refused_while_it_is_typed() -> None:
    wizard = at_meetings(a_mapped_order(contact=KIM, meetings=10))
    wizard.fill("meetings", site_name="contoso", time_zone="Asia/Tokyo", early_release="no", additional_urls=True)
    words = "this order has a site of this name already"
    assert words in while_typing(wizard, "Contoso", "additional-0-name")
    assert words in while_typing(wizard, "contoso-lab", "additional-3-name", twice="1")
    assert "is available" in while_typing(wizard, "contoso-lab", "additional-3-name")
    assert words in wizard.fill("additional", **{"0__name": "contoso", "0__early_release": "no"})


@pytest.mark.parametrize("control", ["meetings-time_zone", "additional-100-name", "x", "../"])
def test_no_other_field_is_answered(control: str) -> None:
    order = a_mapped_order(contact=KIM, meetings=10)
    url = f"/orders/{order.number}/site-name/"
    assert signed_in(KIM).get(url, {"control": control}).status_code == 404


def test_fifty_additional_urls_come_and_go_without_losing_the_others() -> None:
    wizard = at_meetings(a_mapped_order(contact=KIM, meetings=60))
    wizard.fill("meetings", site_name="site-first", time_zone="Asia/Tokyo", early_release="no", additional_urls=True)
    for row in range(50):
        new = {f"{row}__name": f"site-no-{row}", f"{row}__early_release": "no"}
        wizard.fill("additional", **new, add="1")
    fields = form_fields(wizard.html)
    assert [fields[f"additional-{row}-name"] for row in range(50)] == [[f"site-no-{row}"] for row in range(50)]
    assert "additional-50-name" not in fields
    wizard.fill("additional", remove="7")
    wizard.fill("additional", remove="0")
    wizard.fill("additional", remove="47")
    fields = form_fields(wizard.html)
    kept = [f"site-no-{row}" for row in range(50) if row not in {0, 7, 49}]
    assert [fields[f"additional-{row}-name"][0] for row in range(47)] == kept
    assert all(fields[f"additional-{row}-early_release"] == ["no"] for row in range(47))
    wizard.fill("additional")
    assert wizard.at == "licenses"
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    assert wizard.at == "review"


def test_an_order_with_fewer_licenses_than_sites_can_be_completed() -> None:
    wizard = at_meetings(a_mapped_order(contact=KIM, meetings=1))
    wizard.fill("meetings", site_name="site-first", time_zone="Asia/Tokyo", early_release="no", additional_urls=True)
    wizard.fill("additional", **{"0__name": "site-other", "0__early_release": "no"})
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    wizard.fill("review")
    sites = Order.objects.get(pk=wizard.order.pk).lines.get().subscription.sites
    assert list(sites.values_list("name", "licenses")) == [("site-first", 1), ("site-other", 0)]


def test_a_name_is_reserved_with_the_answer_and_free_again_when_the_answer_changes() -> None:
    first = at_meetings(a_mapped_order(contact=KIM, meetings=10))
    second = at_meetings(a_mapped_order(contact="dana@fabrikam.example.org", customer=fabrikam(), meetings=10))
    site = {"time_zone": "Asia/Tokyo", "early_release": "no"}
    first.fill("meetings", site_name="wanted", **site, additional_urls=True)
    first.fill("additional", **{"0__name": "wanted-too", "0__early_release": "no"})
    assert names(first.order) == {"wanted", "wanted-too"}
    assert "“wanted” is taken" in second.fill("meetings", site_name="wanted", **site)
    assert "“vvanted” reads like one that is taken" in second.fill("meetings", site_name="vvanted", **site)
    assert "“wanted-too” is taken" in while_typing(second, "wanted-too")
    assert "is available" in while_typing(first, "wanted")
    first.answer("meetings", site_name="vvan-ted", **site, additional_urls=None)  # one's own may look alike
    assert names(first.order) == {"vvan-ted"}
    assert "is available" in while_typing(second, "wanted-too")
    second.fill("meetings", site_name="wanted-too", **site)
    assert second.at == "review"
    # What was given up has gone to somebody else meanwhile: the other answers are kept, and that one is asked again.
    first.answer("meetings", site_name="vvan-ted", **site, additional_urls=True)
    assert names(first.order) == {"vvan-ted"}
    assert first.at in {"additional", "licenses"}
    first.fill("additional", **{"0__name": "wanted-three", "0__early_release": "no"})
    assert names(first.order) == {"vvan-ted", "wanted-three"}


def test_names_of_a_cancelled_or_closed_order_are_free_again() -> None:
    first = at_meetings(a_mapped_order(contact=KIM, meetings=10))
    site = {"time_zone": "Asia/Tokyo", "early_release": "no"}
    first.fill("meetings", site_name="wanted", **site)
    actions.cancel_order(order=first.order, by=None)
    assert names(first.order) == set()
    second = at_meetings(a_mapped_order(contact="dana@fabrikam.example.org", customer=fabrikam(), meetings=10))
    second.fill("meetings", site_name="wanted", **site)
    assert names(second.order) == {"wanted"}
    Order.objects.filter(pk=second.order.pk).update(
        placed_at="2020-01-01T00:00Z", date_set_at="2020-01-01T00:00Z", closes_at="2020-02-01T00:00Z"
    )
    third = at_meetings(a_mapped_order(contact=KIM, customer=Organization.objects.get(name="Contoso"), meetings=10))
    third.fill("meetings", site_name="wanted", **site)
    assert third.at == "review"
    assert names(second.order) == set()
    third.fill("review")
    assert Order.objects.get(pk=third.order.pk).state == Order.State.SET_UP
    assert names(third.order) == {"wanted"}


def names(order: Order) -> set[str]:
    """The names that are reserved for an order."""
    return set(SiteName.objects.filter(order=order).values_list("name", flat=True))


def fabrikam() -> Organization:
    """Another company."""
    return an_organization("Fabrikam", administrators=["dana@fabrikam.example.org"])


def test_the_database_keeps_names_and_their_look_alikes_apart() -> None:
    orders = [
        a_mapped_order(contact=KIM, meetings=1),
        a_mapped_order(contact="dana@fabrikam.example.org", customer=fabrikam(), meetings=1),
    ]
    kept = SiteName(name="acme", shape="acme", order=orders[0], organization=orders[0].customer)
    kept.save()
    for name, constraint in [("acme", "site_name_once"), ("acrne", "site_name_looks_like_no_other_organizations")]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            SiteName(name=name, shape="acme", order=orders[1], organization=orders[1].customer).save()
    SiteName(name="acrne", shape="acme", order=orders[0], organization=orders[0].customer).save()
