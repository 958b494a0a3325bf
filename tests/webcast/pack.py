"""Webcast, as far as it knows what was bought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from subscriptions.models import Order, Subscription
from subscriptions.packs import Pack, SetUpFacts
from subscriptions.presentation import Row, number
from subscriptions.rules.validation import Refused
from tests.webcast.models import Channel


@dataclass(frozen=True)
class ChannelPlan:
    """A channel as it will be made."""

    name: str
    most_viewers: int


@dataclass(frozen=True)
class ChannelFacts(SetUpFacts):
    """The channel of a subscription."""

    name: str
    most_viewers: int

    def facts(self) -> dict[str, Any]:
        """One name of its own, so that no other pack's facts are hidden."""
        return {"channel": super().facts()}

    def rows(self, as_of: datetime) -> Iterator[Row]:
        """What it is called, and how many may watch."""
        yield Row("Channel", self.name)
        yield Row("Viewers at once", number(self.most_viewers), "number")

    def next_steps(self) -> Iterator[str]:
        """What to do first."""
        yield f"Open the channel {self.name} and invite your first viewers."


class Webcast(Pack):
    """A plan is a ``ChannelPlan``."""

    service = "webcast"
    label = product = "Webcast"
    to_one = ("channel",)

    def check(self, plan: ChannelPlan | None, licenses: int) -> None:
        """One channel, for no more viewers than were bought."""
        if plan is None or not plan.name or not 1 <= plan.most_viewers <= licenses:
            raise Refused("channel")

    def preview(self, plan: ChannelPlan) -> ChannelFacts:
        """The channel that will be made."""
        return ChannelFacts(plan.name, plan.most_viewers)

    def reserve_plan(self, order: Order, plan: ChannelPlan) -> None:
        """Refuse a name that another channel has."""
        if Channel.objects.filter(name=plan.name).exists():
            raise Refused("channel_taken")

    def parameters(self, plan: ChannelPlan) -> dict[str, Any]:
        """The channel."""
        return asdict(plan)

    def plan_of(self, parameters: Mapping[str, Any]) -> ChannelPlan:
        """The channel again."""
        return ChannelPlan(**parameters)

    def create_rows(self, subscription: Subscription, plan: ChannelPlan) -> None:
        """Make the channel."""
        try:
            with transaction.atomic():
                Channel.objects.create(subscription=subscription, name=plan.name, most_viewers=plan.most_viewers)
        except IntegrityError as error:
            raise Refused("channel_taken") from error

    def read(self, subscription: Subscription) -> ChannelFacts:
        """Return the channel as it is stored."""
        channel: Channel = subscription.channel
        return ChannelFacts(channel.name, channel.most_viewers)


PACK = Webcast()
