"""The only client for outgoing HTTP: checks the address, and connects to nothing but the checked address.

A configured address must not give access to the network of this machine (SSRF). A name is resolved once, every address
of it is checked, and the connection is made to a checked address: DNS rebinding changes nothing. Redirects are not
followed. Of a response, only the status, the headers and a few bytes are read.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # stands for the address of IPv4 in its last 32 bits: RFC 6052
# Bytes of a response body that are read and ignored, so a receiver that writes one isn't cut off.
_BODY = 16 * 1024


class NoAnswer(Exception):
    """There was no answer; the text says why, for the order desk. ``sent``: the request may have been received."""

    def __init__(self, why: str, *, sent: bool = False) -> None:
        super().__init__(why)
        self.sent = sent


class Limits(NamedTuple):
    """How many seconds a request may take: to connect, for each piece of the answer, and for all of it."""

    connect: float = 5
    read: float = 10
    whole: float = 20


class Answer(NamedTuple):
    """What came back: the status, after how many seconds the receiver wants to be asked again, if it says so, and as
    much of the body as was to be kept.
    """

    status: int
    retry_after: int | None
    body: bytes = b""


def request(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow: Sequence[Network] = (),
    limits: Limits = Limits(),  # noqa: B008 - it can't be changed
    keep: int = 0,
    keep_if_it_comes: bool = False,
) -> Answer:
    """Send one request to an external address and return its response, whatever the status.

    :param allow: networks that may be written to although they aren't public, also without TLS.
    :param keep: how many bytes of the answer's body are returned; a longer body is cut off there.
    :param keep_if_it_comes: the status counts, and a body that can't be read is left out.
    :raises NoAnswer: it may not be written to, can't be reached, or doesn't answer within the limits.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = _checked(host, port, allow, tls=parts.scheme == "https")
    connection = (
        HTTPSConnection(address, port, timeout=limits.connect, server_hostname=host, assert_hostname=host)
        if parts.scheme == "https"
        else HTTPConnection(address, port, timeout=limits.connect)
    )
    late = threading.Event()
    opened: list[socket.socket] = []
    watch = threading.Timer(limits.whole, _hang_up, (connection, opened, late))
    watch.daemon = True
    watch.start()
    sent = False
    try:
        connection.connect()
        opened.append(connection.sock)  # the connection forgets it while the body is read
        connection.timeout = limits.read
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = True
        connection.request(
            method,
            target,
            body=body or None,
            headers={"Host": parts.netloc, "Accept-Encoding": "identity", "Connection": "close", **headers},
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        if late.is_set():  # what came until then ends in the middle of its head
            raise TimeoutError
        seconds = _seconds(response.headers.get("Retry-After", ""))
        if not keep or keep_if_it_comes:
            body_read = b""
            with contextlib.suppress(HTTPError, OSError, ValueError):
                body_read = response.read(_BODY)
            return Answer(response.status, seconds, body_read[:keep])
        found = response.read(keep)
        if late.is_set():
            raise TimeoutError
        return Answer(response.status, seconds, found)
    except Exception as problem:  # of urllib3, http.client, ssl, sockets; also of a socket that was hung up in between
        why = f"No answer within {limits.whole:g} seconds." if late.is_set() else f"{type(problem).__name__}: {problem}"
        raise NoAnswer(why[:500], sent=sent) from problem
    finally:
        watch.cancel()
        connection.close()


def _seconds(after: str) -> int | None:
    """Return in how many seconds a Retry-After says to ask again: it has a number, or a date (RFC 9110, 10.2.3)."""
    if after.isascii() and after.isdigit() and len(after) < 7:
        return int(after)
    try:
        moment = parsedate_to_datetime(after)
        return max(0, min(999_999, round((moment - datetime.now(UTC)).total_seconds())))
    except (TypeError, ValueError, OverflowError):  # TypeError: a date without a time zone
        return None


def may_be_reached(address: Address) -> bool:
    """Say whether an address is a public unicast address: not loopback, private, link-local or multicast.

    What stands for another address in it (IPv4 mapped into IPv6, 6to4, NAT64, Teredo) is judged by that as well.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return may_be_reached(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return may_be_reached(address.ipv4_mapped)
        held = [one for one in (address.sixtofour, *(address.teredo or ())) if one]
        if address.is_site_local or address.scope_id or not all(map(may_be_reached, held)):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _checked(host: str, port: int, allow: Sequence[Network], *, tls: bool) -> str:
    """The first address of this name that may be written to."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise NoAnswer(f"The name {host} leads to no address: {problem}") from problem
    addresses = dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found)
    for address in addresses:
        if any(_plain(address) in network for network in allow):
            return str(address)
        if tls and may_be_reached(address):
            return str(address)
    if any(may_be_reached(address) for address in addresses):
        raise NoAnswer("Without TLS nothing is sent over the internet: the address must begin with https.")
    raise NoAnswer(
        f"{host} is {', '.join(map(str, addresses))}: not an address of the public internet."
        " OUTGOING_ALLOW_PRIVATE says which others may be written to."
    )


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _hang_up(connection: HTTPConnection, opened: list[socket.socket], late: threading.Event) -> None:
    """End a connection that takes too long: the thread that waits for it gets an error."""
    late.set()
    sock = opened[0] if opened else connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
