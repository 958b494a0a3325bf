"""What is made of a line of Webcast."""

from __future__ import annotations

from django.db import models

from subscriptions.models import Subscription


class Channel(models.Model):
    """Where a company broadcasts, to so many viewers at once."""

    subscription = models.OneToOneField(Subscription, on_delete=models.PROTECT, related_name="channel")
    name = models.CharField(max_length=40, unique=True)
    most_viewers = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(most_viewers__gte=1), name="channel_has_room_for_a_viewer"),
        ]

    def __str__(self) -> str:
        return self.name
