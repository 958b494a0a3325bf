"""What `manage.py check --deploy` says about an installation beside Django's own checks."""

from __future__ import annotations

import os
from typing import Any

from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def environment_is_complete(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Warn of what works on one machine only, or reaches nobody."""
    expected = {
        "SECRET_KEY": "The key is made in STATE_DIR, so a second machine would not know links, codes and sessions.",
        "EMAIL_URL": "Emails are written to files in STATE_DIR, so they reach nobody.",
        "PUBLIC_URL": "Links in emails lead to this machine only.",
    }
    return [
        checks.Warning(
            f"{name} is not set. {consequence}",
            hint=f"Set {name}; the README says how.",
            id=f"provisioning.W{number:03}",
        )
        for number, (name, consequence) in enumerate(expected.items(), start=1)
        if not os.environ.get(name)
    ]
