"""Sends emails and sign-in codes: whatever is due, several over one session with the mail server.

A row is claimed by a lease, so that no transaction is open while the server answers, and its outcome is written by
whoever holds the last claim (``fence``). A worker that is killed after the server took an email leaves it to another
one, which sends it once more, with the same Message-ID. The next try of a row is in the row, so no job has to survive
for an email to be sent.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import socket
import threading
import time
from datetime import timedelta
from typing import Any, Final, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers
from django.core.mail.backends.smtp import EmailBackend
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from provisioning import emails, history
from provisioning.models import Event, Mail, SignInCode
from provisioning.monitoring import metrics
from provisioning.people import links, sign_in
from subscriptions.summary import documents

log = logging.getLogger(__name__)

Row = Mail | SignInCode

MAX_TRIES = Mail.MAX_TRIES
# The wake-up of a row that was not tried for this long is lost.
GRACE = timedelta(seconds=20)
# The email with the order summary, and how long it waits for the job that makes its PDF before it makes the PDF itself.
WITH_PDF = "set_up_confirmation"
PDF_PATIENCE = 6 * GRACE
# Seconds that one email may take at the server; whoever holds a row for longer than the lease has died, or sleeps.
LONGEST: Final = 40.0
LEASE: Final = timedelta(seconds=60)
# Seconds after which a job ends and wakes the next one.
TURN: Final = 60.0
# A process has one session for codes and one for emails: codes don't wait for emails, and a killed process repeats
# at most one of each.
_LANES: Final[dict[type[Row], threading.Lock]] = {SignInCode: threading.Lock(), Mail: threading.Lock()}


class ServerAway(Exception):
    """The mail server can't be reached, or stopped answering: no other email goes out now."""


def send_mails(*, grace: timedelta = timedelta(0), patience: timedelta = PDF_PATIENCE) -> int:
    """Send the emails that are due, unless this process is at it. Returns how many were sent."""
    return _send_due(Mail, grace=grace, patience=patience)


def send_codes(*, grace: timedelta = timedelta(0)) -> int:
    """Send the sign-in codes that are due, unless this process is at it. Returns how many were sent."""
    return _send_due(SignInCode, grace=grace, patience=PDF_PATIENCE)


def send_waiting(*, grace: timedelta = GRACE) -> int:
    """Send what is due: codes, then emails. What was never tried has to be older than ``grace``. Returns how many."""
    return send_codes(grace=grace) + send_mails(grace=grace, patience=6 * grace)


def due(model: type[Row], *, grace: timedelta = timedelta(0)) -> QuerySet[Row]:
    """Return the rows that may be sent now, the one that has been due longest first.

    The first try of a row with a future time is due: it was made before the clock was set back.
    """
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    first = Q(tries=0) & (Q(next_try_at__lte=now - grace) | Q(next_try_at__gt=now))
    ready = free & (first | Q(tries__gt=0, next_try_at__lte=now)) & Q(sent_at=None, tries__lt=MAX_TRIES)
    rows: QuerySet[Any]
    if model is SignInCode:
        rows = SignInCode.objects.filter(ready, used_at=None, expires_at__gt=now, user__isnull=False)
    else:
        rows = Mail.objects.filter(ready).select_related("order__partner", "order__customer", "link")
    return rows.order_by("next_try_at", "pk")


def _send_due(model: type[Row], *, grace: timedelta, patience: timedelta) -> int:
    """Send every due row of a model. Whoever finds the lane taken leaves its row to the one who has it."""
    lane, sent = _LANES[model], 0
    waiting: set[int] = set()  # for their PDF
    until = time.monotonic() + TURN
    while lane.acquire(blocking=False):
        try:
            with _Session() as session:
                while time.monotonic() < until and (row := _claim(due(model, grace=grace).exclude(pk__in=waiting))):
                    if isinstance(row, Mail) and _waits_for_pdf(row, patience):
                        waiting.add(row.pk)
                        model._default_manager.filter(pk=row.pk, fence=row.fence).update(lease_until=None)
                    else:
                        sent += _try_one(session, row)
        except ServerAway:
            return sent  # the next sweep tries another row
        finally:
            lane.release()
        # Somebody may have found the lane taken after the last row was looked for.
        if not due(model, grace=grace).exclude(pk__in=waiting).exists():
            return sent
        if time.monotonic() >= until:
            emails.wake("send_code" if model is SignInCode else "send_mail", 0)
            return sent
    return sent


def _claim(rows: QuerySet[Row]) -> Row | None:
    """Lease the first of these rows that nobody has locked; None where there is none."""
    with transaction.atomic():
        row = rows.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
        if row is not None:
            row.fence += 1
            type(row)._default_manager.filter(pk=row.pk).update(fence=row.fence, lease_until=Now() + LEASE)
        return row


def _try_one(session: _Session, row: Row) -> bool:
    """Send the email of a claimed row and note the outcome; say whether it was sent. Raises ServerAway."""
    problem: Exception | None = None
    try:
        session.send(_compose(row))
    except Exception as error:  # of any kind: it is recorded and tried again later
        log.warning("%s %s was not sent (try %s): %s", type(row).__name__, row.public_id, row.tries + 1, error)
        problem = error
    away = isinstance(problem, ServerAway)
    cause = problem.__cause__ if away and problem else problem
    _note(row, cause, away=away)
    if away and problem:
        raise problem
    return problem is None


def _compose(row: Row) -> EmailMultiAlternatives:
    if isinstance(row, SignInCode):
        return emails.compose_code(row, sign_in.code_of(row))
    return emails.compose(row, links.url_for(row.link) if row.link else "")


def _note(claimed: Row, problem: BaseException | None, *, away: bool) -> None:
    """Write down what became of a try, unless somebody else has the row by now."""
    with transaction.atomic():
        rows = type(claimed)._default_manager.select_for_update(no_key=True, of=("self",))
        row = rows.filter(pk=claimed.pk, fence=claimed.fence, sent_at=None).first()
        if row is None:
            return
        row.tries += 1
        row.lease_until = None
        if problem is None:
            row.sent_at, row.problem = timezone.now(), ""
        else:
            row.problem = f"{type(problem).__name__}: {problem}"[:2000]
            if away:  # is no fault of the email, which is never given up for it
                row.tries = min(row.tries, MAX_TRIES - 1)
            elif _is_final(problem):
                row.tries = MAX_TRIES
            row.next_try_at = timezone.now() + _pause(row)
        row.save(update_fields=["tries", "problem", "sent_at", "next_try_at", "lease_until"])
        outcome = "sent" if row.sent_at else "failed" if row.tries < MAX_TRIES else "given_up"
        metrics.EMAILS.labels("mail" if isinstance(row, Mail) else "code", outcome).inc()
        if isinstance(row, Mail):
            _record(row)


def _pause(row: Row) -> timedelta:
    """Return how long to wait after a try: 1, 2, 4 … 32 minutes, then an hour; less for a code, which is waited for."""
    if isinstance(row, SignInCode):
        return timedelta(seconds=min(10 * 2 ** min(row.tries - 1, 6), 300))
    return timedelta(minutes=2 ** (row.tries - 1) if row.tries <= 6 else 60)


def _record(mail: Mail) -> None:
    """Add to the order's history that an email was sent, or given up.

    A failure here doesn't undo the row's ``sent_at``: the email must not be sent again because of it.
    """
    facts: dict[str, object] = {"mail": mail.event, "to": mail.to, "id": str(mail.public_id)}
    try:
        with transaction.atomic():
            if mail.sent_at:
                history.record(order=mail.order, kind=Event.Kind.MAIL_SENT, facts=facts)
            elif mail.tries >= MAX_TRIES:
                facts["problem"] = mail.problem
                history.record(order=mail.order, kind=Event.Kind.MAIL_REFUSED, facts=facts)
    except DatabaseError:
        log.exception("the history of order %s doesn't say what became of email %s", mail.order, mail.public_id)


def _waits_for_pdf(mail: Mail, patience: timedelta) -> bool:
    """Say whether an email needs a PDF that the task ``make_pdfs`` is about to make; that task wakes the email again.

    After ``patience`` since the email was made, it no longer waits: sending it makes the PDF.
    """
    if mail.event != WITH_PDF or mail.created_at <= timezone.now() - patience:
        return False
    return documents.copy_for(mail.order, reader=mail.to, language=settings.LANGUAGE_CODE).stored() is None


def _is_final(problem: BaseException) -> bool:
    """Say whether the server will never accept mail for this address (RFC 5321, 4.2.1: 5yz is permanent)."""
    return isinstance(problem, smtplib.SMTPRecipientsRefused) and all(
        code >= 500 for code, _answer in problem.recipients.values()
    )


class _Session:
    """A session with the mail server, opened for the first email and kept for the next ones."""

    def __init__(self) -> None:
        self.backend = mailers["default"]
        self.used = False  # an email went over the open session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        self._close()

    def send(self, message: EmailMultiAlternatives) -> None:
        """Send an email. Raises ServerAway where the server can't be reached or stops answering, else smtplib's errors.

        A server may end a session between two emails, or limit how many it takes over one: then another one is opened.
        """
        if not isinstance(self.backend, EmailBackend):
            self.backend.send_messages([message])
            return
        late = threading.Event()
        watch = threading.Timer(LONGEST, self._hang_up, (late,))
        watch.daemon = True
        watch.start()
        try:
            try:
                self._send(message)
            except smtplib.SMTPException as problem:
                if not self.used or not _ended_by_server(problem):
                    raise
                self._close()
                self._send(message)
            self.used = True
        except OSError as problem:
            if (
                not isinstance(problem, smtplib.SMTPException)
                or _ended_by_server(problem)
                or not self.backend.connection
            ):
                self._close()
                why = f"no answer within {LONGEST:g} seconds" if late.is_set() else str(problem)
                raise ServerAway(why) from (TimeoutError(why) if late.is_set() else problem)
            raise
        finally:
            watch.cancel()

    def _send(self, message: EmailMultiAlternatives) -> None:
        self.backend.open()
        self.backend.send_messages([message])

    def _hang_up(self, late: threading.Event) -> None:
        """End a session that takes too long: whoever waits for it finds it closed."""
        late.set()
        backend: Any = self.backend
        session = backend.connection or backend._partial_connection
        if session is not None and session.sock is not None:
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self.used = False
        with contextlib.suppress(OSError):
            self.backend.close()


def _ended_by_server(problem: smtplib.SMTPException) -> bool:
    """Say whether the server ended the session, or says that it does (421: RFC 5321, 3.8)."""
    codes = [code for code, _answer in getattr(problem, "recipients", {}).values()]
    return isinstance(problem, smtplib.SMTPServerDisconnected) or 421 in (getattr(problem, "smtp_code", 0), *codes)
