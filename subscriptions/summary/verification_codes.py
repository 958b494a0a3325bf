"""The verification code on an order summary: how it is derived, written, read and hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import salted_hmac

from orgs.text import pasted_text
from subscriptions.models import Order

# Crockford's base 32: no letter that is taken for a digit. Twelve of them are 60 bits.
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 12
SALT = "subscriptions.documents"


def normalize_code(typed: str) -> str:
    """The twelve letters of a code as they were printed; "" for what can't be one."""
    return pasted_text.code(typed, alphabet=LETTERS, length=LENGTH)


def format_code(code: str) -> str:
    """A code as it is printed: ABCD-EFGH-JKMN."""
    return "-".join(code[at : at + 4] for at in range(0, LENGTH, 4))


def verify_url(code: str) -> str:
    """Where the QR code leads."""
    return f"{settings.PUBLIC_URL}{reverse('verify', args=[code])}"


def codes_for(order: Order, facts_hash: str) -> dict[str, str]:
    """The codes of these facts by their hashes: by the key of now, and by those before it."""
    codes = {}
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        digest = salted_hmac(SALT, f"{order.public_id} {facts_hash}", secret=secret, algorithm="sha256").digest()
        number = int.from_bytes(digest)
        letters = ""
        for _place in range(LENGTH):
            number, place = divmod(number, len(LETTERS))
            letters += LETTERS[place]
        codes[hash_of(format_code(letters))] = format_code(letters)
    return codes


def hash_of(value: Any) -> str:
    plain = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()
