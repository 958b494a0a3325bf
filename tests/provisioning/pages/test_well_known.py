"""What browsers, robots and researchers look for, and the bill of materials."""

from __future__ import annotations

import json
import runpy
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

ROOT = Path(settings.BASE_DIR)


@pytest.mark.django_db
def test_security_txt_robots_txt_and_headers(client: Client) -> None:
    answer = client.get("/.well-known/security.txt")
    fields = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert answer["Content-Type"].startswith("text/plain")
    assert fields["Contact"] == f"mailto:{settings.HELP_CONTACT}"
    expires = datetime.fromisoformat(fields["Expires"])
    assert timezone.now() + timedelta(days=100) < expires < timezone.now() + timedelta(days=365)
    assert fields["Canonical"] == f"{settings.PUBLIC_URL}/.well-known/security.txt"
    assert client.get("/robots.txt").content == b"User-agent: *\nDisallow: /\n"
    assert client.post("/robots.txt").status_code == 405
    for path in ("/sign-in/", "/nowhere/", "/robots.txt"):
        assert "camera=()" in client.get(path)["Permissions-Policy"]


def test_cookies_are_bound_to_the_host_under_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a key of fifty characters 0123456789 abcdefghijklm")
    monkeypatch.setenv("PUBLIC_URL", "https://setup.example.com")
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)
    found = runpy.run_path(str(ROOT / "provisioning" / "settings.py"))
    names = ("SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE")
    for name in names:
        assert found[f"{name}_NAME"].startswith("__Host-")
        assert found[f"{name}_SECURE"] is True
        assert found.get(f"{name}_PATH", "/") == "/"
        assert found.get(f"{name}_DOMAIN") is None
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:8000")
    assert "SESSION_COOKIE_NAME" not in runpy.run_path(str(ROOT / "provisioning" / "settings.py"))


def test_bill_of_materials_has_every_locked_package_with_its_hashes() -> None:
    out = StringIO()
    call_command("sbom", stdout=out)
    bill = json.loads(out.getvalue())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements.txt").read_text()
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(bill["components"]) == len(pinned) > 80
    django = next(each for each in bill["components"] if each["name"] == "django")
    assert django["purl"] == f"pkg:pypi/django@{django['version']}"
    assert all(each["hashes"] for each in bill["components"])
    again = StringIO()
    call_command("sbom", stdout=again)
    assert again.getvalue() == out.getvalue()
