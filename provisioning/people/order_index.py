"""A person's orders in brief: one statement for all of them, for a list that can be searched and filtered.

``provisioning.pages.task_list`` says everything about a few orders; this says of each of thousands what it is
for the person. A test compares the two.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from django.db import connection
from django.db.models import BooleanField, Case, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from orgs.models import Member, full_administrators
from provisioning.models import AccessRequest, Mail, Part, User
from provisioning.people.permissions import RULES, May, Role
from subscriptions.models import UNFINISHED, Order, OrderLine, ProvisioningRequest

State = Order.State


class Kind(enum.StrEnum):
    """What an order is for a person now."""

    FIND = "find"  # theirs: find the organizations
    SET_UP = "set_up"  # theirs: set up the services
    ANSWER = "answer"  # theirs: change an answer, and confirm again
    DECIDE = "decide"  # theirs: decide on a request
    CLOSED = "closed"
    STUCK = "stuck"  # a request for a right was declined, nobody answered it, or the right is over
    FAILED = "failed"  # something of the set-up
    UNREACHABLE = "unreachable"  # whom they wait for gets no email
    ASKED = "asked"  # waits for an administrator
    DELEGATED = "delegated"  # waits for the customer
    BEING_SET_UP = "being_set_up"
    HANDED_OVER = "handed_over"
    TAKEN_OVER = "taken_over"
    DONE = "done"
    DECIDED = "decided"
    CANCELLED = "cancelled"
    OVER = "over"  # a request that is not to be decided any more


# The state of a task (provisioning.pages.task_list) for each kind.
STATES: Final[dict[Kind, str]] = {
    **dict.fromkeys((Kind.FIND, Kind.SET_UP, Kind.ANSWER, Kind.DECIDE), "next"),
    **dict.fromkeys((Kind.CLOSED, Kind.STUCK, Kind.FAILED, Kind.UNREACHABLE), "problem"),
    **dict.fromkeys((Kind.ASKED, Kind.DELEGATED, Kind.BEING_SET_UP, Kind.HANDED_OVER, Kind.TAKEN_OVER), "waiting"),
    **dict.fromkeys((Kind.DONE, Kind.DECIDED), "done"),
    **dict.fromkeys((Kind.CANCELLED, Kind.OVER), "ended"),
}
_ORDER: Final = ("next", "problem", "waiting", "done", "ended")


@dataclass(frozen=True)
class Brief:
    """An order of a person, or a request that they were asked to decide (``title`` is its organization then)."""

    order_id: int
    number: str
    title: str
    kind: Kind
    closes_at: datetime
    placed_at: datetime
    is_open: bool
    started: bool
    searched: str  # what the person can read of it, for the search
    request: str = ""  # the public id of the request

    @property
    def state(self) -> str:
        """The state of a task that it is."""
        return STATES[self.kind]


def briefs(user: User) -> list[Brief]:
    """Return every order of a person in brief: what is theirs first, the earliest date before the others. One query."""
    now = timezone.now()
    strongest: dict[tuple[int, int | None], Mapping[str, Any]] = {}
    for row in _read(user, now):
        key = (row["order_id"], row["access_request_id"] if row["role"] == Part.Role.APPROVER else None)
        if key not in strongest or _strength(row) > _strength(strongest[key]):
            strongest[key] = row
    found = [_brief(row, now) for row in strongest.values()]
    found.sort(key=lambda each: (each.placed_at, each.order_id), reverse=True)
    return sorted(
        found, key=lambda each: (_ORDER.index(each.state), each.closes_at.timestamp() if each.state == "next" else 0)
    )


def folded(text: str) -> str:
    """Return a text as it is compared in a search."""
    return unicodedata.normalize("NFKC", text).casefold()


def _strength(row: Mapping[str, Any]) -> tuple[bool, bool, int]:
    return row["ended_at"] is None, row["role"] == Part.Role.CONTACT, row["pk"]


def _stuck(before: str, now: datetime) -> Q:
    """Return whether a request no longer lets its requester go on: declined, expired, lapsed or taken back."""
    return (
        Q(**{f"{before}taken_back_at__isnull": False})
        | Q(**{f"{before}right_ends_at__lte": now})
        | Q(**{f"{before}decision": AccessRequest.Decision.DECLINED})
        | Q(**{f"{before}decision": "", f"{before}ended_at": None, f"{before}expires_at__lte": now})
    )


def _is(condition: Q) -> ExpressionWrapper[Q]:
    return ExpressionWrapper(condition, output_field=BooleanField())


def _only_if(condition: Q, then: Any) -> Case:
    """Return a truth value that is looked up only for the orders that need it."""
    return Case(When(condition, then=then), default=Value(False), output_field=BooleanField())


# Stand for the person in the statement, which Django takes longer to write than PostgreSQL to plan. Every time in it is
# the present one.
_ANYBODY: Final = User(pk=-1, email="anybody")
_ANYTIME: Final = datetime(1, 1, 1, tzinfo=UTC)


@cache
def _statement() -> tuple[str, tuple[Any, ...]]:
    """Return the statement of ``_rows`` and its parameters, written once in a process."""
    sql, params = _rows(_ANYBODY, _ANYTIME).query.sql_with_params()
    return sql, tuple(params)


def _read(user: User, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the rows of a person's parts."""
    sql, params = _statement()
    said: dict[Any, Any] = {_ANYBODY.pk: user.pk, _ANYBODY.email: user.email}
    with connection.cursor() as cursor:
        cursor.execute(sql, [now if isinstance(param, datetime) else said.get(param, param) for param in params])
        for row in cursor.fetchall():
            yield dict(zip(_COLUMNS, row, strict=True))


def _rows(user: User, now: datetime) -> QuerySet[Any, Any]:
    asked = AccessRequest.objects.filter(order=OuterRef("order"), requester=user).order_by("-pk")
    full = Member.objects.filter(full_administrators(), organization=OuterRef("access_request__organization"))
    current = ProvisioningRequest.objects.filter(order=OuterRef("order"), superseded_at=None)
    of_line = ProvisioningRequest.objects.filter(line=OuterRef("pk"), superseded_at=None)
    asked_or_done = of_line.exclude(state__in=ProvisioningRequest.TO_ANSWER)
    to_answer = OrderLine.objects.filter(~Exists(asked_or_done), order=OuterRef("order"))
    setting_up = Q(order__state=State.SETTING_UP)
    others = Part.objects.filter(order=OuterRef("order"), ended_at=None)
    newest = Mail.objects.filter(link__part=OuterRef(OuterRef("pk"))).order_by("-created_at", "-pk")
    failed = Q(bounced_at__isnull=False) | Q(sent_at=None, tries__gte=Mail.MAX_TRIES)
    lost = others.filter(Exists(Mail.objects.filter(failed, pk=Subquery(newest.values("pk")[:1]))))
    lost_contact = Exists(lost.filter(role=Part.Role.CONTACT, given_by=OuterRef("pk")))
    lost_delegate = Exists(lost.filter(role=Part.Role.DELEGATE))
    return (
        Part.objects.filter(user=user)
        .annotate(
            right_over=_is(
                Q(rests_on__isnull=False)
                & ~(
                    Q(rests_on__decision=AccessRequest.Decision.APPROVED, rests_on__taken_back_at=None)
                    & (Q(rests_on__right_ends_at=None) | Q(rests_on__right_ends_at__gt=now))
                )
            ),
            has_asked=_only_if(Q(order__state__in=[State.HELD, State.MAPPED]), Exists(asked)),
            asked_stuck=_only_if(
                Q(order__state__in=[State.HELD, State.MAPPED]),
                Subquery(asked.annotate(stuck=_is(_stuck("", now))).values("stuck")[:1]),
            ),
            rests_stuck=_is(_stuck("rests_on__", now)),
            to_decide=_only_if(
                Q(role=Part.Role.APPROVER, access_request__decision="", access_request__ended_at=None)
                & Q(access_request__expires_at__gt=now),
                Exists(full.filter(email=user.email)),
            ),
            answering=_only_if(setting_up, Exists(to_answer)),
            failing=_only_if(
                setting_up,
                Exists(current.filter(state__in=[ProvisioningRequest.State.REFUSED, ProvisioningRequest.State.FAILED])),
            ),
            lost=Case(
                When(ended_at__isnull=False, then=lost_contact),
                When(~Q(order__delegated_to=""), then=lost_delegate),
                default=Value(False),
                output_field=BooleanField(),
            ),
            find_begun=_is(Q(order__draft__steps__has_key="find") & ~Q(order__draft__steps__find={})),
            set_up_begun=_is(Q(order__draft__steps__has_key="set_up") & ~Q(order__draft__steps__set_up={})),
        )
        .values_list(*_COLUMNS)
    )


_COLUMNS: Final = (
            "pk", "role", "ended_at", "order_id", "access_request_id", "access_request__public_id",
            "access_request__organization__name", "access_request__decision", "order__number", "order__state",
            "order__closes_at", "order__placed_at", "order__customer_name", "order__sold_to", "order__customer__name",
            "order__delegated_to", "right_over", "has_asked", "asked_stuck", "rests_stuck", "to_decide", "answering",
            "failing", "lost", "find_begun", "set_up_begun",
)  # fmt: skip


def _brief(row: Mapping[str, Any], now: datetime) -> Brief:
    state, number = row["order__state"], row["order__number"]
    closed = state in UNFINISHED and row["order__closes_at"] <= now
    approver, current = row["role"] == Part.Role.APPROVER, row["ended_at"] is None
    if approver:
        title, searched = row["access_request__organization__name"], ""
    else:
        ordered = row["order__customer_name"] or row["order__sold_to"]
        title = (row["order__customer__name"] or ordered) if current else ordered
        searched = f"{row['order__customer_name']} {row['order__sold_to']}" if current else ""
    return Brief(
        order_id=row["order_id"],
        number=number,
        title=title,
        kind=_kind(row, closed=closed),
        closes_at=row["order__closes_at"],
        placed_at=row["order__placed_at"],
        is_open=current and not approver and state in UNFINISHED and not closed,
        started=bool(row["find_begun"] or row["set_up_begun"] or state not in {State.PLACED, State.HELD}),
        searched=f"{number} {title} {searched}",
        request=str(row["access_request__public_id"]) if approver else "",
    )


def _kind(row: Mapping[str, Any], *, closed: bool) -> Kind:
    state = row["order__state"]
    if row["role"] == Part.Role.APPROVER:
        may = not closed and May.DECIDE in RULES.get((Role.APPROVER, state), frozenset())
        if row["to_decide"] and may:
            return Kind.DECIDE
        return Kind.DECIDED if row["access_request__decision"] else Kind.OVER
    if state == State.CANCELLED:
        return Kind.CANCELLED
    if state == State.SET_UP:
        return Kind.DONE
    if closed:
        return Kind.CLOSED
    contact = row["role"] == Part.Role.CONTACT
    if row["ended_at"] is not None:
        if contact and row["lost"]:
            return Kind.UNREACHABLE
        return Kind.HANDED_OVER if contact else Kind.TAKEN_OVER
    if state == State.SETTING_UP:
        mine = row["answering"] and not (contact and (row["order__delegated_to"] or row["right_over"]))
        if mine:
            return Kind.ANSWER
        return Kind.FAILED if row["failing"] or row["answering"] else Kind.BEING_SET_UP
    if state == State.HELD:
        return Kind.STUCK if row["asked_stuck"] else Kind.ASKED
    if state == State.PLACED:
        return Kind.FIND
    return _of_mapped(row, contact=contact)


def _of_mapped(row: Mapping[str, Any], *, contact: bool) -> Kind:
    if contact and row["right_over"]:
        return Kind.STUCK if (row["asked_stuck"] if row["has_asked"] else row["rests_stuck"]) else Kind.ASKED
    if contact and row["order__delegated_to"]:
        return Kind.UNREACHABLE if row["lost"] else Kind.DELEGATED
    return Kind.SET_UP
