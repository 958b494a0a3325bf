"""The words of the emails while an order's services are being set up.

They tell what holds when they go out. ``facts``: line (its number), or lines (several, with commas between them);
emails of before named the service, or services.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from provisioning.emails.message import Message, email, order_facts
from provisioning.models import Mail
from subscriptions import packs
from subscriptions.models import ProvisioningRequest

State = ProvisioningRequest.State


@email
def set_up_refused(mail: Mail, url: str) -> Message:
    """To the person who sets up: the other side refused an answer. The button leads to the step."""
    number = mail.order.number
    request = _requests(mail).filter(state=State.REFUSED).first()
    if request is None:
        return _over(mail)
    words = {"number": number, "service": packs.labels_of(mail.order.lines.all())[request.line.number]}
    return Message(
        subject=_("Order %(number)s: something has to be changed before %(service)s can be set up") % words,
        title=_("Something has to be changed for %(service)s") % words,
        paragraphs=(
            _("The system that sets %(service)s up does not accept one of the answers. It says:") % words,
            _("“%(sentence)s”") % {"sentence": request.problem},
            _("Every answer is kept. The button leads to the one that has to be changed; then confirm again."),
        ),
        facts=order_facts(mail.order),
        button=_("Change the answer"),
        url=f"{settings.PUBLIC_URL}{reverse('set_up', args=[number])}",
        after=(
            _("What else was ordered goes on meanwhile."),
            _("If you do nothing, %(service)s is not set up. You don’t have to order again.") % words,
        ),
        why=_("You get this email because you set up the services of order %(number)s.") % words,
    )


@email
def set_up_late(mail: Mail, url: str) -> Message:
    """To those who wait for the set-up: it takes longer than promised, and what happens next."""
    number = mail.order.number
    requests = list(_requests(mail).exclude(state=State.SUCCEEDED))
    if not requests:
        return _over(mail)
    labels = packs.labels_of(mail.order.lines.all())
    names = ", ".join(labels[line.number] for line in packs.in_order([each.line for each in requests]))
    words = {"number": number, "services": names, "help": settings.HELP_CONTACT}
    at_desk = any(request.state == State.FAILED for request in requests)
    return Message(
        subject=_("Order %(number)s: the set-up takes longer than promised") % words,
        title=_("The set-up takes longer than promised"),
        paragraphs=(
            _("Not set up yet: %(services)s.") % words,
            _("The order desk knows, and sees to it.")
            if at_desk
            else _("It goes on by itself. Where it can’t, the order desk is told and sees to it."),
            _("Nothing is lost, and you don’t have to order again. You get an email when everything is set up."),
        ),
        facts=order_facts(mail.order),
        button=_("See how far it is"),
        url=f"{settings.PUBLIC_URL}{reverse('order', args=[number])}",
        after=(_("You need to do nothing. Questions? Write to %(help)s.") % words,),
        why=_("You get this email because you have a part in order %(number)s.") % words,
    )


@email
def set_up_failed(mail: Mail, url: str) -> Message:
    """To the order desk: everything that failed since the email before, and that only the desk can mend.

    ``facts``: told, the moment that is noted with the requests.
    """
    why = _("You get this email because your address is the one of the order desk.")
    told = ProvisioningRequest.objects.filter(told_desk_at=mail.facts.get("told"), state=State.FAILED)
    rows = told.filter(superseded_at=None).select_related("line", "order").order_by("state_since", "pk")
    failed = list(rows) if "told" in mail.facts else []
    if not failed:
        return _over(mail, why)
    words = {"count": len(failed), "shown": _MOST_SHOWN}
    paragraphs = [_("Only the order desk can mend this. The people who wait read that the order desk sees to it.")]
    if len(failed) > _MOST_SHOWN:
        paragraphs.append(_("The first %(shown)s of %(count)s are below.") % words)
    title = ngettext("%(count)s set-up has failed", "%(count)s set-ups have failed", len(failed)) % words
    return Message(
        subject=title,
        title=title,
        paragraphs=tuple(paragraphs),
        facts=tuple(
            (each.order.number, f"{packs.line_label(each.line, several=True)}: {each.problem} ({each.problem_code})")
            for each in failed[:_MOST_SHOWN]
        ),
        button=_("Open the queue at the order desk"),
        url=f"{settings.PUBLIC_URL}{reverse('admin:subscriptions_provisioningrequest_changelist')}",
        after=(_("Retry, mark as done, or cancel the order. If you do nothing, they stay as they are."),),
        why=why,
    )


_MOST_SHOWN: Final = 20


def _requests(mail: Mail) -> QuerySet[ProvisioningRequest]:
    """The requests that count of the lines that the email is about."""
    current = ProvisioningRequest.objects.filter(order=mail.order, superseded_at=None, line__removed_at=None)
    facts = mail.facts
    if lines := facts.get("line") or facts.get("lines"):
        return current.filter(line__number__in=lines.split(",")).select_related("line")
    services = facts.get("service") or facts.get("services", "")
    return current.filter(line__service__in=services.split(",")).select_related("line")


def _over(mail: Mail, why: str = "") -> Message:
    words = {"number": mail.order.number}
    return Message(
        subject=_("Order %(number)s needs nothing more from you") % words,
        title=_("Order %(number)s needs nothing more from you") % words,
        paragraphs=(
            _("We wanted to write to you about its set-up. Meanwhile it went on."),
            _("There is nothing that you need to do."),
        ),
        facts=order_facts(mail.order),
        why=why or _("You get this email because you have a part in order %(number)s.") % words,
    )
