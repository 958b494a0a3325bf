"""A pack from elsewhere (tests/webcast) goes the whole way without a change to the wizard, the summary or the PDF."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pypdf
import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.management import CommandError, call_command
from django.utils.translation import override

from provisioning import actions, emails
from provisioning.people import links
from subscriptions import packs
from subscriptions.models import Order, OrderLine, Subscription
from subscriptions.rules import validation
from subscriptions.rules.validation import Line
from subscriptions.summary import build_summary
from tests.driver import Wizard
from tests.factories import a_mapped_order, an_organization, signed_in
from tests.webcast.models import Channel
from tests.webcast.pack import ChannelPlan

pytestmark = pytest.mark.django_db

KIM = "kim@contoso.example.org"


def a_webcast_order(*others: Line, contact: str = KIM) -> Order:
    """An own order with a line of Webcast, whose organization is confirmed."""
    organization = an_organization("Contoso", administrators=[contact])
    order, _created = actions.place_order(
        number=None, sold_to="Contoso", contact_email=contact, lines=[Line("webcast", 500), *others]
    )
    return actions.map_order(
        order=order,
        by=links.user_for(contact),
        audience="own",
        partner=None,
        customer=actions.Existing(organization.public_id),
    )


def walk(order: Order, name: str = "Contoso Live", viewers: str = "450") -> Wizard:
    """Set the channel up, page by page, up to the review."""
    wizard = Wizard(signed_in(order.contact_email), order, "set_up")
    wizard.open()
    assert "Webcast" in wizard.html
    assert "What is your channel called?" in wizard.fill("subscription", choice="now")
    wizard.fill("channel", name=name, most_viewers=viewers)
    return wizard


def packed(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_order_of_a_pack_from_elsewhere_ends_in_every_form_of_the_summary() -> None:
    order = a_webcast_order()
    wizard = walk(order)
    assert wizard.at == "review"
    assert "Contoso Live" in wizard.html
    page = wizard.fill("review")
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert Channel.objects.values_list("name", "most_viewers").get() == ("Contoso Live", 450)
    assert Channel.objects.get().subscription == Subscription.objects.get()

    facts = ["Webcast is set up for Contoso.", "Contoso Live", "450", "500"]
    facts += ["Open the channel Contoso Live and invite your first viewers."]
    assert [fact for fact in facts if fact not in page] == []

    content = wizard.client.get(f"/orders/{order.number}/summary.pdf").content
    reader = pypdf.PdfReader(io.BytesIO(content))
    text = packed("".join(each.extract_text() for each in reader.pages))
    assert [fact for fact in facts if packed(fact) not in text] == []

    kept = json.loads(reader.attachments[f"order-{order.number}.json"][0])
    assert kept["channel"] == {"name": "Contoso Live", "most_viewers": 450}
    assert [line["service"] for line in kept["lines"]] == ["webcast"]

    message = emails.compose(order.mails.get(event="set_up_confirmation"), "https://example.com/")
    assert isinstance(message, EmailMultiAlternatives)
    for body in (str(message.body), str(message.alternatives[0][0])):
        assert [fact for fact in facts if packed(fact) not in packed(body)] == []


def test_services_stand_in_the_order_of_the_packs_whatever_the_order_of_the_lines() -> None:
    order = a_webcast_order(Line("calling", 5), Line("meetings", 10))
    assert [line.service for line in build_summary(order).lines] == ["meetings", "calling", "webcast"]
    steps = list(dict.fromkeys(re.findall(r"Meeting setup|Main headquarters|Webcast channel", rail_of(order))))
    assert steps == ["Meeting setup", "Main headquarters", "Webcast channel"]


def rail_of(order: Order) -> str:
    return Wizard(signed_in(order.contact_email), order, "set_up").open()


def test_pack_refuses_in_its_own_words_and_keeps_what_was_typed() -> None:
    wizard = walk(a_webcast_order(), viewers="501")
    assert wizard.at == "channel"
    assert "Enter at most 500, as many as were bought" in wizard.html
    assert 'value="Contoso Live"' in wizard.html


def test_name_that_was_taken_since_is_asked_again_and_nothing_is_made() -> None:
    wizard = walk(a_webcast_order())
    assert wizard.at == "review"
    first = a_webcast_order(contact="pat@fabrikam.example")
    user = links.user_for("pat@fabrikam.example")
    actions.set_up(order=first, by=user, plans={"webcast": ChannelPlan("Contoso Live", 1)})
    wizard.fill("review")
    assert wizard.at == "channel"
    assert "Enter another channel name: this one is taken" in wizard.html
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(
    ("plans", "problem"),
    [({}, "channel"), ({"webcast": ChannelPlan("A", 501)}, "channel"), ({"calling": "x"}, "unasked")],
)
def test_plan_that_does_not_fit_makes_nothing(plans: dict[str, Any], problem: str) -> None:
    order = a_webcast_order()
    with pytest.raises(validation.Refused) as refusal:
        actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    assert refusal.value.problem == problem
    assert not Subscription.objects.exists()


def test_command_and_order_desk_sell_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("place_order", "--contact", KIM, "--company", "Contoso", "--webcast", "20", "--number", "W-1")
    assert OrderLine.objects.values_list("service", "product", "licenses").get() == ("webcast", "Webcast", 20)
    links.user_for("desk@example.com")
    desk = signed_in("desk@example.com")
    type(links.user_for("desk@example.com")).objects.filter(email="desk@example.com").update(
        is_staff=True, is_superuser=True
    )
    assert '<option value="webcast">Webcast</option>' in desk.get("/admin/subscriptions/order/add/").content.decode()
    with pytest.raises(CommandError, match="This service can be in an order once only"):
        call_command("place_order", "--contact", KIM, "--company", "Contoso", "--webcast", "20", "--webcast", "5")


def test_order_of_a_service_that_is_no_longer_sold_can_still_be_read(settings: Any) -> None:
    order = a_webcast_order()
    actions.set_up(order=order, by=links.user_for(KIM), plans={"webcast": ChannelPlan("Contoso Live", 20)})
    settings.PACKS = ["meetings", "calling"]
    assert list(packs.installed()) == ["meetings", "calling"]
    with override("en"):
        page = signed_in(KIM).get(f"/orders/{order.number}/summary/").content.decode()
    assert "Webcast is set up for Contoso." in page
    with pytest.raises(validation.Refused, match="service"):
        actions.place_order(number=None, sold_to="Contoso", contact_email=KIM, lines=[Line("webcast", 1)])


def test_orders_of_our_own_services_say_nothing_of_it() -> None:
    order = a_mapped_order(contact=KIM, meetings=10, calling=5)
    assert "channel" not in build_summary(order).as_dict()
    assert "Webcast channel" not in rail_of(order)
