"""Sending: several emails over one session, codes first, no open transaction while a server answers, nothing lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import psycopg
import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import connection
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Event, Mail, SignInCode
from provisioning.people import links, sign_in
from provisioning.worker import mail_sending, tasks
from tests.factories import an_order

KIM = "kim@contoso.example.org"


class Server:
    """A real SMTP server: counts sessions, answers as it is told to, and can be taken away."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.sessions = 0
        self.most_per_session = 0  # 0: no limit
        self.taken: list[str] = []  # subjects
        self.ids: list[str] = []
        self.answers: dict[str, str] = {}  # to an address
        self.during: Callable[[], None] = lambda: None
        self._controller: Controller | None = None

    def start(self) -> None:
        """Listen."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Be away."""
        if self._controller:
            self._controller.stop()
        self._controller = None

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.sessions += 1
        session.count = 0  # type: ignore[attr-defined]
        return responses

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        session.count += 1  # type: ignore[attr-defined]
        if self.most_per_session and session.count > self.most_per_session:  # type: ignore[attr-defined]
            return "421 Too many emails in this session"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.during()
        message = message_from_bytes(envelope.original_content or b"")
        self.taken.append(str(message["Subject"]))
        self.ids.append(str(message["Message-ID"]))
        return "250 OK"


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A server that the product sends to."""
    server = Server()
    options = {"host": "127.0.0.1", "port": server.port, "timeout": 5}
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
    server.start()
    yield server
    server.stop()


def orders(count: int) -> None:
    """Place so many orders; each has an email for its own contact."""
    for number in range(count):
        an_order(contact=f"c{number}@partner.example")


def now() -> int:
    """Let a worker send what is due."""
    return mail_sending.send_waiting(grace=timedelta(0))


@pytest.mark.django_db
def test_codes_go_first_and_several_emails_over_one_session(server: Server) -> None:
    orders(4)
    links.user_for(KIM)
    sign_in.ask_for_code(KIM)
    assert now() == 5
    assert server.taken[0].startswith("Your sign-in code")
    assert server.sessions == 2  # one for codes, one for the four emails
    # One job that is woken sends all that is due; the others find nothing.
    orders(3)
    for pk in Mail.objects.filter(sent_at=None).values_list("pk", flat=True):
        tasks.send_mail.func(pk=pk)
    assert (len(server.taken), server.sessions) == (8, 3)
    # A server that takes two emails in a session gets three sessions for five, and nothing counts as a failed try.
    server.most_per_session = 2
    orders(5)
    assert now() == 5
    assert server.sessions == 6
    assert set(Mail.objects.values_list("tries", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_server_answers_and_a_lost_claim_notes_nothing(server: Server) -> None:
    orders(1)
    params = connection.get_connection_params()
    seen: list[tuple[int, int]] = []

    def look() -> None:
        with psycopg.connect(
            **{key: params[key] for key in ("host", "port", "user", "password", "dbname") if params.get(key)}
        ) as own:
            [[open_ones]] = own.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            ).fetchall()
            [[leased]] = own.execute(
                "SELECT count(*) FROM (SELECT FROM provisioning_mail WHERE lease_until > now() FOR UPDATE NOWAIT) a"
            ).fetchall()
            seen.append((open_ones, leased))

    server.during = look
    assert now() == 1
    assert seen == [(0, 1)]
    # The lease ended meanwhile and somebody else has the email: the first one's outcome isn't written.
    orders(1)
    server.during = lambda: _in_a_thread(lambda: Mail.objects.filter(sent_at=None).update(fence=F("fence") + 1))
    now()
    mail = Mail.objects.get(sent_at=None)
    assert (mail.tries, mail.problem) == (0, "")
    assert now() == 0  # the other one has it
    Mail.objects.filter(pk=mail.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    server.during = lambda: None
    assert now() == 1
    assert server.ids[-1] == server.ids[-2]
    assert Event.objects.filter(order=mail.order, kind=Event.Kind.MAIL_SENT).count() == 1


def _in_a_thread(work: Callable[[], object]) -> None:
    def run() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.django_db
def test_nothing_is_lost_while_the_server_is_away_for_an_hour_and_answers_badly_before(server: Server) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        orders(12)
        server.answers = {f"c{number}@partner.example": "451 Try again later" for number in range(12)}
        server.answers["c3@partner.example"] = "550 No such user"
        assert now() == 0
        server.stop()
        for _minute in range(60):  # what the sweep does, once a minute
            clock.shift(timedelta(minutes=1))
            mail_sending.send_waiting()
        orders(1)
        assert not server.taken
        server.answers = {}
        server.start()
        for _minute in range(70):
            clock.shift(timedelta(minutes=1))
            mail_sending.send_waiting()
    assert Counter(server.ids).most_common(1)[0][1] == 1
    assert len(server.ids) == 12
    refused = Mail.objects.get(sent_at=None)
    assert (refused.to, refused.tries) == ("c3@partner.example", Mail.MAX_TRIES)


@pytest.mark.django_db
def test_server_that_never_answers_holds_one_session_for_the_limit_and_no_email_is_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_sending, "LONGEST", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"host": "127.0.0.1", "port": silent.getsockname()[1], "timeout": 20}
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
        orders(3)
        Mail.objects.filter(pk=Mail.objects.order_by("pk")[0].pk).update(tries=Mail.MAX_TRIES - 1)
        for _try in range(2):
            mail_sending.send_waiting(grace=timedelta(0))
        with contextlib.suppress(BlockingIOError):
            silent.setblocking(False)
            for _session in range(2):
                silent.accept()[0].close()
    tried = Mail.objects.exclude(problem="").order_by("pk")
    assert tried.count() == 2  # one each time: the others wait for the server
    assert all("no answer within" in mail.problem for mail in tried)
    assert not Mail.objects.filter(tries__gte=Mail.MAX_TRIES).exists()
    assert SignInCode.objects.count() == 0
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        assert now() == 3
