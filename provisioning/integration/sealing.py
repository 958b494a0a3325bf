"""Encrypts what has to be readable again: secrets that sign webhooks, and kept answers, which may have one in them.

A secret is encrypted with Fernet (AES-128-CBC with HMAC-SHA-256). The key is derived from ``SECRET_KEY`` by HMAC, so a
copy of the database alone does not give the secrets away. What was encrypted under one of ``SECRET_KEY_FALLBACKS`` can
still be read; ``reseal`` encrypts it under the current key.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

_SALT = "provisioning.integration.sealing"


class Unreadable(Exception):
    """The text was encrypted under a key that is neither ``SECRET_KEY`` nor one of its fallbacks."""


def seal(text: str) -> str:
    """Return the text encrypted under the current ``SECRET_KEY``."""
    return seal_bytes(text.encode()).decode()


def seal_bytes(content: bytes) -> bytes:
    """Return the content encrypted under the current ``SECRET_KEY``."""
    return _fernet().encrypt(content)


def unseal(sealed: str) -> str:
    """Return the text that was encrypted. Raises Unreadable where its key is gone."""
    return unseal_bytes(sealed.encode()).decode()


def unseal_bytes(sealed: bytes) -> bytes:
    """Return the content that was encrypted. Raises Unreadable where its key is gone."""
    try:
        return _fernet().decrypt(sealed)
    except InvalidToken as problem:
        raise Unreadable from problem


def reseal(sealed: str) -> str:
    """Return the same secret encrypted under the current ``SECRET_KEY``. Raises Unreadable where its key is gone."""
    try:
        return _fernet().rotate(sealed.encode()).decode()
    except InvalidToken as problem:
        raise Unreadable from problem


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = [salted_hmac(_SALT, "", secret=key, algorithm="sha256").digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(each)) for each in derived])
