"""Erasing a person: the address is replaced in every table, and in the histories by its token, whose key is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from orgs.models import Member, SearchBudget
from orgs.text.normalize import email_key
from provisioning import history
from provisioning.history import commitments, operators_log, verification
from provisioning.models import Event, Mail, OperatorEvent, PersonKey, Scheme, SignInCode, User
from provisioning.privacy import stored_data
from subscriptions.models import UNFINISHED, Document, Order

ERASED_AT: Final = "erased.invalid"  # RFC 2606: never a mailbox
_CHAINED: Final = (Event, OperatorEvent)


class NotNow(Exception):
    """This person can't be erased now: ``reason`` is "operator", "administrator" or "orders", with ``numbers``."""

    def __init__(self, reason: str, numbers: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.reason, self.numbers = reason, list(numbers)


@transaction.atomic
def erase(*, email: str, by: User | None) -> int:
    """Erase a person, and return how many rows had something about them; 0 where nothing is stored.

    The histories stay whole (``verify_history``). Sign-in codes, second factors, sessions and memberships are deleted;
    everywhere else an address that belongs to nobody takes the place of the person's.

    :raises NotNow: for an operator, for the last full administrator of an organization, and for somebody with a part
        in an order that can still be completed.
    """
    address = email_key(email)
    user = User.objects.select_for_update(no_key=True).filter(email=address).first()
    _refuse(address, user)
    # The emails are locked before their orders, as the worker does.
    list(Mail.objects.select_for_update().filter(to__iexact=address).order_by("pk").values_list("pk"))
    chains = set(PersonKey.objects.filter(address=address).values_list("chain", flat=True))
    chains |= {event.order_id for event in _events_with(address)}
    orders = list(
        Order.objects.select_for_update(no_key=True).filter(pk__in=chains - {PersonKey.OPERATORS}).order_by("pk")
    )
    erased = sum(erase_from_history(order, [address]) for order in orders)
    erased += _erase_from_log(address)
    pseudonym = f"erased-{uuid.uuid4().hex[:16]}@{ERASED_AT}"
    for session in stored_data.sessions_of(address):
        session.delete()
        erased += 1
    for rows in (
        SignInCode.objects.filter(email=address),
        Authenticator.objects.filter(user=user),
        Member.objects.filter(email=address),
        SearchBudget.objects.filter(key__contains=address),
    ):
        erased += rows.delete()[0]
    Mail.objects.filter(to__iexact=address, sent_at=None).update(tries=Mail.MAX_TRIES)
    for model, texts, _people in stored_data.tables():
        if model not in _CHAINED:
            rows = stored_data.mentioning(model._base_manager.all(), texts, address)
            erased += replace_in(rows, texts, lambda found: pseudonym if _is(found, address) else found)
    if user is not None:
        user.refresh_from_db()
        user.is_active = False
        user.set_unusable_password()
        user.save(update_fields=["is_active", "password"])
    if erased:
        operators_log.record(kind=OperatorEvent.Kind.ERASED, by=by, facts={"person": pseudonym, "rows": erased})
    return erased


def _is(found: str, address: str) -> bool:
    return commitments.owner_of(found) == address


def _refuse(address: str, user: User | None) -> None:
    if user is not None and user.is_staff:
        raise NotNow("operator")
    full = Member.objects.filter(role=Member.Role.FULL)
    for member in full.filter(email=address):
        if not full.filter(organization=member.organization_id).exclude(email=address).exists():
            raise NotNow("administrator")
    part = Q(contact_email__iexact=address) | Q(customer_email__iexact=address) | Q(delegated_to__iexact=address)
    if user is not None:
        part |= Q(parts__user=user, parts__ended_at=None)
    if numbers := sorted(
        set(
            Order.objects.filter(part, state__in=UNFINISHED, closes_at__gt=timezone.now()).values_list(
                "number", flat=True
            )
        )
    ):
        raise NotNow("orders", numbers)


def replace_in(rows: QuerySet[Any], texts: stored_data.Texts, replace: Callable[[str], str]) -> int:
    """Replace addresses in the given columns of rows; return how many rows were changed.

    A document keeps its hash, from which the code on the paper is derived: whoever has the paper still learns that
    it is genuine. Its PDFs are deleted.
    """
    changed = 0
    for row in rows:
        new = {
            field.attname: value
            for field in texts
            if (value := commitments.replaced(getattr(row, field.attname), replace)) != getattr(row, field.attname)
        }
        if new and isinstance(row, Document):
            row.pdfs.all().delete()
        if new:
            changed += type(row)._base_manager.filter(pk=row.pk).update(**new)
    return changed


def erase_from_history(order: Order, addresses: Iterable[str]) -> int:
    """Replace addresses by their tokens in the history of an order, whose row is locked, and delete the keys.

    An event of before the tokens keeps its hash, which can't be computed again: the hash of what is left of it goes
    into a new event, which vouches for it. Returns how many events were changed.
    """
    owners = set(addresses)
    keys = commitments.keys_of(order.pk)
    vouched: dict[str, str] = {}
    changed = 0
    for event in Event.objects.filter(order=order).order_by("position"):
        mentioned = {commitments.owner_of(found) for found in commitments.addresses_in([event.who, event.facts])}
        if not mentioned & owners:
            continue
        commitments.with_all_keys(order.pk, [event.who, event.facts], keys)
        erased = {owner: keys[owner] for owner in owners if owner in keys}
        if event.scheme == Scheme.PLAIN:
            event.scheme = Scheme.VOUCHED
            vouched[str(event.position)] = verification.hash_of(number=order.number, event=event, keys=keys)
        changed += _pseudonymize(event, erased)
    if changed:
        history.record(order=order, kind=Event.Kind.PERSON_ERASED, facts={"events": vouched})
    PersonKey.objects.filter(chain=order.pk, address__in=owners).delete()
    return changed


def _pseudonymize(event: Event | OperatorEvent, keys: commitments.Keys) -> int:
    rows: QuerySet[Model] = type(event)._base_manager.filter(pk=event.pk)
    who, facts = commitments.committed(event.who, keys), commitments.committed(event.facts, keys)
    return rows.update(who=who, facts=facts, scheme=event.scheme)


def _erase_from_log(address: str) -> int:
    keys = PersonKey.objects.filter(chain=PersonKey.OPERATORS, address=address)
    erased = dict(keys.values_list("address", "key"))
    if not erased:
        return 0
    rows = stored_data.mentioning(OperatorEvent.objects.all(), _texts_of_events(OperatorEvent), address)
    changed = sum(_pseudonymize(event, erased) for event in rows if stored_data.has([event.who, event.facts], address))
    keys.delete()
    return changed


def _events_with(address: str) -> Iterable[Event]:
    plain = Event.objects.filter(scheme=Scheme.PLAIN)
    rows = stored_data.mentioning(plain, _texts_of_events(Event), address)
    return [event for event in rows if stored_data.has([event.who, event.facts], address)]


def _texts_of_events(model: type[Event | OperatorEvent]) -> stored_data.Texts:
    return [model._meta.get_field("who"), model._meta.get_field("facts")]
