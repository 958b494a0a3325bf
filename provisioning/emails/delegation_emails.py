"""The emails about a set-up that the partner and the customer's administrator share."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from provisioning.emails.message import Message, customer_of, email, order_facts, until
from provisioning.models import Mail


@email
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


@email
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


@email
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


@email
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


@email
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
