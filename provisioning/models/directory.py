"""Batches of organizations that other systems send, and the questions that they ask the finder."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class DirectoryBatch(models.Model):
    """Up to 10,000 records of organizations, which the worker writes in parts."""

    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    made_by = models.CharField(max_length=80)  # the API key's name
    created_at = models.DateTimeField(default=timezone.now)
    rows = models.PositiveIntegerField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=models.Q(finished_at=None), name="directory_batch_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} ({self.rows} rows)"


class DirectoryBatchPart(models.Model):
    """Some rows of a batch. They are written in one transaction, together with their results.

    ``records`` are [line, record] and empty once they are written. ``results`` are [line, external id, outcome,
    [[JSON pointer, sentence], …]] by line; None before.
    """

    batch = models.ForeignKey(DirectoryBatch, on_delete=models.CASCADE, related_name="parts")  # part of it
    first_line = models.PositiveIntegerField()
    records = models.JSONField()
    results = models.JSONField(null=True)
    counts = models.JSONField(default=dict)  # rows by outcome

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "first_line"], name="directory_batch_part_once")]

    def __str__(self) -> str:
        return f"{self.batch}: from line {self.first_line}"


class MatchQuestion(models.Model):
    """A question that a system asked the finder for the vendor: who asked what, when, and what was answered."""

    asked_at = models.DateTimeField(_("asked at"), default=timezone.now)
    asked_by = models.CharField(_("API key"), max_length=80)
    email = models.CharField(_("email address"), max_length=254, blank=True)
    company_name = models.CharField(_("company name"), max_length=200, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    result = models.CharField(_("result"), max_length=20)
    organizations = models.JSONField(_("organizations"), default=list)  # public ids, in the order of the answer

    class Meta:
        verbose_name = _("question to the finder")
        verbose_name_plural = _("questions to the finder")
        indexes = [models.Index(fields=["asked_at"], name="match_question_asked")]

    def __str__(self) -> str:
        return f"{self.asked_by}: {self.company_name or self.email}"
