"""The operators' log: what operators looked at and did, chained by hashes like an order's history."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from provisioning.models.accounts import User
from provisioning.models.history import Scheme


class OperatorEvent(models.Model):
    """One thing that an operator looked at or did. Rows are only added (``history.operators_log``).

    A trigger gives each row its position, the operator's address, the hash of the row before and its own; others
    refuse to change, delete or empty them.
    """

    class Kind(models.TextChoices):
        """The kinds of events. A new one needs no migration."""

        LOOKED = "looked", _("Looked at")
        ACTED = "acted", _("Did")
        CHECKED = "checked", _("Second factor given")
        REFUSED = "refused", _("Second factor refused")
        FACTOR_ADDED = "factor_added", _("Second factor added")
        FACTOR_REMOVED = "factor_removed", _("Second factor removed")
        ROLE = "role", _("Role changed")
        EXPORTED = "exported", _("Person's data exported")
        ERASED = "erased", _("Person's data erased")

    kind = models.CharField(max_length=40)  # a Kind
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    facts = models.JSONField(default=dict, blank=True)
    # The database's own, as of an Event.
    position = models.PositiveBigIntegerField(db_default=0, editable=False)
    who = models.CharField(max_length=254, db_default="", editable=False)
    previous = models.CharField(max_length=64, db_default="", editable=False)
    hash = models.CharField(max_length=64, db_default="", editable=False)
    scheme = models.PositiveSmallIntegerField(db_default=Scheme.COMMITTED, editable=False)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["position"], name="operator_event_position_once"),
            models.CheckConstraint(
                condition=models.Q(position__gte=1, previous__regex="^[0-9a-f]{64}$", hash__regex="^[0-9a-f]{64}$"),
                name="operator_event_is_chained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.kind}"


class OperatorsLogHead(models.Model):
    """How many events the operators' log has, and the hash of its last. One row, written by the trigger only."""

    events = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.events}:{self.hash}"
