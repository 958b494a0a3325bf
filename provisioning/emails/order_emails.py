"""The words of the product's emails: one function an event. Who sends them, and how, is in provisioning.emails."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from orgs.text.normalize import email_key
from provisioning.emails.deadline_emails import order_closed, order_closed_unfinished, order_extended, setup_reminder
from provisioning.emails.message import Message, clock, customer_of, order_facts, until
from provisioning.emails.rights_emails import (
    access_approved,
    access_decided,
    access_declined,
    access_requested,
    desk_asked,
    desk_began,
    desk_gave,
    desk_gave_to_you,
    right_taken_back,
)
from provisioning.emails.set_up_emails import set_up_late, set_up_refused
from provisioning.models import Mail, Part, SignInCode
from subscriptions.models import was_begun
from subscriptions.summary import documents
from subscriptions.summary.summary import mask


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


def order_handed_over(mail: Mail, url: str) -> Message:
    """To the person who now completes the order."""
    number = mail.order.number
    giver = mail.link.part.given_by if mail.link else None
    by = mask(giver.user.email) if giver else ""
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


def order_cancelled(mail: Mail, url: str) -> Message:
    """To whoever had to act, when the order desk cancels the order."""
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


def setup_delegated(mail: Mail, url: str) -> Message:
    """To the customer's administrator, who sets up the services."""
    number = mail.order.number
    partner = mail.order.partner.name if mail.order.partner else mail.order.sold_to
    return Message(
        subject=_("Set up your services: order %(number)s") % {"number": number},
        title=_("Your services are ready to be set up"),
        paragraphs=(
            _("%(partner)s ordered a subscription for %(customer)s and asks you to set up its services.")
            % {"partner": partner, "customer": customer_of(mail.order)},
            _(
                "You choose the names of your sites and the location of your calling service. It takes a "
                "few minutes, and you can stop at any time and go on later."
            ),
        ),
        facts=order_facts(mail.order),
        button=_("Set Up Your Service"),
        url=url,
        after=(
            *until(mail.link),
            _("%(partner)s can watch the set-up, and can take it over.") % {"partner": partner},
            _("Nothing is set up before somebody has completed these steps."),
        ),
        why=_("You get this email because your address was given as the one of the administrator of %(customer)s.")
        % {"customer": customer_of(mail.order)},
    )


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
        attachments=((f"order-summary-{number}.pdf", copy.keep(), "application/pdf"),),
        why=_("You get this email because you are named in order %(number)s.") % {"number": number},
    )


def setup_taken_over(mail: Mail, url: str) -> Message:
    """To the customer's administrator who was to set up the services."""
    number = mail.order.number
    partner = mail.order.partner.name if mail.order.partner else mail.order.sold_to
    return Message(
        subject=_("You no longer need to set up order %(number)s") % {"number": number},
        title=_("%(partner)s sets up the services of order %(number)s") % {"partner": partner, "number": number},
        paragraphs=(
            _("%(partner)s had asked you to set up these services, and has taken it over. Your link to it has ended.")
            % {"partner": partner},
            _("There is nothing that you need to do. You get an email when the services are set up."),
        ),
        why=_("You get this email because you had been asked to set up order %(number)s.") % {"number": number},
    )


def setup_handed_back(mail: Mail, url: str) -> Message:
    """To the customer's administrator: the partner, who had taken the set-up over, hands it back."""
    words = {"number": mail.order.number}
    words["partner"] = mail.order.partner.name if mail.order.partner else mail.order.sold_to
    return Message(
        subject=_("Set up your services: order %(number)s") % words,
        title=_("The set-up of order %(number)s is yours again") % words,
        paragraphs=(
            _("%(partner)s had taken the set-up over, and hands it back to you. Every answer is kept.") % words,
        ),
        facts=order_facts(mail.order),
        button=_("Set Up Your Service"),
        url=url,
        after=(
            *until(mail.link),
            _("%(partner)s can watch the set-up, and can take it over.") % words,
            _("Nothing is set up before somebody has completed these steps."),
        ),
        why=_("You get this email because you had been asked to set up order %(number)s.") % words,
    )


def question_asked(mail: Mail, url: str) -> Message:
    """To the other one who sets up. ``facts``: about, text, page (where to answer)."""
    words = {"number": mail.order.number, "about": mail.facts.get("about", "")}
    return Message(
        subject=_("Order %(number)s: a question about “%(about)s”") % words,
        title=_("A question about the set-up"),
        paragraphs=(mail.facts.get("text", ""),),
        facts=((_("Order"), mail.order.number), (_("About"), words["about"])),
        button=_("Open the step"),
        url=mail.facts.get("page", "") or settings.PUBLIC_URL,
        after=(_("If you do nothing, the question stays open. The set-up goes on without it."),),
        why=_("You get this email because you and somebody else set up order %(number)s.") % words,
    )


def question_answered(mail: Mail, url: str) -> Message:
    """To the person who asked. ``facts``: about, text, answer, page."""
    words = {"number": mail.order.number, "about": mail.facts.get("about", "")}
    return Message(
        subject=_("Order %(number)s: your question about “%(about)s” was answered") % words,
        title=_("Your question was answered"),
        paragraphs=(mail.facts.get("answer", ""),),
        facts=(
            (_("Order"), mail.order.number),
            (_("About"), words["about"]),
            (_("Your question"), mail.facts.get("text", "")),
        ),
        button=_("Open the step"),
        url=mail.facts.get("page", "") or settings.PUBLIC_URL,
        after=(_("You need to do nothing."),),
        why=_("You get this email because you asked this question about order %(number)s.") % words,
    )


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


Letter = Callable[[Mail, str], Message]
EVENTS: dict[str, Letter] = {
    function.__name__: function
    for function in (
        order_placed,
        order_handed_over,
        order_taken_back,
        order_cancelled,
        setup_delegated,
        setup_taken_over,
        setup_handed_back,
        question_asked,
        question_answered,
        set_up_confirmation,
        set_up_refused,
        set_up_late,
        access_requested,
        access_approved,
        access_declined,
        access_decided,
        right_taken_back,
        desk_asked,
        desk_began,
        desk_gave,
        desk_gave_to_you,
        link_again,
        setup_reminder,
        order_closed,
        order_closed_unfinished,
        order_extended,
    )
}


def sign_in_code(row: SignInCode, code: str) -> Message:
    """To whoever asked to sign in with this address: the one-time code."""
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
