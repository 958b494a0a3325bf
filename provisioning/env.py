"""Reads environment variables. A wrong value is refused with one sentence that names the variable.

The sentence never repeats a value that may contain a password.
"""

from __future__ import annotations

import builtins
import ipaddress
import re
from collections.abc import Iterable, Sequence
from email.utils import parseaddr
from typing import Any, ClassVar, Final
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.http.request import validate_host
from rapidfuzz.distance import OSA

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_POSTGRESQL: Final = {"postgres", "postgresql", "psql", "pgsql"}
_DATABASE_EXAMPLE: Final = "postgres://user:password@db.example.com:5432/provisioning"
_EMAIL_EXAMPLE: Final = "smtp+tls://user:password@mail.example.com:587, filemail:///folder or consolemail://"
_ESCAPES: Final = "write / as %2F, ? as %3F, # as %23, @ as %40, [ as %5B and % as %25 in user and password"


# What means yes and no. Anything else is refused, since it would count as no.
_TRUE: Final = {"true", "yes", "on", "1"}
_FALSE: Final = {"false", "no", "off", "0", ""}
# A domain name: labels of RFC 1123, in ASCII.
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class Env(environ.Env):  # type: ignore[misc]
    """django-environ's reader, whose errors are sentences.

    ``read`` has every variable that was asked for, with its value and whether the environment has it.
    """

    read: ClassVar[dict[str, tuple[Any, bool]]] = {}

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """Read a variable. A number that is set to an empty text counts as not set."""
        given = self.ENVIRON.get(var, "-").strip()
        if cast in (int, float) and default is not self.NOTSET and not given:
            value = default
        else:
            try:
                value = super().get_value(var, cast=cast, default=default, parse_default=parse_default)
            except (ValueError, TypeError) as error:
                expected = "written as in the table of provisioning/README.md"
                if cast in (int, float):
                    expected = f"a {'whole ' * (cast is int)}number, such as {var}={default}"
                raise ImproperlyConfigured(f"{var} must be {expected}.") from error
        Env.read[var] = (value, var in self.ENVIRON)
        return value

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> builtins.bool:
        """Return whether a variable says yes. Raises ImproperlyConfigured for anything but yes or no."""
        value = str(self.str(var, default=str(default))).strip().lower()
        if value not in _TRUE | _FALSE:
            raise ImproperlyConfigured(f"{var} must be true or false, such as {var}=true.")
        return value in _TRUE

    def number(self, var: str, *, default: float, least: float, most: float = float("inf")) -> Any:
        """Return a number of the default's type between two bounds."""
        value = self.int(var, default=default) if isinstance(default, int) else self.float(var, default=default)
        if not least <= value <= most:
            bounds = f"between {least:g} and {most:g}" if most < float("inf") else f"{least:g} or more"
            raise ImproperlyConfigured(f"{var} must be {bounds}, such as {var}={default}.")
        return value

    def public_address(self, var: str, *, default: str) -> tuple[str, SplitResult]:
        """Return the address that people open: a scheme, a host and a port, and nothing after them."""
        example = "https://setup.example.com"
        value, parts = self.web_address(var, default=default, example=f"{example}, the one that people open")
        if not value:
            raise ImproperlyConfigured(f"{var} must be the address that people open, such as {example}.")
        if parts.path.rstrip("/") or parts.query or parts.fragment:
            sentence = f"{var} must end after the host: the product needs a host name of its own, such as {example}."
            raise ImproperlyConfigured(sentence)
        return f"{parts.scheme}://{parts.netloc}", parts

    def hosts(self, var: str, *, default: Sequence[str], public: str) -> list[str]:
        """Return the host names that are answered. The public one has to be among them."""
        found = [str(host).strip() for host in self.list(var, default=list(default))]
        example = f"{var}={public},localhost"
        if any("/" in host or re.search(r":\d+$", host) for host in found):
            raise ImproperlyConfigured(f"{var} must be host names without scheme and port, such as {example}.")
        if not validate_host(public, found):
            raise ImproperlyConfigured(f"{var} must contain the host of PUBLIC_URL, such as {example}.")
        return found

    def email_address(self, var: str, *, default: str, sender: builtins.bool = False) -> str:
        """Return an email address; as a ``sender`` it may have a name: Example <help@example.com>."""
        value = str(self.str(var, default=default)).strip() or default
        name, address = parseaddr(value)
        try:
            if "\n" in value or (name and not sender) or (value and not address):
                raise ValidationError("no address")
            if value:
                validate_email(address)
        except ValidationError:
            example = "Example <help@example.com>" if sender else "help@example.com"
            raise ImproperlyConfigured(f"{var} must be an email address, such as {var}={example}.") from None
        return value

    def domain(self, var: str, *, default: str) -> str:
        """Return a domain name in lower case."""
        value = str(self.str(var, default=default)).strip().lower()
        if not _DOMAIN.fullmatch(value):
            raise ImproperlyConfigured(f"{var} must be a domain name, such as {var}={default}.")
        return value

    def link(self, var: str, *, example: str, own: builtins.bool = False) -> str:
        """Return the address of a page or picture; "" where there is none. ``own``: a path of this site is one too."""
        value = str(self.str(var, default="")).strip()
        if own and re.fullmatch(r"/[^/\s][^\s]*", value):
            return value
        found, _parts = self.web_address(var, default="", example=example)
        return found

    def refuse_misspelt(self, others: Iterable[str] = ()) -> None:
        """Raise ImproperlyConfigured where a variable is set whose name is one letter away from one that is not set."""
        known = {*Env.read, *others}
        wanted = [name for name in known if len(name) > 6 and name not in self.ENVIRON]
        for name in sorted(self.ENVIRON):
            if name in known:
                continue
            close = [each for each in wanted if OSA.distance(name.upper(), each, score_cutoff=1) <= 1]
            if close:
                raise ImproperlyConfigured(f"{name} is no variable of this product: did you mean {close[0]}?")

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
        smtp = right and email["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
        if smtp and bool(email["EMAIL_HOST_USER"]) != bool(email["EMAIL_HOST_PASSWORD"]):
            raise ImproperlyConfigured(
                f"{var} must have both a user and a password, or neither: smtp+tls://user:password@mail.example.com:587."
            )
        if not right:
            raise ImproperlyConfigured(f"{var} must be {_EMAIL_EXAMPLE}; {_ESCAPES}.")
        return email
