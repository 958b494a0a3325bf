"""Every background task, and its schedule. Tasks take ids and are safe to repeat.

A job is a wake-up; the rows say what has been done. ``send_mail``, ``send_code``, ``send_webhooks`` and
``provision`` work on every due row; ``sweep`` finds what failed and what a killed worker left.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.manager import JobManager

from orgs import search_index
from orgs.actions import recount_all, renew_duplicates
from provisioning import actions, emails, privacy
from provisioning.actions import directory
from provisioning.bulk import batches
from provisioning.fulfillment import loop, transitions
from provisioning.integration import deliveries, endpoints, webhooks
from provisioning.people import order_people, sign_in, visitors
from provisioning.worker import mail_sending, mailbox
from provisioning.worker.mail_sending import WITH_PDF
from subscriptions.actions import note_ended_subscriptions
from subscriptions.models import Document
from subscriptions.summary import documents, pdf_cache

# At most so many threads of a process call the vendor's systems at a time: the others send emails and codes.
_senders = threading.BoundedSemaphore(2)
_slow_sender = threading.Lock()
_planners = threading.BoundedSemaphore(2)  # of files of orders
_provisioners = threading.BoundedSemaphore(3)
# Of those, one waits for what comes due in the next seconds.
_waiting = threading.Lock()
_SOON = timedelta(seconds=2)
# Seconds after which a job ends and wakes the next one. A longer job would count as stalled.
_TURN = 60
# A sweep wakes one worker for each order with something due, at most so many.
_MOST_SENDERS = 8


def _one_at_a_time[**P](sweep: Callable[P, None]) -> Callable[P, None]:
    """Skip a sweep while this process still runs an earlier one: slow sweeps must not take all its threads.

    procrastinate's queueing lock would log a duplicate-key error in PostgreSQL for each skipped sweep.
    """
    running = threading.Lock()

    @functools.wraps(sweep)
    def task(*args: P.args, **kwargs: P.kwargs) -> None:
        if running.acquire(blocking=False):
            try:
                sweep(*args, **kwargs)
            finally:
                running.release()

    return task


@app.task(name="provisioning.tasks.send_mail")
def send_mail(pk: int) -> None:
    """Send the emails that are due; ``pk`` is the one that woke this job."""
    mail_sending.send_mails()


@app.task(name="provisioning.tasks.send_code", priority=10)
def send_code(pk: int) -> None:
    """Send the sign-in codes that are due; ``pk`` is the one that woke this job."""
    mail_sending.send_codes()


@app.task(name="provisioning.tasks.send_webhooks")
def send_webhooks() -> None:
    """Send the webhooks that are due, one after the other, until none is left that no other process is sending.

    At most one of the two senders of a process waits for slow endpoints, so they don't hold the others.
    """
    if not _senders.acquire(blocking=False):
        return  # the two that are running continue until nothing is due
    slow_too = _slow_sender.acquire(blocking=False)
    try:
        until = time.monotonic() + _TURN
        while deliveries.send_next(slow_too=slow_too):
            if time.monotonic() > until:
                webhooks.wake()
                return
    finally:
        if slow_too:
            _slow_sender.release()
        _senders.release()


@app.periodic(cron="* * * * * */5")  # the sixth field is seconds
@app.task(name="provisioning.tasks.sweep_webhooks", pass_context=False)
@_one_at_a_time
def sweep_webhooks(timestamp: int) -> None:
    """Wake workers for the webhooks that are due: later tries, and what a killed worker left."""
    webhooks.number()
    for _row in deliveries.due()[:_MOST_SENDERS]:
        webhooks.wake()


@app.task(name="provisioning.tasks.provision")
def provision() -> None:
    """Bring what is due at the drivers further, one call after the other, until nothing is due now or soon."""
    if not _provisioners.acquire(blocking=False):
        return  # the three that are at it go on until nothing is due
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
    """Make and keep the PDF of a document for its first reader, in their language, and wake its emails."""
    document = Document.objects.select_related("order").filter(pk=pk, made_at=None).first()
    if document is not None:
        documents.copy_for(document.order, reader=reader, language=language).make_and_store()
        _wake_mails(document)


@app.task(name="provisioning.tasks.make_pdfs", priority=-2)
def make_pdfs(pk: int) -> None:
    """Make and keep the PDFs of a document for everybody who may read it, in every language, unless that was done."""
    with transaction.atomic():
        rows = Document.objects.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related("order")
        document = rows.filter(pk=pk, made_at=None).first()
        if document is None:
            return
        mails = document.order.mails.filter(event=WITH_PDF, sent_at=None).values_list("to", flat=True)
        emailed = [(to, settings.LANGUAGE_CODE) for to in mails]
        readers = order_people.readers_of_summary(document.order)
        for reader, language in [
            *emailed,
            *((reader, code) for code, _name in settings.LANGUAGES for reader in readers),
        ]:
            documents.copy_for(document.order, reader=reader, language=language).make_and_store()
        document.made_at = timezone.now()
        document.save(update_fields=["made_at"])
        _wake_mails(document)


def _wake_mails(document: Document) -> None:
    for mail in document.order.mails.filter(event=WITH_PDF, sent_at=None):
        emails.wake("send_mail", mail.pk)


@app.task(name="provisioning.tasks.write_directory_batches", priority=-1)
@_one_at_a_time
def write_directory_batches() -> None:
    """Write the batches of organizations that other systems sent, part by part."""
    until = time.monotonic() + _TURN
    while directory.write_next_part():
        if time.monotonic() > until:
            directory.wake()
            return


@app.periodic(cron="*/5 * * * *")
@app.task(name="provisioning.tasks.sweep_pdfs", pass_context=False)
@_one_at_a_time
def sweep_pdfs(timestamp: int) -> None:
    """Make the PDFs that a killed worker left, and delete old ones."""
    for document in pdf_cache.documents_without_pdf():
        emails.wake_for_pdfs("make_pdfs", document)
    pdf_cache.delete_old_pdfs()


@app.task(name="provisioning.tasks.work_on_batches", priority=-1)
def work_on_batches() -> None:
    """Plan and apply files of orders, until nothing is left that no other worker is at."""
    if not _planners.acquire(blocking=False):
        return  # the two that are at it go on until nothing is left
    try:
        if batches.work_on_all(_TURN):
            batches.wake()
    finally:
        _planners.release()


@app.periodic(cron="* * * * * */20")
@app.task(name="provisioning.tasks.sweep", pass_context=False)
@_one_at_a_time
def sweep(timestamp: int) -> None:
    """Remind of dates and say what is late, go on with what waits, forget codes, sessions and answers that are over."""
    pdf_cache.warm_up()
    actions.look_after_dates()
    transitions.note_late()
    transitions.tell_desk()
    mail_sending.send_waiting()
    batches.wake_if_any()
    if directory.is_batch_waiting():
        directory.wake()
    sign_in.forget_old_codes()
    visitors.forget()
    actions.forget_old_answers()


@app.periodic(cron="17 3 * * *")
@app.task(name="provisioning.tasks.recount_use", pass_context=False)
@_one_at_a_time
def recount_use(timestamp: int) -> None:
    """Bring up to date what changes by time alone: active users, ended subscriptions, word counts, earlier secrets."""
    note_ended_subscriptions()
    recount_all()
    search_index.recount()
    endpoints.look_after_secrets()
    directory.forget_old_batches()


@app.periodic(cron="* * * * *")
@app.task(name="provisioning.tasks.read_mailbox", pass_context=False)
@_one_at_a_time
def read_mailbox(timestamp: int) -> None:
    """Note the bounces and replies that came to the mailbox."""
    mailbox.read()


@app.periodic(cron="7 4 * * *")
@app.task(name="provisioning.tasks.look_after_retention", pass_context=False)
@_one_at_a_time
def look_after_retention(timestamp: int) -> None:
    """Delete what is older than RETENTION_DAYS says."""
    privacy.look_after_retention()


@app.periodic(cron="47 3 * * *")
@app.task(name="provisioning.tasks.look_for_duplicates", pass_context=False)
@_one_at_a_time
def look_for_duplicates(timestamp: int) -> None:
    """Find organizations that are likely duplicates, for the order desk."""
    renew_duplicates()


@app.periodic(cron="* * * * *")
@app.task(name="provisioning.tasks.retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Queue the jobs of killed workers again; procrastinate leaves them in the status ``doing``."""
    await retry_stalled(context.app.job_manager)


async def retry_stalled(manager: JobManager) -> None:
    """Queue the jobs of dead workers again."""
    for job in await manager.get_stalled_jobs():
        await manager.retry_job(job)
