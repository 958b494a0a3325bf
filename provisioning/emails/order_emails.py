"""The emails about an order itself: placed, handed over, taken back, cancelled, set up."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from orgs.text.normalize import email_key
from provisioning.emails.message import Message, email, order_facts, until
from provisioning.models import Mail, Part
from subscriptions.models import was_begun
from subscriptions.summary import documents, mask_email


@email
def order_placed(mail: Mail, url: str) -> Message:
    """To the provisioning contact: the welcome email. Subject and button as the second seed has them."""
    number = mail.order.number
    return Message(
        subject=_("Provisioning information required for order %(number)s") % {"number": number},
        title=_("Set up order %(number)s") % {"number": number},
        paragraphs=(
            _(
                "%(company)s ordered a subscription. Before it can be used, we need to know which "
                "organization it is for and how its services are set up."
            )
            % {"company": mail.order.sold_to},
            _("It takes a few minutes. You can stop at any time and go on later, on any device."),
        ),
        facts=order_facts(mail.order),
        button=_("Set Up Your Service"),
        url=url,
        after=(
            *until(mail.link),
            _("You are not the right person? Open the link all the same: you can say who should complete the order."),
            _("Nothing is set up before somebody has completed these steps."),
        ),
        why=_("You get this email because you were named as the provisioning contact of order %(number)s.")
        % {"number": number},
    )


@email
def order_handed_over(mail: Mail, url: str) -> Message:
    """To the person who now completes the order."""
    number = mail.order.number
    giver = mail.link.part.given_by if mail.link else None
    by = mask_email(giver.user.email) if giver else ""
    return Message(
        subject=_("Provisioning information required for order %(number)s") % {"number": number},
        title=_("Order %(number)s was handed over to you") % {"number": number},
        paragraphs=(
            _("%(person)s asked you to complete this order.") % {"person": by}
            if by
            else _("The contact of this order asked you to complete it."),
            _(
                "We need to know which organization the order is for and how its services are set up. It "
                "takes a few minutes, and you can stop at any time and go on later."
            ),
        ),
        facts=order_facts(mail.order),
        button=_("Set Up Your Service"),
        url=url,
        after=(
            *until(mail.link),
            _("Until the organizations are confirmed, the person who handed it over can take it back."),
            _("Nothing is set up before somebody has completed these steps."),
        ),
        why=_(
            "You get this email because somebody gave your address as the one of the person who completes "
            "order %(number)s."
        )
        % {"number": number},
    )


@email
def order_taken_back(mail: Mail, url: str) -> Message:
    """To the person who had the order for a while."""
    number = mail.order.number
    return Message(
        subject=_("You no longer need to complete order %(number)s") % {"number": number},
        title=_("Order %(number)s was taken back") % {"number": number},
        paragraphs=(
            _("The person who had handed this order over to you completes it themselves. Your link to it has ended."),
            _("There is nothing that you need to do."),
        ),
        why=_("You get this email because order %(number)s had been handed over to you.") % {"number": number},
    )


@email
def order_cancelled(mail: Mail, url: str) -> Message:
    """To the person who had to act, when the order desk cancels the order."""
    number = mail.order.number
    return Message(
        subject=_("Order %(number)s was cancelled") % {"number": number},
        title=_("Order %(number)s was cancelled") % {"number": number},
        paragraphs=(
            _("Nothing more will be set up for this order, and your link to it has ended."),
            *((_("What was set up for it, or begun, is taken back."),) if was_begun(mail.order) else ()),
            _("There is nothing that you need to do. If you did not expect this, answer this email."),
        ),
        facts=order_facts(mail.order),
        why=_("You get this email because you have a part in order %(number)s.") % {"number": number},
    )


@email
def set_up_confirmation(mail: Mail, url: str) -> Message:
    """To everybody concerned: it is set up, with the facts of the order summary, and its PDF."""
    number = mail.order.number
    copy = documents.copy_for(mail.order, reader=mail.to, language=settings.LANGUAGE_CODE)
    summary = copy.summary
    # Who has no part in the order has no account to sign in with; the facts and the PDF are all they need.
    part = Part.objects.filter(order=mail.order, user__email=email_key(mail.to), access_request=None)
    has_part = part.exists()
    return Message(
        subject=_("Order %(number)s is set up") % {"number": number},
        title=_("Order %(number)s is set up") % {"number": number},
        paragraphs=(
            summary.lead,
            _("This is the order summary; the attached PDF has the same facts, for your records."),
        ),
        sections=summary.sections,
        button=_("See the order summary") if has_part else "",
        url=f"{settings.PUBLIC_URL}{reverse('order', args=[number])}" if has_part else "",
        after=(_("You need to do nothing."),),
        attachments=((f"order-summary-{number}.pdf", copy.make_and_store(), "application/pdf"),),
        why=_("You get this email because you are named in order %(number)s.") % {"number": number},
    )
