"""An installation that would lose emails, or work on one machine only, is told so before it is used."""

from __future__ import annotations

import pytest
from django.core import checks

from provisioning.checks import environment_is_complete

VARIABLES = ("SECRET_KEY", "EMAIL_URL", "PUBLIC_URL")


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
