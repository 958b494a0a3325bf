"""Sign-in with a one-time code by email. allauth has the stages of the login; the codes are our own.

Mail scanners open links, run scripts and submit forms, from many machines and at any time, and whoever knows an address
can do the same on the sign-in page. Still, the mailbox must not be flooded, and its owner must be able to sign in.
allauth's own codes can't give both: each request makes another code that only its own browser can use, and a limit on
requests locks the owner out. Therefore:

* A code belongs to the address: every browser that asks within half an hour waits for the same one, so that the mail a
  scanner caused serves the person too. It works once, in a browser that asked, and an hour at most.
* Asking again mails it again after pauses that grow (PAUSES); in between, the page says when the last mail was sent,
  and that its code works. After FLOOD unused codes in a day the next ones live for four hours and are mailed once. That
  is some twenty mails a day at the worst, and never a closed door.
* A browser has five tries (allauth), an address MAX_WRONG an hour, of 20^8 codes: some one in 250 million. Then that
  code ends and the next request makes a new one.
* Addresses without an account get rows, pages and sentences like the others, and no mail.

The rows keep no code: it is derived from SECRET_KEY and the row's public id.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import Login
from allauth.account.stages import LoginByCodeStage, LoginStageController
from allauth.core.internal.cryptokit import compare_user_code
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orgs.actions import record_sign_in
from orgs.text import pasted_text
from orgs.text.normalize import email_key
from provisioning import emails
from provisioning.models import Part, SignInCode, User
from provisioning.people import links

# Letters that are easy to tell apart and form no words (RFC 8628, 6.1).
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
FRESH = timedelta(minutes=30)
LASTS_ON = timedelta(minutes=30)
FRESH_IN_FLOOD = timedelta(hours=4)
FLOOD = 4
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=10))
MAX_WRONG = 100
KEPT = timedelta(days=2)
# The session names the order that was opened, never the token of its link.
ORDER_IN_SESSION = "opened_order"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts are made when a link is issued, never by signing up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: nobody signs up."""
        return False

    def get_login_stages(self) -> list[str]:
        """Return allauth's stages without its second factor: the order desk asks for one, and nothing else does."""
        return [stage for stage in super().get_login_stages() if not stage.startswith("allauth.mfa.")]

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Add no message: the product's pages have their own."""

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the address of the order whose link was opened, if this person has a part in it; else *My orders*."""
        number = request.session.pop(ORDER_IN_SESSION, "")
        parts = Part.objects.filter(order__number=number, user=request.user.pk).select_related("order", "user")
        part = parts.first() if number else None
        if part is not None:
            links.note_opened(order=part.order, user=part.user)
            return reverse("order", args=[number])
        return str(super().get_login_redirect_url(request))


def ask_for_code(email: str) -> SignInCode:
    """Return the current code of this address, and email it unless the last email with it is too recent."""
    email = email_key(email)
    now = timezone.now()
    with transaction.atomic():
        _lock(email)
        rows = list(SignInCode.objects.filter(email=email, made_at__gt=now - timedelta(days=1)).order_by("-pk")[:50])
        newest = rows[0] if rows else None
        user = User.objects.filter(email=email, is_active=True).first()
        if newest is None or _is_over(newest, now) or newest.user_id != (user.pk if user else None):
            flooded = _unused_in_a_row(rows) >= FLOOD
            fresh_until = now + (FRESH_IN_FLOOD if flooded else FRESH)
            row = SignInCode.objects.create(
                email=email,
                user=user,
                made_at=now,
                asked_at=now,
                fresh_until=fresh_until,
                expires_at=fresh_until + LASTS_ON,
                mails=len(PAUSES) + 1 if flooded else 1,
            )
        else:
            row = newest
            if row.mails > len(PAUSES) or now - row.asked_at < PAUSES[row.mails - 1]:
                return row
            row.asked_at, row.sent_at, row.tries, row.next_try_at = now, None, 0, now
            row.mails += 1
            row.fence, row.lease_until = row.fence + 1, None  # a worker that sends the mail before notes nothing
            row.save(update_fields=["asked_at", "sent_at", "tries", "next_try_at", "mails", "fence", "lease_until"])
        # Also without an account, where nothing is sent: the answer takes equally long.
        emails.wake("send_code", row.pk)
    return row


def _is_over(row: SignInCode, now: datetime) -> bool:
    """Say whether the next request makes a new code: this one was used, guessed too often, or is too old."""
    return row.used_at is not None or row.wrong >= MAX_WRONG or row.fresh_until <= now


def code_of(row: SignInCode, secret: str | None = None) -> str:
    """Return the letters of a code, as ABCD-EFGH. ``secret``: an earlier SECRET_KEY."""
    text = f"{row.email} {row.public_id}"
    digest = salted_hmac("provisioning.sign_in", text, secret=secret, algorithm="sha256").digest()
    number = int.from_bytes(digest)
    letters = ""
    for _place in range(8):
        number, place = divmod(number, len(LETTERS))
        letters += LETTERS[place]
    return f"{letters[:4]}-{letters[4:]}"


def use_code(email: str, typed: str) -> bool:
    """Say whether the typed text is a valid code that was mailed to this address, and mark the code as used."""
    email = email_key(email)
    typed = pasted_text.code(typed, alphabet=LETTERS, length=8) or typed
    now = timezone.now()
    with transaction.atomic():
        _lock(email)
        rows = list(SignInCode.objects.filter(email=email, used_at=None, expires_at__gt=now).order_by("-pk"))
        for row in rows:
            if row.user_id and row.wrong < MAX_WRONG and _fits(row, typed):
                row.used_at = now
                row.save(update_fields=["used_at"])
                record_sign_in(email=email)
                return True
        SignInCode.objects.filter(pk__in=[row.pk for row in rows]).update(wrong=F("wrong") + 1)
    return False


def _fits(row: SignInCode, typed: str) -> bool:
    """Say whether this is the code of a row, also if it was mailed before a change of SECRET_KEY."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(compare_user_code(actual=typed, expected=code_of(row, key)) for key in keys)


def last_asked_at(email: str) -> datetime | None:
    """Return when the newest valid code of this address was last mailed; None where there is none."""
    rows = SignInCode.objects.filter(
        email=email_key(email), used_at=None, expires_at__gt=timezone.now(), wrong__lt=MAX_WRONG
    )
    row = rows.order_by("-pk").first()
    return row.asked_at if row else None


def start(request: HttpRequest, email: str, *, order_number: str = "") -> None:
    """Send a code to this address and let this browser wait for it.

    ``order_number`` is the order whose link was opened; "" where the address was typed.
    """
    email = email_key(email)
    user = User.objects.filter(email=email, is_active=True).first()
    clear_login(request)
    login = Login(user=user, email=email)
    login.state["stages"] = {"current": LoginByCodeStage.key}
    stage = LoginByCodeStage(LoginStageController(request, login), request, login)
    stage.state.update(LoginCodeVerificationProcess.initial_state(user=user, email=email), initiated_by_user=True)
    # Shown in full only to somebody who typed it.
    stage.state["typed"] = not order_number
    ask_for_code(email)
    LoginCodeVerificationProcess(stage=stage).persist()
    if order_number:
        request.session[ORDER_IN_SESSION] = order_number


def send_again(request: HttpRequest, process: LoginCodeVerificationProcess) -> None:
    """Send the code again to the address that this browser waits for, if enough time has passed; reset its tries."""
    number = "" if process.state["typed"] else request.session.get(ORDER_IN_SESSION, "")
    start(request, process.state["email"], order_number=number)


def forget_old_codes() -> None:
    """Delete old codes, those of addresses without an account as soon as they are over, and expired sessions."""
    now = timezone.now()
    SignInCode.objects.filter(user=None, made_at__lt=now - FRESH - LASTS_ON).delete()
    SignInCode.objects.filter(made_at__lt=now - KEPT, expires_at__lt=now).delete()
    Session.objects.filter(expire_date__lt=now).delete()


def _unused_in_a_row(rows: list[SignInCode]) -> int:
    """Return how many of the newest codes were not used."""
    count = 0
    for row in rows:
        if row.used_at:
            break
        count += 1
    return count


def _lock(email: str) -> None:
    """Lock an address until the transaction ends, also where it has no row yet."""
    key = int.from_bytes(hashlib.sha256(f"sign-in {email}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
