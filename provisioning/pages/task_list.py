"""*My orders* as a task list: each order with its two tasks, who has each, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from django.db.models import BooleanField, ExpressionWrapper, Q, prefetch_related_objects
from django.urls import reverse
from django.utils.translation import gettext as _

from provisioning.models import AccessRequest, Draft, Part, User
from provisioning.pages import service_states
from provisioning.pages.order_status import page_of
from provisioning.pages.service_states import ServiceState
from provisioning.people import pending_replies
from provisioning.people.access import Access, May, Role, orders_of
from provisioning.templatetags.display import day, masked
from subscriptions.models import Order

State = Order.State

# The states of a task or an entry, the most urgent first: yours to do, stuck, somebody else's, later, done, over.
STATES: Final = ("next", "problem", "waiting", "todo", "done", "ended")


@dataclass(frozen=True)
class Task:
    """One of the two tasks of an order, or a service of the second while that is being set up.

    ``state`` is one of STATES, ``owner`` who has it ("" where nobody need).
    """

    title: str
    status: str
    state: str
    owner: str = ""


@dataclass(frozen=True)
class Entry:
    """One order of a person, or one request that they were asked to decide."""

    order: Order
    title: str
    url: str
    status: str
    state: str
    button: str
    owner: str = ""  # where there are no tasks that say it
    note: str = ""
    tasks: tuple[Task, ...] = ()
    due: bool = False  # the set-up-by date is the reader's


@dataclass(frozen=True)
class _Begun:
    """Which parts of an order's wizard have an answer."""

    find: bool = False
    set_up: bool = False


def entries(user: User, *, most: int | None = None) -> list[Entry] | None:
    """Return what *My orders* shows this person, in as many queries for one order as for many.

    None where the person has more parts in orders than ``most``.

    What is theirs to do comes first, the earliest date before the others, then what is stuck, waits, is done or over.
    """
    found = orders_of(user, most=most)
    if found is None:
        return None
    orders = [access.order.pk for access in found]
    begun = {order: _Begun(find, set_up) for order, find, set_up in _answered(orders)}
    requests = AccessRequest.objects.filter(order__in=orders, requester=user)
    asked = {each.order_id: each for each in requests.order_by("pk")}
    running = service_states.current_of(orders)
    prefetch_related_objects([access.order for access in found], "lines")
    made = [
        _entry(
            access,
            begun.get(access.order.pk, _Begun()),
            asked.get(access.order.pk),
            service_states.of_lines(access, running[access.order.pk]) if access.order.pk in running else [],
        )
        for access in found
    ]
    lost = pending_replies.unreachable(orders)
    made = [_unreachable(access, entry, lost) for access, entry in zip(found, made, strict=True)]
    return sorted(made, key=lambda entry: (STATES.index(entry.state), entry.state == "next" and entry.order.closes_at))


def _unreachable(access: Access, entry: Entry, lost: dict[tuple[int, str], Part]) -> Entry:
    """The entry of somebody who waits for a person whose mailbox can't be reached: theirs to see to."""
    role = Part.Role.CONTACT if access.role is Role.FORMER_CONTACT else Part.Role.DELEGATE
    part = lost.get((access.order.pk, role))
    mine = part is not None and (access.may(May.TAKE_OVER) or part.given_by_id == access.part.pk)
    if entry.state != "waiting" or not mine:
        return entry
    return replace(
        entry,
        status=_("There is a problem"),
        state="problem",
        note=_("The email could not be delivered"),
        button=_("See what to do"),
    )


def _answered(orders: list[int]) -> list[tuple[int, bool, bool]]:
    """Return (order, whether finding has begun, whether the set-up has) of those that have a draft."""

    def any_of(flow: str) -> ExpressionWrapper[Q]:
        some = Q(steps__has_key=flow) & ~Q(**{f"steps__{flow}": {}})
        return ExpressionWrapper(some, output_field=BooleanField())

    drafts = Draft.objects.filter(order__in=orders).annotate(find=any_of("find"), set_up=any_of("set_up"))
    return list(drafts.values_list("order_id", "find", "set_up"))


def _entry(access: Access, begun: _Begun, asked: AccessRequest | None, services: list[ServiceState]) -> Entry:
    order = access.order
    if access.role is Role.APPROVER:
        return _of_request(access)
    entry = Entry(
        order=order,
        title=order.customer_name or order.sold_to,
        url=reverse("order", args=[order.number]),
        status=_("Completed"),
        state="done",
        button=_("Open"),
    )
    if order.state == State.CANCELLED:
        return replace(entry, status=_("Cancelled"), state="ended")
    if order.is_on_hold:
        said = order.hold_message if access.role in {Role.CONTACT, Role.DELEGATE} else ""
        return replace(entry, status=_("On hold"), state="waiting", owner=_("the order desk"), note=said)
    if access.role in {Role.CONTACT, Role.DELEGATE}:
        return _of_its_own(access, entry, begun, asked, services)
    if order.state == State.SET_UP:
        return entry  # who no longer has the order need not know what became of it
    if order.is_closed:
        return replace(entry, status=_("There is a problem"), state="problem", note=_closed(order))
    if access.role is Role.FORMER_CONTACT:
        owner = masked(order.contact_email)
        return replace(
            entry, status=_("Waiting for somebody else"), state="waiting", owner=owner, button=_("See who has it")
        )
    return replace(entry, status=_("Waiting for the partner"), state="waiting", owner=_("the partner"))


def _of_its_own(
    access: Access, entry: Entry, begun: _Begun, asked: AccessRequest | None, services: list[ServiceState]
) -> Entry:
    """The entry of somebody who has the order, with both tasks."""
    order = access.order
    if services:
        return _being_set_up(access, entry, services)
    tasks = (_finding(access, begun, asked), _setting_up(access, begun, asked))
    current = next((task for task in tasks if task.state != "done"), tasks[-1])
    started = begun.find or begun.set_up or tasks[0].state == "done"
    status = _("In progress") if current.state == "next" and started else current.status
    problem = _reason(asked or access.part.rests_on) if current.state == "problem" else ""
    return replace(
        entry,
        title=order.customer.name if order.customer else entry.title,
        status=status,
        state=current.state,
        button=_button(access, current, started=started),
        note=_closed(order) if order.is_closed else problem,
        tasks=tasks,
        due=order.is_open,
    )


def _being_set_up(access: Access, entry: Entry, services: list[ServiceState]) -> Entry:
    """The entry of an order that is being set up: how far each service is, and whether something is the reader's."""
    access = replace(access, to_answer=any(each.is_to_answer for each in services))
    finding = _finding(access, _Begun(), None)
    tasks = (finding, *(Task(each.label, each.status, _LOOKS[each.look], each.owner) for each in services))
    answering = [each for each in services if each.is_to_answer]
    mine = bool(answering) and access.may(May.SET_UP)
    problem = next((each for each in services if each.look == "problem"), None)
    return replace(
        entry,
        title=access.order.customer.name if access.order.customer else entry.title,
        status=_("There is a problem") if problem else _("In progress") if mine else _("Being set up"),
        state="next" if mine else "problem" if problem or answering else "waiting",
        button=_("Change the answers") if mine else _("See progress"),
        note=problem.said or problem.note if problem else "",
        tasks=tasks,
    )


_LOOKS: Final = {"waiting": "waiting", "done": "done", "problem": "problem", "next": "todo"}


def _finding(access: Access, begun: _Begun, asked: AccessRequest | None) -> Task:
    title, order = _("Find the organizations"), access.order
    if order.state not in {State.PLACED, State.HELD}:
        return Task(title, _("Completed"), "done")
    if order.is_closed or (order.state == State.HELD and _reason(asked)):
        return Task(title, _("There is a problem"), "problem", _("you"))
    if order.state == State.HELD:
        return Task(title, _("Waiting for an administrator"), "waiting", _("an administrator"))
    return Task(title, _("In progress") if begun.find else _("Not started"), "next", _("you"))


def _setting_up(access: Access, begun: _Begun, asked: AccessRequest | None) -> Task:
    title, order = _("Set up the services"), access.order
    if order.state == State.SET_UP:
        return Task(title, _("Completed"), "done")
    if order.state != State.MAPPED:
        return Task(title, _("Not started"), "todo")
    if order.is_closed:
        return Task(title, _("There is a problem"), "problem", _("you"))
    if access.may(May.ASK_FOR_SET_UP):
        if _reason(asked or access.part.rests_on):
            return Task(title, _("There is a problem"), "problem", _("you"))
        return Task(title, _("Waiting for an administrator"), "waiting", _("an administrator"))
    if access.may(May.TAKE_OVER):
        return Task(title, _("Waiting for the customer"), "waiting", order.delegated_to)
    return Task(title, _("In progress") if begun.set_up else _("Not started"), "next", _("you"))


def _button(access: Access, current: Task, *, started: bool) -> str:
    if access.may(May.READ_SUMMARY):
        return _("Open the order summary")
    if current.state == "problem":
        return _("See what to do")
    if current.state == "waiting":
        return _("See progress") if access.may(May.TAKE_OVER) else _("Open")
    if access.order.state == State.MAPPED:
        return _("Set up the services")
    return _("Continue") if started else _("Start")


def _reason(asked: AccessRequest | None) -> str:
    """Why a request doesn't let the person go on; "" where it still may, or where there is none."""
    reasons = {
        AccessRequest.State.DECLINED: _("Your request was declined"),
        AccessRequest.State.EXPIRED: _("Nobody has answered"),
        AccessRequest.State.LAPSED: _("Your right has ended"),
        AccessRequest.State.TAKEN_BACK: _("Your right was taken back"),
    }
    return reasons.get(asked.state, "") if asked else ""


def _closed(order: Order) -> str:
    return _("The order closed on %(day)s.") % {"day": day(order.closes_at)}


def _of_request(access: Access) -> Entry:
    """An approver's entry: the request, and nothing else of the order."""
    request = access.request
    entry = Entry(
        order=access.order,
        title=request.organization.name,
        url=page_of(access),
        status=_("Nothing to decide any more"),
        state="ended",
        button=_("Open"),
    )
    if access.may(May.DECIDE):
        waits = _("%(who)s asks for rights and can’t go on without them.")
        note = (_("%(who)s asks for full rights.") if request.after_set_up else waits) % {
            "who": request.requester.email
        }
        status, button = _("Waiting for your decision"), _("Review the request")
        return replace(entry, status=status, state="next", owner=_("you"), note=note, button=button)
    if request.decision:
        taken_back = request.state is AccessRequest.State.TAKEN_BACK
        note = _("Right taken back") if taken_back else request.get_decision_display()
        return replace(entry, status=_("Completed"), state="done", note=note)
    return entry
