"""One person's access to one order. Everything that depends on a person's role asks here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest

from orgs.models import Member, Organization, full_administrators
from provisioning.history.event_sentences import Reader
from provisioning.models import AccessRequest, Part, User
from provisioning.people import pending_replies
from provisioning.people.order_people import may_take_back
from provisioning.people.pending_replies import Waiting
from provisioning.people.permissions import ALWAYS, CLOSED, RULES, UNMAPPED, May, Role, State
from subscriptions.actions import lines_to_ask_for
from subscriptions.models import Order, OrderLine

__all__ = [
    "UNMAPPED",
    "Access",
    "May",
    "Role",
    "access_to",
    "access_to_request",
    "orders_of",
    "organization_of",
    "organizations_of",
    "person",
    "request_to_decide",
]

_WITH_REQUEST = (
    "order",
    "access_request__organization",
    "access_request__requester",
    "access_request__decided_by",
    "access_request__taken_back_by",
    "access_request__desk_case",
    "rests_on",
)


@dataclass(frozen=True)
class Access:
    """One person's access to one order. An approver has access to one request of the order, and to nothing else."""

    order: Order
    user: User
    part: Part
    role: Role
    # Whether an approver still is a full administrator; None: not looked up with the part.
    administers: bool | None = None
    # Whether a line of an order that is being set up is to be answered, where that was looked up already.
    to_answer: bool | None = None

    @property
    def state(self) -> str:
        """The order's state for ``RULES``: CLOSED once the set-up-by date has passed, and while it is on hold."""
        return CLOSED if self.order.is_stopped else self.order.state

    def would_may(self, what: May | str) -> bool:
        """Say whether this person's role has this permission if the order's date is left out of account."""
        return what in RULES.get((self.role, self.order.state), frozenset())

    def may(self, what: May | str) -> bool:
        """Say whether this person has this permission, as the order is now. Raises ValueError for an unknown name."""
        what = May(what)
        if what in ALWAYS[self.role]:
            return True
        if what not in RULES.get((self.role, self.state), frozenset()):
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
        """The reader of the order's history: a delegate reads from their start, a former person until their end."""
        delegate = self.role in {Role.DELEGATE, Role.FORMER_DELEGATE}
        return Reader(self.user.email, since=self.part.since_at if delegate else None, until=self.part.ended_at)

    @cached_property
    def waits_for(self) -> Waiting | None:
        """Return the answer that this person waits for (a link is opened, a request is decided), or None."""
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
        """Say whether this person may read the order's history. For templates, which can't call ``may``."""
        return self.may(May.SEE_HISTORY)

    @cached_property
    def former_delegate(self) -> Part | None:
        """The part of the customer's administrator from whom the set-up was taken over last."""
        parts = Part.objects.filter(order=self.order, role=Part.Role.DELEGATE, ended_at__isnull=False)
        return parts.select_related("user", "order").order_by("-pk").first()

    @cached_property
    def other_in_set_up(self) -> Part | None:
        """While the set-up is delegated: the delegate's part for the contact, the contact's for the delegate."""
        if not self.order.delegated_to or self.order.state not in {State.MAPPED, State.SETTING_UP}:
            return None
        role = {Role.CONTACT: Part.Role.DELEGATE, Role.DELEGATE: Part.Role.CONTACT}.get(self.role)
        parts = Part.objects.filter(order=self.order, role=role, ended_at=None) if role else Part.objects.none()
        return parts.exclude(user=self.user).select_related("user", "order").first()

    @property
    def right_is_over(self) -> bool:
        """Say whether the right on which this part rests was given by a request and has ended or was taken back."""
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
        """Raise Http404 unless this person has this permission: no access and no order look the same."""
        if not self.may(what):
            raise Http404


def _role(part: Part) -> Role:
    if part.role == Part.Role.APPROVER:
        return Role.APPROVER
    if part.role == Part.Role.CONTACT:
        return Role.CONTACT if part.ended_at is None else Role.FORMER_CONTACT
    return Role.DELEGATE if part.ended_at is None else Role.FORMER_DELEGATE


def _strongest(parts: list[Part]) -> Part:
    """Return the part that counts: not an approver's, then a current one, then the contact's, then the latest."""

    def strength(part: Part) -> tuple[bool, bool, bool, int]:
        role = part.role
        return role != Part.Role.APPROVER, part.ended_at is None, role == Part.Role.CONTACT, part.pk

    return max(parts, key=strength)


def access_to(
    user: AbstractBaseUser | AnonymousUser, number: str, *, lock: bool = False, steps: bool = False
) -> Access:
    """Return this person's access to the order with this number.

    ``lock`` locks the order's row until the transaction ends. ``steps`` reads in the same statement what each step of
    the wizards needs besides: the order's lines, its draft, and its customer. Raises Http404 for an order that doesn't
    exist and for one in which this person has no part.
    """
    if not isinstance(user, User) or "\0" in number:  # PostgreSQL can't compare it
        raise Http404
    parts = Part.objects.filter(user=user, order__number=number)
    if lock:
        # A statement of its own: one that waits for the lock reads other rows as they were before it waited.
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
    """Return this person's access to a request that they were asked to decide, by its public id.

    Raises Http404 for a request that doesn't exist and for one that only others were asked to decide.
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
    """Return a part for a full administrator in a request that the order desk handles: each of them may object.

    It is not in the database: this person became an administrator after the order desk began.
    """
    found = AccessRequest.objects.filter(public_id=request, order__number=number, desk_case__begun_at__isnull=False)
    asked = found.select_related("order", "organization", "requester", "decided_by", "taken_back_by").first()
    if asked is None or asked.requester_id == user.pk or not organizations_of(user).filter(pk=asked.organization_id):
        return None
    return Part(order=asked.order, user=user, role=Part.Role.APPROVER, access_request=asked)


def request_to_decide(user: User, number: str) -> Access | None:
    """Return the access to the newest request of this order that this person can decide, or None."""
    asked = Part.objects.filter(user=user, order__number=number, access_request__isnull=False)
    for part in asked.select_related(*_WITH_REQUEST).order_by("-pk"):
        access = Access(order=part.order, user=user, part=part, role=_role(part))
        if access.may(May.DECIDE):
            return access
    return None


def orders_of(user: User, *, most: int | None = None) -> list[Access] | None:
    """Return this person's access to every order in which they have or had a part, the latest order first.

    Each request that they were asked to decide is an access of its own. None where there are more parts than ``most``.
    """
    parts: dict[tuple[int, int | None], list[Part]] = {}
    asked = OuterRef("access_request__organization")
    full = Member.objects.filter(full_administrators(), organization=asked, email=user.email)
    own = Part.objects.filter(user=user).annotate(administers=Exists(full))
    rows = own.select_related(*_WITH_REQUEST, "order__customer", "order__partner")
    if most is not None:
        rows = rows[: most + 1]
        if len(rows) > most:
            return None
    for part in rows:
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


def person(request: HttpRequest) -> User:
    """Return the signed-in user. Raises Http404 where nobody is signed in."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def organizations_of(user: User) -> QuerySet[Organization]:
    """Return the organizations that this person is a full administrator of, as of now."""
    administered = Member.objects.filter(full_administrators(), email=user.email)
    return Organization.objects.filter(pk__in=administered.values("organization"))


def organization_of(user: User, public_id: UUID) -> Organization:
    """Return an organization that this person is a full administrator of.

    Raises Http404 for one that doesn't exist and for one that they don't administer.
    """
    organization = organizations_of(user).filter(public_id=public_id).first()
    if organization is None:
        raise Http404
    return organization
