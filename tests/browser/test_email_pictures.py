"""Each email as its reader sees it: the pictures that the README shows are those of the emails there are.

``EMAIL_PICTURES=1 pytest tests/browser -k emails`` writes those that are stale; remove one to have it written.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.test import override_settings
from PIL import Image, PngImagePlugin
from playwright.sync_api import BrowserContext, Page

from provisioning import actions, emails
from provisioning.emails.events import EVENTS
from provisioning.fulfillment.outcomes import Failed, Outcome, Rejected, Running
from provisioning.models import Mail, Part, SignInCode
from provisioning.people import links
from subscriptions.models import Order, Subscription
from subscriptions.packs.meetings import SitePlan
from tests import scripted
from tests.browser.test_pages import STICKS_OUT
from tests.factories import a_mapped_order, an_order, an_organization
from tests.scripted_broker import work

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(__file__).parent / "pictures" / "emails"
NOW = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
WIDTH = 600
KIM, SAM, BOSS = "kim@contoso.example", "sam@partner.example", "boss@contoso.example"
TO_ADMINISTRATORS = {"access_requested", "access_decided", "desk_began", "desk_gave"}
NewContext = Callable[..., BrowserContext]
EVERY = [*sorted(EVENTS), "sign_in_code"]


def _order_with_everybody() -> tuple[Order, dict[str, Part]]:
    """An order of a partner that was handed over, whose customer's administrators were asked; its parts by role."""
    organization = an_organization("Contoso", domains=["contoso.example"], administrators=[BOSS])
    order = an_order(number="PO-100001", contact="pat@partner.example", customer="Contoso", meetings=250, calling=40)
    actions.hand_over(order=order, by=links.user_for("pat@partner.example"), email=SAM)
    actions.ask_administrators(order=order, by=links.user_for(SAM), organization=organization.public_id)
    parts = {part.role: part for part in order.parts.filter(ended_at=None).select_related("user", "given_by__user")}
    order.refresh_from_db()
    return order, parts


def _an_order_set_up() -> Order:
    order = a_mapped_order(contact=KIM, number="PO-100002", meetings=250)
    site = SitePlan(name="contoso", time_zone="Europe/Berlin", early_release=False, licenses=250)
    return actions.set_up(order=order, by=links.user_for(KIM), plans={"meetings": [site]})


def _an_order_being_set_up(*, said: Outcome) -> Order:
    with override_settings(PROVISIONING={"meetings": scripted.PATH}):
        order = _an_order_set_up()
        assert order.state == Order.State.SETTING_UP
        scripted.script("meetings", said)
        work()
    return order


def _message(event: str) -> EmailMultiAlternatives:
    """Make this email as somebody gets it."""
    if event == "sign_in_code":
        row = SignInCode(email=SAM, expires_at=NOW + timedelta(minutes=30))
        return emails.compose_code(row, "BCDF-GHJK")
    if event in {"set_up_refused", "set_up_late"}:
        taken = Rejected("/sites/0/name", "The name contoso is taken. Choose another one.")
        order = _an_order_being_set_up(said=taken if event == "set_up_refused" else Running())
        facts = {"service": "meetings", "services": "meetings"}
        return _composed(Mail(order=order, event=event, to=KIM, facts=facts))
    if event == "set_up_failed":
        order = _an_order_being_set_up(said=Failed("quota", "There is no capacity left in this region."))
        order.provisioning_requests.update(told_desk_at=NOW)
        return _composed(Mail(order=order, event=event, to="desk@vendor.example", facts={"told": NOW.isoformat()}))
    if event == "set_up_confirmation":
        order = _an_order_set_up()
        # The database's clock wrote these down; the picture shows the test's.
        Order.objects.update(set_up_at=NOW)
        Subscription.objects.update(starts_at=NOW, ends_at=NOW.replace(year=NOW.year + 1))
        return _composed(Mail(order=Order.objects.get(pk=order.pk), event=event, to=KIM))
    order, parts = _order_with_everybody()
    if event in {"access_approved", "access_declined"}:
        order.parts.filter(role="approver").update(ended_at=NOW)
    part = parts["approver" if event in TO_ADMINISTRATORS else "contact"]
    facts = {
        "requester": SAM,
        "organization": "Contoso",
        "right": "full",
        "until": (NOW + timedelta(days=14)).isoformat(),
        "reason": "Ask Lee in purchasing first." if event in {"access_declined", "right_taken_back"} else "",
        "objections": (NOW + timedelta(days=7)).isoformat(),
        "ends": (NOW + timedelta(days=90)).isoformat(),
        "request": str(order.access_requests.get().pk),
        "decision": "approved",
        "decided_by": "lee@contoso.example" if event == "access_decided" else "",
        "role": "act",
        "about": "Meeting setup: Time zone",
        "text": "Are most of the users in Berlin?",
        "answer": "Yes, nearly all of them." if event == "question_answered" else "",
    }
    return _composed(Mail(order=order, event=event, to=part.user.email, link=links.current(part=part), facts=facts))


def _composed(mail: Mail) -> EmailMultiAlternatives:
    return emails.compose(mail, links.url_for(mail.link) if mail.link else "")


def _words(message: EmailMultiAlternatives) -> str:
    """A hash of what the email says, without what is another each time: addresses of pages, and codes."""
    words = re.sub(r"https?://\S+|\b[0-9A-Z]{4}(-[0-9A-Z]{4})+\b", "…", f"{message.subject}\n{message.body}")
    return hashlib.sha256(words.encode()).hexdigest()


def _picture(page: Page, message: EmailMultiAlternatives) -> bytes:
    """Take a small picture of an email, with the hash of its words in it."""
    page.set_content(str(message.alternatives[0][0]))
    image = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    small = image.convert("RGB").quantize(32, dither=Image.Dither.NONE)
    note = PngImagePlugin.PngInfo()
    note.add_text("words", _words(message))
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True, pnginfo=note)
    return out.getvalue()


@pytest.mark.parametrize("event", EVERY)
def test_picture_of_each_of_the_emails_shows_what_it_says_now(event: str, new_context: NewContext) -> None:
    with time_machine.travel(NOW, tick=False):
        message = _message(event)
    page = new_context(viewport={"width": WIDTH, "height": 200}).new_page()
    path = FOLDER / f"{event}.png"
    stale = not path.exists() or Image.open(path).info["words"] != _words(message)
    if stale and os.environ.get("EMAIL_PICTURES"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_picture(page, message))
    page.set_content(str(message.alternatives[0][0]))
    for width in (320, WIDTH):
        page.set_viewport_size({"width": width, "height": 200})
        assert page.evaluate(STICKS_OUT) == [], f"sticks out at {width} px"
    assert path.exists(), f"EMAIL_PICTURES=1 pytest tests/browser -k {event}"
    assert Image.open(path).info["words"] == _words(message), f"EMAIL_PICTURES=1 pytest tests/browser -k {event}"


def test_pictures_of_the_emails_are_those_of_the_readme_and_small() -> None:
    assert {path.stem for path in FOLDER.glob("*.png")} == set(EVERY)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.png")) < 600_000
