"""The words of the emails about rights in an organization: asked for, decided, taken back."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.emails.message import Message, day, email, until
from provisioning.models import AccessRequest, Mail


@email
def access_requested(mail: Mail, url: str) -> Message:
    """To a full administrator: somebody asks for rights. ``facts``: requester, organization, right, until (ISO)."""
    number = mail.order.number
    words = _words(mail)
    right = _right(mail)
    last = mail.facts.get("until", "")
    if _after_set_up(mail):
        situation = _(
            "%(who)s has set up order %(order)s for %(organization)s, and asks for full rights to go on supporting it. "
            "Only its administrators can give rights there."
        )
        nothing = _("If you do nothing, nobody gets any rights. The order is set up either way.")
    else:
        situation = _(
            "%(who)s is setting up order %(order)s, and can’t go on before an administrator of %(organization)s "
            "agrees. Only its administrators can give rights there."
        )
        nothing = _("If you do nothing, nobody gets any rights, and the order waits.")
    full = right is AccessRequest.Right.FULL
    return Message(
        subject=_("%(who)s asks to be a full administrator of %(organization)s") % words
        if full
        else _("%(who)s asks to set up order %(order)s for %(organization)s") % words,
        title=_("Somebody asks for rights in %(organization)s") % words,
        paragraphs=(
            situation % words,
            _("Look at the request, then approve it, or decline it and say why. The first decision counts."),
        ),
        facts=(
            (_("Asked by"), words["who"]),
            (_("Order"), number),
            (_("Bought by"), mail.order.sold_to),
            (_("Right"), str(right.label)),
            (_("What it allows"), str(right.allows)),
        ),
        button=_("Review the request"),
        url=url,
        after=(
            *((_("The request waits until %(day)s.") % {"day": day(datetime.fromisoformat(last))},) if last else ()),
            nothing,
            _("You don’t know this person? Then decline."),
        ),
        why=_("You get this email because you are a full administrator of %(organization)s.") % words,
    )


@email
def access_approved(mail: Mail, url: str) -> Message:
    """To the person who asked: an administrator agreed. ``facts``: organization, right, ends, perhaps reason."""
    words = _words(mail)
    after = _after_set_up(mail)
    return Message(
        subject=_("Order %(order)s: an administrator approved your request") % words,
        title=_("You have full rights now") if after else _("You can go on with order %(order)s") % words,
        paragraphs=(
            _("An administrator of %(organization)s approved your request.") % words
            if after
            else _("An administrator of %(organization)s approved your request. The order goes on where it was.")
            % words,
            *_said(mail),
        ),
        facts=(*_facts(mail), *_lasting(mail)),
        button=_("See the order summary") if after else _("Continue"),
        url=url,
        after=(
            *until(mail.link),
            _("You need to do nothing more for the order.")
            if after
            else _("If you do nothing, the order stays as it is. Your answers are kept."),
            _("The administrators of %(organization)s can take the right back.") % words,
        ),
        why=_("You get this email because you asked for this right for order %(order)s.") % words,
    )


@email
def access_declined(mail: Mail, url: str) -> Message:
    """To the person who asked: an administrator declined, and why. ``facts``: organization, right, reason."""
    words = _words(mail)
    after = _after_set_up(mail)
    return Message(
        subject=_("Order %(order)s: an administrator declined your request") % words,
        title=_("Your request for order %(order)s was declined") % words,
        paragraphs=(
            _("An administrator of %(organization)s declined your request.") % words,
            *_said(mail),
            _("When that is settled, you can ask again. The order is set up, and stays as it is.")
            if after
            else _(
                "When that is settled, you can ask again. You can also choose another organization, or let "
                "someone else complete the order."
            ),
            _("If you can’t reach anybody who administers %(organization)s, write to %(help)s.") % words,
        ),
        facts=_facts(mail),
        button=_("See what to do"),
        url=url,
        after=(
            *until(mail.link),
            _("If you do nothing, nothing changes.")
            if after
            else _("If you do nothing, the order waits. Your answers are kept."),
        ),
        why=_("You get this email because you asked for this right for order %(order)s.") % words,
    )


@email
def access_decided(mail: Mail, url: str) -> Message:
    """To the other administrators who were asked. ``facts``: requester, organization, right, decision, decided_by."""
    words = _words(mail)
    approved = mail.facts.get("decision") == "approved"
    return Message(
        subject=_("Order %(order)s: the request of %(who)s was approved") % words
        if approved
        else _("Order %(order)s: the request of %(who)s was declined") % words,
        title=_("Another administrator has decided"),
        paragraphs=(
            _("%(decider)s approved the request of %(who)s.") % words
            if approved
            else _("%(decider)s declined the request of %(who)s. They got no rights.") % words,
            *_said(mail),
            _("You need to do nothing. If you don’t agree, you can take the right back: the request leads there.")
            if approved
            else _("You need to do nothing."),
        ),
        facts=(
            (_("Order"), mail.order.number),
            (_("Bought by"), mail.order.sold_to),
            (_("Right"), str(_right(mail).label)),
            *(_lasting(mail) if approved else ()),
        ),
        button=_("See the request"),
        url=url,
        why=_("You get this email because you are a full administrator of %(organization)s, and were asked too.")
        % words,
    )


@email
def right_taken_back(mail: Mail, url: str) -> Message:
    """To the person whose right was taken back, and why. ``facts``: organization, right, reason."""
    words = _words(mail)
    done = _after_set_up(mail) or mail.order.state in {"set_up", "cancelled"}
    return Message(
        subject=_("Order %(order)s: your right was taken back") % words,
        title=_("Your right in %(organization)s was taken back") % words,
        paragraphs=(
            _("An administrator of %(organization)s took back the right that your request had given you.") % words,
            *_said(mail),
            *(
                ()
                if done
                else (
                    _(
                        "You can’t go on with the order before an administrator agrees again. Nothing is lost: your "
                        "answers are kept, and you can ask again."
                    ),
                )
            ),
        ),
        facts=_facts(mail),
        button=_("See what to do") if url and not done else "",
        url=url if not done else "",
        after=(
            _("If you do nothing, nothing changes. The order is not touched by this.")
            if done
            else _("If you do nothing, the order waits."),
        ),
        why=_("You get this email because you had this right by a request for order %(order)s.") % words,
    )


@email
def desk_asked(mail: Mail, url: str) -> Message:
    """To the order desk: somebody asks for its help. ``facts``: requester, organization, right, request (its pk)."""
    words = _words(mail)
    pk = mail.facts.get("request") or "0"
    return Message(
        subject=_("Order %(order)s: %(who)s asks for help with a request for rights") % words,
        title=_("%(who)s asks for the order desk’s help") % words,
        paragraphs=(
            _("Their request to the administrators of %(organization)s was declined, or nobody has answered it.")
            % words,
            _("Open the request to see what can be done."),
        ),
        facts=(*_facts(mail)[:2], (_("Asked by"), words["who"])),
        button=_("Open the request at the order desk"),
        url=f"{settings.PUBLIC_URL}{reverse('admin:provisioning_accessrequest_change', args=[pk])}",
        after=(_("If you do nothing, the order waits."),),
        why=_("You get this email because your address is the one of the order desk, for order %(order)s.") % words,
    )


@email
def desk_began(mail: Mail, url: str) -> Message:
    """To every full administrator: the order desk may give a right. ``facts``: requester, right, objections (ISO)."""
    words = _words(mail)
    until_day = mail.facts.get("objections", "")
    words["day"] = day(datetime.fromisoformat(until_day)) if until_day else "–"
    return Message(
        subject=_("Order %(order)s: do you object to a right for %(who)s?") % words,
        title=_("The order desk may give somebody a right in %(organization)s") % words,
        paragraphs=(
            _(
                "%(who)s asked the administrators of %(organization)s for a right, and nobody answered. The order desk "
                "was told that nobody there can be reached."
            )
            % words,
            _("If that isn’t so, object: decline the request, or approve it yourself. Either ends what the desk does.")
            % words,
        ),
        facts=((_("Asked by"), words["who"]), *_facts(mail), (_("You can object until"), words["day"])),
        button=_("Review the request"),
        url=url,
        after=(
            _("If nobody objects until %(day)s, the order desk can give this right, for a limited time.") % words,
            _("You can take it back at any time then."),
        ),
        why=_("You get this email because you are a full administrator of %(organization)s.") % words,
    )


@email
def desk_gave(mail: Mail, url: str) -> Message:
    """To every full administrator: the order desk gave the right. ``facts``: requester, organization, right, ends."""
    words = _words(mail)
    return Message(
        subject=_("Order %(order)s: the order desk gave %(who)s a right") % words,
        title=_("The order desk gave somebody a right in %(organization)s") % words,
        paragraphs=(
            _("Nobody objected while you could. %(who)s has this right now.") % words,
            _("If you don’t agree, you can take the right back: the request leads there."),
        ),
        facts=((_("Given to"), words["who"]), *_facts(mail), *_lasting(mail)),
        button=_("See the request"),
        url=url,
        after=(_("If you do nothing, they keep it as long as it lasts."),),
        why=_("You get this email because you are a full administrator of %(organization)s.") % words,
    )


@email
def desk_gave_to_you(mail: Mail, url: str) -> Message:
    """To the person who asked: the order desk gave the right. ``facts``: organization, right, ends."""
    words = _words(mail)
    after = _after_set_up(mail)
    return Message(
        subject=_("Order %(order)s: the order desk gave you the right that you asked for") % words,
        title=_("You have full rights now") if after else _("You can go on with order %(order)s") % words,
        paragraphs=(
            _("No administrator of %(organization)s answered, so the order desk gave you this right.") % words,
            _("It is limited: ask an administrator again when one can be reached."),
        ),
        facts=(*_facts(mail), *_lasting(mail)),
        button=_("See the order summary") if after else _("Continue"),
        url=url,
        after=(
            *until(mail.link),
            _("If you do nothing, the order stays as it is. Your answers are kept."),
            _("The administrators of %(organization)s can take the right back.") % words,
        ),
        why=_("You get this email because you asked for this right for order %(order)s.") % words,
    )


def _words(mail: Mail) -> dict[str, str]:
    """What the sentences name; who asks may have chosen an organization without learning its name."""
    return {
        "order": mail.order.number,
        "who": mail.facts.get("requester", ""),
        "organization": mail.facts.get("organization", "") or _("the organization"),
        "decider": mail.facts.get("decided_by", ""),
        "help": settings.HELP_CONTACT,
    }


def _right(mail: Mail) -> AccessRequest.Right:
    return AccessRequest.Right(mail.facts.get("right") or AccessRequest.Right.FULL)


def _after_set_up(mail: Mail) -> bool:
    return bool(mail.facts.get("after_set_up"))


def _facts(mail: Mail) -> tuple[tuple[str, str], ...]:
    right = _right(mail)
    return (
        (_("Order"), mail.order.number),
        (_("Right"), str(right.label)),
        (_("What it allows"), str(right.allows)),
    )


def _lasting(mail: Mail) -> tuple[tuple[str, str], ...]:
    """How long the right lasts."""
    ends = mail.facts.get("ends", "")
    if not ends:
        return ((_("Lasts"), _("until it is taken back")),)
    words = {"day": day(datetime.fromisoformat(ends))}
    if _right(mail) is AccessRequest.Right.PROVISIONING:
        return ((_("Lasts"), _("until the order is set up, at the latest until %(day)s") % words),)
    return ((_("Lasts"), _("until %(day)s") % words),)


def _said(mail: Mail) -> tuple[str, ...]:
    """What the administrator who decided wrote, if anything."""
    reason = mail.facts.get("reason", "")
    return (_("The reason given: “%(reason)s”") % {"reason": reason},) if reason else ()
