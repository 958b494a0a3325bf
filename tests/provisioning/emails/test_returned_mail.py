"""What comes back by email is noted without anybody's hand, and reminders can be stopped."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook

from provisioning.integration import returned_mail
from provisioning.models import Event, Mail
from provisioning.worker import mailbox as reader
from provisioning.worker import tasks
from subscriptions.models import Order
from tests.factories import an_order
from tests.imap_server import mailbox
from tests.mailbox import deliver

pytestmark = pytest.mark.django_db

SAM = "sam@partner.example"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def sent(order: Order) -> Mail:
    deliver()
    return Mail.objects.get(order=order, to=SAM)


def dsn(about: Mail, *, action: str = "failed", status: str = "5.1.1", recipient: str = SAM) -> bytes:
    """Return a delivery status notification as Postfix writes them (RFC 3464)."""
    return f"""From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: help@example.com
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

I'm sorry to have to inform you.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--B
Content-Type: text/rfc822-headers

Message-ID: <{about.public_id}@example.com>
To: {SAM}

--B--
""".replace("\n", "\r\n").encode()


def reply(about: Mail, *, sender: str = SAM, more: str = "") -> bytes:
    text = f"From: Sam <{sender}>\r\nIn-Reply-To: <{about.public_id}@example.com>\r\n{more}\r\n"
    return (text + "Alex does this now.\r\n> You wrote:\r\n> something\r\n").encode()


def test_bounces_and_replies_are_read_from_the_mailbox(settings: Settings) -> None:
    order, other = an_order(contact=SAM), an_order(contact="kim@contoso.example")
    about = sent(order)
    forged = Mail.objects.get(order=other)
    with mailbox() as box:
        settings.MAILBOX_URL = box.url
        box.messages += [
            dsn(about, action="delayed", status="4.4.1"),
            dsn(forged),  # not the address that this email went to
            reply(about, sender="eve@elsewhere.example"),
            reply(about, more="Auto-Submitted: auto-replied\r\n"),
            b"\xff\x00 no email at all",
            b"Content-Type: multipart/report; boundary=B\r\n\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\nx",
        ]
        assert reader.read() == 6
        assert not Event.objects.filter(kind__in=["mail_bounced", "mail_replied"]).exists()
        box.messages += [reply(about), dsn(about), dsn(about), reply(about)]
        assert reader.read() == 4
        assert reader.read() == 0
    events = order.events.filter(kind__in=["mail_bounced", "mail_replied"]).order_by("position")
    assert [(event.kind, event.facts["to"]) for event in events] == [("mail_replied", SAM), ("mail_bounced", SAM)]
    assert events[0].facts["text"] == "Alex does this now."
    assert events[1].facts["problem"] == "smtp; 550 5.1.1 no such user"
    about.refresh_from_db()
    assert about.bounced_at is not None
    settings.MAILBOX_URL = box.url.replace("pass%20word", "wrong")
    assert reader.read() == 0  # logged, and tried again


@pytest.mark.parametrize("run", ['"a', "1,", "a@.", '"'])
def test_a_header_of_any_length_is_read_in_a_moment(run: str) -> None:
    # Python's parser of a whole header of this length takes hours.
    about, long = uuid4(), (run * 100_000).encode()
    heads = (b"From", b"References", b"Auto-Submitted", b"Content-Type")
    for head in heads:
        list(returned_mail.read(b"In-Reply-To: <%s@x>\r\n%s: %s\r\n\r\nx" % (str(about).encode(), head, long)))
    found = list(returned_mail.read(dsn(Mail(public_id=about)).replace(b"\r\nTo: " + SAM.encode(), b"\r\nTo: " + long)))
    assert [(each.kind, each.mail) for each in found] == [("bounce", about)]


def test_a_reply_that_no_database_keeps_blocks_no_mailbox_and_replies_are_bounded(settings: Settings) -> None:
    order = an_order(contact=SAM)
    about = sent(order)
    odd = [reply(about).replace(b"Alex", b"Al\0ex"), dsn(about).replace(b"no such user", b"no \0 such \xff user")]
    with mailbox() as box:
        settings.MAILBOX_URL = box.url
        box.messages += [*odd, *(reply(about).replace(b"Alex", f"Alex {number}".encode()) for number in range(30))]
        assert reader.read() == 32
        assert reader.read() == 0
    replies = order.events.filter(kind="mail_replied").order_by("position")
    assert replies[0].facts["text"] == "Al\ufffdex does this now."
    assert replies.count() == 20
    assert order.events.filter(kind="mail_bounced").count() == 1
    settings.MAIL_EVENTS_SECRETS = [SECRET]
    half = {"type": "bounce", "address": "sam\0\ud800@partner.example", "said": "\0\ud800"}
    assert post(json.dumps({"events": [half]}).encode()).status_code == 200


def post(body: bytes, *, secret: str = SECRET, at: datetime | None = None) -> HttpResponse:
    at = at or datetime.now(UTC)
    headers: dict[str, Any] = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }
    return Client(enforce_csrf_checks=True).post(
        "/mail-events/", body, content_type="application/json", headers=headers
    )  # type: ignore[return-value]


def test_the_mail_service_reports_by_signed_json(settings: Settings) -> None:
    order = an_order(contact=SAM)
    about = sent(order)
    body = json.dumps(
        {
            "events": [
                {"type": "bounce", "address": SAM.upper(), "said": "550 no such user"},
                {"type": "reply", "address": SAM, "message_id": f"<{about.public_id}@example.com>", "said": "Hello"},
                {"type": "opened", "address": SAM},
                {"type": "reply", "address": "eve@x.example", "message_id": f"{about.public_id}@example.com"},
            ]
        }
    ).encode()
    assert post(body).status_code == 404  # not set up
    settings.MAIL_EVENTS_SECRETS = [SECRET]
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert post(body, secret=other).status_code == 401
    assert post(body, at=datetime.now(UTC) - timedelta(minutes=6)).status_code == 401
    shapes = (b"[]", b"{}", b'{"events": [1]}', b'{"events": {"a": 1}}', b'{"events": [{"type": "bounce"}]}')
    for bad in (*shapes, "é".encode()):
        assert post(bad).status_code in {400, 401}, bad
    assert not Event.objects.filter(kind__in=["mail_bounced", "mail_replied"]).exists()
    assert json.loads(post(body).content) == {"noted": 2, "skipped": 2}
    post(body)
    kinds = list(order.events.filter(kind__in=["mail_bounced", "mail_replied"]).values_list("kind", flat=True))
    assert kinds == ["mail_bounced", "mail_replied"]


def test_reminders_can_be_stopped_from_the_mail_program() -> None:
    order = an_order(contact=SAM)
    deliver()
    with time_machine.travel(order.closes_at - timedelta(days=6, hours=12), tick=False):
        tasks.sweep(0)
        deliver()
        reminder = [message for message in mail.outbox if message.to == [SAM]][-1]
        address = reminder.message()["List-Unsubscribe"].strip("<>")
        assert reminder.message()["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = "/l/" + address.partition("/l/")[2]
        client = Client(enforce_csrf_checks=True)
        assert "You get reminders" in client.get(path).text
        assert Mail.objects.filter(event="setup_reminder").count() == 1
        assert "no more reminders" in client.post(path, {"List-Unsubscribe": "One-Click"}).text
        assert client.post("/l/unknown/reminders/").status_code == 404
    with time_machine.travel(order.closes_at - timedelta(hours=12), tick=False):
        tasks.sweep(0)
        assert Mail.objects.filter(event="setup_reminder").count() == 1
        assert "You get reminders" in client.post(path, {"start": "1"}).text
    with time_machine.travel(order.closes_at + timedelta(minutes=1), tick=False):
        tasks.sweep(0)  # that it closed is said in any case
        assert Mail.objects.filter(order=order, event="order_closed").exists()
    assert not any("List-Unsubscribe" in message.message() for message in mail.outbox if message is not reminder)
    assert timezone.now() < order.closes_at
