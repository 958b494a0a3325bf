"""A receiver of webhooks for one machine: it verifies signatures, prints messages, and can fail as real ones do."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook, WebhookVerificationError

# Faults of which one is chosen at random for each request; "" is a correct answer.
FAULTS = ("", "", "", "", "", "", "reset", "error", "busy", "redirect", "slow", "lost reply", "late error", "nonsense")


class Received(NamedTuple):
    """One accepted message. ``first``: it came for the first time; ``fault``: how the answer failed, or ""."""

    id: str
    type: str
    order: str
    first: bool
    fault: str
    body: dict[str, Any]


class Sink(ThreadingHTTPServer):
    """Listens on this machine. ``got`` has the accepted messages in order, ``refused`` the others with the reason.

    :param secrets: a message must be signed with one of them.
    :param faults: what it may do to a request; one at random, by ``seed``.
    :param slow: how many seconds a slow answer takes.
    :param on_message: called with each accepted message.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        secrets: Sequence[str],
        *,
        faults: Sequence[str] = ("",),
        seed: int | None = None,
        slow: float = 3,
        on_message: Callable[[Received], None] = lambda got: None,
        status: int = 204,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.signers = [Webhook(secret) for secret in secrets]
        self.faults, self.slow, self.on_message, self.status = faults, slow, on_message, status
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.got: list[Received] = []
        self.refused: list[str] = []
        self.lock = threading.Lock()
        self.seen: set[str] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks"

    def take(self, body: bytes, headers: dict[str, str], fault: str) -> bool:
        """Verify a message and keep it; False where it isn't signed with one of the secrets."""
        text = body.decode()
        for signer in self.signers:
            try:
                said = signer.verify(text, headers)
            except WebhookVerificationError:
                continue
            with self.lock:
                number = str(said["data"].get("order", {}).get("number", "-"))  # a test message has no order
                got = Received(
                    headers["webhook-id"], said["type"], number, headers["webhook-id"] not in self.seen, fault, said
                )
                self.seen.add(got.id)
                self.got.append(got)
                self.on_message(got)
            return True
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed hangs up: no news."""


class _Handler(BaseHTTPRequestHandler):
    """One request; see FAULTS for what may become of it."""

    server: Sink

    def do_POST(self) -> None:
        """Take a message, or do what bad receivers do."""
        sink = self.server
        with sink.lock:
            fault = sink.random.choice(list(sink.faults))
        if fault == "reset":
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/webhooks":
            sink.refused.append(f"came to {self.path}")
            self._answer(404)
        elif fault == "error":
            self._answer(500)
        elif fault == "busy":
            self._answer(429, ("Retry-After", "1"))
        elif fault == "redirect":
            self._answer(307, ("Location", "/elsewhere"))
        elif fault == "gone":
            self._answer(410)
        elif not sink.take(body, {name.lower(): value for name, value in self.headers.items()}, fault):
            sink.refused.append("not signed with a secret of ours")
            self._answer(401)
        elif fault == "lost reply":
            self._reset()
        elif fault == "late error":
            self._answer(503)
        elif fault == "nonsense":
            self.wfile.write(b"what?\r\n\r\n")
            self.close_connection = True
        elif fault == "drip":
            self._drip()
        else:
            if fault == "slow":
                time.sleep(sink.slow)
            self._answer(sink.status)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Log no requests: accepted messages are printed."""

    def _answer(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reset(self) -> None:
        """Reset the connection (RST instead of FIN)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _drip(self) -> None:
        """An answer that never comes to its end, a piece at a time."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(int(self.server.slow * 10)):
            self.wfile.write(f"X-{number}: wait\r\n".encode())
            time.sleep(0.1)


def line(got: Received) -> str:
    """One message in a line, for people."""
    again = "" if got.first else "  (again)"
    fault = f"  [{got.fault}]" if got.fault else ""
    return f"{got.order}  {got.type}  {got.id}{again}{fault}"


def as_json(got: Received) -> str:
    """One message in a line, for programs."""
    return json.dumps(got._asdict(), separators=(",", ":"))
