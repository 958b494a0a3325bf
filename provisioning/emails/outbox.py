"""The outbox: rows of emails to be sent, and the wake-ups of workers.

``queue`` writes the row and the wake-up in the caller's transaction: the order's change and its email are committed
together. ``provisioning.worker.mail_sending`` sends the row; ``provisioning.emails.composing`` makes its text then.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from provisioning.emails.events import EVENTS
from provisioning.models import Link, Mail
from subscriptions.models import Document, Order
from subscriptions.summary.pdf_cache import RENDERS


def queue(*, order: Order, event: str, to: str, link: Link | None = None, **facts: str) -> Mail:
    """Write the row of an email, and wake a worker, in the caller's transaction.

    ``event`` is the name of the email's function (``EVENTS``), ``link`` leads its button, and ``facts`` are what the
    function needs besides. Raises LookupError for an unknown ``event``.
    """
    if event not in EVENTS:
        raise LookupError(event)
    with transaction.atomic():
        mail = Mail.objects.create(order=order, event=event, to=to, link=link, facts=facts)
        wake("send_mail", mail.pk)
    return mail


def try_again(mail: Mail) -> None:
    """Start the tries of an email that was not sent again from zero."""
    now = timezone.now()
    with transaction.atomic():
        if Mail.objects.filter(pk=mail.pk, sent_at=None).update(tries=0, next_try_at=now - timedelta(minutes=1)):
            wake("send_mail", mail.pk)


def wake(task: str, pk: int, *, lock: str | None = None, **facts: str) -> None:
    """Wake a worker for the row ``pk`` when this transaction commits.

    ``task`` is the last part of a task's name. One job of the same ``lock`` runs at a time, over all workers.
    """
    app.configure_task(f"provisioning.tasks.{task}", allow_unknown=False, lock=lock).defer(pk=pk, **facts)


def wake_for_pdfs(task: str, document: Document, **facts: str) -> None:
    """Wake a worker for PDFs of a document. At most ``RENDERS`` such jobs run at a time: emails don't wait."""
    wake(task, document.pk, lock=f"pdf {document.pk % RENDERS}", **facts)


def wake_task(task: str) -> None:
    """Wake a worker for a task without arguments, which finds what is due, when this transaction commits."""
    app.configure_task(f"provisioning.tasks.{task}", allow_unknown=False).defer()
