"""The parts that people have in an order, and the links that were mailed to them."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from provisioning.models.access_requests import AccessRequest
from provisioning.models.accounts import User
from subscriptions.models import Order


class Part(models.Model):
    """The part that a person has or had in an order. Only provisioning.people reads roles."""

    class Role(models.TextChoices):
        CONTACT = "contact", _("Provisioning contact")
        DELEGATE = "delegate", _("Customer administrator")
        APPROVER = "approver", _("Asked to decide on a request")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="parts")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="parts")
    role = models.CharField(max_length=10, choices=Role.choices)
    since_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    # When this person first came to the order: by its link and a code, or by answering a step.
    opened_at = models.DateTimeField(null=True, blank=True)
    # Who handed the order to this person; may take it back until it is mapped.
    given_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="given")
    # The request whose right a contact maps and sets up by: when that right is over, so is the set-up by this person.
    rests_on = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="carries")
    # What an approver was asked to decide: a part for each request, and several approvers for each.
    access_request = models.ForeignKey(
        AccessRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="approvers"
    )

    reminders_stopped_at = models.DateTimeField(null=True, blank=True)  # by this person: List-Unsubscribe

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order", "role"],
                condition=models.Q(ended_at=None, role__in=["contact", "delegate"]),
                name="order_part_current_once",
            ),
            models.UniqueConstraint(fields=["access_request", "user"], name="access_request_approver_once"),
            models.CheckConstraint(
                condition=models.Q(role="approver", access_request__isnull=False)
                | (~models.Q(role="approver") & models.Q(access_request=None)),
                name="part_of_approver_has_a_request",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "order"], name="part_of_user"),
            models.Index(
                fields=["since_at"],
                condition=models.Q(opened_at=None, ended_at=None, access_request=None),
                name="part_not_opened",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.user} ({self.role})"


class Link(models.Model):
    """A pointer to an order, mailed to one address. Never a credential: the code that follows it is."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="links")
    part = models.ForeignKey(Part, on_delete=models.PROTECT, related_name="links")
    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["part"], condition=models.Q(replaced_at=None), name="link_current_once_per_part"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.public_id}"
