"""Answers that are not confirmed yet, and questions about them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from provisioning.models.accounts import User
from subscriptions.models import Order


class Draft(models.Model):
    """The answers of an order's wizard, so that they outlive the browser.

    ``steps`` maps a step's name to ``{"data": {field: [values]}, "revision": n, "by": email, "at": iso time}``;
    ``typed`` maps a step's name to posted fields that have not become an answer (going back, adding a row).
    """

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="draft")
    steps = models.JSONField(default=dict)
    typed = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.order)


class Question(models.Model):
    """What the partner or the customer's administrator asks the other about a field of the set-up."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="questions")
    step = models.CharField(max_length=60)
    field = models.CharField(max_length=60, blank=True)  # "" for the whole step
    about = models.CharField(max_length=300)  # the field in words, as the person who asked saw it
    text = models.TextField()
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    answer = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(closed_at=None, closed_by=None, answer="")
                | models.Q(closed_at__isnull=False, closed_by__isnull=False),
                name="question_closed_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=models.Q(answer="") | ~models.Q(closed_by=models.F("asked_by")),
                name="question_answered_by_the_other",
            ),
            models.CheckConstraint(condition=~models.Q(text=""), name="question_has_a_text"),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.about}"
