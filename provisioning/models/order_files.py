"""Files of orders: each file is a batch, each of its orders a row with what is planned and what was done."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from provisioning.models.accounts import User
from subscriptions.models import Order


class OrderBatch(models.Model):
    """One file of orders: planning → planned → applying → applied. Its rows say how far it is; a job is a wake-up."""

    class State(models.TextChoices):
        """How far a batch is. *planned* waits for somebody to apply it."""

        PLANNING = "planning", _("Being checked")
        PLANNED = "planned", _("Checked")
        APPLYING = "applying", _("Being applied")
        APPLIED = "applied", _("Applied")

    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    file_name = models.CharField(_("file"), max_length=200)
    file_hash = models.CharField(max_length=64)  # SHA-256 of the file
    read_as = models.CharField(max_length=200)  # "Read as UTF-8, separated by commas"
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.PLANNING)
    apply_when_planned = models.BooleanField(default=False)
    by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("uploaded by")
    )
    key_name = models.CharField(max_length=80, blank=True)  # of the API key that sent it
    created_at = models.DateTimeField(_("uploaded at"), default=timezone.now)
    planned_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)

    class Meta:
        verbose_name = _("file of orders")
        verbose_name_plural = _("files of orders")
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(state__in=["planning", "applying"]), name="order_batch_at_work"
            ),
        ]

    def __str__(self) -> str:
        return self.file_name


class BatchRow(models.Model):
    """One order of a file: what it says, what applying it would do, and what was done.

    JSON fields: ``facts`` as ``provisioning.bulk.rows.Facts`` keeps them; ``faults`` [{"field", "problem" or "text",
    "at"}]; ``warnings`` [{"kind", "field", "rows"}]; ``seen`` the facts of the order when it was planned, null where
    there was none; ``changes`` {field: [before, after]}; ``suggestion`` {"public_id", "name", "country", "best",
    "evidence": [[code, about]]}.
    """

    class Outcome(models.TextChoices):
        """What applying a row does."""

        NEW = "new", _("New")
        UNCHANGED = "unchanged", _("Unchanged")
        CORRECTED = "corrected", _("Corrected")
        REFUSED = "refused", _("Refused")

    class Result(models.TextChoices):
        """What became of a row when it was applied."""

        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        CHANGED = "changed", _("Changed in the meantime")

    batch = models.ForeignKey(OrderBatch, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()  # from 1
    line = models.PositiveIntegerField()  # of a CSV file where the order begins; the place in the list otherwise
    number = models.CharField(max_length=40, blank=True)  # "" where the file has none that can be one
    facts = models.JSONField(default=dict)
    faults = models.JSONField(default=list)
    warnings = models.JSONField(default=list)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)  # "" until it is planned
    seen = models.JSONField(null=True)
    changes = models.JSONField(default=dict)
    suggestion = models.JSONField(null=True)
    result = models.CharField(max_length=10, choices=Result.choices, blank=True)  # "" until it is applied
    result_faults = models.JSONField(default=list)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["batch_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "position"], name="batch_row_once_per_position"),
        ]
        indexes = [
            models.Index(fields=["batch", "position"], condition=models.Q(outcome=""), name="batch_row_to_plan"),
            models.Index(fields=["batch", "position"], condition=models.Q(result=""), name="batch_row_to_apply"),
        ]

    def __str__(self) -> str:
        return f"{self.number or self.line} ({self.batch})"
