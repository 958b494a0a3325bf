"""Background work, by id and safe to repeat. The truth is the rows; a job is only a wake-up.

``send_mail`` and ``send_code`` are the first try of one row. What failed, and what a killed worker left, is found by
``send_waiting`` three times a minute: the next try of a row follows from when it was made and how often it was tried,
so no job has to survive for a mail to go out. Webhooks likewise: ``send_webhooks`` sends what is due, whoever wrote it.
"""

from __future__ import annotations

import functools
import logging
import smtplib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.utils import timezone
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.manager import JobManager

from orgs import search_index
from orgs.actions import recount_all, renew_duplicates
from provisioning import actions, emails, history
from provisioning.fulfillment import loop, transitions
from provisioning.integration import webhooks
from provisioning.models import Event, Mail, SignInCode
from provisioning.people import access, links, sign_in
from subscriptions.actions import note_ended_subscriptions
from subscriptions.models import Document
from subscriptions.summary import documents

log = logging.getLogger(__name__)

MAX_TRIES = Mail.MAX_TRIES
# A row that nobody has tried after this long has lost its wake-up.
GRACE = timedelta(seconds=20)
# The email that carries the order summary, and how long it waits for its PDF to be made before it is made with it.
WITH_PDF = "set_up_confirmation"
PDF_PATIENCE = 6 * GRACE
# Of a process's threads, so many may wait for the vendor's systems: the others are there for emails and codes.
_senders = threading.BoundedSemaphore(2)
_provisioners = threading.BoundedSemaphore(4)
# Of those, one waits for what comes due in the next seconds.
_waiting = threading.Lock()
_SOON = timedelta(seconds=2)
# Of a process's threads, one at a time is between handing an email over and noting that it went out.
_sending = threading.Lock()
# After so many seconds a job ends and another goes on, so that it isn't taken for a stalled one.
_TURN = 60
# The sweeper wakes as many workers as there are orders with something due, but not more than this.
_MOST_SENDERS = 8


def _one_at_a_time[**P](sweep: Callable[P, None]) -> Callable[P, None]:
    """Leave a sweep out while this process is still at an earlier one, so that slow ones don't take all its threads.

    procrastinate's queueing lock would do that, but each sweep left out is a duplicate-key error in PostgreSQL's log.
    """
    at_it = threading.Lock()

    @functools.wraps(sweep)
    def task(*args: P.args, **kwargs: P.kwargs) -> None:
        if at_it.acquire(blocking=False):
            try:
                sweep(*args, **kwargs)
            finally:
                at_it.release()

    return task


@app.task(name="provisioning.tasks.send_mail")
def send_mail(pk: int) -> None:
    """Send one email, unless it has been sent, somebody else is at it, or its PDF is being made."""
    if not _waits_for_pdf(pk, PDF_PATIENCE):
        _send_mail(pk)


def _send_mail(pk: int) -> None:
    _try_one(Mail.objects.select_related("order__partner", "order__customer", "link"), pk, _compose_mail)


def _waits_for_pdf(pk: int, patience: timedelta) -> bool:
    """Say whether an email needs a PDF that ``make_pdfs`` is about to make, and then wakes it; others go out first.

    After ``patience`` the PDF is made where the email is sent.
    """
    young = Mail.objects.filter(pk=pk, event=WITH_PDF, sent_at=None, created_at__gt=timezone.now() - patience)
    mail = young.select_related("order").first()
    if mail is None:
        return False
    return documents.copy_for(mail.order, reader=mail.to, language=settings.LANGUAGE_CODE).kept() is None


@app.task(name="provisioning.tasks.send_code", priority=10)
def send_code(pk: int) -> None:
    """Send one sign-in code, unless it has been sent, used or has expired."""
    now = timezone.now()
    _try_one(SignInCode.objects.filter(used_at=None, expires_at__gt=now, user__isnull=False), pk, _compose_code)


@app.task(name="provisioning.tasks.send_webhooks")
def send_webhooks() -> None:
    """Send the webhooks that are due, one after the other, until none is left or another process has the rest."""
    if not _senders.acquire(blocking=False):
        return  # the two that are at it go on until nothing is due
    try:
        until = time.monotonic() + _TURN
        while webhooks.send_next():
            if time.monotonic() > until:
                webhooks.wake()
                return
    finally:
        _senders.release()


@app.periodic(cron="* * * * * */5")  # the sixth field is seconds
@app.task(name="provisioning.tasks.sweep_webhooks", pass_context=False)
@_one_at_a_time
def sweep_webhooks(timestamp: int) -> None:
    """Wake workers for the webhooks that are due: tries after a pause, and what a killed worker left."""
    if settings.WEBHOOK_URL and not webhooks.is_off():
        for _order in webhooks.due()[:_MOST_SENDERS]:
            webhooks.wake()


@app.task(name="provisioning.tasks.provision")
def provision() -> None:
    """Bring what is due at the drivers further, one call after the other, until nothing is due now or soon."""
    if not _provisioners.acquire(blocking=False):
        return  # the four that are at it go on until nothing is due
    try:
        until = time.monotonic() + _TURN
        while time.monotonic() < until:
            if not loop.run_next() and not _wait_for_next():
                return
        transitions.wake()
    finally:
        _provisioners.release()


def _wait_for_next() -> bool:
    """Wait until the next call is due, if that is soon; False where it isn't, or another thread waits already."""
    if not _waiting.acquire(blocking=False):
        return False
    try:
        seconds = loop.seconds_to_next(_SOON)
        if seconds is None:
            return False
        time.sleep(seconds)
    finally:
        _waiting.release()
    for _row in range(loop.how_many_are_due(_MOST_SENDERS) - 1):
        transitions.wake()
    return True


@app.periodic(cron="* * * * * */2")
@app.task(name="provisioning.tasks.sweep_provisioning", pass_context=False)
@_one_at_a_time
def sweep_provisioning(timestamp: int) -> None:
    """Wake workers for what is due until the next sweep: polls, tries again, and what a killed worker left."""
    for _row in range(loop.how_many_are_due(_MOST_SENDERS, _SOON)):
        transitions.wake()


@app.task(name="provisioning.tasks.make_pdf", priority=-1)
def make_pdf(pk: int, reader: str, language: str) -> None:
    """Make and keep the PDF of a document for who asks for it first, in their language, and send what waits for it."""
    document = Document.objects.select_related("order").filter(pk=pk, made_at=None).first()
    if document is not None:
        documents.copy_for(document.order, reader=reader, language=language).keep()
        _wake_mails(document)


@app.task(name="provisioning.tasks.make_pdfs", priority=-2)
def make_pdfs(pk: int) -> None:
    """Make and keep the PDFs of a document, for those who may read it, in every language; unless that was done."""
    with transaction.atomic():
        rows = Document.objects.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related("order")
        document = rows.filter(pk=pk, made_at=None).first()
        if document is None:
            return
        mails = document.order.mails.filter(event=WITH_PDF, sent_at=None).values_list("to", flat=True)
        emailed = [(to, settings.LANGUAGE_CODE) for to in mails]
        readers = access.readers_of_summary(document.order)
        for reader, language in [
            *emailed,
            *((reader, code) for code, _name in settings.LANGUAGES for reader in readers),
        ]:
            documents.copy_for(document.order, reader=reader, language=language).keep()
        document.made_at = timezone.now()
        document.save(update_fields=["made_at"])
        _wake_mails(document)


def _wake_mails(document: Document) -> None:
    for mail in document.order.mails.filter(event=WITH_PDF, sent_at=None):
        emails.wake("send_mail", mail.pk)


@app.periodic(cron="*/5 * * * *")
@app.task(name="provisioning.tasks.sweep_pdfs", pass_context=False)
@_one_at_a_time
def sweep_pdfs(timestamp: int) -> None:
    """Make the PDFs that a killed worker left, and drop old ones."""
    for document in documents.to_be_made():
        emails.wake_for_pdfs("make_pdfs", document)
    documents.drop_old()


@app.periodic(cron="* * * * * */20")
@app.task(name="provisioning.tasks.sweep", pass_context=False)
@_one_at_a_time
def sweep(timestamp: int) -> None:
    """Remind of dates and say what is late, send what waits, forget codes and sessions that are over."""
    documents.get_ready()
    actions.look_after_dates()
    transitions.note_late()
    send_waiting()
    sign_in.forget_old_codes()


@app.periodic(cron="17 3 * * *")
@app.task(name="provisioning.tasks.recount_use", pass_context=False)
@_one_at_a_time
def recount_use(timestamp: int) -> None:
    """Note what changes by time alone: users who are not active any more, subscriptions that ended; count words."""
    note_ended_subscriptions()
    recount_all()
    search_index.recount()


@app.periodic(cron="47 3 * * *")
@app.task(name="provisioning.tasks.look_for_duplicates", pass_context=False)
@_one_at_a_time
def look_for_duplicates(timestamp: int) -> None:
    """Tell the order desk which organizations are likely the same one."""
    renew_duplicates()


@app.periodic(cron="* * * * *")
@app.task(name="provisioning.tasks.retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Give the jobs of killed workers to a living one (procrastinate leaves them in ``doing`` for good)."""
    await retry_stalled(context.app.job_manager)


async def retry_stalled(manager: JobManager) -> None:
    """Queue the jobs of dead workers again."""
    for job in await manager.get_stalled_jobs():
        await manager.retry_job(job)


def send_waiting(*, grace: timedelta = GRACE) -> int:
    """Try everything that is due and older than ``grace``; returns how many emails went out.

    A row from the future was made before the clock was put back; its first try is due.
    """
    now = timezone.now()
    codes = SignInCode.objects.filter(sent_at=None, tries__lt=MAX_TRIES)
    codes = codes.filter(Q(asked_at__lte=now - grace) | Q(asked_at__gt=now, tries=0))
    codes = codes.filter(user__isnull=False, used_at=None, expires_at__gt=now).order_by("pk")
    mails = Mail.objects.filter(sent_at=None, tries__lt=MAX_TRIES).order_by("pk")
    mails = mails.filter(Q(created_at__lte=now - grace) | Q(created_at__gt=now, tries=0))
    due_codes = [pk for pk, made, tries in codes.values_list("pk", "asked_at", "tries") if _is_due(made, tries, now)]
    due_mails = [
        pk for pk, begin, tries in mails.values_list("pk", "created_at", "tries") if _is_due(begin, tries, now)
    ]
    for pk in due_codes:
        send_code.func(pk=pk)
    for pk in due_mails:
        if not _waits_for_pdf(pk, 6 * grace):
            _send_mail(pk)
    return (
        SignInCode.objects.filter(pk__in=due_codes, sent_at__isnull=False).count()
        + Mail.objects.filter(pk__in=due_mails, sent_at__isnull=False).count()
    )


def _is_due(begin: datetime, tries: int, now: datetime) -> bool:
    """Say whether the try after this many is due."""
    quick = min(tries, 6)
    return tries == 0 or begin + timedelta(minutes=2**quick - 1) + timedelta(hours=tries - quick) <= now


def _compose_mail(mail: Mail) -> EmailMultiAlternatives:
    return emails.compose(mail, links.url_for(mail.link) if mail.link else "")


def _compose_code(row: SignInCode) -> EmailMultiAlternatives:
    return emails.compose_code(row, sign_in.code_of(row))


def _try_one[Row: (Mail, SignInCode)](
    rows: models.QuerySet[Row], pk: int, compose: Callable[[Row], EmailMultiAlternatives]
) -> None:
    """Send the email of one row and note the outcome, the row locked meanwhile.

    The note is written after the server took the mail: a worker killed between the two sends it once more, with the
    same Message-ID; a mail is never lost. A worker sends one at a time, so that it is only ever one that is repeated.
    """
    with _sending, transaction.atomic():
        row = rows.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk, sent_at=None).first()
        if row is None or row.tries >= MAX_TRIES:
            return
        row.tries += 1
        try:
            compose(row).send()
        except Exception as problem:  # whatever went wrong is noted, and tried again later
            log.warning("%s %s was not sent (try %s): %s", type(row).__name__, row.public_id, row.tries, problem)
            row.problem = f"{type(problem).__name__}: {problem}"[:2000]
            if _is_final(problem):
                row.tries = MAX_TRIES
        else:
            row.sent_at = timezone.now()
            row.problem = ""
        row.save(update_fields=["tries", "problem", "sent_at"])
        if isinstance(row, Mail):
            _note(row)


def _note(mail: Mail) -> None:
    """Write into the order's history that an email went out, or was given up.

    Should that fail, the note that it went out stays all the same: an email must not be sent again for it.
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


def _is_final(problem: Exception) -> bool:
    """The server will never take mail for this address (RFC 5321, 4.2.1: 5yz is a permanent negative answer)."""
    return isinstance(problem, smtplib.SMTPRecipientsRefused) and all(
        code >= 500 for code, _answer in problem.recipients.values()
    )
