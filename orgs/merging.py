"""Merges two organizations of the directory that are the same one. ``provisioning.actions`` moves their orders."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from orgs import search_index, usage_statistics
from orgs.models import Domain, LikelyDuplicate, Member, Organization, OrganizationMerge, OtherName

_STRENGTH = {Domain.Status.FORMER: 0, Domain.Status.VERIFIED: 1, Domain.Status.CLAIMED: 2}


class CannotMerge(ValueError):
    """The two can't be merged: they are one row, or one of them is closed (or was merged into another one)."""


def lock_pair(keep: Organization, gone: Organization) -> tuple[Organization, Organization]:
    """Return both as they are now, locked so that no other transaction can begin to refer to them."""
    rows = {
        each.pk: each
        for each in Organization.objects.select_for_update().filter(pk__in=[keep.pk, gone.pk]).order_by("pk")
    }
    return rows[keep.pk], rows[gone.pk]


@transaction.atomic
def merge_directory_entries(*, keep: Organization, gone: Organization, by: str) -> OrganizationMerge:
    """Move domains, names, members and usage figures of ``gone`` to ``keep``, and close ``gone``.

    A full administrator of ``gone`` becomes a plain member: nobody gets a right in ``keep`` by a merge. Only where
    ``keep`` has no full administrator those of ``gone`` stay what they are. A domain that both have keeps the stronger
    status. Merging the same two again returns the first merge.

    :param by: the address of the operator, or the name of the system, that merges.
    :raises CannotMerge: they are the same row, or one of them is closed.
    """
    if keep.pk == gone.pk:
        raise CannotMerge
    keep, gone = lock_pair(keep, gone)
    if earlier := OrganizationMerge.objects.filter(kept=keep, gone=gone).first():
        return earlier
    if keep.closed_at or gone.closed_at:
        raise CannotMerge
    before, _of_names = search_index.of_organizations([gone.pk])
    moved: dict[str, Any] = {"name": gone.name, "external_id": gone.external_id}
    moved["domains"] = _move_domains(keep, gone)
    moved["names"] = _move_names(keep, gone)
    moved["members"], moved["administrators"] = _move_members(keep, gone)
    LikelyDuplicate.objects.filter(Q(organization=gone) | Q(other=gone)).delete()
    _add_usage(keep, gone)
    Organization.objects.filter(pk=gone.pk).update(
        closed_at=timezone.now(),
        active_subscription_count=0,
        **dict.fromkeys(("reported_user_count", "reported_active_user_count", "reported_subscription_count")),
        **dict.fromkeys(("reported_activity_at", "reported_at")),
    )
    usage_statistics.update([keep.pk, gone.pk])
    # The index follows: the words of the merged one lead to the one that is kept.
    after, of_names = search_index.of_organizations([keep.pk])
    search_index.add_words(sorted({word for word, _pk in after}), of_names=sorted(of_names))
    search_index.add_postings(sorted(after))
    search_index.move(before, set())
    return OrganizationMerge.objects.create(kept=keep, gone=gone, by=by, moved=moved)


def _move_domains(keep: Organization, gone: Organization) -> list[str]:
    own = {domain.name: domain for domain in keep.domains.all()}
    names = []
    for domain in gone.domains.order_by("pk"):
        names.append(domain.name)
        same = own.get(domain.name)
        if same is None:
            Domain.objects.filter(pk=domain.pk).update(organization=keep)
            continue
        domain.delete()  # first: a domain is claimed once
        if _STRENGTH[Domain.Status(domain.status)] > _STRENGTH[Domain.Status(same.status)]:
            Domain.objects.filter(pk=same.pk).update(status=domain.status, used_until=domain.used_until)
    return names


def _move_names(keep: Organization, gone: Organization) -> list[str]:
    """Move the other names; the name of ``gone`` becomes one of them, unless ``keep`` has it."""
    own = {keep.name, *keep.other_names.values_list("name", flat=True)}
    moving = gone.other_names.exclude(name__in=own)
    names = list(moving.values_list("name", flat=True))
    moving.update(organization=keep)
    gone.other_names.all().delete()
    if gone.name not in {*own, *names}:
        OtherName.objects.create(organization=keep, name=gone.name, name_key=gone.name_key, kind=OtherName.Kind.TRADING)
        names.append(gone.name)
    return names


def _move_members(keep: Organization, gone: Organization) -> tuple[list[str], list[str]]:
    """Move the members. Return (the addresses that moved, those of them that were full administrators)."""
    has_administrator = keep.members.filter(role=Member.Role.FULL, given_until=None).exists()
    own = set(keep.members.values_list("email", flat=True))
    members = list(gone.members.order_by("pk"))
    full = [member.email for member in members if member.role == Member.Role.FULL]
    gone.members.filter(email__in=own).delete()
    moving = gone.members.all()
    if has_administrator:
        plain = {"role": Member.Role.USER, "given_by": None, "given_at": None, "given_until": None, "role_before": ""}
        moving.update(organization=keep, **plain)
    else:
        moving.update(organization=keep)
        again = [member.email for member in members if member.role == Member.Role.FULL and member.given_until is None]
        keep.members.filter(email__in=again).update(role=Member.Role.FULL)
    return [member.email for member in members], full


def _add_usage(keep: Organization, gone: Organization) -> None:
    """Add the reported figures and the subscriptions of ``gone``; the members are counted afterwards."""

    def total(name: str) -> Any:
        reported = [getattr(each, name) for each in (keep, gone)]
        return None if reported == [None, None] else sum(number or 0 for number in reported)

    def latest(name: str) -> Any:
        return max((getattr(each, name) for each in (keep, gone) if getattr(each, name)), default=None)

    Organization.objects.filter(pk=keep.pk).update(
        active_subscription_count=F("active_subscription_count") + gone.active_subscription_count,
        reported_user_count=total("reported_user_count"),
        reported_active_user_count=total("reported_active_user_count"),
        reported_subscription_count=total("reported_subscription_count"),
        reported_activity_at=latest("reported_activity_at"),
        reported_at=latest("reported_at"),
        last_activity_at=Greatest(F("last_activity_at"), gone.last_activity_at)
        if gone.last_activity_at
        else F("last_activity_at"),
        is_partner=keep.is_partner or gone.is_partner,
    )


def refer_to(organization_ids: list[int]) -> list[int]:
    """Lock these organizations against being merged until the transaction ends; return those that are open.

    Whoever stores a reference to an organization calls it before the last check that the organization is open. Several
    transactions can hold this lock at a time.
    """
    if not organization_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, closed_at FROM orgs_organization WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [organization_ids],
        )
        return [pk for pk, closed_at in cursor.fetchall() if closed_at is None]
