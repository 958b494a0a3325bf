"""A driver from elsewhere: this file is the whole of it. PROVISIONING_WEBCAST=tests.webcast.driver.Studio names it."""

from __future__ import annotations

from typing import ClassVar

from provisioning.fulfillment.outcomes import Done, Job, Outcome, Rejected, Running


class Studio:
    """Books a studio for a channel, which takes two questions."""

    name = "studio"
    booked: ClassVar[dict[str, str]] = {}  # by instance: the channel's name

    def __init__(self, service: str) -> None:
        self.service = service

    def check(self, job: Job) -> Rejected | None:
        """Nobody may be called like the studio."""
        if job.parameters["name"] == "Studio":
            return Rejected("/name", "Studio is the name of the studio.")
        return None

    def start(self, job: Job) -> Outcome:
        """Book it, once."""
        if refused := self.check(job):
            return refused
        self.booked[job.instance_id] = job.parameters["name"]
        return Running(operation="booking", after=1, description="The studio is being booked.")

    def poll(self, job: Job) -> Outcome:
        """It is booked."""
        return Done(external={"studio": "7"})

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """Give it back."""
        self.booked.pop(job.instance_id, None)
        return Done()

    def problems(self) -> list[str]:
        """Nothing can be wrong."""
        return []
