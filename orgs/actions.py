"""Every write of the directory: organizations, statistics of use kept right by what changes them, likely duplicates."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, IntegerField, QuerySet, When
from django.db.models.functions import Coalesce, Greatest, Least
from django.utils import timezone

from orgs import use
from orgs.duplicates import find_pairs
from orgs.models import LikelyDuplicate, Member, Organization, full_administrators
from orgs.text.normalize import email_key
from orgs.use import ACTIVE_FOR
from orgs.verticals import VERTICALS

__all__ = [
    "ACTIVE_FOR",
    "VERTICALS",
    "LastAdministrator",
    "add_member",
    "create_organization",
    "dismiss_duplicates",
    "give_full_right",
    "record_activity",
    "record_sign_in",
    "record_subscription",
    "recount",
    "recount_all",
    "renew_duplicates",
    "report_use",
    "take_full_right_back",
]

# Where other systems report the users, one more here isn't one more of theirs: the next count says (orgs.use).
_ONE_MORE_USER: Final = Case(
    When(reported_user_count=None, then=F("user_count") + 1), default=F("user_count"), output_field=IntegerField()
)
_ONE_MORE_ACTIVE: Final = Case(
    When(reported_active_user_count=None, then=F("active_user_count") + 1),
    default=F("active_user_count"),
    output_field=IntegerField(),
)


def create_organization(
    *, name: str, vertical: str, country: str, administrator_email: str, is_partner: bool, origin: str
) -> Organization:
    """Make an organization with its first full administrator, and no domain: nobody has verified one yet."""
    organization = Organization(
        name=name.strip(), vertical=vertical, country=country, is_partner=is_partner, origin=origin, user_count=1
    )
    organization.save()
    Member(organization=organization, email=administrator_email, role=Member.Role.FULL).save()
    return organization


def add_member(*, organization: Organization, email: str, role: str = Member.Role.USER) -> Member:
    """Add a person to an organization, or give a member this role; the number of users follows."""
    member, created = Member.objects.get_or_create(
        organization=organization,
        email=email.strip().lower(),
        defaults={"role": role},
    )
    if created:
        Organization.objects.filter(pk=organization.pk).update(user_count=_ONE_MORE_USER)
    elif member.role != role:
        member.role = role
        member.save(update_fields=["role"])
    return member


class LastAdministrator(Exception):
    """The organization would have no full administrator left."""


@transaction.atomic
def give_full_right(*, organization: Organization, email: str, request: UUID, until: datetime | None) -> Member:
    """Make a person a full administrator by a request (its public id), until a moment or, with None, for good.

    Who is one already, not by a request, stays one as they are. Where nobody else is an administrator for good, the
    right has no end: the last full administrator is never taken away, not by a date either.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    others = Member.objects.filter(full_administrators(), organization=organization, given_until=None)
    if not others.exclude(email=email).exists():
        until = None
    member = Member.objects.filter(organization=organization, email=email).first()
    if member and member.role == Member.Role.FULL and member.given_by is None:
        return member
    # Given anew while an earlier request's right stands: what the person was before both stays the way back.
    before = "" if member is None else member.role_before if member.given_by else member.role
    member = add_member(organization=organization, email=email, role=Member.Role.FULL)
    member.given_by, member.given_at, member.given_until, member.role_before = request, timezone.now(), until, before
    member.save(update_fields=["given_by", "given_at", "given_until", "role_before"])
    return member


@transaction.atomic
def take_full_right_back(*, organization: Organization, email: str, request: UUID) -> bool:
    """Make a person again what they were before this request's right; False where they have none by it any more.

    :raises LastAdministrator: nobody else is a full administrator; then nothing is changed.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    member = Member.objects.filter(organization=organization, email=email, given_by=request).first()
    if member is None or member.role != Member.Role.FULL:
        return False
    others = Member.objects.filter(full_administrators(), organization=organization).exclude(pk=member.pk)
    if not others.exists():
        raise LastAdministrator
    if not member.role_before:
        member.delete()
        use.settle([organization.pk])
        return True
    member.role, member.role_before = member.role_before, ""
    member.given_by = member.given_at = member.given_until = None
    member.save(update_fields=["role", "role_before", "given_by", "given_at", "given_until"])
    return True


def _is_active(member: Member) -> bool:
    return member.last_active_at is not None and timezone.now() - member.last_active_at <= ACTIVE_FOR


@transaction.atomic
def record_activity(*, member: Member) -> Member:
    """Note that a member did something just now; the organization's statistics follow."""
    now = timezone.now()
    active = F("active_user_count") if _is_active(member) else _ONE_MORE_ACTIVE
    # The organization first: one order of locks for all that write both.
    Organization.objects.filter(pk=member.organization_id).update(
        last_activity_at=Greatest(F("last_activity_at"), now),
        active_user_count=Least(active, F("user_count"), output_field=IntegerField()),
    )
    Member.objects.filter(pk=member.pk).update(last_active_at=now)
    member.last_active_at = now
    return member


def record_sign_in(*, email: str) -> None:
    """Note that whoever has this address signed in, where that says for which organization they are at work.

    It does for a member of one organization alone. Who is a member of several may be here for any of them, and
    counting all would call organizations active that nobody works for.
    """
    members = Member.objects.filter(email=email_key(email), organization__closed_at=None).order_by("pk")[:2]
    found = list(members)
    if len(found) == 1:
        record_activity(member=found[0])


@transaction.atomic
def report_use(
    *,
    organization: Organization,
    users: int | None = None,
    active_users: int | None = None,
    subscriptions: int | None = None,
    last_activity_at: datetime | None = None,
) -> Organization:
    """Note what another system reports of an organization's use; None leaves what was reported before.

    ``subscriptions`` are active ones of other systems, not those that were set up here. orgs.use says how it all counts
    together. Raises ValueError for what can't be: negative numbers, more active users than users, activity to come.
    """
    now = timezone.now()
    if any(number is not None and number < 0 for number in (users, active_users, subscriptions)):
        raise ValueError("Numbers of users and subscriptions are not negative.")
    if users is not None and active_users is not None and active_users > users:
        raise ValueError("There are not more active users than users.")
    if last_activity_at is not None and last_activity_at > now + use.CLOCKS_DIFFER:
        raise ValueError("The last activity is not in the future.")
    reported = {
        "reported_user_count": users,
        "reported_active_user_count": active_users,
        "reported_subscription_count": subscriptions,
        "reported_activity_at": last_activity_at,
    }
    Organization.objects.filter(pk=organization.pk).update(
        **{column: value for column, value in reported.items() if value is not None},
        reported_at=now,
        active_subscription_count=F("active_subscription_count")
        if subscriptions is None
        else Greatest(
            F("active_subscription_count") - Coalesce(F("reported_subscription_count"), 0) + subscriptions, 0
        ),
    )
    use.settle([organization.pk])
    organization.refresh_from_db()
    return organization


def record_subscription(organization: Organization, delta: int) -> Organization:
    """Count subscriptions that began (positive) or ended (negative) for an organization."""
    Organization.objects.filter(pk=organization.pk).update(
        active_subscription_count=Greatest(F("active_subscription_count") + delta, 0)
    )
    organization.refresh_from_db(fields=["active_subscription_count"])
    return organization


def recount(organization: Organization) -> Organization:
    """Make users and activity follow from the members and from what was reported; subscriptions by who knows them."""
    use.settle([organization.pk])
    organization.refresh_from_db(fields=["user_count", "active_user_count", "last_activity_at"])
    return organization


def recount_all() -> int:
    """Count users and active users of every organization again; how many were wrong.

    Nobody does anything when a user's last activity grows too old, nor when a report of active users does: run it every
    night. What was reported stays and counts as orgs.use says. Writes only what differs; the time of the last activity
    stays, and so do subscriptions, which are counted by who knows them.
    """
    return use.settle_all()


@transaction.atomic
def renew_duplicates() -> int:
    """Look for likely duplicates again, every night; how many the order desk has before it.

    New pairs are added, those that are none any more go. What the desk said is not the same stays said.
    """
    pairs = find_pairs()
    rows = [LikelyDuplicate(**pair._asdict()) for pair in pairs]
    LikelyDuplicate.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "other"],
        update_fields=["why", "domain"],
        batch_size=1000,
    )
    found = {(pair.organization_id, pair.other_id) for pair in pairs}
    waiting = LikelyDuplicate.objects.filter(dismissed_at=None)
    gone = [pk for pk, *pair in waiting.values_list("pk", "organization_id", "other_id") if tuple(pair) not in found]
    waiting.filter(pk__in=gone).delete()
    return len(pairs)


def dismiss_duplicates(*, chosen: QuerySet[LikelyDuplicate], by_email: str) -> int:
    """Note that somebody said of these pairs that they are not the same; how many weren't dismissed before."""
    now = timezone.now()
    return chosen.filter(dismissed_at=None).update(dismissed_at=now, dismissed_by_email=by_email)
