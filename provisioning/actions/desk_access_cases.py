"""The order desk's way where an organization's administrators can't be reached: two operators, and a waiting time.

One operator begins it with the evidence. All full administrators of record get an email and can decide the request
meanwhile, which ends it. When the waiting time is over, another operator gives the right that was asked for, limited in
time. Who asked learns only that the order desk is looking into it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import Http404
from django.utils import timezone

from orgs import policies
from provisioning import emails, history
from provisioning.actions.access_decisions import ReasonMissing, approve_request, facts_of, locked_request
from provisioning.actions.access_requests import (
    contact_of,
    email_about_request,
    full_administrators_of,
    release_held_order,
)
from provisioning.actions.orders import refuse_closed
from provisioning.models import AccessRequest, DeskCase, Event, Part, User
from provisioning.people import links
from provisioning.people.access import access_to
from subscriptions.models import Order

# How long the other operator has to give the right once the waiting time is over.
TO_CONFIRM: Final = timedelta(days=14)


class DeskMayNot(Exception):
    """The order desk may not do this with a request now: it was decided, or is no longer asked."""


class SamePerson(Exception):
    """The operator began this, or asks for the right: another one has to give it."""


class NoSupervisor(Exception):
    """Neither of the two operators is a supervisor."""


class TooEarly(Exception):
    """The administrators can still object: the waiting time isn't over."""


@transaction.atomic
def ask_desk(*, order: Order, by: User) -> DeskCase:
    """Ask the order desk for help with the last request, which was declined or that nobody answered; once.

    Raises Http404 for somebody whose request still waits, or who never asked.
    """
    access = access_to(by, order.number, lock=True)
    refuse_closed(access.order)
    request = access.order.access_requests.filter(requester=by).order_by("-pk").first()
    if request is None or not request.may_be_asked_again:
        raise Http404
    case, _created = DeskCase.objects.get_or_create(request=request)
    if case.asked_at is None:
        case.asked_at = timezone.now()
        case.save(update_fields=["asked_at"])
        history.record(order=access.order, kind=Event.Kind.DESK_ASKED, by=by, facts={"right": request.right})
        if "@" in settings.HELP_CONTACT:
            _tell_desk(case)
    return case


@transaction.atomic
def begin_desk_case(*, request: AccessRequest, by: User, evidence: str) -> DeskCase:
    """Begin to give the right that was asked for, as an operator: every full administrator is told, and can object.

    ``evidence`` is whose organization it is and why nobody there can be reached, for the other operator and the
    history. Raises DeskMayNot where an administrator has answered, SamePerson, ReasonMissing, Refused for a closed
    order.
    """
    order, request = locked_request(request)
    refuse_closed(order)
    case, _created = DeskCase.objects.select_for_update(of=("self",)).get_or_create(request=request)
    case.request = request
    if case.begun_at is not None:
        return case
    if not policies.desk_may_look_into(state=request.state):
        raise DeskMayNot
    if request.requester_id == by.pk:
        raise SamePerson
    evidence = evidence.strip()
    if not evidence:
        raise ReasonMissing
    now = timezone.now()
    case.begun_at, case.begun_by, case.evidence = now, by, evidence
    case.waits_until = now + timedelta(days=settings.DESK_WAIT_DAYS)
    case.save(update_fields=["begun_at", "begun_by", "evidence", "waits_until"])
    # The administrators can decide as long as the desk can.
    request.expires_at = case.waits_until + TO_CONFIRM
    request.save(update_fields=["expires_at"])
    facts = {**facts_of(request), "evidence": evidence, "until": case.waits_until.isoformat()}
    history.record(order=order, kind=Event.Kind.DESK_BEGUN, by=by, facts=facts)
    for email in full_administrators_of(request.organization):
        if email == request.requester.email:
            continue
        user = links.user_for(email)
        part, _new = Part.objects.get_or_create(order=order, user=user, role=Part.Role.APPROVER, access_request=request)
        email_about_request(request, event="desk_began", part=part)
    return case


@transaction.atomic
def confirm_desk_case(*, case: DeskCase, by: User) -> DeskCase:
    """Give the right, as another operator than who began it, once the waiting time is over; twice is once.

    One of the two has to be a supervisor. Raises SamePerson, NoSupervisor, TooEarly, DeskMayNot where an administrator
    has decided meanwhile, Refused for a closed order.
    """
    order, request = locked_request(case.request)
    case = DeskCase.objects.select_for_update(of=("self",)).select_related("begun_by").get(pk=case.pk)
    case.request = request
    if case.confirmed_at is not None:
        return case
    refuse_closed(order)
    if case.begun_at is None or case.waits_until is None or request.state is not AccessRequest.State.OPEN:
        raise DeskMayNot
    if by.pk in {case.begun_by_id, request.requester_id}:
        raise SamePerson
    if not (by.is_supervisor or (case.begun_by and case.begun_by.is_supervisor)):
        raise NoSupervisor
    now = timezone.now()
    if now < case.waits_until:
        raise TooEarly
    case.confirmed_at, case.confirmed_by = now, by
    case.save(update_fields=["confirmed_at", "confirmed_by"])
    approve_request(order=order, request=request, by=by, ends_at=now + policies.DESK_LASTS)
    facts = {**facts_of(request), "began": case.begun_by.email if case.begun_by else "", "evidence": case.evidence}
    history.record(order=order, kind=Event.Kind.DESK_GAVE, by=by, facts=facts)
    release_held_order(order=order, by=by)
    if contact := contact_of(order, request.requester).first():
        email_about_request(request, event="desk_gave_to_you", part=contact)
    full = full_administrators_of(request.organization)
    for part in request.approvers.filter(user__email__in=full).exclude(user=request.requester).order_by("pk"):
        email_about_request(request, event="desk_gave", part=part)
    return case


def _tell_desk(case: DeskCase) -> None:
    request = case.request
    emails.queue(
        order=request.order,
        event="desk_asked",
        to=settings.HELP_CONTACT,
        requester=request.requester.email,
        organization=request.organization.name,
        right=request.right,
        request=str(request.pk),
        state=request.state.value,
    )
