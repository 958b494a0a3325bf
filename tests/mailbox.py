"""What a person finds in the mailbox: the emails that wait are sent, then read like a person reads them."""

from __future__ import annotations

import re
from datetime import timedelta

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage

from provisioning.worker import mail_sending

_CODE = re.compile(r"^\s+([A-Z]{4}-[A-Z]{4})$", re.MULTILINE)


def deliver() -> list[EmailMessage]:
    """Send everything that waits to be sent, as a worker would; returns what arrived by that."""
    before = len(mail.outbox)
    mail_sending.send_waiting(grace=timedelta(0))
    return list(mail.outbox[before:])


def newest(to: str) -> EmailMessage:
    """Send what waits, then the newest email to this address."""
    deliver()
    return next(message for message in reversed(mail.outbox) if message.to == [to])


def newest_code(to: str) -> str:
    """Send what waits, then the one-time code in the newest email to this address that carries one."""
    deliver()
    mails = (message for message in reversed(mail.outbox) if message.to == [to])
    return next(found[1] for message in mails if (found := _CODE.search(str(message.body))))


def link_in(message: EmailMessage) -> str:
    """The path of the link in an email."""
    found = re.search(rf"{re.escape(settings.PUBLIC_URL)}(/l/\S+)", str(message.body))
    assert found, message.body
    return found[1]


def code_in(message: EmailMessage) -> str:
    """The one-time code in an email."""
    found = _CODE.search(str(message.body))
    assert found, message.body
    return found[1]
