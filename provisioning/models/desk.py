"""What operators of the order desk keep for themselves."""

from __future__ import annotations

from django.db import models

from provisioning.models.accounts import User


class SavedFilter(models.Model):
    """A filter of one of the order desk's lists that an operator named: its query string, for their own page."""

    MOST = 50  # of one person and list
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")  # worthless without it
    table = models.CharField(max_length=80)  # of which rows the list is: "subscriptions_order"
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "table", "name"], name="saved_filter_name_once")]

    def __str__(self) -> str:
        return self.name
