"""The driver *local*: this database is the service, so what is asked for is done at once, in the same transaction."""

from __future__ import annotations

from provisioning.fulfillment.outcomes import Done, Job, Outcome, Rejected


class Local:
    """Sets nothing up outside: the rows of this database are the service."""

    name = "local"

    def check(self, job: Job) -> Rejected | None:
        """Nothing outside can refuse."""
        return None

    def start(self, job: Job) -> Outcome:
        """It is done."""
        return Done()

    def poll(self, job: Job) -> Outcome:
        """It is done."""
        return Done()

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """There is nothing outside."""
        return Done()

    def problems(self) -> list[str]:
        """Nothing can be configured wrongly."""
        return []
