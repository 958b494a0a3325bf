"""An installation that would lose emails, or work on one machine only, is told so before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core import checks
from django.db import connection
from pytest_django import Settings

from provisioning.database import transaction_pooler
from provisioning.deployment.checks import database_fits, environment_is_complete
from subscriptions.summary import fonts

VARIABLES = ("SECRET_KEY", "EMAIL_URL", "PUBLIC_URL")


@pytest.mark.django_db
def test_check_names_each_variable_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    warnings = [message.msg for message in checks.run_checks(include_deployment_checks=True)]
    for name in VARIABLES:
        assert any(warning.startswith(f"{name} is not set.") for warning in warnings)


def test_check_is_silent_where_all_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "https://setup.example.com")
    assert environment_is_complete() == []


def with_fonts(folder: str, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command on a machine that has the fonts of one folder only."""
    config = tmp_path / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    environment = os.environ | {"FONTCONFIG_FILE": str(config), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, check=False)


def test_check_says_which_scripts_have_no_font_and_how_to_get_one(tmp_path: Path) -> None:
    told = with_fonts(f"{tmp_path}/none", tmp_path, "-m", "django", "check").stderr.decode()
    assert "No font has Chinese, Japanese, Korean" in told
    assert "Install fonts-noto-cjk" in told
    assert "Arabic, Hebrew, Thai, Devanagari" in told
    assert "Install fonts-noto-core" in told


def test_check_of_fonts_is_silent_where_all_are_there() -> None:
    if not Path("/usr/share/fonts/opentype/noto").exists():
        pytest.skip("fonts-noto-cjk is not installed")
    assert fonts.missing() == []


def test_pdf_is_made_although_a_font_is_missing(tmp_path: Path) -> None:
    script = (
        "import sys, django; django.setup()\n"
        "from subscriptions.summary import Company, pdf\n"
        "from tests.subscriptions.summary.test_summary import a_summary\n"
        "sys.stdout.buffer.write(pdf.render(a_summary(1, customer=Company('c', '東方ソフト 한국통신', 'JP')), 'en'))\n"
    )
    made = with_fonts("/usr/share/fonts/truetype", tmp_path, "-c", script)
    assert made.stdout.startswith(b"%PDF-1.7"), made.stderr.decode()


@pytest.mark.django_db
def test_check_compares_the_connections_that_are_asked_for_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    room = transaction_pooler.room()
    assert 0 < room <= 100
    settings.DATABASE_POOL, worker = 8, 8 + transaction_pooler.WORKER_EXTRA
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert database_fits() == []
    for processes in (most := (room - worker) // 8, most + 1):
        monkeypatch.setenv("WEB_CONCURRENCY", str(processes))
        told = [(message.id, message.msg) for message in database_fits()]
        if processes == most:
            assert told == []
    ((name, sentence),) = told
    assert name == "provisioning.W023"
    assert f"{processes} web processes and a worker take up to {8 * processes + worker} connections" in sentence
    assert f"which has {room} for this machine" in sentence


@pytest.mark.django_db
def test_check_says_nothing_of_connections_where_the_database_is_away(settings: Settings) -> None:
    address = {**connection.get_connection_params(), "host": "/nowhere", "dbname": "none"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "get_connection_params", lambda: dict(address))
        assert database_fits() == []
