"""Who may do what with an order: the one place where roles are read; everything else asks here."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest
from django.utils import timezone

from orgs.models import Member, Organization, full_administrators
from provisioning.history.event_sentences import Reader
from provisioning.models import AccessRequest, Part, User
from provisioning.people import pending_replies
from provisioning.people.pending_replies import Waiting
from subscriptions.actions import lines_to_ask_for
from subscriptions.models import Order, OrderLine

_WITH_REQUEST = (
    "order",
    "access_request__organization",
    "access_request__requester",
    "access_request__decided_by",
    "access_request__taken_back_by",
    "access_request__desk_case",
    "rests_on",
)


class Role(enum.StrEnum):
    """A person's part in an order, as of now."""

    CONTACT = "contact"
    FORMER_CONTACT = "former_contact"
    DELEGATE = "delegate"
    FORMER_DELEGATE = "former_delegate"
    APPROVER = "approver"


class May(enum.StrEnum):
    """What somebody may do with an order."""

    SEE = "see"  # that it exists, and who has it
    FIND = "find"  # say who it is for, find and confirm the organizations
    HAND_OVER = "hand_over"
    TAKE_BACK = "take_back"
    SET_UP = "set_up"
    TAKE_OVER = "take_over"
    READ_SUMMARY = "read_summary"
    SEE_PROGRESS = "see_progress"  # how far each service is, while the order is being set up
    STOP_SET_UP = "stop_set_up"  # take back what is asked for and not set up yet
    DECIDE = "decide"  # on a request for rights in one's organization
    SEE_HISTORY = "see_history"  # their part of it: access_to(…).reader
    HAND_BACK = "hand_back"  # the set-up, to the customer it was taken over from
    DISCUSS = "discuss"  # ask and answer about fields of the set-up
    ASK_FOR_SET_UP = "ask_for_set_up"  # anew, for the right that the set-up rested on
    ASK_FOR_FULL_RIGHT = "ask_for_full_right"  # once the order is set up


State = Order.State
UNMAPPED = frozenset({State.PLACED, State.HELD})

# An order whose set-up-by date has passed, whatever its state: nobody can do anything before it is extended.
CLOSED: Final = "closed"

# What each role may do, by the order's state. A row that is missing allows nothing but what SEE gives; so for CLOSED.
RULES: dict[tuple[Role, str], frozenset[May]] = {
    (Role.CONTACT, State.PLACED): frozenset({May.FIND, May.HAND_OVER}),
    (Role.CONTACT, State.HELD): frozenset({May.FIND, May.HAND_OVER}),
    (Role.CONTACT, State.MAPPED): frozenset(
        {May.SET_UP, May.TAKE_OVER, May.HAND_BACK, May.DISCUSS, May.ASK_FOR_SET_UP}
    ),
    (Role.CONTACT, State.SETTING_UP): frozenset(
        {
            May.READ_SUMMARY,
            May.SEE_PROGRESS,
            May.SET_UP,
            May.STOP_SET_UP,
            May.TAKE_OVER,
            May.DISCUSS,
            May.ASK_FOR_SET_UP,
        }
    ),
    (Role.DELEGATE, State.SETTING_UP): frozenset(
        {May.READ_SUMMARY, May.SEE_PROGRESS, May.SET_UP, May.STOP_SET_UP, May.DISCUSS}
    ),
    (Role.CONTACT, State.SET_UP): frozenset({May.READ_SUMMARY, May.ASK_FOR_FULL_RIGHT}),
    (Role.DELEGATE, State.MAPPED): frozenset({May.SET_UP, May.DISCUSS}),
    (Role.DELEGATE, State.SET_UP): frozenset({May.READ_SUMMARY}),
    (Role.FORMER_CONTACT, State.PLACED): frozenset({May.TAKE_BACK}),
    (Role.FORMER_CONTACT, State.HELD): frozenset({May.TAKE_BACK}),
    (Role.APPROVER, State.HELD): frozenset({May.DECIDE}),
    # Asked anew when a right was taken back, and for full rights afterwards: the order isn't held by these.
    (Role.APPROVER, State.MAPPED): frozenset({May.DECIDE}),
    (Role.APPROVER, State.SETTING_UP): frozenset({May.DECIDE}),
    (Role.APPROVER, State.SET_UP): frozenset({May.DECIDE}),
}


@dataclass(frozen=True)
class Access:
    """One person's access to one order; an approver's is to one request of it, and to nothing else."""

    order: Order
    user: User
    part: Part
    role: Role
    # Whether an approver still is a full administrator, where that was looked up with the part.
    administers: bool | None = None
    # Whether a line of an order that is being set up is to be answered, where that was looked up already.
    to_answer: bool | None = None

    @property
    def standing(self) -> str:
        """The order's state as ``RULES`` know it: the date alone says that it is closed, no job has to."""
        return CLOSED if self.order.is_closed else self.order.state

    def would_may(self, what: May | str) -> bool:
        """Say whether this person might do that if the order were not closed."""
        return what in RULES.get((self.role, self.order.state), frozenset())

    def may(self, what: May | str) -> bool:
        """Say whether this person may do that, as the order is now."""
        what = May(what)
        if what is May.SEE:
            return True
        if what is May.SEE_HISTORY:
            return self.role is not Role.APPROVER
        if what not in RULES.get((self.role, self.standing), frozenset()):
            return False
        delegated = bool(self.order.delegated_to)
        if what is May.ASK_FOR_SET_UP:
            return self.right_is_over
        if what is May.SET_UP and self.order.state == State.SETTING_UP and not self.has_lines_to_answer:
            return False  # everything is asked for already
        if what is May.STOP_SET_UP and (self.right_is_over or (delegated and self.role is Role.CONTACT)):
            return False
        if self.role is Role.CONTACT and what is May.SET_UP:
            return not delegated and not self.right_is_over  # the customer has it; taking over comes first
        if what is May.TAKE_OVER:
            waits = self.order.state == State.MAPPED or self.has_lines_to_answer
            return delegated and not self.right_is_over and waits
        if what is May.HAND_BACK:
            return not delegated and not self.right_is_over and self.former_delegate is not None
        if what is May.DISCUSS:
            return not self.right_is_over
        if what is May.ASK_FOR_FULL_RIGHT:
            return self.order.provisioning_administrator
        if what is May.TAKE_BACK:
            return may_take_back(order=self.order, user=self.user)
        if what is May.DECIDE:
            return self.request.state is AccessRequest.State.OPEN and self.is_administrator
        return True

    @cached_property
    def has_lines_to_answer(self) -> bool:
        """Say whether a line of an order that is being set up was refused or taken back, and is to be answered."""
        return bool(lines_to_ask_for(self.order)) if self.to_answer is None else self.to_answer

    @property
    def reader(self) -> Reader:
        """As whom this person reads the order's history: a delegate from their start; nobody after their end."""
        delegate = self.role in {Role.DELEGATE, Role.FORMER_DELEGATE}
        return Reader(self.user.email, since=self.part.since_at if delegate else None, until=self.part.ended_at)

    @cached_property
    def waits_for(self) -> Waiting | None:
        """Return what this person waits for, and can have sent again: that somebody opens a link, or decides."""
        if self.role is Role.CONTACT and (self.order.state == State.HELD or self.may(May.ASK_FOR_SET_UP)):
            asked = AccessRequest.objects.filter(order=self.order, requester=self.user).select_related("requester")
            last = asked.order_by("-pk").first()
            return pending_replies.for_request(last) if last and last.state is AccessRequest.State.OPEN else None
        if self.may(May.TAKE_BACK):
            role = Part.Role.CONTACT
        elif self.may(May.TAKE_OVER):
            role = Part.Role.DELEGATE
        else:
            return None
        part = Part.objects.filter(order=self.order, role=role, ended_at=None).select_related("user", "order").first()
        return pending_replies.for_part(part, by=self.user) if part else None

    @property
    def sees_history(self) -> bool:
        """Say for templates whether this person may read the order's history."""
        return self.may(May.SEE_HISTORY)

    @cached_property
    def former_delegate(self) -> Part | None:
        """The part of the customer's administrator from whom the set-up was taken over last."""
        parts = Part.objects.filter(order=self.order, role=Part.Role.DELEGATE, ended_at__isnull=False)
        return parts.select_related("user", "order").order_by("-pk").first()

    @cached_property
    def other_in_set_up(self) -> Part | None:
        """The part of the other one while the customer sets up: the contact's for the delegate, and the reverse."""
        if not self.order.delegated_to or self.order.state not in {State.MAPPED, State.SETTING_UP}:
            return None
        role = {Role.CONTACT: Part.Role.DELEGATE, Role.DELEGATE: Part.Role.CONTACT}.get(self.role)
        parts = Part.objects.filter(order=self.order, role=role, ended_at=None) if role else Part.objects.none()
        return parts.exclude(user=self.user).select_related("user", "order").first()

    @property
    def right_is_over(self) -> bool:
        """Say whether the right that a request gave, and that the part rests on, has ended or was taken back."""
        rests_on = self.part.rests_on
        return rests_on is not None and rests_on.state is not AccessRequest.State.APPROVED

    @property
    def request(self) -> AccessRequest:
        """The request that an approver was asked to decide. Raises Http404 where there is none."""
        if self.part.access_request is None:
            raise Http404
        self.part.access_request.order = self.order
        return self.part.access_request

    @cached_property
    def is_administrator(self) -> bool:
        """Say whether an approver still is a full administrator of the organization that was asked."""
        if self.administers is not None:
            return self.administers
        full = Member.objects.filter(full_administrators(), organization=self.request.organization_id)
        return full.filter(email=self.user.email).exists()

    def require(self, what: May | str) -> None:
        """Raise Http404 unless this person may do that: what one may not do looks like what isn't there."""
        if not self.may(what):
            raise Http404


def _role(part: Part) -> Role:
    if part.role == Part.Role.APPROVER:
        return Role.APPROVER
    if part.role == Part.Role.CONTACT:
        return Role.CONTACT if part.ended_at is None else Role.FORMER_CONTACT
    return Role.DELEGATE if part.ended_at is None else Role.FORMER_DELEGATE


def _strongest(parts: list[Part]) -> Part:
    """Of several parts in one order an approver's counts last; then the current one, the contact's, the latest."""

    def strength(part: Part) -> tuple[bool, bool, bool, int]:
        role = part.role
        return role != Part.Role.APPROVER, part.ended_at is None, role == Part.Role.CONTACT, part.pk

    return max(parts, key=strength)


def access_to(
    user: AbstractBaseUser | AnonymousUser, number: str, *, lock: bool = False, steps: bool = False
) -> Access:
    """Return this person's access to the order with this number.

    ``lock`` locks the order's row until the transaction ends. ``steps`` reads in the same statement what each step of
    the wizards needs besides: the order's lines, its draft, and its customer. Raises Http404, alike for an order
    that doesn't exist and for one that this person has no part in.
    """
    if not isinstance(user, User):
        raise Http404
    parts = Part.objects.filter(user=user, order__number=number)
    if lock:
        # Alone: what the same statement read of other rows could be older than the lock that it waited for.
        own = Order.objects.filter(number=number, pk__in=parts.values("order"))
        if own.select_for_update(no_key=True).values_list("pk").first() is None:
            raise Http404
    found = list(_with_steps(parts) if steps else parts.select_related("order", "rests_on"))
    if not found:
        raise Http404
    part = _strongest(found)
    if steps:
        _set_lines(part.order, part.lines)  # type: ignore[attr-defined]  # annotated
    return Access(order=part.order, user=user, part=part, role=_role(part))


_LINE: Final = tuple(field.attname for field in OrderLine._meta.concrete_fields)


def _with_steps(parts: QuerySet[Part]) -> QuerySet[Part]:
    lines = OrderLine.objects.filter(order=OuterRef("order")).order_by(*OrderLine._meta.ordering or ())
    return parts.select_related("order__draft", "order__customer", "rests_on").annotate(
        lines=ArraySubquery(lines.values_list(JSONObject(**{name: name for name in _LINE})))
    )


def _set_lines(order: Order, rows: list[dict[str, object]]) -> None:
    """Let ``order.lines.all()`` be these rows, as ``prefetch_related`` would."""
    lines = order.lines.all()
    lines._result_cache = [OrderLine.from_db(DEFAULT_DB_ALIAS, _LINE, [row[name] for name in _LINE]) for row in rows]
    lines._prefetch_done = True  # type: ignore[attr-defined]
    order._prefetched_objects_cache = {"lines": lines}  # type: ignore[attr-defined]


def access_to_request(user: AbstractBaseUser | AnonymousUser, number: str, request: UUID) -> Access:
    """Return this person's access to a request, by its public id, that they were asked to decide.

    Raises Http404, alike for a request that doesn't exist and for one that somebody else was asked.
    """
    if not isinstance(user, User):
        raise Http404
    asked = Part.objects.filter(user=user, order__number=number, access_request__public_id=request)
    part = asked.select_related(*_WITH_REQUEST).first()
    if part is None:
        part = _part_by_desk_case(user, number, request)
    if part is None:
        raise Http404
    return Access(order=part.order, user=user, part=part, role=_role(part))


def _part_by_desk_case(user: User, number: str, request: UUID) -> Part | None:
    """Return the part of an administrator in a request that the order desk looks into: all of them may object.

    It isn't a row; who was an administrator when the desk began has one.
    """
    found = AccessRequest.objects.filter(public_id=request, order__number=number, desk_case__begun_at__isnull=False)
    asked = found.select_related("order", "organization", "requester", "decided_by", "taken_back_by").first()
    if asked is None or asked.requester_id == user.pk or not organizations_of(user).filter(pk=asked.organization_id):
        return None
    return Part(order=asked.order, user=user, role=Part.Role.APPROVER, access_request=asked)


def request_to_decide(user: User, number: str) -> Access | None:
    """Return the access to the newest request about this order that waits for this person's decision, if any does."""
    asked = Part.objects.filter(user=user, order__number=number, access_request__isnull=False)
    for part in asked.select_related(*_WITH_REQUEST).order_by("-pk"):
        access = Access(order=part.order, user=user, part=part, role=_role(part))
        if access.may(May.DECIDE):
            return access
    return None


def orders_of(user: User) -> list[Access]:
    """Return this person's access to every order they have or had a part in, the latest order first.

    Each request that they were asked to decide is one of its own.
    """
    parts: dict[tuple[int, int | None], list[Part]] = {}
    asked = OuterRef("access_request__organization")
    full = Member.objects.filter(full_administrators(), organization=asked, email=user.email)
    own = Part.objects.filter(user=user).annotate(administers=Exists(full))
    for part in own.select_related(*_WITH_REQUEST, "order__customer", "order__partner"):
        parts.setdefault((part.order_id, part.access_request_id), []).append(part)
    found = [_strongest(of_order) for of_order in parts.values()]
    found.sort(key=lambda part: (part.order.placed_at, part.order_id), reverse=True)
    return [
        Access(
            order=part.order,
            user=user,
            part=part,
            role=_role(part),
            administers=part.administers,  # type: ignore[attr-defined]  # annotated
        )
        for part in found
    ]


def who_must_act(order: Order) -> tuple[list[Part], list[Part]]:
    """Return the parts of those for whom an unfinished order waits, and of those who watch and could take over.

    The customer's administrator acts where the set-up was delegated; whoever was asked decides while a request is
    open, and the contact watches. The contact watches alike whether anybody could be asked: who that is isn't theirs to
    know. Accounts that are closed count for nothing.
    """
    current = order.parts.filter(user__is_active=True).select_related("user", "order", "access_request")
    contact = list(current.filter(role=Part.Role.CONTACT, ended_at=None))
    if order.state == State.MAPPED and order.delegated_to:
        return list(current.filter(role=Part.Role.DELEGATE, ended_at=None)), contact
    if order.state in {State.HELD, State.MAPPED}:
        asked = order.access_requests.filter(decision="", ended_at=None, expires_at__gt=timezone.now()).first()
        if asked:
            full = Member.objects.filter(full_administrators(), organization=asked.organization_id)
            deciding = current.filter(access_request=asked, user__email__in=full.values("email"))
            return list(deciding.order_by("pk")), contact
    return contact, []


def readers_of_summary(order: Order) -> list[str]:
    """Return the addresses of those who may read the order's summary, once it is set up."""
    roles = [role for role, state in RULES if May.READ_SUMMARY in RULES[role, state]]
    current = order.parts.filter(ended_at=None, role__in=roles)
    return sorted(set(current.values_list("user__email", flat=True)))


def person(request: HttpRequest) -> User:
    """Return who is signed in. Raises Http404 for nobody."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def organizations_of(user: User) -> QuerySet[Organization]:
    """Return the organizations that this person is a full administrator of, as of now."""
    administered = Member.objects.filter(full_administrators(), email=user.email)
    return Organization.objects.filter(pk__in=administered.values("organization"))


def organization_of(user: User, public_id: UUID) -> Organization:
    """Return an organization that this person is a full administrator of.

    Raises Http404, alike for one that doesn't exist and for one that they don't administer.
    """
    organization = organizations_of(user).filter(public_id=public_id).first()
    if organization is None:
        raise Http404
    return organization


def may_take_back(*, order: Order, user: User) -> bool:
    """Say whether this person handed the order over, directly or through others, to whoever has it now."""
    parts = {part.pk: part for part in Part.objects.filter(order=order, role=Part.Role.CONTACT)}
    part = next((part for part in parts.values() if part.ended_at is None), None)
    while part is not None and part.given_by_id:
        part = parts[part.given_by_id]
        if part.user_id == user.pk:
            return True
    return False


def provisioner_of(order: Order, audience: str) -> Literal["partner", "customer"]:
    """Say who provisions, as the administrators' rules name them: a partner where one bought it for a customer."""
    return "partner" if order.customer_name or audience == Order.Audience.CUSTOMER else "customer"
