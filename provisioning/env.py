"""Reads environment variables. A wrong value is refused with one sentence that names the variable.

The sentence never repeats a value that may contain a password.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_POSTGRESQL: Final = {"postgres", "postgresql", "psql", "pgsql"}
_DATABASE_EXAMPLE: Final = "postgres://user:password@db.example.com:5432/provisioning"
_EMAIL_EXAMPLE: Final = "smtp+tls://user:password@mail.example.com:587, filemail:///folder or consolemail://"
_ESCAPES: Final = "write / as %2F, ? as %3F, # as %23, @ as %40, [ as %5B and % as %25 in user and password"


class Env(environ.Env):  # type: ignore[misc]
    """django-environ's reader, whose errors are sentences."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """Read a variable. A number that is set to an empty text counts as not set."""
        if cast is int and default is not self.NOTSET and not self.ENVIRON.get(var, "-").strip():
            return default
        try:
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except (ValueError, TypeError) as error:
            expected = "a whole number" if cast is int else "written as in the table of provisioning/README.md"
            raise ImproperlyConfigured(f"{var} must be {expected}.") from error

    def web_address(self, var: str, *, default: str, example: str) -> tuple[str, SplitResult]:
        """Return a web address and its parts; both are empty where the variable and its default are."""
        value = self.str(var, default=default).strip()
        try:
            parts = urlsplit(value)
            right = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
            right = right and (parts.port is None or parts.port > 0)
        except ValueError:
            right = False
        if value and not right:
            raise ImproperlyConfigured(f"{var} must be an address such as {example}.")
        return value, urlsplit(value)

    def networks(self, var: str, *, default: Sequence[str] = ()) -> list[Network]:
        """Return a list of networks."""
        try:
            return [ipaddress.ip_network(text.strip()) for text in self.list(var, default=list(default))]
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} must be networks such as 10.2.0.0/16,fd00::/8.") from error

    def postgresql(self, var: str, *, default: str) -> dict[str, Any]:
        """Return the address of a PostgreSQL database as an entry of Django's DATABASES."""
        value = self.str(var, default="").strip() or default
        scheme, separator, rest = value.partition("://")
        if not separator or not re.fullmatch(r"[\w.+-]+", scheme):
            raise ImproperlyConfigured(f"{var} isn't an address: it must look like {_DATABASE_EXAMPLE}.")
        if scheme.lower() not in _POSTGRESQL:
            raise ImproperlyConfigured(f"{var} begins with {scheme}://, but must begin with postgres:// (PostgreSQL).")
        # An unescaped / or ? in the password would be read as the start of the path or of the options.
        address, _mark, query = rest.partition("?")
        if "/" in address.rpartition("@")[0] or (query and not re.fullmatch(r"\w+=[^&]*(?:&\w+=[^&]*)*", query)):
            raise ImproperlyConfigured(f"{var} can't be read: {_ESCAPES}.")
        try:
            database: dict[str, Any] = self.db_url_config(value)
        except ValueError as error:
            if re.search(r"port", str(error), re.IGNORECASE):
                raise ImproperlyConfigured(
                    f"The port in {var} must be a number up to 65535; if that is part of the password, {_ESCAPES}."
                ) from None
            raise ImproperlyConfigured(f"{var} can't be read: {_ESCAPES}.") from None
        if not database["NAME"] and "service" not in database.get("OPTIONS", {}):
            raise ImproperlyConfigured(f"{var} names no database: it must end with /name as in {_DATABASE_EXAMPLE}.")
        return database

    def mail(self, var: str, *, default: str) -> dict[str, Any]:
        """Return the settings of an address of a mail server, as django-environ names them."""
        value = self.str(var, default="").strip() or default
        try:
            email: dict[str, Any] = self.email_url_config(value)
            right = bool(email["EMAIL_HOST"] or not email["EMAIL_BACKEND"].endswith("smtp.EmailBackend"))
            right = right and bool(
                email["EMAIL_FILE_PATH"] or not email["EMAIL_BACKEND"].endswith("filebased.EmailBackend")
            )
        except (ValueError, ImproperlyConfigured):
            right = False
        if not right:
            raise ImproperlyConfigured(f"{var} must be {_EMAIL_EXAMPLE}; {_ESCAPES}.")
        return email
