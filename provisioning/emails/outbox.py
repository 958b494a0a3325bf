"""The product's emails: a row says what is to be sent; the text is made when it goes out.

``queue`` writes the row and wakes a worker in the caller's transaction, so that an order and its mail are both there or
neither is. ``provisioning.worker.tasks`` sends.
"""

from __future__ import annotations

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import override
from procrastinate.contrib.django import app

from orgs.text.normalize import ascii_domain
from provisioning import history
from provisioning.brand import accent
from provisioning.emails.message import Message
from provisioning.emails.order_emails import EVENTS, sign_in_code
from provisioning.models import Link, Mail, SignInCode
from subscriptions.models import Document, Order
from subscriptions.summary.pdf_cache import RENDERS

# The accent of static/css/app.css on light pages; an email's program knows no dark pair.
OWN_ACCENT = "#0b5d6e"


def queue(*, order: Order, event: str, to: str, link: Link | None = None, **facts: str) -> Mail:
    """Write down that this email is to be sent, and wake a worker. ``event`` is the name of a function in EVENTS."""
    if event not in EVENTS:
        raise LookupError(event)
    with transaction.atomic():
        mail = Mail.objects.create(order=order, event=event, to=to, link=link, facts=facts)
        wake("send_mail", mail.pk)
    return mail


def try_again(mail: Mail) -> None:
    """Begin once more with the tries of an email that didn't go out."""
    with transaction.atomic():
        if Mail.objects.filter(pk=mail.pk, sent_at=None).update(tries=0):
            wake("send_mail", mail.pk)


def wake(task: str, pk: int, *, lock: str | None = None, **facts: str) -> None:
    """Wake a worker for one row, in this transaction; the row is the truth, the job a wake-up.

    Of the jobs with one ``lock``, one at a time runs, on all workers together.
    """
    app.configure_task(f"provisioning.tasks.{task}", allow_unknown=False, lock=lock).defer(pk=pk, **facts)


def wake_for_pdfs(task: str, document: Document, **facts: str) -> None:
    """Wake a worker for PDFs of a document; the others of a worker's places are kept free for emails."""
    wake(task, document.pk, lock=f"pdf {document.pk % RENDERS}", **facts)


def wake_task(task: str) -> None:
    """Wake a worker for whatever is due of a kind, in this transaction."""
    app.configure_task(f"provisioning.tasks.{task}", allow_unknown=False).defer()


def compose(mail: Mail, url: str) -> EmailMultiAlternatives:
    """Make the email of a row; ``url`` is where its button leads."""
    with override(settings.LANGUAGE_CODE):
        email = _lay_out(EVENTS[mail.event](mail, url), to=mail.to, message_id=str(mail.public_id))
    # What the history ends with leaves this database here; provisioning.history.verification says what for.
    email.extra_headers["X-Order-History"] = history.head(mail.order)
    return email


def compose_code(row: SignInCode, code: str) -> EmailMultiAlternatives:
    """Make the email that carries a one-time code."""
    with override(settings.LANGUAGE_CODE):
        return _lay_out(sign_in_code(row, code), to=row.email, message_id=f"{row.public_id}.{row.mails}")


def _as_dns_has_it(address: str) -> str:
    """The address with its domain in ASCII, as everything else compares it: Django's own conversion is of 2003."""
    name, _at, domain = address.rpartition("@")
    return f"{name}@{ascii_domain(domain)}"


def _lay_out(message: Message, *, to: str, message_id: str) -> EmailMultiAlternatives:
    context = {
        "message": message,
        "brand_name": settings.BRAND_NAME,
        "brand_logo_url": settings.BRAND_LOGO_URL,
        "accent": accent(settings.BRAND_ACCENT or OWN_ACCENT),
        "help_contact": settings.HELP_CONTACT,
        "privacy_url": settings.PRIVACY_URL,
    }
    email = EmailMultiAlternatives(
        subject=" ".join(message.subject.split()),  # one line, whatever a company's name holds
        body=render_to_string("emails/base.txt", context).strip() + "\n",
        to=[_as_dns_has_it(to)],
        reply_to=[settings.HELP_CONTACT],
        headers={
            # The same on every try: a mail that was sent, but not noted before a worker died, can be told as one.
            "Message-ID": f"<{message_id}@{settings.DEFAULT_FROM_EMAIL.rstrip('>').rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    html = css_inline.CSSInliner(load_remote_stylesheets=False).inline(render_to_string("emails/base.html", context))
    email.attach_alternative(html, "text/html")
    for name, content, kind in message.attachments:
        email.attach(name, content, kind)
    return email
