"""The product's emails: their words, that each goes out once, and that none is lost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage as DjangoMessage
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from orgs.actions import create_organization
from orgs.models import Organization
from provisioning import actions, emails
from provisioning.emails.events import EVENTS
from provisioning.models import Mail
from provisioning.people import links, sign_in
from provisioning.worker import mail_sending, tasks
from subscriptions import actions as subscriptions
from subscriptions.models import Order
from subscriptions.rules.validation import Line
from tests.factories import set_up_order
from tests.mailbox import deliver, link_in, newest

pytestmark = pytest.mark.django_db

CONTACT = "carol@partner.example"
# What each email says of the reader who does nothing.
IF_NOTHING = (
    "f you do nothing", "othing is set up before somebody", "nothing that you need to do", "need to do nothing",
    "you can ignore this email", "f nobody objects until",
    "f nobody does anything",
)  # fmt: skip


def place(number: str = "PO-7", **facts: Any) -> Order:
    return actions.place_order(
        **{
            "number": number,
            "sold_to": "Initech Resale",
            "contact_email": CONTACT,
            "customer_name": "Contoso Bakery",
            "customer_email": "admin@contoso.example",
            "lines": [Line("meetings", 1250), Line("calling", 10)],
            **facts,
        }
    )[0]


def jobs() -> list[tuple[str, dict[str, int]]]:
    """What waits for a worker (also of earlier tests: the queue's tables are not Django's to empty)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, args::text FROM procrastinate_jobs ORDER BY id")
        return [(name, json.loads(args)) for name, args in cursor.fetchall()]


def html_of(message: DjangoMessage) -> str:
    assert isinstance(message, EmailMultiAlternatives)
    return str(message.alternatives[0][0])


class Inbox:
    """A mail server's memory; it can be told how to answer."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.refuse: str = ""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 OK"


@pytest.fixture
def smtp() -> Iterator[Inbox]:
    """A real SMTP server, and the product set to send there."""
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    options = {"host": "127.0.0.1", "port": port, "timeout": 5}
    mailers = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
    try:
        with override_settings(MAILERS=mailers):
            yield inbox
    finally:
        controller.stop()


def test_a_real_smtp_server_receives_the_welcome_email(smtp: Inbox) -> None:
    place()
    mail_sending.send_waiting(grace=timedelta(0))
    [message] = smtp.got
    row = Mail.objects.get()
    assert row.link
    assert message["Subject"] == "Provisioning information required for order PO-7"
    assert message["To"] == CONTACT
    assert message["Reply-To"] == settings.HELP_CONTACT
    assert str(row.public_id) in message["Message-ID"]
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    for part in message.walk():
        if part.get_content_maintype() == "text":
            assert isinstance(part, EmailMessage)
            text = part.get_content()
            assert "Set Up Your Service" in text
            assert links.url_for(row.link) in text
            assert "1,250 licenses" in text
    assert row.sent_at is not None


def test_a_server_that_is_away_is_tried_again_later_with_the_same_message_id(smtp: Inbox) -> None:
    place()
    smtp.refuse = "451 Try again later"
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        mail_sending.send_waiting(grace=timedelta(0))
        row = Mail.objects.get()
        assert (row.sent_at, row.tries) == (None, 1)
        assert "451" in row.problem
        smtp.refuse = ""
        assert mail_sending.send_waiting() == 0  # not yet due
        clock.shift(timedelta(minutes=2))
        assert mail_sending.send_waiting() == 1
    row.refresh_from_db()
    assert (row.sent_at is not None, row.tries, row.problem) == (True, 2, "")
    assert [message["Message-ID"] for message in smtp.got] == [f"<{row.public_id}@example.com>"]


def test_a_mailbox_that_does_not_exist_is_not_tried_again(smtp: Inbox) -> None:
    place()
    smtp.refuse = "550 No such user"
    mail_sending.send_waiting(grace=timedelta(0))
    row = Mail.objects.get()
    assert "550" in row.problem
    smtp.refuse = ""
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
        assert mail_sending.send_waiting() == 0
        emails.try_again(row)  # the order desk's button
        assert mail_sending.send_waiting() == 1


def test_no_mail_server_at_all_is_noted_and_loses_nothing() -> None:
    options = {"host": "127.0.0.1", "port": 1, "timeout": 1}
    mailers = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
    place()
    with override_settings(MAILERS=mailers):
        mail_sending.send_waiting(grace=timedelta(0))
    assert "refused" in Mail.objects.get().problem
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        assert mail_sending.send_waiting() == 1


def test_email_goes_to_the_domain_that_is_compared() -> None:
    """``straße.example`` and ``strasse.example`` have different owners: Django's own conversion takes one for other."""
    sign_in.ask_for_code(links.user_for("kim@straße.example").email)
    assert [message.to for message in deliver()] == [["kim@xn--strae-oqa.example"]]


def test_sending_twice_sends_once() -> None:
    place()
    row = Mail.objects.get()
    for _time in range(3):
        tasks.send_mail.func(pk=row.pk)
    mail_sending.send_waiting(grace=timedelta(0))
    assert len(mail.outbox) == 1


def test_an_order_that_is_rolled_back_leaves_no_mail_and_no_job() -> None:
    before = jobs()
    with transaction.atomic():
        place()
        transaction.set_rollback(True)
    assert not Mail.objects.exists()
    assert jobs() == before
    assert deliver() == []


def test_an_order_defers_exactly_one_job_with_nothing_but_the_row_s_number() -> None:
    before = jobs()
    place()
    assert jobs()[len(before) :] == [("provisioning.tasks.send_mail", {"pk": Mail.objects.get().pk})]


@pytest.mark.django_db(transaction=True)
def test_eight_workers_on_one_mail_send_it_once() -> None:
    place()
    pk = Mail.objects.get().pk

    def work() -> None:
        try:
            tasks.send_mail.func(pk=pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mail.outbox) == 1


def test_the_same_link_is_in_a_mail_that_is_sent_again() -> None:
    place()
    first = link_in(newest(CONTACT))
    Mail.objects.update(sent_at=None)  # the worker was killed after the server had taken it
    assert link_in(newest(CONTACT)) == first
    ids = {message.message()["Message-ID"] for message in mail.outbox}
    assert len(ids) == 1


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_email_says_who_why_and_what_next_in_both_parts(event: str) -> None:
    order = place()
    link = order.links.get()
    emails.queue(order=order, event=event, to="someone@contoso.example", link=link, requester="pat@partner.example")
    message = newest("someone@contoso.example")
    html = html_of(message)
    assert "PO-7" in message.subject or event == "access_requested"
    assert "\n" not in message.subject
    assert message.reply_to == [settings.HELP_CONTACT]
    assert str(message.message()["Auto-Submitted"]) == "auto-generated"
    for text in (message.body, html):
        assert "PO-7" in text
        assert "You get this email because" in text
        assert any(words in text for words in IF_NOTHING), text
        assert settings.HELP_CONTACT in text
        assert settings.BRAND_NAME in text
        assert "None" not in text
        assert "{" not in text.split("</style>")[-1]
    assert "<style" not in html.split("<body", 1)[1]
    assert 'style="' in html


def test_the_confirmation_has_every_fact_of_the_summary_and_the_pdf() -> None:
    order = place(customer_name="", customer_email="")
    customer = create_organization(
        name="Contoso Bakery",
        vertical="retail",
        country="DE",
        administrator_email="admin@contoso.example",
        is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )
    Order.objects.filter(pk=order.pk).update(
        state="mapped", audience="own", customer=customer, mapped_at=timezone.now()
    )
    order.refresh_from_db()
    set_up_order(
        order=order,
        plans={
            "meetings": [
                subscriptions.SitePlan("contoso-bakery", "Europe/Berlin", False, 1000),
                subscriptions.SitePlan("contoso-events", "Europe/Berlin", True, 250),
            ],
            "calling": subscriptions.LocationPlan("Headquarters", "DE", {"city": "Berlin", "street_address": "Weg 1"}),
        },
    )
    emails.queue(order=order, event="set_up_confirmation", to=CONTACT)
    emails.queue(order=order, event="set_up_confirmation", to="stranger@contoso.example")
    message = newest(CONTACT)
    for text in (message.body, html_of(message)):
        for fact in ("contoso-bakery", "contoso-events", "Headquarters", "Weg 1", "Berlin", "Contoso Bakery"):
            assert fact in text
        assert f"/orders/{order.number}/" in text
    [attachment] = message.attachments
    assert attachment[0] == f"order-summary-{order.number}.pdf"
    assert bytes(attachment[1]).startswith(b"%PDF")
    # Somebody without a part in the order gets no button that leads nowhere, and no other person's address.
    other = newest("stranger@contoso.example")
    assert f"/orders/{order.number}/" not in other.body
    assert CONTACT not in other.body


def test_names_can_not_break_an_email() -> None:
    order = place(sold_to="<b>Tom & “Jerry”</b> % {{ x }} ☃ 株式会社", customer_name="O'Neil <script>")
    message = newest(CONTACT)
    html = html_of(message)
    assert order.sold_to in message.body
    assert "<script>" not in html
    assert "株式会社" in html


def test_the_code_s_email_has_the_code_in_subject_and_both_parts() -> None:
    links.user_for(CONTACT)
    row = sign_in.ask_for_code(CONTACT)
    code = sign_in.code_of(row)
    message = newest(CONTACT)
    assert message.subject == f"Your sign-in code: {code}"
    assert code in message.body
    assert code in html_of(message)


def test_a_mail_that_waits_is_found_when_its_job_was_lost() -> None:
    place()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert mail_sending.send_waiting() == 0  # a worker may be at it
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=False):
        tasks.sweep.func(timestamp=0)
    assert [message.to for message in mail.outbox] == [[CONTACT]]


def test_a_clock_that_jumps_sends_each_email_once_and_none_before_it_is_due() -> None:
    start = timezone.now()
    options = {"host": "127.0.0.1", "port": 1, "timeout": 1}  # nobody answers there
    away = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
    with time_machine.travel(start, tick=False) as clock:
        place("PO-1")
        with override_settings(MAILERS=away):
            mail_sending.send_waiting(grace=timedelta(0))
        assert Mail.objects.get().tries == 1
        clock.shift(timedelta(hours=-1))
        assert mail_sending.send_waiting(grace=timedelta(0)) == 0  # its second try is a minute after it was made
        place("PO-2")
        clock.shift(timedelta(days=1, hours=1))
        place("PO-3")
        assert mail_sending.send_waiting() == 2  # of yesterday both; a worker may be at the newest
        clock.move_to(start - timedelta(hours=1))
        assert mail_sending.send_waiting() == 1  # made in what is the future again: it doesn't wait until then
        for jump in (timedelta(days=1), timedelta(hours=-1), timedelta(days=30)):
            clock.shift(jump)
            mail_sending.send_waiting(grace=timedelta(0))
    welcome = [message for message in mail.outbox if message.subject.startswith("Provisioning information")]
    assert sorted(message.subject.rpartition(" ")[2] for message in welcome) == ["PO-1", "PO-2", "PO-3"]
