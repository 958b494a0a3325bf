"""Where a person's data is: every row that has the address in a text or refers to the person's account.

The tables and columns are read from Django's models, so a new table is covered without anybody thinking of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db.models import CharField, Field, ForeignKey, JSONField, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast

from provisioning.history import commitments
from provisioning.models import PersonKey, User

# Without people: libraries' own tables, and words and keys that are no addresses.
_APPS: Final = ("provisioning", "subscriptions", "orgs", "mfa", "account", "admin")
_LEFT_OUT: Final = (PersonKey,)

type Texts = list[Field[Any, Any]]


def tables() -> Iterator[tuple[type[Model], Texts, list[str]]]:
    """Yield each table with its text and JSON columns, and the names of its references to accounts."""
    for model in sorted(apps.get_models(), key=lambda each: each._meta.label):
        if model._meta.app_label not in _APPS or model in _LEFT_OUT:
            continue
        columns = [field for field in model._meta.get_fields() if isinstance(field, Field) and field.concrete]
        texts: Texts = [field for field in columns if isinstance(field, CharField | TextField | JSONField)]
        people = [field.name for field in columns if isinstance(field, ForeignKey) and field.related_model is User]
        yield model, texts, people


def mentioning(rows: QuerySet[Any], texts: Texts, address: str) -> QuerySet[Any]:
    """Return the rows that may have the address in one of these columns; the caller looks closer (``has``)."""
    found = Q()
    for field in texts:
        if isinstance(field, JSONField):
            rows = rows.annotate(**{f"text_of_{field.name}": Cast(field.name, TextField())})
            found |= Q(**{f"text_of_{field.name}__icontains": address})
        else:
            found |= Q(**{f"{field.name}__icontains": address})
    return rows.filter(found) if texts else rows.none()


def has(value: object, address: str) -> bool:
    """Say whether a text or JSON value has this address."""
    return any(commitments.owner_of(found) == address for found in commitments.addresses_in(value))


def rows_about(address: str) -> Iterator[tuple[type[Model], list[Model]]]:
    """Yield each table with its rows about a person: the address is in them, or they refer to the account."""
    user = User.objects.filter(email=address).first()
    for model, texts, people in tables():
        rows = model._base_manager.all()
        found = {
            row.pk: row
            for row in mentioning(rows, texts, address)
            if any(has(getattr(row, field.attname), address) for field in texts)
        }
        if user is not None and people:
            refers = Q(*(Q((name, user.pk)) for name in people), _connector=Q.OR)
            found |= {row.pk: row for row in rows.filter(refers)}
        if found:
            yield model, [found[pk] for pk in sorted(found)]


def sessions_of(address: str) -> Iterator[Session]:
    """Yield the sessions of the person, and those that wait for a code to this address."""
    user = User.objects.filter(email=address).first()
    for batch in itertools.batched(Session.objects.iterator(chunk_size=1000), 1000):
        for session in batch:
            data = session.get_decoded()
            if (user and data.get("_auth_user_id") == str(user.pk)) or has(data, address):
                yield session
