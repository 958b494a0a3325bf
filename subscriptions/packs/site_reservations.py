"""Site names: which are taken, and reserving and releasing them for an order, in one table.

A name is reserved for an order from the answer on until the order closes or is cancelled, and stays for good once it is
a site's. Nobody else can have it then, and no other organization one that looks like it (``sites.shape``): the database
keeps both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from subscriptions.models import Order, Site, SiteName
from subscriptions.rules import sites
from subscriptions.rules.sites import SiteNameProblem
from subscriptions.rules.validation import Problem, Refused, SiteNameTaken


class KnownNames:
    """Which site names an order can't have, remembered while a form asks for the same ones again."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._known: dict[str, SiteNameProblem | None] = {}

    def problems(self, names: Iterable[str]) -> dict[str, SiteNameProblem]:
        """Return TAKEN or LOOK_ALIKE by each of these names that the order can't have; one query for the new ones."""
        names = list(names)
        if new := [name for name in names if name not in self._known]:
            self._known |= {**dict.fromkeys(new), **_problems(self.order, new)}
        return {name: problem for name in names if (problem := self._known[name]) is not None}


def reserve_site_names(*, order: Order, names: Collection[str], others: Collection[str] = ()) -> None:
    """Reserve exactly these names for an order that is mapped, and give back those that it had besides.

    Whoever comes second, even at the same moment, waits for the first. ``others`` are reserved as far as they are free.

    :raises SiteNameTaken: with the first of ``names`` that can't be had; nothing is changed then.
    """
    own, customer = SiteName.objects.filter(order=order), order.customer
    if set(own.values_list("name", flat=True)) == {*names, *others}:
        return  # a name that is there is nobody else's
    with transaction.atomic():
        _wait_for({sites.shape(name) for name in {*names, *others}})
        problems = _problems(order, {*names, *others})
        for name in names:
            if name in problems:
                raise SiteNameTaken(name)
        wanted = {name: sites.shape(name) for name in {*names, *others} - problems.keys()}
        over = SiteName.objects.exclude(order=order).exclude(pk__in=_held())
        over.filter(Q(name__in=wanted) | Q(shape__in=wanted.values())).delete()
        if customer is None:
            raise Refused(Problem.NOT_MAPPED)
        had = set(own.values_list("name", flat=True))
        SiteName.objects.bulk_create(
            SiteName(name=name, shape=shape, organization=customer, order=order)
            for name, shape in wanted.items()
            if name not in had
        )
        # Last: from here on nothing is waited for, so that orders that swap their names never wait for each other.
        own.exclude(name__in=wanted).delete()


def free_site_names(*, order: Order) -> None:
    """Give back the names that are reserved for an order; those of its sites stay."""
    SiteName.objects.filter(~_IS_A_SITE, order=order).exclude(order__state=Order.State.SET_UP).delete()


# Also of an order that was cancelled after the site had been set up.
_IS_A_SITE = Exists(Site.objects.filter(name=OuterRef("name")))


def _held() -> QuerySet[SiteName]:
    """The names that are sites, or reserved for an order that is being set up or still can be."""
    lasting = Q(order__closes_at__gt=timezone.now()) | Q(order__on_hold_at__isnull=False)
    waiting = lasting & Q(order__state=Order.State.MAPPED)
    begun = Q(order__state__in=[Order.State.SETTING_UP, Order.State.SET_UP])
    return SiteName.objects.filter(begun | waiting | _IS_A_SITE)


def _problems(order: Order, names: Collection[str]) -> dict[str, SiteNameProblem]:
    wanted = {name: sites.shape(name) for name in names}
    rows = _held().exclude(order=order).filter(Q(shape__in=set(wanted.values())) | Q(name__in=names))
    taken: set[str] = set()
    alike: set[str] = set()
    for name, shape, organization in rows.values_list("name", "shape", "organization"):
        taken.add(name)
        if organization != order.customer_id:
            alike.add(shape)
    found = {name: SiteNameProblem.LOOK_ALIKE for name, shape in wanted.items() if shape in alike}
    return found | {name: SiteNameProblem.TAKEN for name in wanted if name in taken}


def _wait_for(shapes: Collection[str]) -> None:
    """Let nobody else reserve a name of these shapes until the transaction ends.

    All at once and always in the same order: two that want the same names in another order wait, and don't lock up.
    """
    keys = sorted(
        int.from_bytes(hashlib.blake2b(f"site name {shape}".encode(), digest_size=8).digest(), "big", signed=True)
        for shape in shapes
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])
