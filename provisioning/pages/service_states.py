"""How far each service of an order is, in the words of the page of progress and of *My orders*."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext as _

from provisioning.people.access import Access, May
from provisioning.templatetags.display import masked
from subscriptions import packs
from subscriptions.models import Order, OrderLine, ProvisioningRequest

State = ProvisioningRequest.State

# The look of a state's tag, in words of the stylesheet.
LOOKS = {
    State.WAITING: "waiting",
    State.IN_PROGRESS: "waiting",
    State.SUCCEEDED: "done",
    State.REFUSED: "problem",
    State.FAILED: "problem",
    State.CANCELLED: "next",
}


@dataclass(frozen=True)
class ServiceState:
    """One line of an order that is being set up, as this person may read it."""

    key: str  # unlike those of the order's other lines, for HTML ids
    number: int
    label: str
    state: str  # of ProvisioningRequest; a line that nothing is asked for is like one that was taken back
    status: str
    look: str
    since: datetime | None
    owner: str  # who has to act; "" where nobody has
    note: str  # what happens next
    said: str  # the other side's own words
    begun: bool  # something may exist outside

    @property
    def is_open(self) -> bool:
        """Say whether the other side still has to do something."""
        return self.state in {State.WAITING, State.IN_PROGRESS}

    @property
    def is_to_answer(self) -> bool:
        """Say whether a person has to change something, and confirm again."""
        return self.state in ProvisioningRequest.TO_ANSWER


def of_lines(access: Access, requests: Iterable[ProvisioningRequest]) -> list[ServiceState]:
    """Return the states of an order's lines, as services are shown; ``requests`` are those that count."""
    found = {request.line_id: request for request in requests}
    lines = packs.in_order(access.order.lines.all())
    states = [State(found[line.pk].state) if line.pk in found else State.CANCELLED for line in lines]
    to_answer = any(state in ProvisioningRequest.TO_ANSWER for state in states)
    access = replace(access, to_answer=to_answer)
    labels = packs.labels_of(lines)
    return [
        _of(access, line, labels[line.number], state, found.get(line.pk))
        for line, state in zip(lines, states, strict=True)
    ]


def who_answers(access: Access) -> str:
    """Return who changes what was refused: you, or the other one, whose address the reader typed or reads masked."""
    order = access.order
    if access.may(May.SET_UP):
        return _("you")
    if access.right_is_over:
        return _("an administrator of the organization")
    if order.delegated_to:
        return order.delegated_to
    return masked(order.contact_email)


def _of(access: Access, line: OrderLine, label: str, state: State, request: ProvisioningRequest | None) -> ServiceState:
    status = _("Taken back") if request and state == State.CANCELLED else str(state.label)
    refused = request is not None and state == State.REFUSED
    return ServiceState(
        key=line.service if label == packs.label_of(line.service) else f"{line.service}-{line.number}",
        number=line.number,
        label=label,
        state=state.value,
        status=status if request else _("Not asked for yet"),
        look=LOOKS[state],
        since=request.state_since if request else None,
        owner=_owner(access, state),
        note=_note(request),
        said=(request.problem if refused else request.description if request.is_open else "") if request else "",
        begun=bool(request and request.started_at),
    )


def _owner(access: Access, state: State) -> str:
    if state in ProvisioningRequest.TO_ANSWER:
        return who_answers(access)
    if state == State.FAILED:
        return _("the order desk")
    return ""


def _note(request: ProvisioningRequest | None) -> str:
    if request is None or request.state == State.SUCCEEDED:
        return ""
    if request.state == State.FAILED:
        return _("The order desk sees to it. You don’t have to do anything, and don’t have to order again.")
    if request.state == State.REFUSED:
        return _("Your answers are kept. Only what has to be changed is asked again.")
    if request.state == State.CANCELLED:
        return _("Your answers are kept: change them, and confirm again.")
    if request.unreachable_since:
        return _("The system that sets it up can’t be reached at the moment. It is tried again; nothing is lost.")
    if request.told_late_at:
        return _("It takes longer than usual. It goes on by itself; you get an email when it is done.")
    return ""


def current_of(orders: Iterable[int]) -> dict[int, list[ProvisioningRequest]]:
    """Return the requests that count of these orders that are being set up, by order; one query for all."""
    found: dict[int, list[ProvisioningRequest]] = {}
    rows = ProvisioningRequest.objects.filter(
        order__in=list(orders), superseded_at=None, order__state=Order.State.SETTING_UP
    )
    for request in rows:
        found.setdefault(request.order_id, []).append(request)
    return found
