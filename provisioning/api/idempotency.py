"""Idempotency-Key: the same POST again gets the same answer and has no second effect, for 48 hours.

The answer is a row that is written in the transaction of the effect. So both exist or none, also where a process is
killed between them and the client. It is stored encrypted, because it may contain a new secret. Answers that refuse
aren't kept: they had no effect, and may differ the next time.
See draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from provisioning.actions.api_keys import KEEP_ANSWERS
from provisioning.api.errors import Problem
from provisioning.integration.sealing import Unreadable, seal_bytes, unseal_bytes
from provisioning.models import ApiAnswer, ApiKey

# So long the same request waits for the one that is running.
PATIENCE: Final = "5s"
_RETRY_AFTER: Final = "1"
_KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location")
_LONGEST: Final = 255


def once(*, request: HttpRequest, key: ApiKey, call: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Answer a POST with an Idempotency-Key: by ``call``, or as it was answered before.

    ``call`` runs in a transaction, so it must not call other systems.

    :raises Problem: the header can't be one, was used with another request, or that request is still running.
    """
    name = request.headers["Idempotency-Key"]
    if not 1 <= len(name) <= _LONGEST or not name.isascii() or not name.isprintable() or name.isspace():
        raise Problem("idempotency-key-not-valid")
    said = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + request.body).hexdigest()
    with transaction.atomic():
        row = _claim(key, name, said)
        if row is None:
            return _kept(key, name, said)
        response = call()
        if not isinstance(response, HttpResponse) or response.status_code >= 300:
            transaction.set_rollback(True)
            return response
        headers = {header: response.headers[header] for header in _KEPT_HEADERS if header in response.headers}
        kept = {"status": response.status_code, "headers": headers, "body": seal_bytes(response.content)}
        ApiAnswer.objects.filter(pk=row).update(**kept)
        return response


def _claim(key: ApiKey, name: str, said: str) -> int | None:
    """Write the row of a request that begins, and return its primary key; None where there is one that counts.

    The unique constraint makes the second of two equal requests wait for the first one's transaction.
    """
    now = timezone.now()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute(
                """INSERT INTO provisioning_apianswer AS a
                       (key_id, name, request_hash, created_at, status, headers, body)
                   VALUES (%s, %s, %s, %s, 0, '{}', '')
                   ON CONFLICT (key_id, name) DO UPDATE SET
                       request_hash = excluded.request_hash, created_at = excluded.created_at,
                       status = 0, headers = '{}', body = ''
                   WHERE a.created_at <= %s
                   RETURNING id""",
                [key.pk, name, said, now, now - KEEP_ANSWERS],
            )
            row = cursor.fetchone()
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Problem("still-running", headers={"Retry-After": _RETRY_AFTER}) from error
        raise
    return int(row[0]) if row else None


def _kept(key: ApiKey, name: str, said: str) -> HttpResponse:
    row = ApiAnswer.objects.get(key=key, name=name)
    if row.request_hash != said:
        raise Problem("idempotency-key-used")
    try:
        body = unseal_bytes(bytes(row.body))
    except Unreadable:  # SECRET_KEY was changed without a fallback
        raise Problem("idempotency-key-used") from None
    response = HttpResponse(body, status=row.status, headers=row.headers)
    response["Idempotency-Replayed"] = "true"
    return response
