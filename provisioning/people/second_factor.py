"""Second factors of operators, and passkeys for everybody, on django-allauth's mfa.

An operator proves an authenticator app's code (TOTP, RFC 6238), a passkey (WebAuthn with user verification) or a
recovery code before the order desk opens, again after ``LASTS``, and once more before an act that needs a ``RECENT``
proof. Everybody may sign in with a passkey instead of a code by email, as long as a code proved the mailbox within
``MAILBOX_LASTS``: whoever lost the mailbox loses the passkey with it.

All state is in the session and in the rows of allauth's ``Authenticator``: no cache, so a code works once on all hosts.
Secrets are encrypted with a key derived from ``SECRET_KEY`` (and ``SECRET_KEY_FALLBACKS``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from allauth.account.internal.flows.login import record_authentication
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt, encrypt
from allauth.mfa.webauthn.internal import auth as webauthn
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.db import DataError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orgs import rate_limits
from orgs.actions import record_sign_in
from orgs.text import pasted_text
from provisioning.history import operators_log
from provisioning.models import OperatorEvent, User

RECENT: Final = timedelta(minutes=10)
LASTS: Final = timedelta(hours=12)
MAILBOX_LASTS: Final = timedelta(days=90)
# Tries of one account: a code of six digits is guessed in one of 40,000 hours.
TRIES: Final = 20
WINDOW: Final = timedelta(hours=1)
MOST_PASSKEYS: Final = 10
_PROVEN_AT: Final = "second_factor_at"
_SIGNED_IN_AT: Final = "account_authentication_methods"  # allauth's records
_SECRET: Final = "second_factor_secret"  # noqa: S105 - a key of the session
_MAILBOX_AT: Final = "mailbox_proven_at"
_TOTP_SECONDS: Final = 30

Kind = Authenticator.Type


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Encrypts secrets, and names the vendor in apps and passkeys."""

    def encrypt(self, text: str) -> str:
        """Return the text encrypted with the newest key."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the text. Raises cryptography's InvalidToken where no key fits."""
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        """Return the vendor's name, which the authenticator app shows."""
        return str(settings.BRAND_NAME)

    def _get_site_name(self) -> str:
        return str(settings.BRAND_NAME)


def _fernet() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = (salted_hmac("provisioning.second_factor", "", secret=key, algorithm="sha256").digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def is_required(user: User) -> bool:
    """Say whether this person has to prove a second factor at the order desk."""
    return bool(settings.SECOND_FACTOR_REQUIRED) and user.is_staff


def factors_of(user: User) -> list[Authenticator]:
    """Return the person's app and passkeys, the oldest first."""
    return list(Authenticator.objects.filter(user=user).exclude(type=Kind.RECOVERY_CODES).order_by("pk"))


def is_proven(request: HttpRequest, *, within: timedelta = LASTS) -> bool:
    """Say whether this browser proved a second factor within this time."""
    at = request.session.get(_PROVEN_AT)
    return at is not None and timezone.now() - datetime.fromisoformat(at) < within


def signed_in_lately(request: HttpRequest) -> bool:
    """Say whether this browser signed in within the hour, which adding a passkey needs."""
    since = (timezone.now() - WINDOW).timestamp()
    return any(record.get("at", 0) > since for record in request.session.get(_SIGNED_IN_AT, []))


def may_change_factors(request: HttpRequest, user: User) -> bool:
    """Say whether this browser may add or remove a factor now: after a recent proof, or a recent first sign-in."""
    if user.is_staff and factors_of(user):
        return is_proven(request, within=RECENT)
    return signed_in_lately(request)


def prove(request: HttpRequest, user: User, *, code: str = "", credential: str = "") -> bool:
    """Check a code (of the app, or a recovery code) or a passkey's answer, and note the proof in the session.

    Both outcomes are in the operators' log. False too where an account had ``TRIES`` tries within the hour.
    """
    allowed = rate_limits.spend({f"second factor {user.pk}": TRIES}, WINDOW)
    with transaction.atomic():
        found = allowed and (_by_passkey(user, credential) if credential else _by_code(user, code))
        if found:
            found.record_usage()
        kind = OperatorEvent.Kind.CHECKED if found else OperatorEvent.Kind.REFUSED
        operators_log.record(kind=kind, by=user, facts={"factor": found.type if found else "", "limited": not allowed})
    if not found:
        return False
    _note_proof(request)
    return True


def _note_proof(request: HttpRequest) -> None:
    request.session[_PROVEN_AT] = timezone.now().isoformat()
    request.session.cycle_key()


def _by_code(user: User, typed: str) -> Authenticator | None:
    typed = "".join(pasted_text.short(typed).split()).replace("-", "")
    rows = Authenticator.objects.select_for_update().filter(user=user, type__in=[Kind.TOTP, Kind.RECOVERY_CODES])
    for row in rows.order_by("pk"):
        matches = _totp_matches(row, typed) if row.type == Kind.TOTP else RecoveryCodes(row).validate_code(typed)
        if typed and matches:
            return row
    return None


def _totp_matches(row: Authenticator, typed: str) -> bool:
    """Say whether this is the code of now, or of 30 seconds before or after; each works once (RFC 6238, 5.2)."""
    secret, now = decrypt(row.data["secret"]), int(timezone.now().timestamp()) // _TOTP_SECONDS
    for counter in (now - 1, now, now + 1):
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if counter > row.data.get("used", 0) and compare_user_code(actual=typed, expected=expected):
            row.data["used"] = counter
            row.save(update_fields=["data"])
            return True
    return False


def _by_passkey(user: User | None, credential: str) -> Authenticator | None:
    def check() -> Authenticator:
        answer = json.loads(credential)
        webauthn.parse_authentication_response(answer)
        owner = user or webauthn.extract_user_from_response(answer)
        return webauthn.complete_authentication(owner, answer)

    return _unless_malformed(check)


def _unless_malformed[T](check: Callable[[], T]) -> T | None:
    """Return the outcome; None for an answer that isn't of this ceremony. The libraries raise all of these."""
    try:
        return check()
    except (ValidationError, InvalidSignature, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def passkey_request(user: User | None) -> dict[str, Any]:
    """Return what the browser asks a passkey for (WebAuthn's options), of one person or of whoever signs in."""
    return dict(webauthn.begin_authentication(user))


def passkey_creation(user: User) -> dict[str, Any]:
    """Return what the browser makes a passkey by: one that it finds by itself, and that verifies the person."""
    return dict(webauthn.begin_registration(user, passwordless=True))


def add_passkey(request: HttpRequest, user: User, *, credential: str, name: str) -> bool:
    """Keep a passkey that the browser made. False where the answer doesn't fit, or the person has ten already."""

    def check() -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(credential)
        webauthn.parse_registration_response(answer)
        return answer if webauthn.complete_registration(answer).is_user_verified() else {}

    answer = _unless_malformed(check)
    try:
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            if not answer or sum(row.type == Kind.WEBAUTHN for row in factors_of(user)) >= MOST_PASSKEYS:
                return False
            row = webauthn.WebAuthn.add(user, name[:80], answer).instance
            row.data[_MAILBOX_AT] = timezone.now().isoformat()
            row.save(update_fields=["data"])
            _log_change(OperatorEvent.Kind.FACTOR_ADDED, user, row)
    except DataError:  # a character that PostgreSQL can't keep, in the name or in what the browser sent
        return False
    if user.is_staff:
        _note_proof(request)
    return True


def new_secret(request: HttpRequest, user: User) -> tuple[str, str]:
    """Return the secret of an app that is to be confirmed by its first code, and the picture (SVG) of its QR code."""
    secret = totp.generate_totp_secret()
    request.session[_SECRET] = encrypt(secret)
    return shown_secret(request, user)


def shown_secret(request: HttpRequest, user: User) -> tuple[str, str]:
    """Return the secret that waits for its first code in this browser, and its picture; ("", "") without one."""
    kept = request.session.get(_SECRET)
    if not kept:
        return "", ""
    secret, adapter = decrypt(kept), MFAAdapter()
    return secret, adapter.build_totp_svg(adapter.build_totp_url(user, secret))


def confirm_app(request: HttpRequest, user: User, code: str) -> bool:
    """Keep the app whose secret was shown, if this is its code. It takes the place of an earlier app."""
    kept = request.session.get(_SECRET)
    if not kept or not rate_limits.spend({f"second factor {user.pk}": TRIES}, WINDOW):
        return False
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        row = Authenticator(user=user, type=Kind.TOTP, data={"secret": kept})
        row.data["used"] = int(timezone.now().timestamp()) // _TOTP_SECONDS - 2
        typed = "".join(pasted_text.short(code).split())
        Authenticator.objects.filter(user=user, type=Kind.TOTP).delete()
        row.save()
        if not _totp_matches(row, typed):
            transaction.set_rollback(True)
            return False
        _log_change(OperatorEvent.Kind.FACTOR_ADDED, user, row)
    del request.session[_SECRET]
    _note_proof(request)
    return True


@transaction.atomic
def new_recovery_codes(user: User) -> list[str]:
    """Replace the person's recovery codes, and return the new ones, which are shown once."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).delete()
    codes = RecoveryCodes.activate(user)
    _log_change(OperatorEvent.Kind.FACTOR_ADDED, user, codes.instance)
    return list(codes.generate_codes())


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes were not used."""
    row = Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).first()
    return len(RecoveryCodes(row).get_unused_codes()) if row else 0


@transaction.atomic
def remove(user: User, pk: int) -> bool:
    """Remove a factor. False for one of somebody else, and for the last one of an operator."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    rows = factors_of(user)
    row = next((each for each in rows if each.pk == pk), None)
    if row is None or (is_required(user) and len(rows) == 1):
        return False
    _log_change(OperatorEvent.Kind.FACTOR_REMOVED, user, row)
    row.delete()
    return True


def sign_in_with_passkey(request: HttpRequest, credential: str) -> User | None:
    """Sign in by a passkey. None where it doesn't fit, or the mailbox was not proved for ``MAILBOX_LASTS``.

    A passkey that verified the person is a second factor, too.
    """
    with transaction.atomic():
        row = _by_passkey(None, credential)
        if row is None or not row.user.is_active:
            return None
        at = row.data.get(_MAILBOX_AT)
        if at is None or timezone.now() - datetime.fromisoformat(at) > MAILBOX_LASTS:
            return None
        row.record_usage()
        login(request, row.user, backend=settings.AUTHENTICATION_BACKENDS[0])
        record_authentication(request, row.user, "mfa", type=row.type, passwordless=True)
        record_sign_in(email=row.user.email)
        _note_proof(request)
        if row.user.is_staff:
            operators_log.record(kind=OperatorEvent.Kind.CHECKED, by=row.user, facts={"factor": row.type})
    user: User = row.user
    return user


def note_mailbox_proven(user: User) -> None:
    """Note on a person's passkeys that a code by email has just proved the mailbox."""
    for row in Authenticator.objects.filter(user=user, type=Kind.WEBAUTHN):
        row.data[_MAILBOX_AT] = timezone.now().isoformat()
        row.save(update_fields=["data"])


def _log_change(kind: OperatorEvent.Kind, user: User, row: Authenticator) -> None:
    if user.is_staff:
        operators_log.record(kind=kind, by=user, facts={"factor": row.type})
