"""The words of the emails about an order's set-up-by date.

They tell the order's date as it is when they go out. ``facts``: role (what the reader can do: "act", "decide" on a
request, "watch").
"""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.emails.message import Message, day, email, order_facts, until
from provisioning.models import AccessRequest, Mail
from provisioning.templatetags.display import absolute
from subscriptions.models import Order


@email
def setup_reminder(mail: Mail, url: str) -> Message:
    """To the person who must act before the date, and to the contact who waits for somebody else.

    Says what holds when it goes out, should the mail server have been away for a while.
    """
    words = _words(mail)
    if mail.order.is_closed:
        return order_closed(mail, url)
    if not mail.order.is_open:
        return _over(mail)
    asked = _asked(mail)
    if asked:
        words |= {"who": asked.requester.email, "organization": asked.organization.name}
        subject = _("Reminder: a request about order %(number)s waits for your decision") % words
        title = _("A request waits for your decision")
        said = _("%(who)s asked for rights in %(organization)s, and nobody has decided yet.") % words
        then = _("The order closes on %(moment)s. Then nothing can be decided any more.") % words
        button = _("Review the request")
    else:
        watching = mail.facts.get("role") == "watch"
        subject = _("Reminder: order %(number)s has to be set up by %(day)s") % words
        title = _("Set up order %(number)s by %(day)s") % words
        said = _waiting(mail) if watching else _("This order is not set up yet. Your answers so far are kept.")
        then = _("The order closes on %(moment)s.") % words
        button = _("See where it stands") if watching else _("Set Up Your Service")
    return Message(
        subject=subject,
        title=title,
        paragraphs=(said, then),
        facts=order_facts(mail.order),
        button=button,
        url=url,
        after=(*until(mail.link), _if_nothing()),
        why=_why(mail),
    )


@email
def order_closed(mail: Mail, url: str) -> Message:
    """To those who could have completed the order: its date has passed."""
    if mail.order.is_open:  # there is more time meanwhile
        return order_extended(mail, url)
    words = _words(mail)
    return Message(
        subject=_("Order %(number)s is closed") % words,
        title=_("Order %(number)s is closed") % words,
        paragraphs=(
            _("It had to be set up by %(moment)s, and it was not. Nothing was set up.") % words,
            _(
                "Nothing is deleted, and your answers are kept. If the services are still needed, answer this email or "
                "write to %(help)s and ask for more time. Then the order goes on where it was."
            )
            % words,
        ),
        facts=order_facts(mail.order),
        button=_("See what to do"),
        url=url,
        after=(_("If you do nothing, the order stays closed."),),
        why=_why(mail),
    )


@email
def order_closed_unfinished(mail: Mail, url: str) -> Message:
    """To the order desk: an order closed before it was set up."""
    words = {**_words(mail), "contact": mail.order.contact_email}
    return Message(
        subject=_("Order %(number)s closed before it was set up") % words,
        title=_("Order %(number)s closed before it was set up") % words,
        paragraphs=(
            _("Its set-up-by date, %(moment)s, has passed. Its provisioning contact is %(contact)s.") % words,
            _("Give it more time, and it goes on where it was; or cancel it."),
        ),
        facts=(*order_facts(mail.order), (_("State"), str(Order.State(mail.order.state).label))),
        button=_("Open the order at the order desk"),
        url=f"{settings.PUBLIC_URL}{reverse('admin:subscriptions_order_change', args=[mail.order.pk])}",
        after=(_("If you do nothing, the order stays closed. Nothing is deleted."),),
        why=_("You get this email because your address is the one of the order desk, for order %(number)s.") % words,
    )


@email
def order_extended(mail: Mail, url: str) -> Message:
    """To the person who must act and the contact who waits: more time. ``facts``: also reopened ("yes" or "")."""
    words = _words(mail)
    asked = _asked(mail)
    watching = mail.facts.get("role") == "watch"
    if mail.facts.get("reopened"):
        title = _("Order %(number)s is open again") % words
    else:
        title = _("There is more time for order %(number)s") % words
    if asked:
        words |= {"who": asked.requester.email, "organization": asked.organization.name}
        next_up = _("%(who)s asked for rights in %(organization)s, and nobody has decided yet.") % words
    elif watching:
        next_up = _waiting(mail)
    else:
        next_up = _("It goes on where it was: your answers are kept.")
    return Message(
        subject=title,
        title=title,
        paragraphs=(_("The order desk gave it more time: it has to be set up by %(moment)s.") % words, next_up),
        facts=order_facts(mail.order),
        button=_("Review the request") if asked else _("See where it stands") if watching else _("Set Up Your Service"),
        url=url,
        after=(*until(mail.link), _if_nothing()),
        why=_why(mail),
    )


def _over(mail: Mail) -> Message:
    words = _words(mail)
    return Message(
        subject=_("Order %(number)s needs nothing more from you") % words,
        title=_("Order %(number)s needs nothing more from you") % words,
        paragraphs=(
            _("We wanted to remind you of its set-up-by date. Meanwhile it was set up, or cancelled."),
            _("There is nothing that you need to do."),
        ),
        facts=order_facts(mail.order),
        why=_why(mail),
    )


def _words(mail: Mail) -> dict[str, str]:
    closes_at = mail.order.closes_at
    return {
        "number": mail.order.number,
        "day": day(closes_at),
        "moment": absolute(closes_at),
        "help": settings.HELP_CONTACT,
    }


def _asked(mail: Mail) -> AccessRequest | None:
    """The request that the reader was asked to decide, if that is why they get the email."""
    return mail.link.part.access_request if mail.link else None


def _waiting(mail: Mail) -> str:
    """Return the person whom the order waits for, and what its contact can do instead."""
    if mail.order.delegated_to:
        return _("It waits for %(person)s, whom we told too. You can take the set-up over at any time.") % {
            "person": mail.order.delegated_to
        }
    return _(
        "It waits for an administrator of the organization. You can choose another organization, or let someone else "
        "complete the order."
    )


def _if_nothing() -> str:
    return _(
        "If nobody does anything, the order closes then. Nothing is deleted, and the order desk can give it more time."
    )


def _why(mail: Mail) -> str:
    asked = _asked(mail)
    if asked:
        return _("You get this email because you are a full administrator of %(organization)s.") % {
            "organization": asked.organization.name
        }
    return _("You get this email because you have a part in order %(number)s.") % {"number": mail.order.number}
