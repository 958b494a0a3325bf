"""What the README lists is all there is."""

from __future__ import annotations

import pytest
from django.conf import settings

from provisioning.emails.order_emails import EVENTS

README = (settings.BASE_DIR / "README.md").read_text()


@pytest.mark.parametrize("event", [*EVENTS, "sign_in_code"])
def test_every_email_is_in_the_readme_with_its_picture(event: str) -> None:
    emails = README.partition("## Emails")[2].partition("\n## ")[0]
    name = f"`{event}`" if event in EVENTS else "sign-in code"
    assert [line for line in emails.splitlines() if line.startswith("| ") and f"[{name}]" in line]
    assert f"[{name}]: tests/browser/pictures/emails/{event}.png" in emails
