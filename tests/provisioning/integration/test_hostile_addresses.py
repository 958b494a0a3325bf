"""The door for outgoing HTTP: whatever address is given, nothing of this machine or its network is reached."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from provisioning.integration import http_client

# How 127.0.0.1 and its network can be written, and names and addresses that stand for them. {} is the trap's port.
THIS_MACHINE = """
127.0.0.1 127.1 127.0.1 127.000.000.001 0127.0.0.1 0177.0.0.1 0177.0.0.01 0x7f.0.0.1 0x7f.1 0x7F.0x0.0x0.0x1 0x7f000001
2130706433 017700000001 0x7f.0x000001 127.127.127.127 127.255.255.254 0 0.0.0.0 00.00.00.00 0x0 localhost LOCALHOST
localhost. localhost.localdomain ip6-localhost [::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1]
[0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [2001:0:7f00:1::]
[fe80::1] [fe80::1%25lo] [fc00::1] [fd12:3456::1] [fec0::1] [ff02::1] [::ffff:0:127.0.0.1] [::ffff:10.0.0.1]
ⓛocalhost １２７.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.① sam@127.0.0.1 example.com@127.0.0.1 example.com:80@127.0.0.1
example.com%40127.0.0.1 user:127.0.0.1@localhost 127.0.0.1%00.example.com 127.0.0.1%2f 127.0.0.1%09
10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 0xa9fea9fe 2852039166 100.64.0.1 198.18.0.1 192.0.2.1 224.0.0.1
255.255.255.255 240.0.0.1 [::ffff:169.254.169.254] [fd00:ec2::254] metadata
""".split()
SHAPES = ("http://{}:{port}/", "https://{}:{port}/", "HTTP://{}:{port}/x?y#z")
# Addresses that parsers read in different ways.
ODD = [
    "http://127.0.0.1:{port}\\@example.com/", "http://example.com\\@127.0.0.1:{port}/", "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/", "http://example.com#@127.0.0.1:{port}/", "http://example.com?@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#.example.com/", "//127.0.0.1:{port}/", "http://[::1]:{port}@example.com/",
    "http://127.0.0.1\t:{port}/", "http://127.0.0.1 :{port}/", "http://:{port}/", "http://@:{port}/",
    "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "unix:///run/x.sock", "",
    "http://127.0.0.1:{port}/\r\nHost: evil.example", "http://[/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/",
]  # fmt: skip
FAST = http_client.Limits(connect=0.2, read=0.2, whole=0.5)


@pytest.fixture
def trap() -> Iterator[tuple[int, list[str]]]:
    """Listen on all addresses of this machine, and note each request."""
    caught: list[str] = []

    class Trap(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            caught.append(self.path)
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{server.server_address[1]}/redirected")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_arguments: Any) -> None:
            """Write nothing."""

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    server = Server(("::", 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], caught
    server.shutdown()
    server.server_close()


def test_nothing_gets_through_in_any_spelling(trap: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    port, caught = trap
    resolve = socket.getaddrinfo

    def without_dns(host: Any, *rest: Any, **more: Any) -> Any:
        """Resolve numbers and names of this machine as the system does; no name leads to the internet."""
        if str(host).strip(".").lower().partition(".")[0] not in {"example", "metadata"}:
            return resolve(host, *rest, **more)
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", without_dns)
    tried = 0
    for shape in SHAPES:
        for address in THIS_MACHINE:
            tried += 1
            with pytest.raises((http_client.NoAnswer, ValueError)):
                http_client.request("POST", shape.format(address, port=port), b"{}", {}, limits=FAST)
    for odd in ODD:
        tried += 1
        with pytest.raises((http_client.NoAnswer, ValueError)):
            http_client.request("POST", odd.format(port=port), b"{}", {}, limits=FAST)
    assert caught == []
    assert tried >= 200
    # The trap works: what is allowed arrives, and its redirect is not followed.
    allowed = [ip_network("127.0.0.0/8")]
    answer = http_client.request("POST", f"http://127.0.0.1:{port}/first", b"{}", {}, allow=allowed)
    assert (answer.status, caught) == (307, ["/first"])


def test_a_name_that_changes_its_answer_gains_nothing(
    trap: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, caught = trap
    asked: list[str] = []
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.114.7", port))]
    private = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    resolve = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "rebind.example":
            return resolve(host, *rest, **more)
        asked.append(host)
        return public if len(asked) == 1 else private

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(http_client.NoAnswer):
        http_client.request("POST", f"https://rebind.example:{port}/", b"{}", {}, limits=FAST)
    assert (asked, caught) == (["rebind.example"], [])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_m: [*private, *public])  # both at once: only the public
    with pytest.raises(http_client.NoAnswer):
        http_client.request("POST", f"https://both.example:{port}/", b"{}", {}, limits=FAST)
    assert caught == []
