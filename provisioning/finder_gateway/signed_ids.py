"""An organization's id as a form carries it: signed for one order and one person, worthless in any other."""

from __future__ import annotations

from django.core import signing

from provisioning.models import User
from subscriptions.models import Order


def _signer(order: Order, user: User) -> signing.Signer:
    return signing.Signer(salt=f"provisioning.candidate:{order.pk}:{user.pk}")


def sign(public_id: object, *, order: Order, user: User) -> str:
    """Return the value of the radio of a candidate: the same each time, so that a page can be shown again."""
    return _signer(order, user).sign(str(public_id))


def is_signed(value: str, *, order: Order, user: User) -> bool:
    """Return whether this value was made for this order and this person."""
    try:
        _signer(order, user).unsign(value)
    except signing.BadSignature:
        return False
    return True
