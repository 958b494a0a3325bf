"""Every write of the directory: organizations, statistics of use kept right by what changes them, likely duplicates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from orgs.duplicates import find_pairs
from orgs.models import LikelyDuplicate, Member, Organization, full_administrators
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
    "record_subscription",
    "recount",
    "recount_all",
    "renew_duplicates",
    "take_full_right_back",
]

# A user is active who did something in this time.
ACTIVE_FOR: Final = timedelta(days=90)


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
        Organization.objects.filter(pk=organization.pk).update(user_count=F("user_count") + 1)
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
        active = F("active_user_count") - (1 if _is_active(member) else 0)
        Organization.objects.filter(pk=organization.pk).update(
            user_count=Greatest(F("user_count") - 1, active, 0), active_user_count=Greatest(active, 0)
        )
        return True
    member.role, member.role_before = member.role_before, ""
    member.given_by = member.given_at = member.given_until = None
    member.save(update_fields=["role", "role_before", "given_by", "given_at", "given_until"])
    return True


def _is_active(member: Member) -> bool:
    return member.last_active_at is not None and timezone.now() - member.last_active_at <= ACTIVE_FOR


def record_activity(*, member: Member) -> Member:
    """Note that a member did something just now; the organization's statistics follow."""
    now = timezone.now()
    was_active = _is_active(member)
    Member.objects.filter(pk=member.pk).update(last_active_at=now)
    Organization.objects.filter(pk=member.organization_id).update(
        last_activity_at=Greatest(F("last_activity_at"), now),
        active_user_count=F("active_user_count") + (0 if was_active else 1),
    )
    member.last_active_at = now
    return member


def record_subscription(organization: Organization, delta: int) -> Organization:
    """Count subscriptions that began (positive) or ended (negative) for an organization."""
    Organization.objects.filter(pk=organization.pk).update(
        active_subscription_count=Greatest(F("active_subscription_count") + delta, 0)
    )
    organization.refresh_from_db(fields=["active_subscription_count"])
    return organization


def recount(organization: Organization) -> Organization:
    """Count users and activity again from the members; subscriptions are recounted by who knows them."""
    since = timezone.now() - ACTIVE_FOR
    counted = Member.objects.filter(organization=organization).aggregate(
        users=Count("pk"), active=Count("pk", filter=Q(last_active_at__gte=since)), last=Max("last_active_at")
    )
    organization.user_count = counted["users"]
    organization.active_user_count = counted["active"]
    organization.last_activity_at = counted["last"]
    organization.save(update_fields=["user_count", "active_user_count", "last_activity_at"])
    return organization


def recount_all() -> int:
    """Count users and active users of every organization again; how many were wrong.

    Nobody does anything when a user's last activity grows too old: run it every night. Writes only what differs; the
    time of the last activity stays, and so do subscriptions, which are counted by who knows them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE orgs_organization o
               SET user_count = coalesce(counted.users, 0), active_user_count = coalesce(counted.active, 0)
               FROM orgs_organization known LEFT JOIN (
                   SELECT organization_id, count(*) AS users, count(*) FILTER (WHERE last_active_at >= %s) AS active
                   FROM orgs_member GROUP BY organization_id
               ) counted ON counted.organization_id = known.id
               WHERE known.id = o.id AND (o.user_count, o.active_user_count)
                     IS DISTINCT FROM (coalesce(counted.users, 0), coalesce(counted.active, 0))""",
            [timezone.now() - ACTIVE_FOR],
        )
        return int(cursor.rowcount)


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
