"""Commitments that stand for email addresses in the hashed text of events, so that an address can be erased later.

The hash of an event is over its content with a token instead of each email address: the SHA-256 of a random key and
the address. The key is a row of ``PersonKey``, one for an address in a chain. Whoever has the key can check that the
address belongs to the token; without it, nobody can find the address by trying. An address is erased by writing the
token in its place, which leaves every hash as it is, and deleting the key.

The database computes the same tokens (function ``provisioning_committed`` of the migration
``personal_values_are_committed``): a change here needs one there.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from provisioning.models import PersonKey

# Characters that end an address in a text; all ASCII, so that PostgreSQL and Python agree whatever the locale.
_ENDS: Final = r""" \t\n\r"<>(),;:=\[\]{}|\\@"""
ADDRESS: Final = re.compile(f"[^{_ENDS}'][^{_ENDS}]*@[^{_ENDS}]*[^{_ENDS}'.!?-]")
PREFIX: Final = "person-"
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

type Keys = dict[str, str]


def keys_of(chain: int) -> Keys:
    """Return the keys of a chain by address. ``chain`` is an order's primary key, 0 for the operators' log."""
    return dict(PersonKey.objects.filter(chain=chain).values_list("address", "key"))


def people_of(chain: int) -> dict[str, dict[str, str]]:
    """Return the address and the key of each token of a chain, for whoever checks an export."""
    return {token(address, key): {"address": address, "key": key} for address, key in keys_of(chain).items()}


def owner_of(address: str) -> str:
    """Return the address under which the key is kept: ASCII letters in lower case."""
    return address.translate(_LOWER)


def token(address: str, key: str) -> str:
    """Return the token of an address as it is written: ``person-`` and 40 hexadecimal digits."""
    return PREFIX + hashlib.sha256(f"{key} {address}".encode()).hexdigest()[:40]


def committed(value: object, keys: Keys) -> object:
    """Return a JSON value with tokens instead of addresses. An address without a key stays as it is."""
    return replaced(value, lambda found: token(found, keys[owner_of(found)]) if owner_of(found) in keys else found)


def with_all_keys(chain: int, value: object, keys: Keys) -> object:
    """Return ``committed``, and make the keys of addresses that have none yet."""
    for found in addresses_in(value):
        owner = owner_of(found)
        if owner not in keys:
            key = uuid.uuid4().hex + uuid.uuid4().hex
            row, _new = PersonKey.objects.get_or_create(chain=chain, address=owner, defaults={"key": key})
            keys[owner] = row.key
    return committed(value, keys)


def replaced(value: object, replace: Callable[[str], str]) -> object:
    """Return a JSON value in which every address of every text is replaced; the names of an object's values stay."""
    if isinstance(value, str):
        return ADDRESS.sub(lambda match: replace(match[0]), value)
    if isinstance(value, dict):
        return {name: replaced(part, replace) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(part, replace) for part in value]
    return value


def addresses_in(value: object) -> Iterator[str]:
    """Yield every address in the texts of a JSON value, as it is written there."""
    if isinstance(value, str):
        yield from ADDRESS.findall(value)
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from addresses_in(part)
