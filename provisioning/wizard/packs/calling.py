"""Calling: where the main headquarters is."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms import calling
from provisioning.wizard.packs.base import Answers, PackSteps, Step
from subscriptions.models import Location, Order
from subscriptions.packs import Bought
from subscriptions.packs.calling import LocationPlan
from subscriptions.rules.validation import Problem, Refused


class CallingSteps(PackSteps):
    """A plan is a ``LocationPlan``."""

    service = "calling"
    steps = (
        Step("location", _("Main headquarters"), calling.LocationStart),
        Step("address", _("Address"), calling.LocationAddress, depends_on=("location",)),
    )

    def facts(self, order: Order, bought: Bought) -> dict[str, Any]:
        """Where the customer is, and what its locations are called."""
        return {
            "country": order.customer.country.code if order.customer else "",
            "location_name_taken": lambda name: (
                Location.objects.filter(organization=order.customer, name__iexact=name).exclude(order=order).exists()
            ),
        }

    def plan(self, answers: Answers, bought: Bought) -> LocationPlan | None:
        """The location."""
        location = calling.planned_location(answers)
        return LocationPlan(**location) if location else None

    def locate_field(self, field: str, answers: Answers) -> tuple[str, str]:
        """Name and country are answered first, everything else of the location at the address."""
        parts = field.split("/")[2:] if field.startswith("/location/") else []
        if not parts or parts[0] in {"name", "country"}:
            return "location", parts[0] if parts else ""
        if parts[0] == "address":
            return "address", parts[1] if len(parts) > 1 else ""
        if parts[0] == "emergency_address":
            return "address", f"{calling.EMERGENCY}{parts[1]}" if len(parts) > 1 else "emergency"
        return "address", parts[0]

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """A name that another location was given meanwhile is chosen anew."""
        return "location" if refused.problem == Problem.LOCATION_NAME_TAKEN else ""


STEPS = CallingSteps()
