"""All writes to the directory: organizations, members, usage statistics, likely duplicates."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Case, F, IntegerField, QuerySet, When
from django.db.models.functions import Coalesce, Greatest, Least
from django.utils import timezone

from orgs import policies, search_index, usage_statistics
from orgs.duplicates import find_pairs
from orgs.models import LikelyDuplicate, Member, Organization, full_administrators
from orgs.text.normalize import email_key
from orgs.usage_statistics import ACTIVE_FOR
from orgs.verticals import VERTICALS

__all__ = [
    "ACTIVE_FOR",
    "VERTICALS",
    "CannotChange",
    "HigherRole",
    "LastAdministrator",
    "add_member",
    "close_organization",
    "create_organization",
    "dismiss_duplicates",
    "end_member",
    "give_full_right",
    "link_external_id",
    "lower_role",
    "record_activity",
    "record_sign_in",
    "record_subscription",
    "recount",
    "recount_all",
    "renew_duplicates",
    "reopen_organization",
    "report_use",
    "take_full_right_back",
]

# A reported count is not increased by one, because the report may already include the user. The nightly count decides
# (orgs.usage_statistics).
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
    """Create an organization with its first full administrator. It has no domain yet, because none is verified."""
    organization = Organization(
        name=name.strip(), vertical=vertical, country=country, is_partner=is_partner, origin=origin, user_count=1
    )
    organization.save()
    Member(organization=organization, email=administrator_email, role=Member.Role.FULL).save()
    return organization


def add_member(*, organization: Organization, email: str, role: str = Member.Role.USER) -> Member:
    """Add a member with this role, or change an existing member's role. The number of users is updated."""
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
    """The change would leave the organization without a full administrator."""


class CannotChange(ValueError):
    """The organization can't be changed so; nothing was written. ``code`` says why:

    - ``external-id-taken``: another organization has this external id.
    - ``has-external-id``: the organization has another external id.
    - ``merged``: the organization was merged into another one, and is closed for good.
    """  # fmt: skip

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@transaction.atomic
def link_external_id(*, organization: Organization, external_id: str) -> Organization:
    """Give an organization that was made here the id that another system has for it. The same again changes nothing.

    :raises CannotChange: the organization has another external id, or another organization has this one.
    """
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if organization.external_id == external_id:
        return organization
    if organization.external_id is not None:
        raise CannotChange("has-external-id")
    organization.external_id = external_id
    try:
        with transaction.atomic():
            organization.save(update_fields=["external_id"])
    except IntegrityError as error:
        raise CannotChange("external-id-taken") from error
    return organization


@transaction.atomic
def close_organization(*, organization: Organization) -> Organization:
    """Close an organization: nobody finds it any more, and its orders are kept. A second time changes nothing."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if organization.closed_at is None:
        before, _of_names = search_index.of_organizations([organization.pk])
        organization.closed_at = timezone.now()
        organization.save(update_fields=["closed_at"])
        after, _of_names = search_index.of_organizations([organization.pk])
        search_index.move(before, after)
    return organization


@transaction.atomic
def reopen_organization(*, organization: Organization) -> Organization:
    """Open a closed organization again. Raises CannotChange where it was merged into another one."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if hasattr(organization, "merge"):
        raise CannotChange("merged")
    if organization.closed_at is not None:
        organization.closed_at = None
        organization.save(update_fields=["closed_at"])
        after, of_names = search_index.of_organizations([organization.pk])
        search_index.add_words(sorted({word for word, _pk in after}), of_names=sorted(of_names))
        search_index.move(set(), after)
    return organization


@transaction.atomic
def end_member(*, organization: Organization, email: str) -> bool:
    """End a membership, with a right that a request gave. Return False if the address is no member.

    :raises LastAdministrator: the organization would have no full administrator without an end date left.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    member = Member.objects.filter(organization=organization, email=email_key(email)).first()
    if member is None:
        return False
    lasting = Member.objects.filter(full_administrators(), organization=organization, given_until=None)
    if lasting.filter(pk=member.pk).exists() and not lasting.exclude(pk=member.pk).exists():
        raise LastAdministrator
    member.delete()
    usage_statistics.update([organization.pk])
    return True


class HigherRole(ValueError):
    """The role is not lower than the one that the member has: nobody gets a right so."""


@transaction.atomic
def lower_role(*, organization: Organization, email: str, role: str) -> Member:
    """Give a member a lower role, and end a right that a request gave; the role that they have changes nothing.

    :raises LastAdministrator: the organization would have no full administrator without an end date left.
    :raises HigherRole: the role is higher than the member's.
    :raises Member.DoesNotExist: the address is no member.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    member = Member.objects.get(organization=organization, email=email_key(email))
    if member.role == role:
        return member
    if not policies.desk_may_change_role(before=member.role, after=role):
        raise HigherRole
    lasting = Member.objects.filter(full_administrators(), organization=organization, given_until=None)
    if lasting.filter(pk=member.pk).exists() and not lasting.exclude(pk=member.pk).exists():
        raise LastAdministrator
    member.role, member.role_before = role, ""
    member.given_by = member.given_at = member.given_until = None
    member.save(update_fields=["role", "role_before", "given_by", "given_at", "given_until"])
    return member


@transaction.atomic
def give_full_right(*, organization: Organization, email: str, request: UUID, until: datetime | None) -> Member:
    """Make a person a full administrator because of a request.

    :param request: the public id of the request.
    :param until: when the right ends; None for no end.

    A member who is a full administrator without a request is not changed. If the organization has no other full
    administrator without an end date, ``until`` is ignored, so that it never loses its last full administrator.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    others = Member.objects.filter(full_administrators(), organization=organization, given_until=None)
    if not others.exclude(email=email).exists():
        until = None
    member = Member.objects.filter(organization=organization, email=email).first()
    if member and member.role == Member.Role.FULL and member.given_by is None:
        return member
    # If an earlier request's right is in force, role_before keeps the role from before that request.
    before = "" if member is None else member.role_before if member.given_by else member.role
    member = add_member(organization=organization, email=email, role=Member.Role.FULL)
    member.given_by, member.given_at, member.given_until, member.role_before = request, timezone.now(), until, before
    member.save(update_fields=["given_by", "given_at", "given_until", "role_before"])
    return member


@transaction.atomic
def take_full_right_back(*, organization: Organization, email: str, request: UUID) -> bool:
    """Give a member the role from before this request's right; delete members who had none.

    Return False if the member doesn't have a right by this request any more.

    :raises LastAdministrator: the organization has no other full administrator; nothing is changed.
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
        usage_statistics.update([organization.pk])
        return True
    member.role, member.role_before = member.role_before, ""
    member.given_by = member.given_at = member.given_until = None
    member.save(update_fields=["role", "role_before", "given_by", "given_at", "given_until"])
    return True


def _is_active(member: Member) -> bool:
    return member.last_active_at is not None and timezone.now() - member.last_active_at <= ACTIVE_FOR


@transaction.atomic
def record_activity(*, member: Member) -> Member:
    """Record that a member was active now, and update the organization's statistics."""
    now = timezone.now()
    active = F("active_user_count") if _is_active(member) else _ONE_MORE_ACTIVE
    # Lock order: organization before member, as in all writes of both.
    Organization.objects.filter(pk=member.organization_id).update(
        last_activity_at=Greatest(F("last_activity_at"), now),
        active_user_count=Least(active, F("user_count"), output_field=IntegerField()),
    )
    Member.objects.filter(pk=member.pk).update(last_active_at=now)
    member.last_active_at = now
    return member


def record_sign_in(*, email: str) -> None:
    """Record a sign-in as activity if the address is a member of exactly one open organization.

    For a member of several organizations it is unknown which one the person works for, so nothing is recorded.
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
    """Store usage figures that another system reports. None keeps the figure that was reported before.

    ``subscriptions`` counts active subscriptions of other systems, not those that were set up here. See
    orgs.usage_statistics for how reports and own counts are combined.

    :raises ValueError: negative numbers, more active users than users, or a last activity in the future.
    """
    now = timezone.now()
    if any(number is not None and number < 0 for number in (users, active_users, subscriptions)):
        raise ValueError("Numbers of users and subscriptions are not negative.")
    if users is not None and active_users is not None and active_users > users:
        raise ValueError("There are not more active users than users.")
    if last_activity_at is not None and last_activity_at > now + usage_statistics.CLOCK_TOLERANCE:
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
    usage_statistics.update([organization.pk])
    organization.refresh_from_db()
    return organization


def record_subscription(organization: Organization, delta: int) -> Organization:
    """Add ``delta`` to an organization's number of active subscriptions; negative if subscriptions ended."""
    Organization.objects.filter(pk=organization.pk).update(
        active_subscription_count=Greatest(F("active_subscription_count") + delta, 0)
    )
    organization.refresh_from_db(fields=["active_subscription_count"])
    return organization


def recount(organization: Organization) -> Organization:
    """Compute an organization's users and activity again from its members and reports. Keeps its subscriptions."""
    usage_statistics.update([organization.pk])
    organization.refresh_from_db(fields=["user_count", "active_user_count", "last_activity_at"])
    return organization


def recount_all() -> int:
    """Count users and active users of every organization again; return how many organizations were changed.

    Run it every night: users become inactive and reports expire as time passes. The last activity and the number of
    subscriptions are not changed.
    """
    return usage_statistics.update_all()


@transaction.atomic
def renew_duplicates() -> int:
    """Search for likely duplicates again, every night; return the number of open pairs.

    New pairs are added and pairs that are no longer found are deleted. Dismissed pairs are kept.
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
    """Mark these pairs as not the same organization; return how many were not dismissed before."""
    now = timezone.now()
    return chosen.filter(dismissed_at=None).update(dismissed_at=now, dismissed_by_email=by_email)
