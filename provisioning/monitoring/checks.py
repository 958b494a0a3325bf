"""What `manage.py check --deploy` says about the machines that this installation sends to: it connects to them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from provisioning.integration.http_client import NoAnswer, request
from provisioning.monitoring.health import mail_server_problem


@checks.register("outside", deploy=True)
def outside_answers(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Connect to the mail server and to the receiver of webhooks. Nothing is sent but a request without a body."""
    found: list[checks.CheckMessage] = []
    if problem := mail_server_problem():
        hint = (
            "Correct host, port, user and password in EMAIL_URL, such as smtp+tls://user:password@mail.example.com:587."
        )
        found.append(checks.Error(problem, hint=hint, id="provisioning.E030"))
    if settings.WEBHOOK_URL:
        try:
            request("HEAD", settings.WEBHOOK_URL, b"", {}, allow=settings.OUTGOING_ALLOW_PRIVATE)
        except NoAnswer as problem:
            sentence = f"The receiver of WEBHOOK_URL can't be reached: {problem}"
            hint = "Correct WEBHOOK_URL, such as https://erp.example.com/webhooks, or start the receiver."
            found.append(checks.Error(sentence, hint=hint, id="provisioning.E031"))
    return found
