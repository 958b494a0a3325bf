"""Sends emails and sign-in codes: one row at a time, and everything that is due.

The time of a row's next try follows from its creation time and its number of tries: no job has to survive for an email
to be sent.
"""

from __future__ import annotations

import logging
import smtplib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.utils import timezone

from provisioning import emails, history
from provisioning.models import Event, Mail, SignInCode
from provisioning.people import links, sign_in
from subscriptions.summary import documents

log = logging.getLogger(__name__)

MAX_TRIES = Mail.MAX_TRIES
# The wake-up of a row that was not tried for this long is lost.
GRACE = timedelta(seconds=20)
# The email with the order summary, and how long it waits for the job that makes its PDF before it makes the PDF itself.
WITH_PDF = "set_up_confirmation"
PDF_PATIENCE = 6 * GRACE
# Held between handing an email to the server and noting it: at most one email of a killed process is sent twice.
_sending = threading.Lock()


def send_mail(pk: int, *, patience: timedelta = PDF_PATIENCE) -> None:
    """Send one email, unless it was sent, another process is sending it, or its PDF is being made."""
    if not _waits_for_pdf(pk, patience):
        _try_one(Mail.objects.select_related("order__partner", "order__customer", "link"), pk, _compose_mail)


def send_code(pk: int) -> None:
    """Send one sign-in code, unless it was sent, used or has expired."""
    now = timezone.now()
    _try_one(SignInCode.objects.filter(used_at=None, expires_at__gt=now, user__isnull=False), pk, _compose_code)


def send_waiting(*, grace: timedelta = GRACE) -> int:
    """Try every email and code that is due and older than ``grace``. Returns how many were sent.

    The first try of a row with a future time is due: it was made before the clock was set back.
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
        send_code(pk)
    for pk in due_mails:
        send_mail(pk, patience=6 * grace)
    return (
        SignInCode.objects.filter(pk__in=due_codes, sent_at__isnull=False).count()
        + Mail.objects.filter(pk__in=due_mails, sent_at__isnull=False).count()
    )


def _is_due(begin: datetime, tries: int, now: datetime) -> bool:
    """Say whether the next try is due after ``tries`` tries: after 0, 1, 3, 7, 15, 31, 63 minutes, then hourly."""
    quick = min(tries, 6)
    return tries == 0 or begin + timedelta(minutes=2**quick - 1) + timedelta(hours=tries - quick) <= now


def _waits_for_pdf(pk: int, patience: timedelta) -> bool:
    """Say whether an email needs a PDF that the task ``make_pdfs`` is about to make; that task wakes the email again.

    After ``patience`` since the email was made, it no longer waits: sending it makes the PDF.
    """
    young = Mail.objects.filter(pk=pk, event=WITH_PDF, sent_at=None, created_at__gt=timezone.now() - patience)
    mail = young.select_related("order").first()
    if mail is None:
        return False
    return documents.copy_for(mail.order, reader=mail.to, language=settings.LANGUAGE_CODE).stored() is None


def _compose_mail(mail: Mail) -> EmailMultiAlternatives:
    return emails.compose(mail, links.url_for(mail.link) if mail.link else "")


def _compose_code(row: SignInCode) -> EmailMultiAlternatives:
    return emails.compose_code(row, sign_in.code_of(row))


def _try_one[Row: (Mail, SignInCode)](
    rows: models.QuerySet[Row], pk: int, compose: Callable[[Row], EmailMultiAlternatives]
) -> None:
    """Send the email of one row and write the outcome, with the row locked.

    The outcome is written after the server accepted the email: a worker that is killed in between sends it once more,
    with the same Message-ID. No email is lost. A process sends one at a time, so at most one is repeated.
    """
    with _sending, transaction.atomic():
        row = rows.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk, sent_at=None).first()
        if row is None or row.tries >= MAX_TRIES:
            return
        row.tries += 1
        try:
            compose(row).send()
        except Exception as problem:  # of any kind: it is recorded and tried again later
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


def _is_final(problem: Exception) -> bool:
    """Say whether the server will never accept mail for this address (RFC 5321, 4.2.1: 5yz is permanent)."""
    return isinstance(problem, smtplib.SMTPRecipientsRefused) and all(
        code >= 500 for code, _answer in problem.recipients.values()
    )
