"""Accounts, and the one-time codes that sign people in."""

from __future__ import annotations

from typing import Any, ClassVar

import uuid_utils.compat as uuid
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class OperatorRole(models.TextChoices):
    """What an operator of the order desk may do."""

    VIEWER = "viewer", _("Viewer: sees everything, changes nothing")
    DESK = "desk", _("Desk: does the daily work")
    SUPERVISOR = "supervisor", _("Supervisor: also confirms rights, manages operators and people's data")


# The beginnings of the permissions that a role gives; a supervisor has all of them by Django's flag.
_VERBS: dict[str, tuple[str, ...]] = {
    OperatorRole.VIEWER: ("view_",),
    OperatorRole.DESK: ("view_", "add_", "change_"),
}


class UserManager(BaseUserManager["User"]):
    """Makes accounts by email address; nobody but an operator ever has a password."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make an account for this address (kept in lower case)."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make an operator of the order desk."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """An account: an address whose mailbox somebody proves with a code. SetUpFacts when a link is issued."""

    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(_("order desk"), default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)
    # The role of an operator (is_staff) who is no supervisor (is_superuser): VIEWER or DESK. Ask ``operator_role``.
    desk_role = models.CharField(max_length=10, blank=True, db_default="", default="", choices=OperatorRole.choices)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def operator_role(self) -> OperatorRole | None:
        """Return this person's role at the order desk; None for everybody else, and for an account that is closed."""
        if not (self.is_staff and self.is_active):
            return None
        if self.is_superuser:
            return OperatorRole.SUPERVISOR
        return OperatorRole(self.desk_role) if self.desk_role else None

    @property
    def is_supervisor(self) -> bool:
        """Say whether this person is a supervisor of the order desk."""
        return self.operator_role is OperatorRole.SUPERVISOR

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Say whether a role gives this permission (``app.view_model``), or Django's own rows do."""
        verbs = _VERBS.get(self.operator_role or "", ())
        return perm.partition(".")[2].startswith(verbs) or super().has_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        """Say whether this person sees anything of an app at the order desk."""
        return self.operator_role is not None or super().has_module_perms(app_label)


class SignInCode(models.Model):
    """One code that an address was asked to prove itself with. Its letters are derived from the row, never kept.

    Also written for addresses that have no account, so that nobody can tell them apart; those get no mail.
    """

    email = models.EmailField()  # lower case, as typed or as the link's
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")  # worthless without it
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    made_at = models.DateTimeField(default=timezone.now)
    fresh_until = models.DateTimeField()  # asked again before this: the same code
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    wrong = models.PositiveIntegerField(default=0)
    # The mail that carries it: asked for, sent, and how often it was asked for.
    asked_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    mails = models.PositiveSmallIntegerField(default=1)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    # Who sends it has it until then, by the database's clock; ``fence`` tells whose claim is the last.
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    problem = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["email", "made_at"], name="sign_in_code_of_address"),
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(sent_at=None, used_at=None, user__isnull=False),
                name="sign_in_code_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email}: {self.public_id}"
