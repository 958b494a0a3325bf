"""Webcast, as far as it asks."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from provisioning.wizard.forms.base import StepForm
from provisioning.wizard.forms.fields import TextField, WholeNumberField
from provisioning.wizard.packs.base import Answers, PackSteps, Step
from subscriptions.models import Order
from subscriptions.packs import Bought
from subscriptions.rules.validation import Refused
from tests.webcast.models import Channel
from tests.webcast.pack import ChannelPlan


class ChannelForm(StepForm):
    """One page: the channel's name, and how many may watch at once."""

    step = "channel"
    template = "wizard/step.html"
    title = "What is your channel called?"
    lead = "Viewers find your broadcasts under this name."

    name = TextField(label="Channel name", expected="Enter a channel name", max_length=40)
    most_viewers = WholeNumberField(
        label="Viewers at once", expected="Enter how many may watch at once", min_value=1, max_value=1_000_000
    )

    def clean_name(self) -> str:
        """Refuse a name that another channel has."""
        name = str(self.cleaned_data["name"])
        if self.facts["taken"](name):
            raise ValidationError("Enter another channel name: this one is taken", code="taken")
        return name

    def clean_most_viewers(self) -> int:
        """No more than were bought."""
        viewers = int(self.cleaned_data["most_viewers"])
        if viewers > self.facts["licenses"]:
            raise ValidationError(f"Enter at most {self.facts['licenses']}, as many as were bought", code="many")
        return viewers


class WebcastSteps(PackSteps):
    """A plan is a ``ChannelPlan``."""

    service = "webcast"
    steps = (Step("channel", "Webcast channel", ChannelForm),)

    def facts(self, order: Order, bought: Bought) -> dict[str, Any]:
        """How many were bought, and which names are taken."""
        return {"licenses": bought.licenses, "taken": lambda name: Channel.objects.filter(name=name).exists()}

    def plan(self, answers: Answers, bought: Bought) -> ChannelPlan:
        """The channel."""
        return ChannelPlan(**answers["channel"])

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """A name that was taken meanwhile is chosen anew."""
        return "channel" if refused.problem == "channel_taken" else ""


STEPS = WebcastSteps()
