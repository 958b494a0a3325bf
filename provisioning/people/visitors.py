"""What visitors who proved nothing may leave in the database: so much for each network, so much in all, for an hour.

Whoever comes by a link isn't counted: the link was mailed to them. A network may be a whole company's, with a mail
scanner that submits forms, so its limit is high; the rows are small, and end within the hour (``forget``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.http import HttpRequest
from django.utils import timezone

from orgs import rate_limits
from orgs.models import SearchBudget
from provisioning.deployment import networks

WINDOW: Final = timedelta(hours=1)
# Requests for a code in the window, from one network and in all: each makes a session and at most one code, of some
# hundred bytes. Answers that are kept until somebody signs in (provisioning.wizard.pending_posts) have up to 64 kB.
CODES: Final = {"network": 1_000, "all": 20_000}
ANSWERS: Final = {"network": 20, "all": 500}
# Challenges for passkeys: each makes a session of some hundred bytes.
PASSKEYS: Final = {"network": 1_000, "all": 20_000}
_KEY: Final = "visitor"


class TooMany(Exception):
    """This network, or all visitors together, left as much as they may in an hour."""


def count_code(request: HttpRequest) -> None:
    """Count a request for a code to an address that was typed. Raises TooMany."""
    if not _may(request, "code", CODES):
        raise TooMany


def may_ask_for_passkey(request: HttpRequest) -> bool:
    """Count a request for the challenge of a passkey that signs in; say whether it may be made."""
    return _may(request, "passkey", PASSKEYS)


def may_keep_answer(request: HttpRequest) -> bool:
    """Count an answer of somebody who isn't signed in; say whether it may be kept."""
    return _may(request, "answer", ANSWERS)


def forget() -> None:
    """Delete the counts of windows that are over."""
    SearchBudget.objects.filter(key__startswith=f"{_KEY} ", since_at__lte=timezone.now() - WINDOW).delete()


def _may(request: HttpRequest, what: str, limits: dict[str, int]) -> bool:
    network = networks.network_of(networks.client_address(request)) or "unknown"
    return rate_limits.spend(
        {f"{_KEY} {what} all": limits["all"], f"{_KEY} {what} of {network}": limits["network"]}, WINDOW
    )
