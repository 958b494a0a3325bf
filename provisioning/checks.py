"""What `manage.py check` (fonts) and `check --deploy` say about an installation beside Django's own checks."""

from __future__ import annotations

import os
from typing import Any

from django.core import checks

from subscriptions.summary import fonts

_PANGO = "Install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0 (Debian, Ubuntu), or pango (Homebrew)."


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


@checks.register("fonts")
def fonts_are_there(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Warn of scripts that names may be written in, and that no font of this machine has."""
    missing = fonts.missing()
    if missing is None:
        return [checks.Warning("Pango isn't installed, so no PDF can be made.", hint=_PANGO, id="provisioning.W010")]
    by_package: dict[str, list[str]] = {}
    for script in missing:
        by_package.setdefault(fonts.package_of(script), []).append(script)
    return [
        checks.Warning(
            f"No font has {', '.join(scripts)}: names written so are shown as boxes in the PDF.",
            hint=f"Install {package} (Debian, Ubuntu), or another font that has them.",
            id="provisioning.W011",
        )
        for package, scripts in by_package.items()
    ]
