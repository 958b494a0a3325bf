"""Makes the email of a row, as text and as HTML, at the moment when it is sent."""

from __future__ import annotations

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import override

from orgs.text.normalize import ascii_domain
from provisioning import history
from provisioning.brand import accent
from provisioning.emails.events import EVENTS
from provisioning.emails.message import Message
from provisioning.emails.sign_in_emails import sign_in_code
from provisioning.models import Mail, SignInCode

# The accent of static/css/app.css on light pages: mail programs know no other colour scheme.
DEFAULT_ACCENT = "#0b5d6e"


def compose(mail: Mail, url: str) -> EmailMultiAlternatives:
    """Return the email of a row, in the installation's language. ``url`` is the address that its button leads to."""
    with override(settings.LANGUAGE_CODE):
        email = _lay_out(EVENTS[mail.event](mail, url), to=mail.to, message_id=str(mail.public_id))
    # A copy of the hash outside of the database: see provisioning.history.verification.
    email.extra_headers["X-Order-History"] = history.head(mail.order)
    if mail.event == "setup_reminder" and url:
        # RFC 8058: mail programs show a button that posts to this address.
        email.extra_headers["List-Unsubscribe"] = f"<{url}reminders/>"
        email.extra_headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return email


def compose_code(row: SignInCode, code: str) -> EmailMultiAlternatives:
    """Return the email that contains a one-time code, in the installation's language."""
    with override(settings.LANGUAGE_CODE):
        return _lay_out(sign_in_code(row, code), to=row.email, message_id=f"{row.public_id}.{row.mails}")


def _with_ascii_domain(address: str) -> str:
    """Return the address with its domain in ASCII by IDNA 2008; Django's conversion follows IDNA 2003."""
    name, _at, domain = address.rpartition("@")
    return f"{name}@{ascii_domain(domain)}"


def _lay_out(message: Message, *, to: str, message_id: str) -> EmailMultiAlternatives:
    context = {
        "message": message,
        "brand_name": settings.BRAND_NAME,
        "brand_logo_url": settings.BRAND_LOGO_URL,
        "accent": accent(settings.BRAND_ACCENT or DEFAULT_ACCENT),
        "help_contact": settings.HELP_CONTACT,
        "privacy_url": settings.PRIVACY_URL,
    }
    email = EmailMultiAlternatives(
        subject=" ".join(message.subject.split()),  # one line, whatever a company's name holds
        body=render_to_string("emails/base.txt", context).strip() + "\n",
        to=[_with_ascii_domain(to)],
        reply_to=[settings.HELP_CONTACT],
        headers={
            # The same on every try: mail programs recognize an email that was sent twice.
            "Message-ID": f"<{message_id}@{settings.DEFAULT_FROM_EMAIL.rstrip('>').rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    html = css_inline.CSSInliner(load_remote_stylesheets=False).inline(render_to_string("emails/base.html", context))
    email.attach_alternative(html, "text/html")
    for name, content, kind in message.attachments:
        email.attach(name, content, kind)
    return email
