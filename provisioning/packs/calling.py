"""Calling: where the main headquarters is."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from provisioning.forms import calling
from provisioning.pack import Answers, PackSteps, Step
from subscriptions.models import Order, OrderLine
from subscriptions.rules import LocationPlan


class CallingSteps(PackSteps):
    """A plan is a ``LocationPlan``."""

    service = "calling"
    steps = (
        Step("location", _("Main headquarters"), calling.LocationStart),
        Step("address", _("Address"), calling.LocationAddress, rests_on=("location",)),
    )

    def facts(self, order: Order, line: OrderLine) -> dict[str, Any]:
        """Where the customer is."""
        return {"country": order.customer.country.code if order.customer else ""}

    def plan(self, answers: Answers, line: OrderLine) -> LocationPlan | None:
        """The location."""
        location = calling.planned_location(answers)
        return LocationPlan(**location) if location else None


STEPS = CallingSteps()
