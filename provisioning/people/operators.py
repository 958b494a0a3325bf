"""Operators of the order desk: their roles, and giving somebody a new start with second factors."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import transaction

from provisioning.history import operators_log
from provisioning.models import OperatorEvent, OperatorRole, User
from provisioning.people import links


class OwnRole(Exception):
    """Nobody changes their own role, so that a supervisor stays."""


@transaction.atomic
def set_operator(*, email: str, role: OperatorRole | None, by: User | None) -> User:
    """Give a person a role at the order desk, or (None) take it; the same twice is once. ``by`` is None for commands.

    :raises OwnRole: where ``by`` is that person.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=links.user_for(email).pk)
    if by is not None and by.pk == user.pk:
        raise OwnRole
    before = user.operator_role
    if before is role and user.is_staff == (role is not None):
        return user
    user.is_staff, user.is_superuser = role is not None, role is OperatorRole.SUPERVISOR
    user.desk_role = role.value if role in {OperatorRole.VIEWER, OperatorRole.DESK} else ""
    user.save(update_fields=["is_staff", "is_superuser", "desk_role"])
    facts = {"person": user.email, "before": before.value if before else "", "after": role.value if role else ""}
    operators_log.record(kind=OperatorEvent.Kind.ROLE, by=by, facts=facts)
    return user


@transaction.atomic
def forget_second_factors(*, user: User, by: User | None) -> int:
    """Remove all factors of somebody who lost them, and sign them out; they set up new ones at the next sign-in.

    Returns how many factors there were.

    :raises OwnRole: where ``by`` is that person, who removes their own on the page of their account.
    """
    if by is not None and by.pk == user.pk:
        raise OwnRole
    count, _rows = Authenticator.objects.filter(user=user).delete()
    user.set_unusable_password()  # another one, which ends all of this person's sessions
    user.save(update_fields=["password"])
    operators_log.record(kind=OperatorEvent.Kind.FACTOR_REMOVED, by=by, facts={"person": user.email})
    return int(count)
