"""The emails that let people in: a link that is sent again, and the one-time code."""

from __future__ import annotations

from django.utils.translation import gettext as _

from provisioning.emails.message import Message, clock, email, until
from provisioning.models import Mail, SignInCode


@email
def link_again(mail: Mail, url: str) -> Message:
    """To the address of a link, asked for on the page of an expired or replaced one."""
    number = mail.order.number
    deciding = mail.link is not None and mail.link.part.access_request_id is not None
    return Message(
        subject=_("Your link to order %(number)s") % {"number": number},
        title=_("Your link to order %(number)s") % {"number": number},
        paragraphs=(_("Somebody, most likely you, asked for the link to this order to be sent again."),),
        facts=((_("Order"), number),),
        button=_("Review the request") if deciding else _("Set Up Your Service"),
        url=url,
        after=(*until(mail.link), _("If you didn’t ask for it, you can ignore this email.")),
        why=_("You get this email because you have a part in order %(number)s.") % {"number": number},
    )


def sign_in_code(row: SignInCode, code: str) -> Message:
    """To the address that somebody wants to sign in with: the one-time code."""
    return Message(
        subject=_("Your sign-in code: %(code)s") % {"code": code},
        title=_("Your sign-in code"),
        paragraphs=(_("Enter this code on the page where you asked for it:"),),
        code=code,
        after=(
            _("It works once, until %(time)s.") % {"time": clock(row.expires_at)},
            _(
                "Nobody who works for us asks you for it. If you didn’t ask for a code, you can ignore "
                "this email: without the code, nobody gets in."
            ),
        ),
        why=_("You get this email because somebody, most likely you, asked to sign in with this address."),
    )
