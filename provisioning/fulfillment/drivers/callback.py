"""The driver *callback*: a signed webhook asks, and the vendor's system reports through the API.

``provisioning.requested`` carries the parameters and the address to report to (``PUT /api/v1/provisioning/{id}``);
``provisioning.cancelled`` asks to delete what was made. Webhooks repeat with one id until they are accepted, so each
is written once. What is reported is applied by ``transitions.report``; a deadline without a word becomes a problem.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from provisioning.fulfillment.outcomes import Done, Job, Outcome, Rejected, Running, Unreachable
from provisioning.integration import webhooks
from subscriptions.models import Order


class Callback:
    """Asks by webhook and waits for the report."""

    name = "callback"

    def check(self, job: Job) -> Rejected | None:
        """The vendor's system can't be asked beforehand."""
        return None

    def start(self, job: Job) -> Outcome:
        """Write the webhook that asks, once for each instance."""
        if not settings.WEBHOOK_URL:
            return Unreachable("WEBHOOK_URL is not set, so nobody can be asked.", is_outage=False)
        self._say("provisioning.requested", job, {"parameters": dict(job.parameters)})
        return Running(longest=settings.PROVISIONING_CALLBACK_HOURS * 3600)

    def poll(self, job: Job) -> Outcome:
        """Go on waiting: the loop ends it at its deadline."""
        return Running(external=job.external)

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """Say that it isn't wanted any more. The webhook is the whole of it: there is no answer to wait for."""
        if not deleting:
            self._say("provisioning.cancelled", job, {})
        return Done()

    def problems(self) -> list[str]:
        """Say what is missing for webhooks to go out."""
        if settings.WEBHOOK_URL:
            return []
        return ["A service is provisioned by callback, so WEBHOOK_URL and WEBHOOK_SECRETS must be set."]

    def _say(self, kind: str, job: Job, more: dict[str, object]) -> None:
        data: dict[str, object] = {
            "id": job.request_id,
            "instance_id": job.instance_id,
            "line": job.line,
            "service": job.service,
            "product": job.product,
            "licenses": job.licenses,
            "term_months": job.term_months,
            "organization": {"id": job.organization_id, "name": job.organization_name},
            "report_to": f"{settings.PUBLIC_URL}/api/v1/provisioning/{job.request_id}",
            **more,
        }
        with transaction.atomic():
            order = Order.objects.select_for_update(no_key=True).get(number=job.order)
            data["order"] = {"id": str(order.public_id), "number": order.number, "state": order.state}
            webhooks.enqueue_once(order=order, kind=kind, key=f"{kind}:{job.instance_id}", data=data)
