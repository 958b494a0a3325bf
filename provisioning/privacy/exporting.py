"""The export of everything that is stored about one person."""

from __future__ import annotations

from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import BinaryField, Field, Model
from django.utils import timezone

from orgs.text.normalize import email_key
from provisioning.history import commitments, operators_log
from provisioning.models import OperatorEvent, User
from provisioning.privacy import stored_data
from subscriptions.summary import mask_email

# Secrets and hashes: they say nothing about a person, and nobody may take them along.
_SECRETS: Final = frozenset({"password", "token_hash", "hash", "previous", "code_hash", "facts_hash", "rows_hash"})
_SECRET_TABLES: Final = frozenset({"mfa.Authenticator.data"})

encoder = DjangoJSONEncoder


@transaction.atomic
def export(*, email: str, by: User | None) -> dict[str, Any]:
    """Return what is stored about this address, as JSON values: the rows of each table. Addresses of others are masked.

    ``by`` is the operator, None for commands; the operators' log has the export. An unknown address has no tables.
    """
    address = email_key(email)
    operators_log.record(kind=OperatorEvent.Kind.EXPORTED, by=by, facts={"person": address})
    tables = {
        model._meta.label: [_row(row, address) for row in rows] for model, rows in stored_data.rows_about(address)
    }
    sessions = [{"expires_at": session.expire_date} for session in stored_data.sessions_of(address)]
    return {
        "person": address,
        "exported_at": timezone.now(),
        "tables": tables | ({"sessions.Session": sessions} if sessions else {}),
    }


def _row(row: Model, address: str) -> dict[str, Any]:
    def others_masked(found: str) -> str:
        return found if commitments.owner_of(found) == address else mask_email(found)

    values = {}
    for field in row._meta.get_fields():
        if not isinstance(field, Field) or not field.concrete or isinstance(field, BinaryField):
            continue
        if field.name in _SECRETS or f"{row._meta.label}.{field.name}" in _SECRET_TABLES:
            continue
        if field.many_to_many:
            continue
        values[field.name] = commitments.replaced(getattr(row, field.attname), others_masked)
    return values
