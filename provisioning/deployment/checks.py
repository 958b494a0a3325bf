"""What `manage.py check` (fonts) and `check --deploy` say about an installation beside Django's own checks."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from provisioning.database import transaction_pooler
from provisioning.deployment import readiness
from subscriptions.summary import fonts

_PANGO = "Install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0 (Debian, Ubuntu), or pango (Homebrew)."


@checks.register(checks.Tags.security, deploy=True)
def environment_is_complete(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Warn about missing variables whose defaults only work on one machine."""
    expected = {
        "SECRET_KEY": "The key is made in STATE_DIR, so a second machine would not know links, codes and sessions.",
        "EMAIL_URL": "Emails are written to files in STATE_DIR, so they reach nobody.",
        "PUBLIC_URL": "Links in emails lead to this machine only.",
    }
    return [
        checks.Warning(
            f"{name} is not set. {consequence}",
            hint=f"Set {name}; provisioning/README.md describes it.",
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


@checks.register("readiness", deploy=True)
def installation_is_ready(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Say what would keep commands, web processes and workers from starting."""
    found: list[checks.CheckMessage] = []
    try:
        newer = readiness.tables_are_there()
        if newer:
            found.append(checks.Warning(newer, id="provisioning.W022"))
    except readiness.Unusable as problem:
        found.append(checks.Error(str(problem), id="provisioning.E020"))
    except readiness.NotReady as problem:
        found.append(checks.Error(str(problem), id="provisioning.E021"))
    try:
        readiness.static_files_are_there()
    except readiness.NotReady as problem:
        found.append(checks.Error(str(problem), id="provisioning.E023"))
    return found


@checks.register("environment", deploy=True)
def variables_fit_together(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Warn of variables that have no effect or that are not safe in public."""
    found: list[tuple[str, str]] = []
    host = str(urlsplit(settings.PUBLIC_URL).hostname)
    if not settings.PUBLIC_URL.startswith("https://") and host not in {"localhost", "127.0.0.1", "::1"}:
        found.append(("W030", "PUBLIC_URL begins with http://, so codes and answers can be read on the way."))
    if settings.WEBHOOK_SECRETS and not settings.WEBHOOK_URL:
        found.append(("W031", "WEBHOOK_SECRETS is set and WEBHOOK_URL isn't, so no webhooks are sent."))
    if settings.SECRET_KEY in settings.SECRET_KEY_FALLBACKS:
        found.append(("W032", "SECRET_KEY is one of SECRET_KEY_FALLBACKS: a new key has to be another one."))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(("W033", "ALLOWED_HOSTS is *, so pages answer with any host that a visitor names."))
    return [
        checks.Warning(sentence, hint="provisioning/README.md describes the variable.", id=f"provisioning.{number}")
        for number, sentence in found
    ]


@checks.register(checks.Tags.security, deploy=True)
def database_fits(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Warn where this machine may ask for more connections than there are, or listens behind a pooler in vain."""
    try:
        if transaction_pooler.is_transaction_pooler():
            return []  # its own limit counts, which nobody but its operator may ask for
        if settings.DATABASE_POOLER and transaction_pooler.find_transaction_pooler():
            sentence = "DATABASE_POOLER is none, but there is a pooler in transaction mode: emails go out late."
            return [checks.Warning(sentence, hint="Set DATABASE_POOLER=transaction.", id="provisioning.W024")]
        room = transaction_pooler.room()
    except (DatabaseError, psycopg.Error):
        return []
    processes = int(os.environ.get("WEB_CONCURRENCY") or 1)
    web, worker = transaction_pooler.demand(processes)
    if web + worker <= room:
        return []
    return [
        checks.Warning(
            f"{processes} web processes and a worker take up to {web + worker} connections to PostgreSQL, which has "
            f"{room} for this machine.",
            hint="Lower WEB_CONCURRENCY or DATABASE_POOL, raise max_connections, or put a pooler before PostgreSQL.",
            id="provisioning.W023",
        )
    ]
