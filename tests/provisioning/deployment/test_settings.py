"""Each wrong variable is refused with one sentence that names it and has an example; secrets are never shown."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings

from provisioning.env import Env
from provisioning.local import commands
from tests.test_readme import read_by_operators

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "provisioning" / "deployment" / "examples"
# An installation that is right.
RIGHT = {
    "DATABASE_URL": "postgres://app:hidden-db@db.example.com/provisioning",
    "SECRET_KEY": "hidden key of fifty characters 0123456789 abcdefghijk",
    "PUBLIC_URL": "https://setup.example.com",
    "EMAIL_URL": "smtp+tls://mailer:hidden-mail@mail.example.com:587",
    "HELP_CONTACT": "help@example.com",
    "BRAND_NAME": "Example",
}
# What is wrong -> the variable that the sentence names, and a part of its example or reason.
WRONG: dict[str, tuple[dict[str, str], str, str]] = {
    "a path in the public address": ({"PUBLIC_URL": "https://example.com/setup"}, "PUBLIC_URL", "https://setup.exam"),
    "a query in the public address": ({"PUBLIC_URL": "https://example.com/?a=1"}, "PUBLIC_URL", "after the host"),
    "no scheme": ({"PUBLIC_URL": "setup.example.com"}, "PUBLIC_URL", "https://setup.example.com"),
    "another scheme": ({"PUBLIC_URL": "ftp://setup.example.com"}, "PUBLIC_URL", "https://setup.example.com"),
    "an empty public address": ({"PUBLIC_URL": ""}, "PUBLIC_URL", "https://setup.example.com"),
    "a German yes": ({"BEHIND_PROXY": "ja"}, "BEHIND_PROXY", "BEHIND_PROXY=true"),
    "a slip in a yes": ({"DEBUG": "ture"}, "DEBUG", "DEBUG=true"),
    "redirect neither yes nor no": ({"SECURE_SSL_REDIRECT": "maybe"}, "SECURE_SSL_REDIRECT", "true or false"),
    "a letter missing": ({"WEBHOK_URL": "https://erp.example.com"}, "WEBHOK_URL", "did you mean WEBHOOK_URL?"),
    "two letters swapped": ({"BRAND_NMAE": "Contoso", "BRAND_NAME": "-"}, "BRAND_NMAE", "did you mean BRAND_NAME?"),
    "a letter too many": ({"ALLOWED_HOSTSS": "a.example"}, "ALLOWED_HOSTSS", "did you mean ALLOWED_HOSTS?"),
    "lower case": ({"link_days": "3"}, "link_days", "did you mean LINK_DAYS?"),
    "hosts without the public one": ({"ALLOWED_HOSTS": "other.example.com"}, "ALLOWED_HOSTS", "setup.example.com"),
    "hosts with a scheme": ({"ALLOWED_HOSTS": "https://setup.example.com"}, "ALLOWED_HOSTS", "without scheme"),
    "hosts with a port": ({"ALLOWED_HOSTS": "setup.example.com:443"}, "ALLOWED_HOSTS", "without scheme and port"),
    "no key": ({"SECRET_KEY": ""}, "SECRET_KEY", "50 characters"),
    "a short key": ({"SECRET_KEY": "changeme"}, "SECRET_KEY", "50 characters"),
    "a key of one letter": ({"SECRET_KEY": "a" * 60}, "SECRET_KEY", "50 characters"),
    "a short former key": ({"SECRET_KEY_FALLBACKS": "old"}, "SECRET_KEY_FALLBACKS", "50 characters"),
    "another database": ({"DATABASE_URL": "mysql://u:hidden@h/d"}, "DATABASE_URL", "postgres://"),
    "pool in letters": ({"DATABASE_POOL": "many"}, "DATABASE_POOL", "DATABASE_POOL=10"),
    "an empty pool": ({"DATABASE_POOL": "0"}, "DATABASE_POOL", "DATABASE_POOL=10"),
    "another pooler": ({"DATABASE_POOLER": "session"}, "DATABASE_POOLER", "transaction or none"),
    "no mail address": ({"EMAIL_URL": "mail.example.com"}, "EMAIL_URL", "smtp+tls://"),
    "a mail scheme misspelt": ({"EMAIL_URL": "smpt://mail.example.com"}, "EMAIL_URL", "smtp+tls://"),
    "a mail user without password": ({"EMAIL_URL": "smtp://user@mail.example.com"}, "EMAIL_URL", "or neither"),
    "help without an address": ({"HELP_CONTACT": "the help desk"}, "HELP_CONTACT", "HELP_CONTACT=help@example.com"),
    "a sender without an address": ({"DEFAULT_FROM_EMAIL": "Example"}, "DEFAULT_FROM_EMAIL", "<help@example.com>"),
    "a desk without an address": ({"ORDER_DESK_EMAIL": "desk"}, "ORDER_DESK_EMAIL", "help@example.com"),
    "no colour": ({"BRAND_ACCENT": "green"}, "BRAND_ACCENT", "#0b6e4f"),
    "a logo that is a file": ({"BRAND_LOGO_URL": "logo.svg"}, "BRAND_LOGO_URL", "https://example.com/logo.svg"),
    "privacy without a scheme": ({"PRIVACY_URL": "example.com/privacy"}, "PRIVACY_URL", "https://example.com/privacy"),
    "an unknown language": ({"LANGUAGE_CODE": "fr"}, "LANGUAGE_CODE", "en, de"),
    "an unknown zone": ({"TIME_ZONE": "Berlin"}, "TIME_ZONE", "Europe/Berlin"),
    "services by another name": ({"PACKS": "meetings,telephony"}, "PACKS", "isn't installed"),
    "a service twice": ({"PACKS": "meetings,meetings"}, "PACKS", "PACKS=meetings,calling"),
    "an address for a domain": (
        {"MEETINGS_BASE_DOMAIN": "https://meet.example.com"},
        "MEETINGS_BASE_DOMAIN",
        "meet.ex",
    ),
    "links that end at once": ({"LINK_DAYS": "0"}, "LINK_DAYS", "LINK_DAYS=30"),
    "days in words": ({"LINK_DAYS": "thirty"}, "LINK_DAYS", "LINK_DAYS=30"),
    "no time to set up": ({"SET_UP_DAYS": "0"}, "SET_UP_DAYS", "between 1 and"),
    "a wait before now": ({"DESK_WAIT_DAYS": "-1"}, "DESK_WAIT_DAYS", "DESK_WAIT_DAYS=7"),
    "padding before now": ({"RESPONSE_PADDING_MS": "-5"}, "RESPONSE_PADDING_MS", "RESPONSE_PADDING_MS=50"),
    "webhooks without secrets": ({"WEBHOOK_URL": "https://erp.example.com"}, "WEBHOOK_SECRETS", "whsec_"),
    "a webhook secret too short": (
        {"WEBHOOK_URL": "https://erp.example.com", "WEBHOOK_SECRETS": "whsec_c2hvcnQ="},
        "WEBHOOK_SECRETS",
        "whsec_",
    ),
    "no network": ({"OUTGOING_ALLOW_PRIVATE": "10.2.0.0/33"}, "OUTGOING_ALLOW_PRIVATE", "10.2.0.0/16"),
    "a network with host bits": ({"MONITORING_NETWORKS": "10.2.0.1/16"}, "MONITORING_NETWORKS", "10.2.0.0/16"),
    "a lease of no time": ({"PROVISIONING_LEASE_SECONDS": "0"}, "PROVISIONING_LEASE_SECONDS", "=60"),
    "hours in words": ({"PROVISIONING_CALLBACK_HOURS": "three"}, "PROVISIONING_CALLBACK_HOURS", "=72"),
    "an unknown log level": ({"LOG_LEVEL": "chatty"}, "LOG_LEVEL", "INFO"),
}


@pytest.fixture
def right(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of an installation that is right, and nothing else that the product reads."""
    for name in {*read_by_operators(), *(name for name in os.environ if name.startswith("PROVISIONING_"))}:
        monkeypatch.delenv(name, raising=False)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def load() -> dict[str, Any]:
    """Read the settings from the environment."""
    return runpy.run_path(str(ROOT / "provisioning" / "settings.py"))


def test_installation_that_is_right_is_read(right: pytest.MonkeyPatch) -> None:
    right.setenv("ALLOWED_HOSTS", ".example.com")
    right.setenv("PRIVATE_URL", "https://unrelated.example.com")  # two letters away from PRIVACY_URL: somebody else's
    found = load()
    assert found["PUBLIC_URL"] == "https://setup.example.com"
    assert found["DEFAULT_FROM_EMAIL"] == "Example <help@example.com>"
    right.setenv("PUBLIC_URL", "https://setup.example.com/")
    right.setenv("BEHIND_PROXY", "Yes")
    assert (load()["PUBLIC_URL"], load()["BEHIND_PROXY"]) == ("https://setup.example.com", True)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_variable_is_named_with_an_example(case: str, right: pytest.MonkeyPatch) -> None:
    changes, name, example = WRONG[case]
    for variable, value in changes.items():
        if value == "-":
            right.delenv(variable)
        else:
            right.setenv(variable, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        load()
    sentence = str(refused.value)
    assert re.search(rf"\b{name}\b", sentence), sentence
    assert example in sentence
    assert sentence.endswith((".", "?"))
    assert sentence.count("\n") == 0
    assert "hidden" not in sentence


@pytest.mark.parametrize(("name", "value"), [("PORT", "99999"), ("PORT", "web"), ("WEB_CONCURRENCY", "0")])
def test_variable_that_only_the_server_reads_ends_it_with_a_sentence(name: str, value: str) -> None:
    environment = {**os.environ, name: value}
    ended = subprocess.run(
        [sys.executable, "-c", "import provisioning.deployment.gunicorn"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"gunicorn: {name} must be .*such as {name}=\d+\.\n", ended.stderr), ended.stderr


def test_settings_are_shown_without_secrets(right: pytest.MonkeyPatch) -> None:
    right.setenv("WEBHOOK_URL", "https://user:hidden@erp.example.com/hooks?token=hidden")
    right.setenv("PROVISIONING_MEETINGS", "osb+https://user:hidden@broker.example.com")
    right.setattr(Env, "read", {})
    with pytest.raises(ImproperlyConfigured, match="WEBHOOK_URL"):
        load()  # user and password of a receiver aren't sent, so they are refused
    right.setenv("WEBHOOK_URL", "https://erp.example.com/hooks?token=hidden")
    right.setenv("WEBHOOK_SECRETS", "whsec_aGlkZGVuIGhpZGRlbiBoaWRkZW4gaGlkZGVu")
    load()
    runpy.run_path(str(ROOT / "provisioning" / "deployment" / "gunicorn.py"))
    text, rows = StringIO(), StringIO()
    call_command("settings", stdout=text)
    call_command("settings", "--json", stdout=rows)
    shown = json.loads(rows.getvalue())
    assert read_by_operators() - set(shown) <= {"WEBHOOK_ALLOW_PRIVATE"}
    assert shown["DATABASE_URL"] == {"value": "postgres://(hidden)@db.example.com/provisioning", "set": True}
    assert shown["LINK_DAYS"] == {"value": "30", "set": False}
    assert shown["PROVISIONING_MEETINGS"]["value"] == "osb+https://(hidden)@broker.example.com"
    assert "EMAIL_URL=smtp+tls://(hidden)@mail.example.com:587\n" in text.getvalue()
    assert "LINK_DAYS=30  (default)\n" in text.getvalue()
    for secret in ("hidden-", "hidden key", "=hidden", "aGlkZGVu"):
        assert secret not in text.getvalue() + rows.getvalue()


def test_check_of_a_deployment_connects_to_what_the_settings_name(settings: Settings) -> None:
    def found() -> dict[str, str]:
        messages = checks.run_checks(include_deployment_checks=True, tags=["outside", "environment"])
        return {str(message.id): message.msg for message in messages}

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": port, "timeout": 1},
        }
    }
    settings.WEBHOOK_URL = "https://nosuch.invalid/hooks"
    settings.WEBHOOK_SECRETS = []
    settings.PUBLIC_URL = "http://setup.example.com"
    settings.ALLOWED_HOSTS = ["*"]
    told = found()
    assert told["provisioning.E030"].startswith("The mail server of EMAIL_URL can't be used (ConnectionRefusedError")
    assert told["provisioning.E031"].startswith("The receiver of WEBHOOK_URL can't be reached: The name nosuch.invalid")
    assert "PUBLIC_URL begins with http://" in told["provisioning.W030"]
    assert "ALLOWED_HOSTS is *" in told["provisioning.W033"]
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    settings.WEBHOOK_URL = ""
    settings.PUBLIC_URL = "https://setup.example.com"
    settings.ALLOWED_HOSTS = ["setup.example.com"]
    assert found() == {}


def named_in_examples() -> dict[str, set[str]]:
    """Return the variables that each example sets."""
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    lines = (EXAMPLES / "provisioning.env").read_text().splitlines()
    unit = (EXAMPLES / "provisioning.service").read_text()
    docker = re.search(r"^ENV (.*)$", (EXAMPLES / "Dockerfile").read_text(), re.MULTILINE)
    assert docker
    return {
        "compose.yaml": set(compose["services"]["provisioning"]["environment"]),
        "provisioning.env": {line.partition("=")[0] for line in lines if not line.startswith("#")},
        "provisioning.service": set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE)),
        "Dockerfile": {part.partition("=")[0] for part in docker[1].split()},
    }


def test_examples_name_variables_that_exist_and_are_a_whole_installation(right: pytest.MonkeyPatch) -> None:
    for example, names in named_in_examples().items():
        assert names, example
        assert not names - read_by_operators(), example
    for line in (EXAMPLES / "provisioning.env").read_text().splitlines():
        if not line.startswith("#"):
            right.setenv(*line.split("=", 1))
    assert load()["PUBLIC_URL"] == "https://setup.example.com"
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    for name, value in compose["provisioning"]["environment"].items():
        right.setenv(name, re.sub(r"\$\{\w+:\?\}", "replaced by fifty characters 0123456789 abcdefghij", value))
    right.setenv("DATABASE_URL", "postgres://provisioning:password@database/provisioning")
    assert load()["BEHIND_PROXY"] is True
    assert (EXAMPLES / compose["provisioning"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / compose["provisioning"]["build"]["dockerfile"]).exists()


def test_commands_of_the_examples_exist_and_listen_on_the_port_of_a_platform() -> None:
    named = [
        (EXAMPLES / "Procfile").read_text().partition(": ")[2].split(),
        json.loads((EXAMPLES / "Dockerfile").read_text().rpartition("CMD ")[2]),
        re.findall(r"^ExecStart=/usr/bin/env (.*)$", (EXAMPLES / "provisioning.service").read_text(), re.MULTILINE)[
            0
        ].split(),
    ]
    for command in named:
        assert command[:3] == ["python3", "manage.py", "serve"]
        shown = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *command[2:], "--help"],
            env={**os.environ, "PORT": "8123"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "(here: 0.0.0.0:8123)" in " ".join(shown.split())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_reads_the_unit_without_a_complaint(tmp_path: Path) -> None:
    unit = tmp_path / "provisioning.service"
    text = (EXAMPLES / "provisioning.service").read_text()
    unit.write_text(re.sub(r"^(User|Group)=.*$", r"\1=nobody", text, flags=re.MULTILINE).replace("=nobody", "=root"))
    told = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in told.stderr.splitlines() if "provisioning.service" in line] == []
    assert told.returncode == 0, told.stderr


def test_list_of_commands_that_need_nothing_has_settings() -> None:
    assert commands.NEEDS["settings"] == commands.Needs.NOTHING
